"""Sharing and caching change nothing: log-probabilities and gradients are those of the plain forward pass."""

from collections import Counter

import numpy as np
import pytest
import torch

from flag_trl.policy import Engine, LLMPolicy, Tuning, tree
from flag_trl.policy.layers import TreePass
from flag_trl.policy.tree import PromptTree
from flag_trl.policy.tuning import FAMILIES, decoder

TOP = Tuning("top_layers", num_trainable_layers=2)
TUNINGS = [TOP, Tuning("lora", 2, lora_rank=2), Tuning("dora", 2, lora_rank=2), Tuning("full")]
WORDS = {"low": "down down", "middle": "down up", "high": "up"}
RANDOM = np.random.default_rng(0)


def tokens(count: int) -> tuple[int, ...]:
    return tuple(RANDOM.integers(2, 300, count).tolist())


HEAD = tokens(7)
DAYS = [tokens(9 + 4 * day) for day in range(4)]
PROMPTS = [(HEAD, day, tokens(3 + n)) for day in DAYS for n in range(3)]
PROMPTS += [PROMPTS[0], (HEAD, DAYS[1]), (HEAD,), (tokens(5), tokens(2))]
LEGAL = torch.ones(len(PROMPTS), 3, dtype=torch.bool)
LEGAL[::4, 0] = False
LEGAL[1::5, 2] = False
WEIGHTS = torch.from_numpy(RANDOM.normal(size=LEGAL.shape)).float()


def loss_of(log_probs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    return (log_probs * WEIGHTS[rows]).masked_fill(~LEGAL[rows], 0.0).sum()


def gradients(policy: LLMPolicy) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None}
    policy.zero_grad()
    return found


def plain(policy: LLMPolicy) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """One prompt at a time through the model as transformers has it."""
    rows = []
    for prompt, legal in zip(PROMPTS, LEGAL, strict=True):
        ids = [token for segment in prompt for token in segment]
        logits = [
            policy.model(torch.tensor([[*ids, *node.prefix]])).logits[0, -1, list(node.children)][None]
            for node in policy.actions.nodes
        ]
        rows.append(policy.actions.log_probs(logits, legal[None]))
    log_probs = torch.cat(rows)
    loss_of(log_probs, np.arange(len(PROMPTS))).backward()
    return log_probs.detach(), gradients(policy)


def through_tree(policy: LLMPolicy) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    log_probs = torch.zeros(LEGAL.shape)
    for rows, batch in policy.batches(PROMPTS, LEGAL):
        found = policy(batch).log_probs
        loss_of(found, rows).backward()
        log_probs[rows] = found.detach()
    return log_probs, gradients(policy)


def assert_same(found: tuple, wanted: tuple) -> None:
    torch.testing.assert_close(found[0], wanted[0], atol=1e-5, rtol=0)
    assert found[1].keys() == wanted[1].keys()
    largest = max(gradient.abs().max().item() for gradient in wanted[1].values())
    assert largest > 1e-2
    for name, gradient in wanted[1].items():
        torch.testing.assert_close(found[1][name] / largest, gradient / largest, atol=1e-5, rtol=0, msg=name)


def check(policy: LLMPolicy, share: str, cached: bool, batch_tokens: int) -> None:
    wanted = plain(policy)
    policy.engine = Engine(share=share, batch_tokens=batch_tokens)
    if cached:
        policy.use_cache()
    assert_same(through_tree(policy), wanted)


