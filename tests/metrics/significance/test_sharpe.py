"""Differences of Sharpe ratios have the error that theory gives them, and luck is taken off what luck explains."""

from math import isnan, sqrt

import numpy as np
import pytest
from scipy.stats import norm
from skfolio.measures import deflated_sharpe_ratio

from flag_trl.metrics import (
    best_of_trials,
    probabilistic_sharpe,
    sharpe_difference,
    sharpe_interval,
    sharpe_ratio,
)

DAILY_MEAN, DAILY_STD = 0.0008, 0.01


def correlated(rng: np.random.Generator, days: int, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal returns of two policies, of unequal Sharpe ratios, that have correlation `rho`."""
    shocks = rng.standard_normal((days, 2))
    second = rho * shocks[:, 0] + sqrt(1 - rho**2) * shocks[:, 1]
    return DAILY_MEAN + DAILY_STD * shocks[:, 0], 0.0002 + 0.02 * second


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
def test_of_independent_normal_days_the_error_is_that_of_jobson_korkie_and_memmel(rho: float) -> None:
    a, b = correlated(np.random.default_rng(1), 20_000, rho)
    found = sharpe_difference(a, b, periods_per_year=1, draws=100)
    first, second, r = sharpe_ratio(a, 1), sharpe_ratio(b, 1), np.corrcoef(a, b)[0, 1]
    variance = 2 - 2 * r + (first**2 + second**2 - 2 * first * second * r**2) / 2
    assert found.standard_error == pytest.approx(sqrt(variance / 20_000), rel=0.04)
    assert found.difference == pytest.approx(first - second)


def test_the_interval_holds_the_difference_and_ends_where_the_p_value_is_five_percent() -> None:
    rng = np.random.default_rng(2)
    market = rng.normal(DAILY_MEAN, DAILY_STD, 250)
    for edge in (0.00008, 0.0002, 0.0005, 0.001):
        found = sharpe_difference(market + rng.normal(edge, 0.003, 250), market)
        assert found.low < found.difference < found.high
        assert (found.p_value <= 0.05) == (found.low > 0 or found.high < 0)


def test_pairing_separates_what_two_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(8)
    market = rng.normal(DAILY_MEAN, DAILY_STD, 250)
    better = market + rng.normal(0.0005, 0.001, 250)
    found = sharpe_difference(better, market)
    assert 0 < found.low and found.p_value < 0.01
    assert sharpe_interval(better)[0] < sharpe_interval(market)[1]


def test_the_two_sides_are_mirror_images() -> None:
    a, b = correlated(np.random.default_rng(3), 200, 0.5)
    one, other = sharpe_difference(a, b, draws=200), sharpe_difference(b, a, draws=200)
    assert one.interval == pytest.approx([-other.difference, -other.high, -other.low])
    assert one.p_value == other.p_value


def test_resamples_without_a_day_on_which_two_policies_differ_do_not_blow_up_the_interval() -> None:
    rng = np.random.default_rng(12)
    held = rng.normal(DAILY_MEAN, DAILY_STD, 148)
    for days in ([60], [60, 61, 90]):
        # Returns of accounts of different size are equal but for rounding.
        own = held + 1e-17 * rng.standard_normal(148)
        own[days] = 0.0
        found = sharpe_difference(own, held)
        assert found.low <= found.difference <= found.high and found.high - found.low < 10


@pytest.mark.parametrize("times", [1.0, 2.0])
def test_a_policy_does_not_differ_from_itself_at_any_leverage(times: float) -> None:
    returns = np.random.default_rng(9).normal(DAILY_MEAN, DAILY_STD, 100)
    found = sharpe_difference(returns, times * returns, draws=100)
    assert found.interval == pytest.approx((0, 0, 0), abs=1e-12) and found.p_value == 1 and found.standard_error == 0


@pytest.mark.parametrize("flat", [np.zeros(50), np.full(50, 0.01), np.array([]), np.array([0.01])])
def test_series_that_do_not_vary_have_no_difference_and_no_error(flat: np.ndarray) -> None:
    assert all(map(isnan, sharpe_difference(flat, flat).interval))


def test_fewer_than_twenty_returns_have_a_difference_but_no_interval() -> None:
    a, b = np.random.default_rng(11).normal(DAILY_MEAN, DAILY_STD, (2, 19))
    found = sharpe_difference(a, b)
    assert found.difference == pytest.approx(sharpe_ratio(a) - sharpe_ratio(b))
    assert isnan(found.low) and isnan(found.high) and isnan(found.p_value)


def test_series_of_different_lengths_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="one length, got shapes .30,. and .29,."):
        sharpe_difference(np.zeros(30), np.zeros(29))


def test_of_several_runs_the_mean_of_their_sharpe_ratios_is_compared() -> None:
    rng = np.random.default_rng(11)
    market = rng.normal(DAILY_MEAN, DAILY_STD, (250, 1))
    a, b = (market + rng.normal(0.0002, 0.003, (250, 3)) for _ in range(2))
    together, alone = sharpe_difference(a, b, draws=300), sharpe_difference(a[:, 0], b[:, 0], draws=300)
    each = [sharpe_ratio(a[:, k]) - sharpe_ratio(b[:, k]) for k in range(3)]
    assert together.difference == pytest.approx(np.mean(each))
    assert together.standard_error < alone.standard_error
    assert sharpe_difference(a[:, :1], b[:, :1], draws=300) == alone


def test_a_run_that_never_trades_counts_as_zero_beside_others_and_alone_has_no_difference() -> None:
    returns = np.random.default_rng(12).normal(DAILY_MEAN, DAILY_STD, (250, 2))
    found = sharpe_difference(returns * [1.0, 0.0], returns)
    assert found.difference == pytest.approx(-sharpe_ratio(returns[:, 1]) / 2)
    assert isnan(sharpe_difference(np.zeros((250, 2)), returns).difference)


def test_what_could_have_been_detected_is_found_as_often_as_said() -> None:
    # Of normal estimates with the error found, the share whose z exceeds 1.96 at the detectable difference is 80 %.
    a, b = correlated(np.random.default_rng(4), 500, 0.5)
    found = sharpe_difference(a, b, draws=100)
    least = found.detectable(power=0.8)
    assert norm.sf(norm.ppf(0.975) - least / found.standard_error) == pytest.approx(0.8)
    assert found.detectable(power=0.9) > least


def test_more_trials_make_the_same_returns_less_convincing() -> None:
    returns = np.random.default_rng(5).normal(0.001, DAILY_STD, 500)
    alone, among_ten, among_hundred = (probabilistic_sharpe(returns, n, 1 / sqrt(500)) for n in (1, 10, 100))
    assert 0.9 < alone and alone > among_ten > among_hundred


def test_the_deflated_ratio_is_that_of_skfolio() -> None:
    rng = np.random.default_rng(6)
    trials = rng.normal(0.0003, DAILY_STD, (500, 12))
    ratios = trials.mean(0) / trials.std(0, ddof=1)
    best = trials[:, ratios.argmax()]
    ours = probabilistic_sharpe(best, 12, float(ratios.std(ddof=1)))
    assert ours == pytest.approx(deflated_sharpe_ratio(best, ratios))
    assert isnan(probabilistic_sharpe(np.zeros(30)))


def test_the_best_of_many_trials_without_skill_is_rarely_taken_for_skill() -> None:
    rng = np.random.default_rng(21)
    samples = rng.normal(0, DAILY_STD, (400, 250, 20))
    best = [trials[:, (trials.mean(0) / trials.std(0)).argmax()] for trials in samples]
    alone = np.mean([best_of_trials(returns, 1) <= 0.05 for returns in best])
    counted = np.mean([best_of_trials(returns, 20) <= 0.05 for returns in best])
    assert alone > 0.5 and 0.02 < counted < 0.09
    assert best_of_trials(best[0], 1) == pytest.approx(1 - probabilistic_sharpe(best[0]))
    assert isnan(best_of_trials(np.zeros(50), 20))
