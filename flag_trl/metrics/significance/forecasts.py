"""Volatility forecasts: how far off, how much explained, and which of two is better."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flag_trl.metrics.significance.regression import Estimate

NAN = float("nan")


def qlike(realised: ArrayLike, forecast: ArrayLike) -> NDArray[np.float64]:
    """Loss realised / forecast - ln(realised / forecast) - 1 of each variance forecast; shape (n,), 0 where equal.

    Patton (2011), "Volatility forecast comparison using imperfect volatility proxies": with the squared error one of
    the two usual losses that rank forecasts rightly although only a noisy proxy of the variance is seen. It punishes a
    forecast that is too low more than one that is too high.

    Parameters
    ----------
    realised, forecast : (n,) arrays
        Variances, above zero.

    Raises
    ------
    ValueError
        If shapes differ or a variance is not above zero.
    """
    truth, given = _pair(realised, forecast)
    for name, values in (("realised", truth), ("forecast", given)):
        if not (values > 0).all():
            raise ValueError(f"variances must be above zero, got {values.min()} in {name}")
    ratio = truth / given
    return ratio - np.log(ratio) - 1


def mincer_zarnowitz(realised: ArrayLike, forecast: ArrayLike) -> float:
    """R2 of the regression of what was realised on its forecast (Mincer and Zarnowitz 1969), in [0, 1].

    The squared correlation; nan where one of the two does not vary.
    """
    truth, given = _pair(realised, forecast)
    if truth.size < 3 or not (truth.std() > 0 and given.std() > 0):
        return NAN
    return float(np.corrcoef(truth, given)[0, 1] ** 2)


def loss_difference(loss_a: ArrayLike, loss_b: ArrayLike, horizon: int = 1, level: float = 0.95) -> Estimate:
    """Mean difference of two forecasts' losses, a less b, below zero where a is better; Diebold and Mariano (1995).

    The long-run variance of a forecast over `horizon` periods, made each period, has at least horizon - 1 lags; the
    small-sample correction is that of Harvey, Leybourne and Newbold (1997), against Student's t. By statsmodels.

    Parameters
    ----------
    loss_a, loss_b : (n,) arrays
        Losses at the same periods, in order of time.
    horizon : int
        Periods that a forecast spans.
    level : float
        Coverage.

    Returns
    -------
    Estimate
        Without interval below ten periods or where the losses differ by a constant.
    """
    a, b = _pair(loss_a, loss_b)
    gap = a - b
    if gap.size < 10 or not gap.std() > 1e-12 * max(float(np.abs(gap).max()), 1e-300):
        return Estimate(float(gap.mean()) if gap.size else NAN, NAN, NAN, NAN)
    from scipy.stats import t
    from statsmodels.tsa.stattools import diebold_mariano_test

    # The losses are the input: a "forecast" whose loss it is to be what it is.
    test = diebold_mariano_test(
        np.zeros_like(a), a, b, criterion=lambda _, loss: loss, harvey_adj=True, horizon=horizon
    )
    value, statistic = float(gap.mean()), float(test.statistic)
    error = abs(value / statistic) if statistic else NAN
    width = float(t.ppf((1 + level) / 2, gap.size - 1)) * error
    return Estimate(value, value - width, value + width, float(test.pvalue))


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"both need one shape (n,), got {a.shape} and {b.shape}")
    return a, b
