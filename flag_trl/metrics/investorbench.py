"""The ``investorbench`` convention: the measures of INVESTOR-BENCH and of FLAG-Trader's tables, quirks included."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flag_trl.metrics.standard import max_drawdown, sample_deviation


@dataclass(frozen=True)
class InvestorBench:
    """Measures of one sequence of positions; see `investorbench_measures` for each definition.

    Attributes
    ----------
    CR : float
        Cumulative reward, percent.
    SR : float
        Annualised Sharpe ratio.
    AV : float
        Annualised volatility, percent.
    MDD : float
        Maximum drawdown, percent, positive.
    """

    CR: float
    SR: float
    AV: float
    MDD: float


def investorbench_measures(positions: ArrayLike, prices: ArrayLike, periods_per_year: int = 252) -> InvestorBench:
    """Measure positions against prices as INVESTOR-BENCH's ``src/eval_pipeline.py`` does, so that tables compare.

    With reward r_t = position_t * ln(p_{t+1} / p_t) and P periods a year, risk-free rate 0:

    - CR = sum of r: log rewards are added, and a short position earns minus the log return, which no account does.
    - AV = std(r, n-1) * sqrt(P).
    - SR = (CR * P / (n+1)) / AV: the yearly reward divides by the number of prices, one more than there are rewards.
    - MDD compounds 1 + r from 1, although r is a log reward.

    There are no costs, and a position is reset to its full size each day at no charge. The original divides by zero
    for a policy that never trades; here its SR is nan.

    Parameters
    ----------
    positions : (n,) array
        Position in {-1, 0, 1} held from price t to price t+1.
    prices : (n+1,) array
        Prices, all positive.
    periods_per_year : int
        252 for stocks, 365 for crypto.

    Returns
    -------
    InvestorBench
        Percentages in percent; nan where undefined (SR when AV is 0, AV and SR below two rewards).

    Raises
    ------
    ValueError
        If there is not exactly one more price than positions, a price is not positive, or a position is none of
        -1, 0, 1.
    """
    held = np.asarray(positions, dtype=np.float64)
    price = np.asarray(prices, dtype=np.float64)
    _check(held, price)
    rewards = held * np.diff(np.log(price))
    total = float(rewards.sum())
    volatility = sample_deviation(rewards) * float(np.sqrt(periods_per_year))
    yearly = total * periods_per_year / price.size
    wealth = np.concatenate([[1.0], np.cumprod(1 + rewards)])
    return InvestorBench(
        CR=100 * total,
        SR=yearly / volatility if volatility > 0 else float("nan"),
        AV=100 * volatility,
        MDD=100 * max_drawdown(wealth),
    )


def _check(positions: np.ndarray, prices: np.ndarray) -> None:
    if positions.ndim != 1 or prices.shape != (positions.size + 1,):
        raise ValueError(
            f"prices need one entry more than positions, got positions {positions.shape} and prices {prices.shape}"
        )
    if not (prices > 0).all():
        where = int(np.flatnonzero(~(prices > 0))[0])
        raise ValueError(f"prices must be positive, got {prices[where]} at index {where}")
    if not np.isin(positions, (-1.0, 0.0, 1.0)).all():
        where = int(np.flatnonzero(~np.isin(positions, (-1.0, 0.0, 1.0)))[0])
        raise ValueError(f"positions must be -1, 0 or 1, got {positions[where]} at index {where}")
