"""Rewards: growth of equity, what timing, Sharpe ratio and drawdown make of it, and floors that keep all finite."""

from typing import Protocol

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
    if alive.all():
        return np.maximum(after / before, RUIN_FLOOR)
    return np.where(alive, np.maximum(after / np.where(alive, before, 1.0), RUIN_FLOOR), 1.0)


class Reward(Protocol):
    """What an account earns a bar; it may remember the bars before."""

    def update(self, log_return: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        """Take in one bar's log returns of equity and weights held (N,) and give the rewards, shape (N,)."""


class LogReturn:
    """The log return of equity, costs included."""

    def update(self, log_return: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        """The same numbers, shape (N,)."""
        return log_return.copy()


class TimingReturn:
    """The log return, less what the weight held would have earned in a bar of the asset's mean.

    With exposure e_t and the asset's mean log return m over the whole training period, r_t = log return - e_t m. An
    episode's rewards add up to its log return less what the same exposure earns in an average bar, so that holding a
    rising asset is no skill: over the training period long throughout earns 0 at ``same_close`` and without costs,
    and so does every policy whose exposure has nothing to do with the returns. Of short positions and other weights
    terms of the order of the variance are left.

    m is one number an asset. The mean of the episode's own bars would leave the returns still to come below it after
    a rise, and above it after a fall, and so pay a policy that sees past returns for betting against them.

    Parameters
    ----------
    drift : np.ndarray
        m of each account's asset, a bar; shape (N,).
    """

    def __init__(self, drift: np.ndarray) -> None:
        self._drift = drift

    def update(self, log_return: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        """Take in one bar's log returns and weights held (N,) and give the rewards, shape (N,)."""
        return log_return - exposure * self._drift


class DrawdownPenalised:
    """The log return, less `penalty` times what the bar adds to the maximum drawdown.

    The drawdown is how far the log of equity lies below its highest so far. An episode's rewards add up to its log
    return less `penalty` times its maximum drawdown, both in logs.

    Parameters
    ----------
    n : int
        Accounts.
    penalty : float
        1 makes a loss that deepens the maximum drawdown count double.
    """

    def __init__(self, n: int, penalty: float) -> None:
        self._penalty = penalty
        self._drawdown, self._worst = np.zeros((2, n))

    def update(self, log_return: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        """Take in one bar's log returns (N,) and give the rewards, shape (N,)."""
        self._drawdown = np.maximum(self._drawdown - log_return, 0.0)
        before, self._worst = self._worst, np.maximum(self._worst, self._drawdown)
        return log_return - self._penalty * (self._worst - before)


class DifferentialSharpe:
    """The differential Sharpe ratio of Moody and Saffell (IEEE Transactions on Neural Networks 12, 2001).

    With moving estimates A of the returns and B of their squares, D_t = (B dA - A dB / 2) / (B - A^2)^(3/2), where
    dA = R - A, dB = R^2 - B, all before the bar; then A and B move by `rate` times dA and dB. It is the derivative of
    the moving Sharpe ratio by the rate. As with `SharpeIncrement` it counts as 0 before ``MIN_RETURNS`` bars, and the
    deviation is at least ``STD_FLOOR``: while it is held there, D_t = dA / ``STD_FLOOR``. A and B are plain means of
    the first 1 / `rate` bars.

    Parameters
    ----------
    n : int
        Accounts.
    rate : float
        Adaptation rate, in (0, 1); 1 / rate bars is what the estimates remember.
    """

    def __init__(self, n: int, rate: float) -> None:
        self._rate = rate
        self._count = 0
        self._mean, self._square = np.zeros((2, n))

    def update(self, log_return: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        """Take in one bar's log returns (N,) and give the rewards, shape (N,)."""
        returns = np.expm1(log_return)
        self._count += 1
        to_mean, to_square = returns - self._mean, returns**2 - self._square
        variance = self._square - self._mean**2
        moving = (self._square * to_mean - 0.5 * self._mean * to_square) / np.maximum(variance, STD_FLOOR**2) ** 1.5
        reward = np.where(variance > STD_FLOOR**2, moving, to_mean / STD_FLOOR)
        rate = max(self._rate, 1.0 / self._count)
        self._mean = self._mean + rate * to_mean
        self._square = self._square + rate * to_square
        return reward if self._count > MIN_RETURNS else np.zeros_like(reward)


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

    def update(self, log_return: np.ndarray, exposure: np.ndarray) -> np.ndarray:
        """Take in one bar's log returns (N,) and give the rise of each account's Sharpe ratio, shape (N,)."""
        simple_return = np.expm1(log_return)
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
