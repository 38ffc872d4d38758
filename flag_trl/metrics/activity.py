"""How much a policy trades, how much it holds, and how often it wins. All in percent; nan where there is nothing."""

import numpy as np
from numpy.typing import ArrayLike


def turnover(traded_notional: ArrayLike, equity: ArrayLike, periods_per_year: int = 252) -> float:
    """Annualised turnover: mean over bars of |traded notional| / equity, times the bars a year.

    Buys and sells both count (two-sided): buying and later selling the whole account once a year is 200 %. Halve it to
    compare with the one-sided turnover of fund reports.

    Parameters
    ----------
    traded_notional : (n,) array
        Money bought or sold at each bar, of either sign.
    equity : (n,) array
        Equity at the same bars, before the trade.
    periods_per_year : int
        Bars a year.

    Returns
    -------
    float
        Percent of equity a year. Bars without a trade count as zero, whatever the equity.
    """
    traded, base = _pair(traded_notional, equity, "traded_notional", "equity")
    share = np.zeros_like(traded)
    acted = traded != 0
    share[acted] = np.abs(traded[acted]) / np.where(base[acted] > 0, base[acted], np.nan)
    return _percent_mean(share) * periods_per_year


def exposure(weights: ArrayLike) -> float:
    """Mean absolute weight |holdings / equity| over the bars of `weights`, shape (n,), in percent of equity."""
    return _percent_mean(np.abs(np.asarray(weights, dtype=np.float64)))


def win_rate_days(returns: ArrayLike, weights: ArrayLike) -> float:
    """Share of the bars with a position on which the account gained.

    Parameters
    ----------
    returns : (n,) array
        The account's return over each bar, costs and the sign of a short included.
    weights : (n,) array
        Weight held over the same bars; bars of weight 0 are left out.

    Returns
    -------
    float
        Percent; a return of exactly 0 is no win. nan if no bar had a position.
    """
    gained, held = _pair(returns, weights, "returns", "weights")
    return win_rate_trades(gained[held != 0])


def win_rate_trades(trade_returns: ArrayLike) -> float:
    """Share of closed trades whose return after costs is above 0, in percent; shape (k,), nan if no trade closed."""
    closed = np.asarray(trade_returns, dtype=np.float64)
    return _percent_mean(closed > 0)


def _percent_mean(values: np.ndarray) -> float:
    return 100 * float(values.mean()) if values.size else float("nan")


def _pair(first: ArrayLike, second: ArrayLike, first_name: str, second_name: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"{first_name} and {second_name} must have one shape (n,), got {a.shape} and {b.shape}")
    return a, b
