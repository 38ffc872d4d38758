"""The objective: REINFORCE with an entropy bonus and a penalty for leaving the untouched model."""

import torch


def entropy(log_probs: torch.Tensor) -> torch.Tensor:
    """Entropy over the legal actions in nats; (..., A) -> (...). Illegal actions have minus infinity."""
    return -(log_probs.exp() * _finite(log_probs)).sum(-1)


def kl_divergence(log_probs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """KL(policy || reference) over the legal actions in nats; (..., A), (..., A) -> (...)."""
    return (log_probs.exp() * (_finite(log_probs) - _finite(reference))).sum(-1)


def reinforce_loss(
    log_probs: torch.Tensor,
    reference: torch.Tensor,
    actions: torch.Tensor,
    advantages: torch.Tensor,
    denominator: torch.Tensor | float,
    entropy_coef: float,
    kl_coef: float,
) -> torch.Tensor:
    """-(1/(N T)) sum of A log pi(a|s), less the entropy bonus, plus the KL penalty.

    Parameters
    ----------
    log_probs, reference : torch.Tensor, shape (n, A)
        The policy's and the untouched model's, one row a sample; minus infinity where illegal.
    actions : torch.Tensor of int64, shape (n,)
    advantages : torch.Tensor, shape (n,)
    denominator : scalar
        N T: fixed, so that a long episode counts for more than a short one and chunks of a batch add up.
    entropy_coef, kl_coef : float

    Returns
    -------
    torch.Tensor, scalar
    """
    taken = log_probs.gather(-1, actions[:, None])[:, 0]
    objective = advantages * taken + entropy_coef * entropy(log_probs) - kl_coef * kl_divergence(log_probs, reference)
    return -objective.sum() / denominator


def _finite(log_probs: torch.Tensor) -> torch.Tensor:
    """Zero instead of minus infinity, so that a probability of zero times it is zero, in the gradient too."""
    return log_probs.masked_fill(log_probs == float("-inf"), 0.0)
