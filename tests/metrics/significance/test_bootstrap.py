"""The intervals cover the truth as often as they say, and are nan where nothing varies."""

import sys
from math import isnan, sqrt

import numpy as np
import pytest

from flag_trl.metrics import mean_interval, sharpe_interval, sharpe_ratio

DAILY_MEAN, DAILY_STD = 0.0008, 0.01
SHARPE = DAILY_MEAN / DAILY_STD * sqrt(252)


def autocorrelated(rng: np.random.Generator, days: int, phi: float = 0.3) -> np.ndarray:
    """AR(1) returns whose marginal mean and standard deviation are DAILY_MEAN and DAILY_STD."""
    noise = rng.normal(0, sqrt(1 - phi**2), days)
    noise[0] = rng.normal()
    for day in range(1, days):
        noise[day] += phi * noise[day - 1]
    return DAILY_MEAN + DAILY_STD * noise


def test_nineteen_of_twenty_intervals_hold_the_true_sharpe_ratio() -> None:
    rng = np.random.default_rng(1)
    intervals = [sharpe_interval(rng.normal(DAILY_MEAN, DAILY_STD, 250), draws=200, seed=k) for k in range(100)]
    assert sum(low <= SHARPE <= high for low, high in intervals) >= 88


def test_blocks_widen_the_interval_of_returns_that_follow_each_other() -> None:
    series = autocorrelated(np.random.default_rng(2), 1000)
    shuffled = np.random.default_rng(3).permutation(series)
    (low, high), (low_shuffled, high_shuffled) = sharpe_interval(series), sharpe_interval(shuffled)
    assert high - low > 1.15 * (high_shuffled - low_shuffled)


def test_the_width_of_independent_returns_is_that_of_the_asymptotic_formula() -> None:
    # Lo (2002): the standard error of a Sharpe ratio a period is sqrt((1 + SR^2 / 2) / n) for independent returns.
    returns = np.random.default_rng(4).normal(DAILY_MEAN, DAILY_STD, 1000)
    low, high = sharpe_interval(returns)
    daily = sharpe_ratio(returns, 1)
    assert high - low == pytest.approx(2 * 1.96 * sqrt(252 * (1 + daily**2 / 2) / 1000), rel=0.15)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    returns = np.random.default_rng(5).normal(DAILY_MEAN, DAILY_STD, 148)
    assert sharpe_interval(returns, draws=200, seed=7) == sharpe_interval(returns, draws=200, seed=7)
    assert sharpe_interval(returns, draws=200, seed=7) != sharpe_interval(returns, draws=200, seed=8)


def test_a_higher_level_gives_a_wider_interval() -> None:
    returns = np.random.default_rng(6).normal(DAILY_MEAN, DAILY_STD, 148)
    (low, high), (wide_low, wide_high) = (sharpe_interval(returns, level=level) for level in (0.8, 0.99))
    assert wide_low < low < high < wide_high


def test_nineteen_of_twenty_intervals_hold_the_true_mean_of_skewed_values() -> None:
    rng = np.random.default_rng(10)
    intervals = [mean_interval(rng.exponential(2.0, 60), draws=500, seed=k) for k in range(100)]
    assert sum(low <= 2.0 <= high for low, high in intervals) >= 88


@pytest.mark.parametrize("flat", [np.zeros(50), np.full(50, 0.01), np.array([]), np.array([0.01])])
def test_series_that_do_not_vary_have_no_interval_and_no_error(flat: np.ndarray) -> None:
    assert all(isnan(bound) for bound in sharpe_interval(flat))
    assert all(isnan(bound) for bound in mean_interval(flat))


def test_a_policy_that_traded_on_one_day_only_still_gets_an_interval() -> None:
    low, high = sharpe_interval(np.r_[np.zeros(50), 0.01])
    assert 0 < low < high


def test_without_arch_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    with pytest.raises(ImportError, match=r"pip install 'flag-trl\[eval\]'"):
        sharpe_interval(np.random.default_rng(12).normal(0, 0.01, 100))
