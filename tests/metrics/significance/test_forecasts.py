"""Losses and explained shares have their known values, and a better forecast is found to be better."""

from math import isnan, log

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from flag_trl.metrics import loss_difference, mincer_zarnowitz, qlike


def test_qlike_is_zero_where_right_and_punishes_too_low_more_than_too_high() -> None:
    right, low, high = qlike([4.0, 4.0, 4.0], [4.0, 2.0, 8.0])
    assert right == 0 and low == pytest.approx(2 - log(2) - 1) and high == pytest.approx(0.5 + log(2) - 1)
    assert low > high
    with pytest.raises(ValueError, match="above zero"):
        qlike([1.0], [0.0])


def test_the_explained_share_is_that_of_the_regression() -> None:
    rng = np.random.default_rng(0)
    forecast = rng.exponential(1.0, 100)
    realised = 0.2 + 0.5 * forecast + rng.normal(0, 0.3, 100)
    fit = OLS(realised, np.column_stack([np.ones(100), forecast])).fit()
    assert mincer_zarnowitz(realised, forecast) == pytest.approx(fit.rsquared)
    assert isnan(mincer_zarnowitz(realised, np.ones(100)))


def test_for_one_step_it_is_the_t_test_of_the_mean() -> None:
    gap = np.random.default_rng(1).normal(0.1, 1.0, 4000)
    found = loss_difference(gap + 5, np.full(4000, 5.0))
    error = gap.std(ddof=1) / np.sqrt(4000)
    assert found.value == pytest.approx(gap.mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_the_better_forecast_has_the_smaller_loss_and_equal_ones_have_no_interval() -> None:
    rng = np.random.default_rng(2)
    good, bad = rng.exponential(1.0, 300), rng.exponential(1.6, 300)
    found = loss_difference(good, bad, horizon=5)
    assert found.high < 0 and found.p_value < 0.05
    assert isnan(loss_difference(good, good).p_value) and loss_difference(good, good).value == 0
