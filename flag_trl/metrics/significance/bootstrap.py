"""Bootstrap intervals of one Sharpe ratio and of means of independent values."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flag_trl.metrics.significance.blocks import MIN_RETURNS, block_length, need_arch
from flag_trl.metrics.standard import sample_deviation, sharpe_ratio

UNDEFINED = (float("nan"), float("nan"))


def sharpe_interval(
    returns: ArrayLike, periods_per_year: int = 252, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the annualised Sharpe ratio by the stationary bootstrap.

    Blocks of random length keep the returns' dependence (Politis and Romano 1994); their mean length is chosen from
    the data (Politis and White 2004, as corrected by Patton, Politis and White 2009). Resamples without any variance
    have no Sharpe ratio and are left out.

    Parameters
    ----------
    returns : (n,) or (n, k) array
        Returns a period, as fractions. Of k runs, seeds for instance, the mean of the Sharpe ratios counts, and all
        are resampled on the same days: the interval says what other periods would do to it, not other runs. A run
        that does not vary counts as 0 beside others.
    periods_per_year : int
        Periods a year.
    level : float
        Coverage, in (0, 1).
    draws : int
        Bootstrap resamples.
    seed : int
        Seed of the resampling: the same call gives the same interval.

    Returns
    -------
    (low, high) : tuple of float
        (nan, nan) where the Sharpe ratio itself is undefined, or below `MIN_RETURNS` returns.

    Raises
    ------
    ImportError
        If arch is not installed.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2:
        values = _one_dimensional(values)[:, None]
    varying = values[:, [bool(sample_deviation(column) > 0) for column in values.T]]
    if not varying.size or len(values) < MIN_RETURNS:
        return UNDEFINED
    need_arch()
    from arch.bootstrap import StationaryBootstrap

    block = block_length(varying, "stationary")
    resampler = StationaryBootstrap(block, varying, seed=np.random.default_rng(seed))
    samples = (np.asarray(rows) for (rows,), _ in resampler.bootstrap(draws))
    drawn = np.array([[sharpe_ratio(column, periods_per_year) for column in rows.T] for rows in samples])
    means = np.where(np.isfinite(drawn).any(axis=1), np.nan_to_num(drawn).sum(axis=1) / values.shape[1], np.nan)
    return _percentile_interval(means, level)


def mean_interval(x: ArrayLike, level: float = 0.95, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Interval of the mean of independent values by the bias-corrected accelerated bootstrap (Efron 1987).

    For values that do not depend on each other (episodes, seeds, assets); for a series of daily returns the blocks of
    `sharpe_interval` are needed.

    Parameters
    ----------
    x : (n,) array
        Independent values.
    level, draws, seed
        As in `sharpe_interval`.

    Returns
    -------
    (low, high) : tuple of float
        In the unit of `x`; (nan, nan) below two values or where all are equal.
    """
    values = _one_dimensional(x)
    if not sample_deviation(values) > 0:
        return UNDEFINED
    from scipy.stats import bootstrap

    interval = bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        n_resamples=draws,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def mean_difference_interval(
    a: ArrayLike, b: ArrayLike, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Difference of two means, a less b, with its percentile bootstrap interval; the two samples are independent.

    Parameters
    ----------
    a, b : (n,) and (m,) arrays
        Independent values.
    level, draws, seed
        As in `sharpe_interval`.

    Returns
    -------
    (difference, low, high) : tuple of float
        low and high nan where a sample has fewer than two values or no variance.
    """
    first, second = _one_dimensional(a), _one_dimensional(b)
    difference = float(first.mean() - second.mean())
    if not (sample_deviation(first) > 0 and sample_deviation(second) > 0):
        return (difference, *UNDEFINED)
    from scipy.stats import bootstrap

    interval = bootstrap(
        (first, second),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        confidence_level=level,
        n_resamples=draws,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return difference, float(interval.low), float(interval.high)


def _percentile_interval(resampled: NDArray[np.float64], level: float) -> tuple[float, float]:
    defined = resampled[np.isfinite(resampled)]
    if not defined.size:
        return UNDEFINED
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _one_dimensional(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected a series of shape (n,), got shape {array.shape}")
    return array
