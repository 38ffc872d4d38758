"""Shares of the optimal policy's Sharpe ratio, and a bootstrap that respects how days nest in wordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.planted_market import PLANTED_DIRECTION

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class TestDays:
    """What policies earned on the n test days of one seed.

    Attributes
    ----------
    returns : mapping of str to ndarray, shape (n,)
        Daily simple returns of each policy.
    optimal : ndarray, shape (n,)
        Those of the Bayes-optimal policy on the same days.
    wording : ndarray of int64, shape (n,)
        Index into `SENTENCES` of each day's news.
    """

    # pytest would take the name for a test's.
    __test__ = False

    returns: Mapping[str, np.ndarray]
    optimal: np.ndarray
    wording: np.ndarray


def sharpe_share(returns: np.ndarray, optimal: np.ndarray) -> float:
    """Sharpe ratio of `returns` over that of `optimal`, same days, risk-free rate 0; 0 for returns that never move.

    No annualisation: it cancels.
    """
    one = np.ones((1, len(optimal)))
    return float((_sharpe(returns, one) / _sharpe(optimal, one))[0])


def bootstrap_shares(
    seeds: Sequence[TestDays], draws: int = 4000, seed: int = 0, wordings: bool = True, block: int = 10
) -> dict[str, np.ndarray]:
    """Resample the test and measure every policy's share of the optimum on each resample.

    All policies of a seed see the same resample, so the difference of two of them is paired.

    Parameters
    ----------
    seeds : sequence of TestDays
        Each with the same policies.
    draws : int
    seed : int
        Of the resampling.
    wordings : bool
        True, the honest one: two levels. First wordings are drawn anew, with replacement, within each direction, and
        one draw serves every seed in which the wording is a test's (the seeds' tests overlap); then days within each
        drawn wording. It answers: what with other sentences of this kind? False: days alone in circular blocks,
        which answers: what with other days of these very sentences?
    block : int
        Days in a block where days alone are drawn. Planted returns are independent, so its length matters little.

    Returns
    -------
    dict of str to ndarray, shape (len(seeds), draws)
        The mean over the first axis is the pooled share.
    """
    random = np.random.default_rng(seed)
    occurring = np.unique(np.concatenate([days.wording for days in seeds]))
    drawn = _wording_draws(random, occurring, draws)
    out: dict[str, list[np.ndarray]] = {}
    for days in seeds:
        if wordings:
            weights = _day_weights(random, days.wording, drawn, draws)
        else:
            weights = _block_weights(random, len(days.wording), draws, block)
        optimum = _sharpe(days.optimal, weights)
        for name, returns in days.returns.items():
            # A resample without an optimum gives no share; `interval` leaves it out.
            with np.errstate(invalid="ignore", divide="ignore"):
                out.setdefault(name, []).append(_sharpe(returns, weights) / optimum)
    return {name: np.stack(rows) for name, rows in out.items()}


def interval(resampled: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval; resamples without an optimum are left out."""
    sound = resampled[np.isfinite(resampled)]
    low, high = np.quantile(sound, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _wording_draws(random: np.random.Generator, occurring: np.ndarray, draws: int) -> dict[int, np.ndarray]:
    """How often each draw takes each wording, as many of each direction as there are; shape (draws,) each."""
    taken: dict[int, np.ndarray] = {}
    for sign in (1, -1):
        mine = occurring[PLANTED_DIRECTION[occurring] == sign]
        if len(mine):
            counts = random.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=draws)
            taken.update(zip(mine.tolist(), counts.T, strict=True))
    return taken


def _day_weights(
    random: np.random.Generator, wording: np.ndarray, drawn: Mapping[int, np.ndarray], draws: int
) -> np.ndarray:
    """How often each day counts, shape (draws, n): a wording's days are drawn as often as it has days, each time."""
    weights = np.zeros((draws, len(wording)))
    for number in np.unique(wording):
        bars = np.flatnonzero(wording == number)
        weights[:, bars] = random.multinomial(drawn[int(number)] * len(bars), np.full(len(bars), 1 / len(bars)))
    return weights


def _block_weights(random: np.random.Generator, n: int, draws: int, block: int) -> np.ndarray:
    starts = random.integers(n, size=(draws, -(-n // block)))
    bars = ((starts[:, :, None] + np.arange(block)) % n).reshape(draws, -1)[:, :n]
    return np.stack([np.bincount(row, minlength=n) for row in bars]).astype(float)


def _sharpe(returns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sharpe ratio of weighted days, a row of weights each; shape (draws,)."""
    total = weights.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = weights @ returns / total
        variance = weights @ returns**2 / total - mean**2
        # Below this there is nothing but rounding.
        return np.where(variance > 1e-18, mean / np.sqrt(np.maximum(variance, 1e-300)), 0.0)
