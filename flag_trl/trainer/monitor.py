"""What training logs about its rollouts."""

from collections.abc import Sequence

import numpy as np
import torch

from flag_trl.agent import Trajectory
from flag_trl.metrics import sharpe_ratio
from flag_trl.trainer.losses import entropy


def trading_metrics(
    trajectory: Trajectory, actions: tuple[str, ...], periods_per_year: Sequence[int]
) -> dict[str, float]:
    """Measures of N episodes, each with its market's bars a year.

    Returns
    -------
    dict of str to float
        ``episode_return``: mean sum of rewards, what training maximises. ``log_return``: mean log return of the
        accounts. ``sharpe``: annualised, of each account's simple returns, mean over the accounts that have one; zero
        if none has. ``share/<action>``: how often each action was taken.
    """
    active = trajectory.active
    log_returns = trajectory.infos["log_return"]
    sharpes = [
        sharpe_ratio(np.expm1(log_returns[active[:, n], n]), periods_per_year[n]) for n in range(active.shape[1])
    ]
    defined = [value for value in sharpes if np.isfinite(value)]
    counts = np.bincount(trajectory.actions[active], minlength=len(actions))
    return {
        "episode_return": float(trajectory.rewards.sum(0).mean()),
        "log_return": float((log_returns * active).sum(0).mean()),
        "sharpe": float(np.mean(defined)) if defined else 0.0,
        **{f"share/{name}": float(share) for name, share in zip(actions, counts / active.sum(), strict=True)},
    }


def mean_entropy(trajectory: Trajectory) -> float:
    """Entropy of the policy in nats, mean over the decisions."""
    with np.errstate(divide="ignore"):
        log_probs = np.log(trajectory.probabilities[trajectory.active])
    return float(entropy(torch.from_numpy(log_probs)).mean())
