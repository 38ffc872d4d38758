"""The ``standard`` convention: simple returns of the account's equity, compounded, risk-free rate 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-12
"""A deviation below this share of the largest value is rounding error of a constant series."""


@dataclass(frozen=True)
class Standard:
    """Measures of one equity curve; see `standard_measures` for each definition.

    Attributes
    ----------
    CR : float
        Cumulative return, percent.
    SR : float
        Annualised Sharpe ratio.
    AV : float
        Annualised volatility, percent.
    MDD : float
        Maximum drawdown, percent, positive.
    sortino : float
        Annualised Sortino ratio.
    calmar : float
        Calmar ratio.
    """

    CR: float
    SR: float
    AV: float
    MDD: float
    sortino: float
    calmar: float


def standard_measures(equity: ArrayLike, periods_per_year: int = 252) -> Standard:
    """Measure an equity curve by the usual definitions.

    With r the n simple returns, P the periods a year and all rates against 0:

    - CR = E_n / E_0 - 1.
    - SR = mean(r) / std(r, n-1) * sqrt(P) (Sharpe 1994, "The Sharpe Ratio", ex post).
    - AV = std(r, n-1) * sqrt(P).
    - MDD = max_t (1 - E_t / max_{s<=t} E_s).
    - sortino = mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(P) (Sortino and Price 1994, target return 0; the downside
      deviation divides by all n returns, not by the losing ones).
    - calmar = ((E_n / E_0)^(P / n) - 1) / MDD (Young 1991, over the whole curve instead of its 36 months).

    Parameters
    ----------
    equity : (n+1,) array
        Equity at the start and after each of n periods, in money. The first must be positive.
    periods_per_year : int
        252 for stocks, 365 for crypto.

    Returns
    -------
    Standard
        Percentages in percent. A ratio whose denominator is zero (a flat curve; no losing day; no drawdown) is nan.

    Raises
    ------
    ValueError
        If `equity` is empty, is not one-dimensional, or does not start positive.
    """
    curve = _equity_curve(equity)
    returns = simple_returns(curve)
    drawdown = max_drawdown(curve)
    return Standard(
        CR=100 * float(curve[-1] / curve[0] - 1),
        SR=sharpe_ratio(returns, periods_per_year),
        AV=100 * sample_deviation(returns) * float(np.sqrt(periods_per_year)),
        MDD=100 * drawdown,
        sortino=_sortino_ratio(returns, periods_per_year),
        calmar=_calmar_ratio(curve, drawdown, periods_per_year),
    )


def simple_returns(equity: ArrayLike) -> NDArray[np.float64]:
    """Simple returns E_{t+1} / E_t - 1 of an equity curve of shape (n+1,); shape (n,).

    A return on equity that is zero or negative has no meaning and is nan.
    """
    curve = np.asarray(equity, dtype=np.float64)
    before = np.where(curve[:-1] > 0, curve[:-1], np.nan)
    return curve[1:] / before - 1


def sharpe_ratio(returns: ArrayLike, periods_per_year: int = 252, std_floor: float = 0.0) -> float:
    """Annualised Sharpe ratio of per-period returns at a risk-free rate of 0.

    Parameters
    ----------
    returns : (n,) array
        Returns a period, as fractions.
    periods_per_year : int
        Periods a year.
    std_floor : float
        The standard deviation a period is not taken to be smaller than this.

    Returns
    -------
    float
        mean / max(std(n-1), std_floor) * sqrt(periods_per_year); nan below two returns or where that divisor is zero.
    """
    values = np.asarray(returns, dtype=np.float64)
    deviation = sample_deviation(values)
    if not np.isnan(deviation):
        deviation = max(deviation, std_floor)
    if np.isnan(deviation) or deviation == 0:
        return float("nan")
    return float(values.mean() / deviation * np.sqrt(periods_per_year))


def sample_deviation(values: ArrayLike) -> float:
    """Sample standard deviation (n-1) of an array of shape (n,); nan below two values.

    The deviation of a constant series is exactly 0, also where float rounding leaves 1e-18 of it: a Sharpe ratio of
    1e16 would otherwise come out of a constant return.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2 or not np.isfinite(array).all():
        return float("nan")
    deviation = float(array.std(ddof=1))
    return 0.0 if deviation <= ROUNDING * float(np.abs(array).max()) else deviation


def max_drawdown(equity: ArrayLike) -> float:
    """Largest fall from a running peak, as a fraction of that peak, of an equity curve of shape (n+1,).

    Raises
    ------
    ValueError
        If `equity` is empty, is not one-dimensional, or does not start positive.
    """
    curve = _equity_curve(equity)
    return float(np.max(1 - curve / np.maximum.accumulate(curve)))


def _sortino_ratio(returns: NDArray[np.float64], periods_per_year: int) -> float:
    if returns.size < 2:
        return float("nan")
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    if not downside > 0:
        return float("nan")
    return float(returns.mean() / downside * np.sqrt(periods_per_year))


def _calmar_ratio(curve: NDArray[np.float64], drawdown: float, periods_per_year: int) -> float:
    growth = float(curve[-1] / curve[0])
    if not drawdown > 0 or growth < 0:
        return float("nan")
    annual = growth ** (periods_per_year / (curve.size - 1)) - 1
    return annual / drawdown


def _equity_curve(equity: ArrayLike) -> NDArray[np.float64]:
    curve = np.asarray(equity, dtype=np.float64)
    if curve.ndim != 1 or curve.size == 0:
        raise ValueError(f"equity must be a non-empty array of shape (n+1,), got shape {curve.shape}")
    if curve[0] <= 0:
        raise ValueError(f"equity must start positive, got {curve[0]}")
    return curve
