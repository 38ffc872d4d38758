"""Periods follow one another, and their decisions are paid within them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.data import DataError, MarketData, Period, as_day, check_disjoint, chronological, decision_bars


def market(n: int) -> MarketData:
    return MarketData("XYZ", np.datetime64("2020-01-01") + np.arange(n), np.ones(n))


def period(name: str, start: str, end: str) -> Period:
    return Period(name, as_day(start), as_day(end))


def test_the_last_bars_of_a_period_take_no_decision() -> None:
    stretch = period("train", "2020-01-03", "2020-01-10")
    assert decision_bars(market(20), stretch) == range(2, 9)
    assert decision_bars(market(20), stretch, horizon=3) == range(2, 7)


def test_a_period_no_longer_than_the_horizon_is_refused() -> None:
    stretch = period("train", "2020-01-03", "2020-01-05")
    with pytest.raises(DataError, match="3 bars leave no decision before a horizon of 3; .*at least 4 bars"):
        decision_bars(market(20), stretch, horizon=3)
    with pytest.raises(ValueError, match="horizon is 0"):
        decision_bars(market(20), stretch, horizon=0)


@settings(deadline=None, max_examples=100)
@given(n=st.integers(6, 400), train=st.floats(0.05, 0.9), validation=st.floats(0.05, 0.9))
def test_chronological_splits_hold_every_bar_once_and_in_order(n: int, train: float, validation: float) -> None:
    held = market(n)
    try:
        periods = chronological(held, train, validation)
    except ValueError:
        counts = np.diff([0, round(n * train), round(n * (train + validation)), n])
        assert train + validation >= 1 or min(counts) < 2
        return
    check_disjoint(periods)
    ranges = [held.index_range(stretch.start, stretch.end) for stretch in periods]
    assert [bar for first, stop in ranges for bar in range(first, stop)] == list(range(n))
    assert abs(ranges[0][1] - n * train) <= 0.5
    decisions = [decision_bars(held, stretch) for stretch in periods]
    # The price that pays the last decision comes before the next period's first bar.
    assert decisions[0].stop < decisions[1].start and decisions[1].stop < decisions[2].start


def test_shares_that_leave_a_period_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="together below 1"):
        chronological(market(100), 0.8, 0.2)
    with pytest.raises(ValueError, match="above 0"):
        chronological(market(100), 0.8, 0.0)
    with pytest.raises(DataError, match="10 bars split into 8, 1, 1; each period needs at least 2"):
        chronological(market(10), 0.8, 0.1)


def test_a_period_reads_its_dates_and_must_not_run_backwards() -> None:
    assert Period("test", "2020-01-02", "2020-01-03").end == np.datetime64("2020-01-03")
    with pytest.raises(DataError, match=r"test \(2020-01-03..2020-01-02\): ends before it starts"):
        period("test", "2020-01-03", "2020-01-02")
    with pytest.raises(DataError, match="is not a date"):
        period("test", "2020-01", "2020-02")


def test_neighbours_that_share_a_day_are_refused_by_name() -> None:
    train = period("train", "2020-01-01", "2020-02-01")
    with pytest.raises(DataError, match=r"periods train \(.*\) and test \(.*start it after 2020-02-01"):
        check_disjoint([train, period("test", "2020-02-01", "2020-03-01")])
    check_disjoint([train, period("test", "2020-02-02", "2020-03-01")])


def test_periods_in_the_wrong_order_are_refused_by_name() -> None:
    early, late = ("2020-01-01", "2020-02-01"), ("2020-03-01", "2020-04-01")
    with pytest.raises(DataError, match="periods test .* and train .*train < validation < test"):
        check_disjoint([period("test", *early), period("train", *late)])
    with pytest.raises(DataError, match="periods train .* and test .*order of time"):
        check_disjoint([period("train", *late), period("test", *early)])


def test_other_names_need_only_follow_one_another() -> None:
    check_disjoint([period("paper_window", "2020-01-01", "2020-02-01"), period("later", "2020-02-02", "2020-03-01")])
