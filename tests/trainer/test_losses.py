"""Entropy, KL and the loss against torch.distributions, and their gradients where actions are illegal."""

import pytest
import torch
from torch.distributions import Categorical
from torch.distributions import kl_divergence as torch_kl

from flag_trl.trainer.losses import entropy, kl_divergence, reinforce_loss


@pytest.fixture
def masked() -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of two policies over three actions, one of them illegal in the second row."""
    torch.manual_seed(0)
    legal = torch.tensor([[True, True, True], [True, False, True]])
    both = torch.randn(2, 2, 3).masked_fill(~legal, float("-inf"))
    return tuple(both.log_softmax(-1))


def legal_part(log_probs: torch.Tensor, row: int) -> Categorical:
    return Categorical(logits=log_probs[row][torch.isfinite(log_probs[row])])


def test_entropy_and_kl_equal_those_of_the_legal_part(masked) -> None:
    policy, reference = masked
    for row in range(2):
        own, other = legal_part(policy, row), legal_part(reference, row)
        assert entropy(policy)[row].item() == pytest.approx(own.entropy().item(), abs=1e-6)
        assert kl_divergence(policy, reference)[row].item() == pytest.approx(torch_kl(own, other).item(), abs=1e-6)


def test_an_illegal_action_leaves_the_gradient_finite(masked) -> None:
    logits = masked[0].detach().masked_fill(torch.isinf(masked[0]), float("-inf")).requires_grad_()
    actions, judged = torch.tensor([1, 2]), torch.tensor([0.5, -2.0])
    loss = reinforce_loss(logits.log_softmax(-1), masked[1], actions, judged, 2.0, 0.1, 0.1)
    loss.backward()
    assert torch.isfinite(logits.grad).all() and logits.grad[1, 1] == 0


def test_the_loss_by_hand(masked) -> None:
    policy, reference = masked
    actions, judged = torch.tensor([1, 2]), torch.tensor([0.5, -2.0])
    by_hand = sum(
        -(judged[i] * policy[i, actions[i]] + 0.1 * entropy(policy)[i] - 0.3 * kl_divergence(policy, reference)[i])
        for i in range(2)
    )
    found = reinforce_loss(policy, reference, actions, judged, 5.0, 0.1, 0.3)
    assert found.item() == pytest.approx((by_hand / 5).item(), rel=1e-6)
