"""Means and slopes whose errors stand what market data do to them: dependence within a day, and over days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

NAN = float("nan")
LEAST_FREEDOM = 4


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


def series_mean(series: ArrayLike, span: int = 1, level: float = 0.95) -> Estimate:
    """Mean of a series of which each value depends on those of `span` periods around it.

    The long-run variance is the mean square of the series' first B cosine transforms, and the statistic is Student's t
    with B degrees of freedom (Lazarus, Lewis, Stock and Watson 2018): unlike a kernel estimate against the normal
    distribution it keeps its size at short lengths. B is 0.4 n^(2/3), at most 0.4 n / `span`.

    Parameters
    ----------
    series : (n,) array
        In order of time.
    span : int
        Periods over which values overlap, such as the horizon of forecasts that are made each period.
    level : float
        Coverage.

    Returns
    -------
    Estimate
        Without interval where B would be below 4, or where the series does not vary.
    """
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"expected a series of shape (n,), got shape {x.shape}")
    if not x.size or not np.isfinite(x).all():
        return Estimate(NAN, NAN, NAN, NAN)
    mean = float(x.mean())
    error, freedom = _cosine_error(x, span)
    if not error > 1e-12 * float(np.abs(x).max()):
        return Estimate(mean, NAN, NAN, NAN)
    return _from_error(mean, error, freedom, level)


def clustered_mean(values: ArrayLike, clusters: ArrayLike, span: int = 1, level: float = 0.95) -> Estimate:
    """Mean of values of which those of one cluster, such as one day, depend on each other.

    With a span of 1, least squares on a constant with cluster-robust errors (Liang and Zeger 1986) and Student's t
    with one degree of freedom less than there are clusters; by statsmodels. With a longer one, where what was bought
    on one day is still held on the next, the sums of the clusters are a series in time whose long-run variance counts
    (Driscoll and Kraay 1998, with the estimate of `series_mean`).

    Parameters
    ----------
    values : (n,) array
    clusters : (n,) array
        What says which values belong together: days, for trades of many stocks; their numbers where `span` is above 1.
    span : int
        Clusters over which values overlap.
    level : float
        Coverage.
    """
    if span > 1:
        return _overlapping_mean(np.asarray(values, dtype=np.float64), np.asarray(clusters), span, level)
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


def _overlapping_mean(x: np.ndarray, clusters: np.ndarray, span: int, level: float) -> Estimate:
    if x.ndim != 1 or x.shape != clusters.shape:
        raise ValueError(f"values and clusters must have one shape (n,), got {x.shape} and {clusters.shape}")
    if not x.size:
        return Estimate(NAN, NAN, NAN, NAN)
    place = clusters.astype(np.int64) - int(clusters.min())
    sums = np.bincount(place, x - x.mean())
    error, freedom = _cosine_error(sums, span)
    error *= len(sums) / len(x)
    if not error > 1e-12 * float(np.abs(x).max()):
        return Estimate(float(x.mean()), NAN, NAN, NAN)
    return _from_error(float(x.mean()), error, freedom, level)


def _cosine_error(x: np.ndarray, span: int) -> tuple[float, int]:
    """Standard error of the mean of a series, and its degrees of freedom; nan where the series is too short."""
    n = len(x)
    freedom = int(min(0.4 * n ** (2 / 3), 0.4 * n / span))
    if freedom < LEAST_FREEDOM:
        return NAN, 0
    waves = np.cos(np.pi * np.outer(np.arange(1, freedom + 1), np.arange(n) + 0.5) / n)
    transforms = np.sqrt(2 / n) * waves @ x
    return float(np.sqrt((transforms**2).mean() / n)), freedom


def _from_error(value: float, error: float, freedom: int, level: float) -> Estimate:
    from scipy.stats import t

    width = float(t.ppf((1 + level) / 2, freedom)) * error
    return Estimate(value, value - width, value + width, float(2 * t.sf(abs(value / error), freedom)))


def _estimate(fit: object, place: int, level: float) -> Estimate:
    low, high = fit.conf_int(1 - level)[place]  # type: ignore[attr-defined]
    return Estimate(float(fit.params[place]), float(low), float(high), float(fit.pvalues[place]))  # type: ignore[attr-defined]
