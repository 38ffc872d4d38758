"""Intervals for what was measured: bootstraps of the Sharpe ratio, of paired differences and of means.

arch and scipy.stats are imported when called: they cost a second that most callers of `flag_trl.metrics` do not need.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flag_trl.metrics.standard import sample_deviation, sharpe_ratio

UNDEFINED = (float("nan"), float("nan"))
MIN_RETURNS = 20
"""Below this many returns no block length can be chosen, and no Sharpe ratio is worth an interval."""


def sharpe_interval(
    returns: ArrayLike, periods_per_year: int = 252, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the annualised Sharpe ratio by the stationary bootstrap.

    Blocks of random length keep the returns' dependence (Politis and Romano 1994); their mean length is chosen from
    the data (Politis and White 2004, as corrected by Patton, Politis and White 2009). Resamples without any variance
    have no Sharpe ratio and are left out.

    Parameters
    ----------
    returns : (n,) array
        Returns a period, as fractions.
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
    values = _one_dimensional(returns)
    if not sample_deviation(values) > 0:
        return UNDEFINED
    resampled = _stationary_resamples(
        values[:, None], draws, seed, lambda sample: sharpe_ratio(sample[:, 0], periods_per_year)
    )
    return _percentile_interval(resampled, level)


def sharpe_difference_interval(
    returns_a: ArrayLike,
    returns_b: ArrayLike,
    periods_per_year: int = 252,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Difference of two annualised Sharpe ratios, a less b, with its paired bootstrap interval.

    Both series are resampled with the same blocks, so what they share (the market) cancels. Pairing is the reason why
    this is far narrower than the two intervals on their own. The mean block length is the longest of those
    that `sharpe_interval` would choose.

    Parameters
    ----------
    returns_a, returns_b : (n,) or (n, k) arrays
        Returns a period of the two policies on the same periods, as fractions. Of k runs of each, seeds for instance,
        the mean of the Sharpe ratios counts; the interval then says what other periods would do to it, not other runs.
        A run that never trades has no Sharpe ratio and counts as 0 beside others; where all are such, it is undefined.
    periods_per_year, level, draws, seed
        As in `sharpe_interval`.

    Returns
    -------
    (difference, low, high) : tuple of float
        All nan where one of the Sharpe ratios is undefined; low and high nan below `MIN_RETURNS` returns.

    Raises
    ------
    ValueError
        If the series differ in shape.
    ImportError
        If arch is not installed.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (returns_a, returns_b))
    if a.shape != b.shape or a.ndim not in (1, 2):
        raise ValueError(f"paired series must have one length, got shapes {a.shape} and {b.shape}")
    pair = np.column_stack([a, b])
    runs = pair.shape[1] // 2

    def difference(sample: NDArray[np.float64]) -> float:
        ratios = np.array([sharpe_ratio(column, periods_per_year) for column in sample.T])
        first, second = ratios[:runs], ratios[runs:]
        if np.isnan(first).all() or np.isnan(second).all():
            return float("nan")
        return float(np.nan_to_num(first).mean() - np.nan_to_num(second).mean())

    found = difference(pair)
    if np.isnan(found):
        return (found, *UNDEFINED)
    return (found, *_percentile_interval(_stationary_resamples(pair, draws, seed, difference), level))


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


def _stationary_resamples(
    series: NDArray[np.float64], draws: int, seed: int, measure: Callable[[NDArray[np.float64]], float]
) -> NDArray[np.float64]:
    """The measure on `draws` stationary-bootstrap resamples of the rows of `series`, shape (n, k); none if too few."""
    if len(series) < MIN_RETURNS:
        return np.empty(0)
    try:
        from arch.bootstrap import StationaryBootstrap, optimal_block_length
    except ImportError as error:
        raise ImportError("bootstraps of return series need arch: pip install 'flag-trl[eval]'") from error

    # A policy that rarely trades has stretches of zeros, whose autocorrelation is 0 / 0: the length may then be nan.
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = optimal_block_length(series)["stationary"].to_numpy()
    # Blocks of one row are the plain bootstrap.
    block = max(1, round(float(np.max(np.nan_to_num(lengths)))))
    resampler = StationaryBootstrap(block, series, seed=np.random.default_rng(seed))
    return np.array([measure(np.asarray(rows)) for (rows,), _ in resampler.bootstrap(draws)])


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
