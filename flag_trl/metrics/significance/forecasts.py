"""Volatility forecasts: how far off, how much explained, and which of two is better."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flag_trl.metrics.significance.regression import Estimate, series_mean

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

    Forecasts over `horizon` periods that are made each period overlap, and so do their losses. The long-run variance
    is that of `series_mean`: with a kernel and the normal distribution the test rejects about 10 % of true nulls at
    twenty periods ahead.

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
        Without interval where there are fewer than ten periods a horizon, or where the losses differ by a constant.
    """
    a, b = _pair(loss_a, loss_b)
    return series_mean(a - b, horizon, level)


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"both need one shape (n,), got {a.shape} and {b.shape}")
    return a, b
