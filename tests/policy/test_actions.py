"""Actions as token sequences: what is refused, and that probabilities are those of a walk down the prefix tree."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.policy import ActionTokens


def tree(*token_ids: tuple[int, ...]) -> ActionTokens:
    names = tuple(f"a{i}" for i in range(len(token_ids)))
    return ActionTokens(names, names, token_ids)


@pytest.mark.parametrize(
    ("token_ids", "says"),
    [
        (((1,), (1,)), "'a0'.*same tokens as.*'a1'.*another word"),
        (((1,), (1, 2)), "'a0'.*is a prefix of.*'a1'"),
        (((2, 3), ()), "'a1'.*has no token"),
        (((1,),), "at least two actions"),
    ],
)
def test_words_that_cannot_be_told_apart_are_refused_by_name(token_ids, says) -> None:
    with pytest.raises(ValueError, match=says):
        tree(*token_ids)


def test_actions_whose_first_tokens_differ_need_one_node() -> None:
    (root,) = tree((1, 9), (2,), (3, 9, 9)).nodes
    assert root.prefix == () and root.children == (1, 2, 3)


def test_a_shared_first_token_moves_the_choice_behind_it() -> None:
    (node,) = tree((7, 1), (7, 2)).nodes
    assert node.prefix == (7,) and node.children == (1, 2)


TREE = tree((1,), (2, 1), (2, 2, 5), (2, 2, 6), (3, 9))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), min_size=5, max_size=5).filter(any), st.integers(0, 10_000))
def test_probabilities_of_the_legal_actions_sum_to_one(legal: list[bool], seed: int) -> None:
    logits = [
        torch.randn(1, len(node.children), generator=torch.Generator().manual_seed(seed + i)) * 3
        for i, node in enumerate(TREE.nodes)
    ]
    mask = torch.tensor([legal])
    log_probs = TREE.log_probs(logits, mask)
    assert log_probs.exp().sum().item() == pytest.approx(1.0, abs=1e-6)
    assert torch.equal(torch.isinf(log_probs), ~mask)


def test_an_action_has_the_product_of_its_choices() -> None:
    root, second, third = (torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.5, -0.5]]), torch.tensor([[1.0, 4.0]]))
    assert [node.prefix for node in TREE.nodes] == [(), (2,), (2, 2)]
    found = TREE.log_probs([root, second, third], torch.ones(1, 5, dtype=torch.bool))[0]
    by_hand = root.log_softmax(-1)[0, 1] + second.log_softmax(-1)[0, 1] + third.log_softmax(-1)[0, 0]
    assert found[2].item() == pytest.approx(by_hand.item())


def test_an_illegal_action_passes_no_gradient() -> None:
    logits = [torch.zeros(1, len(node.children), requires_grad=True) for node in TREE.nodes]
    legal = torch.tensor([[True, False, False, False, True]])
    TREE.log_probs(logits, legal)[0, 0].backward()
    root, second, third = (leaf.grad for leaf in logits)
    assert root[0, 1] == 0 and not second.any() and not third.any()
    assert root[0, 0] != 0 and torch.isfinite(root).all()
