"""Turnover, exposure and win rates against figures worked by hand, and nan where there is nothing to count."""

from math import isnan

import pytest

from flag_trl.metrics import exposure, turnover, win_rate_days, win_rate_trades


def test_buying_and_selling_the_whole_account_once_in_a_year_turns_it_over_twice() -> None:
    traded = [100.0] + [0.0] * 250 + [-110.0]
    equity = [100.0] * 251 + [110.0]
    assert turnover(traded, equity, periods_per_year=252) == pytest.approx(200)


def test_a_bar_without_a_trade_counts_as_zero_whatever_the_equity() -> None:
    assert turnover([50.0, 0.0], [100.0, 0.0], periods_per_year=2) == pytest.approx(50)
    assert isnan(turnover([50.0, 10.0], [100.0, 0.0]))


def test_a_short_exposes_as_much_as_a_long() -> None:
    assert exposure([1.0, -1.0, 0.0, 0.5]) == pytest.approx(62.5)


def test_days_without_a_position_neither_win_nor_lose() -> None:
    assert win_rate_days([0.01, -0.01, 0.02, 0.5], [1.0, 1.0, -1.0, 0.0]) == pytest.approx(200 / 3)


def test_a_return_of_zero_is_no_win() -> None:
    assert win_rate_days([0.0, 0.01], [1.0, 1.0]) == 50
    assert win_rate_trades([0.0, 0.01, -0.01, 0.03]) == 50


def test_nothing_to_count_is_nan() -> None:
    assert isnan(turnover([], []))
    assert isnan(exposure([]))
    assert isnan(win_rate_days([0.01, 0.02], [0.0, 0.0]))
    assert isnan(win_rate_trades([]))


def test_series_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="returns and weights must have one shape"):
        win_rate_days([0.01, 0.02], [1.0])
    with pytest.raises(ValueError, match="traded_notional and equity must have one shape"):
        turnover([1.0], [1.0, 2.0])
