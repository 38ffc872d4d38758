"""Whether a probability means what it says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Calibration:
    """How often what was given a probability happened.

    Attributes
    ----------
    predicted, happened : ndarray, shape (b,)
        Mean probability and share of events in each bin, of the bins that hold any.
    low, high : ndarray, shape (b,)
        Wilson's 95 % bounds of `happened`.
    count : ndarray of int64, shape (b,)
    ece : float
        Expected calibration error: mean of |happened - predicted| weighted by count; nan without any forecast.
    ece_by_chance : float
        What a forecaster whose probabilities are exact would be charged on average, for bins hold few events.
    p_value : float
        Of the probabilities being exact, by Monte Carlo: how often such a forecaster would be charged as much.
    brier : float
        Mean squared error of the probabilities.
    """

    predicted: NDArray[np.float64]
    happened: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]
    ece: float
    ece_by_chance: float
    p_value: float
    brier: float


def calibration(
    probabilities: ArrayLike,
    events: ArrayLike,
    clusters: ArrayLike | None = None,
    bins: int = 10,
    draws: int = 999,
    seed: int = 0,
) -> Calibration:
    """Compare probabilities with what happened, in bins of equal count.

    Parameters
    ----------
    probabilities : (n,) array
        Of the event, in [0, 1].
    events : (n,) array of bool
        Whether it happened.
    clusters : (n,) array, optional
        Which events come together, such as those of one day. In the simulation two of a cluster share a draw so often
        that their standardised errors are as correlated, on average, as those found; never less often than never.
    bins : int
        At most so many; equal probabilities share one.
    draws, seed
        Of the simulation behind `ece_by_chance` and `p_value`.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015) for the error; Wilson (1927) for the bounds.
    """
    p, happened = np.asarray(probabilities, dtype=np.float64), np.asarray(events, dtype=bool)
    if p.shape != happened.shape or p.ndim != 1:
        raise ValueError(f"probabilities and events must have one shape (n,), got {p.shape} and {happened.shape}")
    if p.size and not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"probabilities must lie in [0, 1], got {p.min()} to {p.max()}")
    if not p.size:
        nothing, nan = np.empty(0), float("nan")
        return Calibration(nothing, nothing, nothing, nothing, np.empty(0, dtype=np.int64), nan, nan, nan, nan)
    place = _bins(p, bins)
    count = np.bincount(place)
    predicted, share = np.bincount(place, p) / count, np.bincount(place, happened) / count
    low, high = _wilson(share, count)
    rng, error = np.random.default_rng(seed), _error(share, predicted, count)
    groups = np.arange(p.size) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    shared = np.sqrt(_share_of_draws(p, happened, groups))
    by_chance = np.empty(draws)
    for draw in range(draws):
        together = rng.random(groups.max() + 1)[groups]
        uniform = np.where(rng.random(p.size) < shared, together, rng.random(p.size))
        by_chance[draw] = _error(np.bincount(place, uniform < p) / count, predicted, count)
    return Calibration(
        predicted,
        share,
        low,
        high,
        count,
        error,
        float(by_chance.mean()),
        (np.count_nonzero(by_chance >= error) + 1) / (draws + 1),
        float(np.mean((p - happened) ** 2)),
    )


def _share_of_draws(p: NDArray[np.float64], happened: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """How often two events of a group must share a draw to be as correlated as found; within [0, 1].

    Two events that always share one have covariance min(p, p') - p p'.
    """
    deviation = np.sqrt(p * (1 - p))
    found = wholly = 0.0
    order = np.argsort(groups, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(groups))[:-1]):
        rows = rows[deviation[rows] > 0]
        own, scale = p[rows], deviation[rows]
        errors = (happened[rows] - own) / scale
        found += errors.sum() ** 2 - (errors**2).sum()
        covariance = np.minimum(own[:, None], own) - own[:, None] * own
        correlation = covariance / (scale[:, None] * scale)
        wholly += correlation.sum() - np.trace(correlation)
    return float(np.clip(found / wholly, 0.0, 1.0)) if wholly > 0 else 0.0


def _bins(p: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin of each probability, numbered without gaps."""
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, p, side="left"), return_inverse=True)[1]


def _error(share: NDArray[np.float64], predicted: NDArray[np.float64], count: NDArray[np.int64]) -> float:
    return float(np.abs(share - predicted) @ count / count.sum())


def _wilson(share: NDArray[np.float64], count: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    z2 = 1.959964**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    width = np.sqrt(z2 * share * (1 - share) / count + z2**2 / (4 * count**2)) / (1 + z2 / count)
    return middle - width, middle + width