@pytest.mark.parametrize("cached", [False, True], ids=["computed", "cached"])
@pytest.mark.parametrize("share", ["prefixes", "states", "none"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_what_the_plain_model_gives(family, share, cached, tiny_policy) -> None:
    policy = tiny_policy(TOP, words=WORDS, family=family)
    assert len(policy.actions.nodes) == 2, "the words must share a beginning"
    check(policy, share, cached, 200)


@pytest.mark.parametrize("family", ["llama", "gemma3_text"])
@pytest.mark.parametrize("tuning", TUNINGS[1:], ids=lambda t: t.method)
def test_every_tuning_gives_what_the_plain_model_gives(tuning, family, tiny_policy) -> None:
    policy = tiny_policy(tuning, family=family)
    policy.use_cache()
    assert (policy.cache is None) == (tuning.method == "full")
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            # An adapter that still adds nothing hides what it would do.
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    check(policy, "prefixes", cached=False, batch_tokens=200)


@pytest.mark.parametrize("row_tokens", [1, 40, 10_000])
@pytest.mark.parametrize("batch_tokens", [1, 64, 10_000])
def test_however_prompts_are_packed(row_tokens, batch_tokens, tiny_policy, monkeypatch) -> None:
    monkeypatch.setattr(tree, "ROW_TOKENS", row_tokens)
    check(tiny_policy(TOP, words=WORDS), "prefixes", cached=True, batch_tokens=batch_tokens)


@pytest.mark.parametrize("capacity", [1, 30, 60, 200])
def test_a_row_is_longer_than_asked_only_for_a_prompt_that_is(capacity) -> None:
    many = [(HEAD, DAYS[0], tokens(5)) for _ in range(40)] + PROMPTS
    prefixes = [(), (5,), (6, 7)]
    batches = list(PromptTree(many, prefixes, "prefixes").batches(capacity))
    assert Counter(row for batch in batches for row in batch.prompts.tolist()) == Counter(range(len(many)))
    longest = max(sum(map(len, prompt)) for prompt in many) + 3
    assert all(batch.tensors["input_ids"].shape[1] <= max(capacity, longest) for batch in batches)


def test_recomputed_activations_give_the_same_gradients(tiny_policy) -> None:
    policy = tiny_policy(TOP)
    wanted = plain(policy)
    policy.activation_checkpointing_enable()
    policy.train()
    assert_same(through_tree(policy), wanted)


@pytest.mark.parametrize("share", ["prefixes", "none"])
@pytest.mark.parametrize("batch_tokens", [50, 300, 5000])
def test_every_prompt_is_in_one_batch_and_batches_keep_their_size(batch_tokens, share) -> None:
    batches = list(PromptTree(PROMPTS, [()], share).batches(batch_tokens))
    assert Counter(row for batch in batches for row in batch.prompts.tolist()) == Counter(range(len(PROMPTS)))
    for batch in batches:
        rows, length = batch.tensors["input_ids"].shape
        assert rows == 1 or rows * length <= batch_tokens


def test_what_prompts_share_is_computed_once_and_the_last_layer_for_the_answers_alone(tiny_policy) -> None:
    policy = tiny_policy(TOP)
    seen: Counter = Counter()
    for number, layer in enumerate(decoder(policy.model).layers):
        layer.mlp.register_forward_hook(
            lambda module, inputs, out, number=number: seen.update({number: out[..., 0].numel()})
        )
    prompts = PROMPTS[:12]
    policy.use_cache()
    policy.evaluate(prompts, LEGAL[:12])
    (batch,) = PromptTree(prompts, [()], "prefixes").batches(4096)
    distinct = len(HEAD) + sum(map(len, DAYS)) + sum(len(prompt[-1]) for prompt in prompts)
    assert batch.tensors["input_ids"].numel() == distinct
    assert [seen[number] for number in range(4)] == [distinct, distinct, distinct, len(prompts)]
    seen.clear()
    policy.evaluate(prompts, LEGAL[:12])
    assert [seen[number] for number in range(4)] == [0, 0, distinct, len(prompts)]


def test_a_token_sees_its_own_prompt_and_nothing_else(tiny_policy) -> None:
    """Change one day's text: every other prompt's states stay as they were, to the last bit."""
    policy = tiny_policy(TOP)
    changed = [(HEAD, tokens(9), p[2]) if p[1] == DAYS[0] else p for p in PROMPTS[:12]]
    a, b = (next(PromptTree(prompts, [()], "prefixes").batches(4096)) for prompts in (PROMPTS[:12], changed))
    top = [TreePass(decoder(policy.model), batch.tensors) for batch in (a, b)]
    with torch.no_grad():
        before, after = (layers.top(0, layers.trunk(0)) for layers in top)
    before, after = before[a.tensors["answers"][:, 0]], after[b.tensors["answers"][:, 0]]
    place = {int(row): n for n, row in enumerate(b.prompts)}
    for n, row in enumerate(a.prompts.tolist()):
        same = torch.allclose(before[n], after[place[row]], atol=1e-6)
        assert same == (PROMPTS[row][1] != DAYS[0])


def test_a_prompt_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="no token"):
        PromptTree([((), ())], [()], "prefixes")
