"""Episodes are windows whose decisions and rewards stay inside their period."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.data import DataError, MarketData, Period, Window, as_day, decision_bars, episode_dataset


def market(n: int, symbol: str = "XYZ") -> MarketData:
    return MarketData(symbol, np.datetime64("2020-01-01") + np.arange(n), np.ones(n))


def period(first: int, last: int) -> Period:
    start = as_day("2020-01-01")
    return Period("train", start + np.timedelta64(first, "D"), start + np.timedelta64(last, "D"))


def test_windows_stand_side_by_side_and_name_their_first_day() -> None:
    rows = episode_dataset({"XYZ": market(30)}, period(10, 20), length=3)
    assert rows.column_names == ["symbol", "start", "length", "start_date"]
    assert {name: feature.dtype for name, feature in rows.features.items()} == {
        "symbol": "string",
        "start": "int64",
        "length": "int64",
        "start_date": "string",
    }
    assert rows["start"][:] == [10, 13, 16]
    assert rows[1] == {"symbol": "XYZ", "start": 13, "length": 3, "start_date": "2020-01-14"}
    assert Window(rows[1]["symbol"], rows[1]["start"], rows[1]["length"]) == ("XYZ", 13, 3)


def test_each_market_gives_its_windows() -> None:
    rows = episode_dataset({"B": market(30, "B"), "A": market(30, "A")}, period(0, 8), length=4)
    assert list(zip(rows["symbol"], rows["start"], strict=True)) == [("B", 0), ("B", 4), ("A", 0), ("A", 4)]


@settings(deadline=None, max_examples=50)
@given(
    first=st.integers(0, 10),
    bars=st.integers(2, 30),
    length=st.integers(1, 12),
    stride=st.none() | st.integers(1, 15),
    horizon=st.integers(1, 3),
)
def test_no_window_leaves_the_decision_bars(
    first: int, bars: int, length: int, stride: int | None, horizon: int
) -> None:
    held, stretch = market(60), period(first, first + bars - 1)
    if bars - horizon < length:
        with pytest.raises(DataError):
            episode_dataset({"XYZ": held}, stretch, length=length, stride=stride, horizon=horizon)
        return
    rows = episode_dataset({"XYZ": held}, stretch, length=length, stride=stride, horizon=horizon)
    allowed = decision_bars(held, stretch, horizon)
    for row in rows:
        decisions = range(row["start"], row["start"] + row["length"])
        assert decisions[0] in allowed and decisions[-1] in allowed
        assert decisions[-1] + horizon < first + bars
    step = stride or length
    assert np.all(np.diff(rows["start"][:]) == step)
    # As many as fit: one more would leave the decision bars.
    assert rows["start"][-1] + step + length > allowed.stop


def test_a_period_too_short_for_a_window_is_refused_with_the_numbers() -> None:
    with pytest.raises(
        DataError, match="XYZ, period train .*: 5 bars less a horizon of 1 leave 4 decisions, .* takes 5"
    ):
        episode_dataset({"XYZ": market(30)}, period(0, 4), length=5)


def test_no_market_or_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="no market"):
        episode_dataset({}, period(0, 4), length=2)
    with pytest.raises(ValueError, match="length is 0"):
        episode_dataset({"XYZ": market(30)}, period(0, 4), length=0)
    with pytest.raises(ValueError, match="stride 0"):
        episode_dataset({"XYZ": market(30)}, period(0, 4), length=2, stride=0)
