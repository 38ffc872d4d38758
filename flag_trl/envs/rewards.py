"""Rewards: growth of equity, the increment of the Sharpe ratio, and the floors that keep both finite."""

import numpy as np

RUIN_FLOOR = 1e-4
"""Least growth of equity over a bar that a reward sees. A short can lose more than everything; its log return would
be minus infinity or undefined, so a bar never counts for less than ``log(1e-4)``, about -9.2."""

MIN_RETURNS = 20
"""Returns before which a Sharpe ratio counts as 0. The raw increment reaches 44 at the second step where it is 0.05
at the sixtieth, so the first steps would drown the rest of the episode."""

STD_FLOOR = 1e-3
"""Least standard deviation a bar in the Sharpe ratio's denominator, for the same reason: an account that was flat
but for a few bars has next to none."""


def floored_growth(before: np.ndarray, after: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Growth of equity over a bar, ``max(after / before, RUIN_FLOOR)``; all arrays have shape (N,).

    Accounts that are not ``alive`` grow by 1, whatever they owe.
    """
    return np.where(alive, np.maximum(after / np.where(alive, before, 1.0), RUIN_FLOOR), 1.0)


class SharpeIncrement:
    """The paper's reward SR_t - SR_{t-1} for N accounts (arXiv 2502.11433).

    SR_t is the annualised Sharpe ratio (risk-free rate 0, sample deviation) of an account's simple returns so far,
    0 before ``MIN_RETURNS`` of them, its deviation at least ``STD_FLOOR``. The increments add up to the final ratio.
    Mean and deviation are kept by Welford's recursion (Technometrics 4, 1962), which loses no digits to cancellation.

    Parameters
    ----------
    periods_per_year : np.ndarray
        Bars a year, shape (N,).
    """

    def __init__(self, periods_per_year: np.ndarray) -> None:
        n = len(periods_per_year)
        self._annualise = np.sqrt(periods_per_year)
        self._count = 0
        self._mean = np.zeros(n)
        self._squares = np.zeros(n)
        self._sharpe = np.zeros(n)

    def update(self, simple_return: np.ndarray) -> np.ndarray:
        """Take in one bar's simple returns (N,) and give the rise of each account's Sharpe ratio, shape (N,)."""
        self._count += 1
        delta = simple_return - self._mean
        self._mean += delta / self._count
        self._squares += delta * (simple_return - self._mean)
        if self._count < MIN_RETURNS:
            return np.zeros_like(delta)
        deviation = np.maximum(np.sqrt(self._squares / (self._count - 1)), STD_FLOOR)
        before = self._sharpe
        self._sharpe = self._mean / deviation * self._annualise
        return self._sharpe - before
