"""The objectives: REINFORCE, PPO and the exact gradient, with entropy bonus and KL penalty; the value loss."""

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
    objective = advantages * taken + _regularised(log_probs, reference, entropy_coef, kl_coef)
    return -objective.sum() / denominator


def ppo_loss(
    log_probs: torch.Tensor,
    reference: torch.Tensor,
    actions: torch.Tensor,
    advantages: torch.Tensor,
    old_log_probs: torch.Tensor,
    denominator: torch.Tensor | float,
    cliprange: float,
    entropy_coef: float,
    kl_coef: float,
) -> torch.Tensor:
    """-(1/(N T)) sum of min(rho A, clip(rho, 1 - c, 1 + c) A), rho = pi(a|s) / pi_old(a|s) (Schulman et al., 2017).

    Parameters
    ----------
    log_probs, reference, actions, advantages, denominator, entropy_coef, kl_coef
        As in `reinforce_loss`.
    old_log_probs : torch.Tensor, shape (n,)
        Of the actions taken, under the policy that took them.
    cliprange : float
        c.

    Returns
    -------
    torch.Tensor, scalar
    """
    ratio = (log_probs.gather(-1, actions[:, None])[:, 0] - old_log_probs).exp()
    clipped = ratio.clamp(1.0 - cliprange, 1.0 + cliprange)
    objective = torch.minimum(ratio * advantages, clipped * advantages)
    objective = objective + _regularised(log_probs, reference, entropy_coef, kl_coef)
    return -objective.sum() / denominator


def exact_loss(
    log_probs: torch.Tensor,
    reference: torch.Tensor,
    advantages: torch.Tensor,
    occupancy: torch.Tensor,
    denominator: torch.Tensor | float,
    entropy_coef: float,
    kl_coef: float,
) -> torch.Tensor:
    """-(1/T) sum over t, x of d_t(x) sum over a of pi(a|x) A_t(x, a); its gradient is REINFORCE's expected one.

    Parameters
    ----------
    log_probs, reference : torch.Tensor, shape (n, A)
        One row a state.
    advantages : torch.Tensor, shape (n, A)
        d_t(x) A_t(x, a): of every action, times how likely the state is; zero where illegal.
    occupancy : torch.Tensor, shape (n,)
        d_t(x), for the entropy bonus and the KL penalty.
    denominator, entropy_coef, kl_coef
        As in `reinforce_loss`; N counts windows.

    Returns
    -------
    torch.Tensor, scalar
    """
    expected = (log_probs.exp() * advantages).sum(-1)
    objective = expected + occupancy * _regularised(log_probs, reference, entropy_coef, kl_coef)
    return -objective.sum() / denominator


def value_loss(
    values: torch.Tensor,
    old_values: torch.Tensor,
    returns: torch.Tensor,
    denominator: torch.Tensor | float,
    cliprange_value: float,
) -> torch.Tensor:
    """(1/(N T)) sum of half the larger squared error, of V and of V held within `cliprange_value` of the old one.

    Parameters
    ----------
    values, old_values, returns : torch.Tensor, shape (n,)
    denominator : scalar
    cliprange_value : float

    Returns
    -------
    torch.Tensor, scalar
    """
    held = old_values + (values - old_values).clamp(-cliprange_value, cliprange_value)
    return 0.5 * torch.maximum((values - returns) ** 2, (held - returns) ** 2).sum() / denominator


def _regularised(
    log_probs: torch.Tensor, reference: torch.Tensor, entropy_coef: float, kl_coef: float
) -> torch.Tensor:
    """Entropy bonus less KL penalty of each row."""
    return entropy_coef * entropy(log_probs) - kl_coef * kl_divergence(log_probs, reference)


def _finite(log_probs: torch.Tensor) -> torch.Tensor:
    """Zero instead of minus infinity, so that a probability of zero times it is zero, in the gradient too."""
    return log_probs.masked_fill(log_probs == float("-inf"), 0.0)
