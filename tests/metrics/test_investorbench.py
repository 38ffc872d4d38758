"""The investorbench convention against figures worked by hand, and where it is undefined."""

from math import isnan, log, sqrt

import numpy as np
import pytest

from flag_trl.metrics import investorbench_measures

PRICES = [100.0, 110.0, 99.0, 99.0]
UP, DOWN = log(1.1), log(0.9)


def test_long_short_and_flat_days_give_the_hand_worked_row() -> None:
    measured = investorbench_measures([1, -1, 0], PRICES, periods_per_year=252)
    rewards = [UP, -DOWN, 0.0]
    mean = sum(rewards) / 3
    deviation = sqrt(sum((r - mean) ** 2 for r in rewards) / 2)
    assert measured.CR == pytest.approx(100 * (UP - DOWN))
    assert measured.AV == pytest.approx(100 * deviation * sqrt(252))
    assert measured.SR == pytest.approx((UP - DOWN) * 252 / 4 / (deviation * sqrt(252)))
    assert measured.MDD == 0


def test_the_drawdown_compounds_log_rewards_from_one() -> None:
    falling = investorbench_measures([1, 1], [100.0, 90.0, 81.0])
    assert falling.MDD == pytest.approx(100 * (1 - (1 + DOWN) ** 2))


def test_the_return_divides_by_the_number_of_prices_and_not_of_rewards() -> None:
    measured = investorbench_measures([1, 1, 1], PRICES, periods_per_year=252)
    assert measured.SR * measured.AV == pytest.approx(measured.CR * 252 / 4)


def test_a_year_of_crypto_has_365_days() -> None:
    stocks, crypto = (investorbench_measures([1, -1, 0], PRICES, days) for days in (252, 365))
    assert crypto.CR == stocks.CR
    assert crypto.AV == pytest.approx(stocks.AV * sqrt(365 / 252))
    assert crypto.SR == pytest.approx(stocks.SR * sqrt(365 / 252))


def test_a_policy_that_never_trades_has_no_sharpe_and_no_error() -> None:
    idle = investorbench_measures([0, 0, 0], PRICES)
    assert (idle.CR, idle.AV, idle.MDD) == (0, 0, 0)
    assert isnan(idle.SR)


def test_a_constant_growth_rate_has_no_sharpe_although_rounding_leaves_a_deviation() -> None:
    assert isnan(investorbench_measures(np.ones(30), 100 * 1.01 ** np.arange(31)).SR)


@pytest.mark.parametrize("days", [0, 1])
def test_one_reward_or_none_has_neither_volatility_nor_sharpe(days: int) -> None:
    measured = investorbench_measures([1] * days, PRICES[: days + 1])
    assert measured.CR == pytest.approx(100 * UP * days)
    assert isnan(measured.AV) and isnan(measured.SR)


@pytest.mark.parametrize(
    ("positions", "prices", "complaint"),
    [
        ([1, 1, 1], [1.0, 2.0, 3.0], "one entry more"),
        ([1, 1], [1.0, 0.0, 3.0], "got 0.0 at index 1"),
        ([1, 1], [1.0, float("nan"), 3.0], "got nan at index 1"),
        ([1, 0.5], [1.0, 2.0, 3.0], "got 0.5 at index 1"),
    ],
)
def test_what_cannot_be_measured_is_named(positions: list[float], prices: list[float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        investorbench_measures(positions, prices)
