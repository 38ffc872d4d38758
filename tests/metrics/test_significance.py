"""The intervals cover the truth as often as they say, pair what is paired, and are nan where nothing varies."""

import sys
from math import isnan, sqrt

import numpy as np
import pytest

from flag_trl.metrics import mean_interval, sharpe_difference_interval, sharpe_interval, sharpe_ratio

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


def test_pairing_separates_what_two_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(8)
    market = rng.normal(DAILY_MEAN, DAILY_STD, 250)
    better = market + rng.normal(0.0005, 0.001, 250)
    difference, low, high = sharpe_difference_interval(better, market)
    assert difference == pytest.approx(sharpe_ratio(better) - sharpe_ratio(market))
    assert 0 < low < difference < high
    assert sharpe_interval(better)[0] < sharpe_interval(market)[1]


def test_a_policy_does_not_differ_from_itself() -> None:
    returns = np.random.default_rng(9).normal(DAILY_MEAN, DAILY_STD, 100)
    assert sharpe_difference_interval(returns, returns, draws=100) == (0, 0, 0)


def test_nineteen_of_twenty_intervals_hold_the_true_mean_of_skewed_values() -> None:
    rng = np.random.default_rng(10)
    intervals = [mean_interval(rng.exponential(2.0, 60), draws=500, seed=k) for k in range(100)]
    assert sum(low <= 2.0 <= high for low, high in intervals) >= 88


@pytest.mark.parametrize("flat", [np.zeros(50), np.full(50, 0.01), np.array([]), np.array([0.01])])
def test_series_that_do_not_vary_have_no_interval_and_no_error(flat: np.ndarray) -> None:
    assert all(isnan(bound) for bound in sharpe_interval(flat))
    assert all(isnan(bound) for bound in sharpe_difference_interval(flat, flat))
    assert all(isnan(bound) for bound in mean_interval(flat))


def test_fewer_than_twenty_returns_have_a_difference_but_no_interval() -> None:
    rng = np.random.default_rng(11)
    a, b = rng.normal(DAILY_MEAN, DAILY_STD, (2, 19))
    assert all(isnan(bound) for bound in sharpe_interval(a))
    difference, low, high = sharpe_difference_interval(a, b)
    assert difference == pytest.approx(sharpe_ratio(a) - sharpe_ratio(b))
    assert isnan(low) and isnan(high)


def test_a_policy_that_traded_on_one_day_only_still_gets_an_interval() -> None:
    low, high = sharpe_interval(np.r_[np.zeros(50), 0.01])
    assert 0 < low < high


def test_series_of_different_lengths_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="one length, got shapes .30,. and .29,."):
        sharpe_difference_interval(np.zeros(30), np.zeros(29))


def test_without_arch_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    with pytest.raises(ImportError, match=r"pip install 'flag-trl\[eval\]'"):
        sharpe_interval(np.random.default_rng(12).normal(0, 0.01, 100))


def test_of_several_runs_the_mean_of_their_sharpe_ratios_is_compared() -> None:
    rng = np.random.default_rng(11)
    market = rng.normal(DAILY_MEAN, DAILY_STD, (250, 1))
    a, b = (market + rng.normal(0.0002, 0.003, (250, 3)) for _ in range(2))
    found, low, high = sharpe_difference_interval(a, b, draws=300)
    each = [sharpe_ratio(a[:, k]) - sharpe_ratio(b[:, k]) for k in range(3)]
    assert found == pytest.approx(np.mean(each)) and low < found < high
    assert sharpe_difference_interval(a[:, :1], b[:, :1]) == sharpe_difference_interval(a[:, 0], b[:, 0])
    _, one_low, one_high = sharpe_difference_interval(a[:, 0], b[:, 0], draws=300)
    assert high - low < one_high - one_low


def test_a_run_that_never_trades_counts_as_zero_beside_others_and_alone_has_no_difference() -> None:
    returns = np.random.default_rng(12).normal(DAILY_MEAN, DAILY_STD, (250, 2))
    idle = returns * [1.0, 0.0]
    found, _, _ = sharpe_difference_interval(idle, returns)
    assert found == pytest.approx(-sharpe_ratio(returns[:, 1]) / 2)
    assert all(map(isnan, sharpe_difference_interval(np.zeros((250, 2)), returns)))
    with pytest.raises(ValueError, match="one length"):
        sharpe_difference_interval(returns, returns[:, 0])
