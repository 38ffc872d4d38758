"""Means and slopes whose errors stand what market data do to them: dependence within a day, and over days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval and the two-sided p-value of its being zero; nan where undefined."""

    value: float
    low: float
    high: float
    p_value: float

    @property
    def interval(self) -> tuple[float, float, float]:
        """Value, low and high."""
        return self.value, self.low, self.high


@dataclass(frozen=True)
class MarketModel:
    """r = alpha + beta * r_market + e.

    Attributes
    ----------
    alpha : Estimate
        A year, as a fraction.
    beta : Estimate
    r_squared : float
        Share of the variance that the market explains.
    """

    alpha: Estimate
    beta: Estimate
    r_squared: float


def clustered_mean(values: ArrayLike, clusters: ArrayLike, level: float = 0.95) -> Estimate:
    """Mean of values of which those of one cluster, such as one day, depend on each other.

    Least squares on a constant with cluster-robust errors (Liang and Zeger 1986) and Student's t with one degree of
    freedom less than there are clusters; by statsmodels.

    Parameters
    ----------
    values : (n,) array
    clusters : (n,) array
        What says which values belong together: days, for trades of many stocks.
    level : float
        Coverage.
    """
    x = np.asarray(values, dtype=np.float64)
    _, groups = np.unique(np.asarray(clusters), return_inverse=True)
    if x.ndim != 1 or x.shape != groups.shape:
        raise ValueError(f"values and clusters must have one shape (n,), got {x.shape} and {groups.shape}")
    if not x.size:
        return Estimate(NAN, NAN, NAN, NAN)
    if groups.max() < 1 or not x.std() > 0:
        return Estimate(float(x.mean()), NAN, NAN, NAN)
    from statsmodels.regression.linear_model import OLS

    fit = OLS(x, np.ones_like(x)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    return _estimate(fit, 0, level)


def market_model(
    returns: ArrayLike, market: ArrayLike, periods_per_year: int = 252, level: float = 0.95
) -> MarketModel:
    """How much of a policy's return is exposure to the market (Jensen 1968).

    Least squares with errors of Newey and West (1987), lag 4 (n / 100)^(2/9); by statsmodels.

    Parameters
    ----------
    returns, market : (n,) arrays
        Returns a period of the policy and of the market, as fractions.
    periods_per_year : int
    level : float
        Coverage.

    Returns
    -------
    MarketModel
        All nan below three periods or where the market does not vary.
    """
    y, x = (np.asarray(values, dtype=np.float64) for values in (returns, market))
    if y.shape != x.shape or y.ndim != 1:
        raise ValueError(f"returns and market must have one shape (n,), got {y.shape} and {x.shape}")
    if y.size < 3 or not x.std() > 0:
        undefined = Estimate(NAN, NAN, NAN, NAN)
        return MarketModel(undefined, undefined, NAN)
    from statsmodels.regression.linear_model import OLS

    lags = int(4 * (y.size / 100) ** (2 / 9))
    fit = OLS(y, np.column_stack([np.ones_like(x), x])).fit(cov_type="HAC", cov_kwds={"maxlags": lags}, use_t=True)
    alpha = _estimate(fit, 0, level)
    value, low, high = (periods_per_year * bound for bound in alpha.interval)
    yearly = Estimate(value, low, high, alpha.p_value)
    explained = float(fit.rsquared) if y.std() > 0 else NAN
    return MarketModel(yearly, _estimate(fit, 1, level), explained)


def _estimate(fit: object, place: int, level: float) -> Estimate:
    low, high = fit.conf_int(1 - level)[place]  # type: ignore[attr-defined]
    return Estimate(float(fit.params[place]), float(low), float(high), float(fit.pvalues[place]))  # type: ignore[attr-defined]
