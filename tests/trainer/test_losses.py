"""Entropy, KL and the losses against torch.distributions and by hand, and their gradients."""

import pytest
import torch
from torch.distributions import Categorical
from torch.distributions import kl_divergence as torch_kl

from flag_trl.trainer.losses import entropy, exact_loss, kl_divergence, ppo_loss, reinforce_loss, value_loss


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


def ppo_by_ratio(ratio: float, advantage: float) -> tuple[float, float]:
    """PPO's loss and its gradient by the log-probability of the action, which was 1/2 under the old policy."""
    taken = torch.tensor([0.5 * ratio]).log().requires_grad_()
    log_probs = torch.stack([taken, torch.zeros(1)], dim=-1)
    old, judged = torch.tensor([0.5]).log(), torch.tensor([advantage])
    loss = ppo_loss(log_probs, log_probs.detach(), torch.tensor([0]), judged, old, 4.0, 0.2, 0.0, 0.0)
    loss.backward()
    return loss.item(), taken.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "counts", "pulls"),
    [
        # Inside the range the ratio counts as it is.
        (1.1, 2.0, 1.1, True),
        (0.9, -2.0, 0.9, True),
        # A good action is not made likelier beyond 1.2, nor a bad one less likely below 0.8 ...
        (1.5, 2.0, 1.2, False),
        (0.5, -2.0, 0.8, False),
        # ... but whatever went the wrong way is always brought back.
        (0.5, 2.0, 0.5, True),
        (1.5, -2.0, 1.5, True),
    ],
)
def test_ppo_stops_pulling_once_the_ratio_has_gone_far_enough_the_right_way(ratio, advantage, counts, pulls) -> None:
    loss, slope = ppo_by_ratio(ratio, advantage)
    assert loss == pytest.approx(-counts * advantage / 4, rel=1e-6)
    assert slope == pytest.approx(-ratio * advantage / 4 if pulls else 0.0, rel=1e-6)


def test_ppo_has_the_entropy_bonus_and_the_penalty_of_reinforce(masked) -> None:
    policy, reference = masked
    actions, judged = torch.tensor([1, 2]), torch.zeros(2)
    old = policy.gather(-1, actions[:, None])[:, 0]
    found = ppo_loss(policy, reference, actions, judged, old, 5.0, 0.2, 0.1, 0.3)
    assert found.item() == pytest.approx(reinforce_loss(policy, reference, actions, judged, 5.0, 0.1, 0.3).item())


@pytest.mark.parametrize(
    ("value", "target", "loss", "slope"),
    [
        # The old value is 1 and may be left by 0.5: within that, half the squared error.
        (1.25, 3.0, 0.5 * 1.75**2, -1.75),
        # Further towards the target, the held value 1.5 has the larger error, and nothing pulls.
        (2.0, 3.0, 0.5 * 1.5**2, 0.0),
        # Further away from the target, or far beyond it, the value itself has.
        (0.0, 3.0, 0.5 * 3.0**2, -3.0),
        (6.0, 3.0, 0.5 * 3.0**2, 3.0),
    ],
)
def test_the_value_loss_counts_the_larger_of_the_two_errors(value, target, loss, slope) -> None:
    values = torch.tensor([value], requires_grad=True)
    found = value_loss(values, torch.tensor([1.0]), torch.tensor([target]), 4.0, 0.5)
    found.backward()
    assert found.item() == pytest.approx(loss / 4) and values.grad.item() == pytest.approx(slope / 4)


def test_the_exact_losss_gradient_is_reinforces_averaged_over_actions_and_states(masked) -> None:
    logits, reference = masked[0].clone().requires_grad_(), masked[1]
    occupied, probabilities = torch.tensor([0.7, 0.3]), masked[0].exp()
    judged = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])

    def slope(loss: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(loss, logits)[0]

    expected = torch.zeros(2, 3)
    for row in range(2):
        for action in (probabilities[row] > 0).nonzero()[:, 0]:
            one = logits.log_softmax(-1)[row : row + 1], reference[row : row + 1]
            loss = reinforce_loss(*one, action[None], judged[row, action][None], 5.0, 0.1, 0.3)
            expected += occupied[row] * probabilities[row, action] * slope(loss)
    weighted = occupied[:, None] * judged
    found = slope(exact_loss(logits.log_softmax(-1), reference, weighted, occupied, 5.0, 0.1, 0.3))
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
