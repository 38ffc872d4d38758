"""Returns-to-go and what is subtracted from them."""

import numpy as np


def returns_to_go(rewards: np.ndarray, gamma: float) -> np.ndarray:
    """G_t = sum over l >= t of gamma^(l-t) r_l.

    Parameters
    ----------
    rewards : ndarray, shape (T, N)
        Zero after an episode's end.
    gamma : float
        Discount a step.

    Returns
    -------
    ndarray, shape (T, N)
    """
    out = np.empty_like(rewards)
    following = np.zeros(rewards.shape[1])
    for t in range(len(rewards) - 1, -1, -1):
        following = rewards[t] + gamma * following
        out[t] = following
    return out


def leave_one_out(returns: np.ndarray, num_generations: int) -> np.ndarray:
    """The `rloo` baseline: at each step the mean return-to-go of the window's other rollouts.

    It does not depend on the action it judges, so the gradient stays unbiased (Kool et al., 2019).

    Parameters
    ----------
    returns : ndarray, shape (T, N)
        N = windows x num_generations, a window's rollouts side by side.
    num_generations : int
        At least two.

    Returns
    -------
    ndarray, shape (T, N)
    """
    grouped = returns.reshape(len(returns), -1, num_generations)
    others = (grouped.sum(-1, keepdims=True) - grouped) / (num_generations - 1)
    return others.reshape(returns.shape)


def group_mean(returns: np.ndarray, num_generations: int) -> np.ndarray:
    """The `batch_mean` baseline: at each step the mean return-to-go of all the window's rollouts, shape (T, N).

    It includes the sample that it judges, which scales the gradient by (n-1)/n.
    """
    grouped = returns.reshape(len(returns), -1, num_generations)
    return np.broadcast_to(grouped.mean(-1, keepdims=True), grouped.shape).reshape(returns.shape)


def advantages(rewards: np.ndarray, gamma: float, baseline: str, num_generations: int) -> np.ndarray:
    """A_t = G_t - b_t, shape (T, N), for the baselines ``rloo``, ``batch_mean`` and ``none``."""
    returns = returns_to_go(rewards, gamma)
    if baseline == "rloo":
        return returns - leave_one_out(returns, num_generations)
    return returns - group_mean(returns, num_generations) if baseline == "batch_mean" else returns


def gae(rewards: np.ndarray, values: np.ndarray, active: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """Generalised advantage estimation (Schulman et al., 2016): sum over l of (gamma lam)^l delta_{t+l}.

    delta_t = r_t + gamma V_{t+1} - V_t, and V is zero after an episode's end: its horizon is finite.

    Parameters
    ----------
    rewards, values : ndarray, shape (T, N)
    active : ndarray of bool, shape (T, N)
        Whether the account was still trading.
    gamma, lam : float

    Returns
    -------
    ndarray, shape (T, N)
        Zero after an episode's end.
    """
    values = values * active
    following = np.concatenate([values[1:], np.zeros_like(values[:1])])
    deltas = (rewards + gamma * following - values) * active
    return returns_to_go(deltas, gamma * lam)
