"""A market refuses arrays that are no market, and finds its bars."""

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from flag_trl.data import DataError, DatedText, MarketData, as_day

DATES = np.array(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"], dtype="datetime64[D]")
CLOSE = np.array([10.0, 11.0, 12.0, 13.0])


def market(**changes: object) -> MarketData:
    return MarketData(**{"symbol": "XYZ", "dates": DATES, "close": CLOSE} | changes)


def test_arrays_are_read_only_copies() -> None:
    close = CLOSE.copy()
    held = market(close=close)
    close[0] = 99.0
    assert held.close[0] == 10.0
    for values in (held.close, held.dates):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = values[1]


def test_texts_are_sorted_by_the_moment_they_became_known() -> None:
    late = DatedText("news", "late", np.datetime64("2020-01-03T10:00:00"))
    early = DatedText("news", "early", np.datetime64("2020-01-02T10:00:00"))
    assert [text.text for text in market(texts=(late, early)).texts] == ["early", "late"]


def test_a_fraction_of_a_second_makes_a_text_known_later_not_earlier() -> None:
    assert DatedText("news", "a", np.datetime64("2020-01-03T16:00:00.001")).known_at == np.datetime64(
        "2020-01-03T16:00:01"
    )


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"dates": DATES[[0, 2, 1, 3]]}, "2020-01-03, dates: not after the row before"),
        ({"dates": DATES[[0, 1, 1, 3]]}, "2020-01-03, dates: not after the row before"),
        (
            {"dates": np.array(["2020-01-02", "NaT", "2020-01-04", "2020-01-05"], dtype="datetime64[D]")},
            "row 1, dates",
        ),
        ({"dates": DATES[:0], "close": CLOSE[:0]}, "at least one day"),
        ({"close": CLOSE[:3]}, r"close: shape \(3,\), dates have \(4,\)"),
        ({"close": CLOSE * [1, 1, 0, 1]}, "2020-01-06, close: 0.0; give a finite number above zero"),
        ({"open": CLOSE * [1, np.nan, 1, 1]}, "2020-01-03, open: nan"),
        ({"high": CLOSE * [1, 1, 1, np.inf]}, "2020-01-07, high: inf"),
        ({"volume": -CLOSE}, "2020-01-02, volume: -10.0; give a finite number at least zero"),
    ],
)
def test_what_is_no_market_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        market(**changes)


def test_a_text_that_is_not_a_string_is_refused() -> None:
    with pytest.raises(DataError, match="5 is not text"):
        DatedText("news", 5, np.datetime64("2020-01-02"))
    with pytest.raises(DataError, match="known_at is missing"):
        DatedText("news", "a", np.datetime64("NaT"))


@pytest.mark.parametrize(
    "start, end, expected",
    [
        ("2020-01-02", "2020-01-07", (0, 4)),
        ("2020-01-03", date(2020, 1, 5), (1, 2)),
        (np.datetime64("2020-01-04"), "2020-01-06", (2, 3)),
    ],
)
def test_a_period_is_found_with_both_its_days(start: object, end: object, expected: tuple[int, int]) -> None:
    assert market().index_range(start, end) == expected


@pytest.mark.parametrize(
    "start, end, words",
    [
        ("2020-01-01", "2020-01-03", "outside the data"),
        ("2020-01-03", "2020-01-08", "outside the data"),
        ("2020-01-04", "2020-01-05", "holds no trading day"),
        ("2020-01-06", "2020-01-03", "ends before it starts"),
        ("2020-01", "2020-01-03", "'2020-01' is not a date"),
    ],
)
def test_a_period_that_is_not_in_the_data_is_refused(start: str, end: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        market(source="xyz.csv").index_range(start, end)


@pytest.mark.parametrize("bar", [-1, 4])
def test_there_is_no_view_of_a_bar_that_is_not_there(bar: int) -> None:
    with pytest.raises(IndexError, match=f"no bar {bar}; bars run from 0 to 3"):
        market().as_of(bar)


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-02",
        date(2020, 1, 2),
        datetime(2020, 1, 2, 16),
        pd.Timestamp("2020-01-02"),
        np.datetime64("2020-01-02"),
    ],
)
def test_a_day_may_be_written_in_many_ways(value: object) -> None:
    assert as_day(value) == np.datetime64("2020-01-02", "D")


@pytest.mark.parametrize("value", ["", "2020-02-30", "yesterday", 20200102, None, pd.NaT, np.datetime64("2020-01")])
def test_what_names_no_day_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="is not a date; write it as YYYY-MM-DD"):
        as_day(value)


def test_days_written_in_seconds_are_days_and_minutes_are_not():
    days = np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[s]")
    daily = MarketData("AAA", days, np.array([1.0, 2.0]))
    assert not daily.intraday and daily.dates.dtype == "datetime64[D]"
    minutes = MarketData("AAA", days + np.timedelta64(34_260, "s"), np.array([1.0, 2.0]))
    assert minutes.intraday and minutes.as_of(1, after_close=True).cutoff == minutes.dates[1]
    assert minutes.as_of(1).date == np.datetime64("2020-01-03")
