"""What stands beside a market, an index and a schedule of events, is known as of the same moment and no later."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flag_trl.data import DataError, Event, MarketData, read_events
from flag_trl.observations import ObservationConfig
from flag_trl.observations.market_text import market_parts, market_text

DAYS = np.datetime64("2020-01-01") + np.arange(20)
CLOSE = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 20)))
SHOWN = ObservationConfig(past_returns=0, indicators=(), weekday=True, next_event=True, context=True)


def index(close=CLOSE, every: int = 1, **more) -> MarketData:
    return MarketData("SPY", DAYS[::every], close[::every], **more)


def market(beside: MarketData, *events: Event) -> MarketData:
    return MarketData("AAA", DAYS, np.full(20, 5.0), context=(beside,), events=events)


def written(own: MarketData, bar: int, after_close: bool = False) -> str:
    return market_text(market_parts(own.as_of(bar, after_close=after_close), SHOWN, len))


def event(day: int, known: int) -> Event:
    return Event("earnings", DAYS[day], DAYS[known].astype("datetime64[s]"))


def test_an_index_is_told_by_its_returns() -> None:
    one, five = (round(1000 * (CLOSE[10] / CLOSE[10 - bars] - 1)) for bars in (1, 5))
    assert written(market(index()), 10) == f"AAA. 1 and 5 days, 0.1%: SPY {one:+d} {five:+d}. Saturday."


@given(last=st.integers(1, 18), seed=st.integers(0, 9), every=st.integers(1, 3), after_close=st.booleans())
def test_no_later_bar_of_it_is_seen(last, seed, every, after_close) -> None:
    later = np.random.default_rng(seed).uniform(1, 500, 20)
    changed = np.where(np.arange(20) > last, later, CLOSE)
    before, after = (written(market(index(close, every)), last, after_close) for close in (CLOSE, changed))
    assert before == after


def test_one_that_closes_later_is_seen_up_to_the_day_before() -> None:
    """Bitcoin's day ends at midnight: at the close of a stock it has not ended."""
    crypto = index(session_close=np.timedelta64(24, "h"), periods_per_year=365)
    at_close, evening = (market(crypto).as_of(10, after_close=late).context[0] for late in (False, True))
    assert (at_close.date, evening.date) == (DAYS[9], DAYS[10])


def test_before_its_first_bar_nothing_is_said_of_it() -> None:
    late = MarketData("SPY", DAYS[10:], CLOSE[10:])
    assert written(market(late), 5) == "AAA. Monday."
    assert written(market(late), 10) == "AAA. Saturday."


def test_the_next_event_is_told_once_it_is_known_and_until_it_is_there() -> None:
    own = market(index(every=50), event(12, known=6), event(15, known=3))
    told = {bar: written(own, bar).partition("day. ")[2] for bar in (2, 3, 5, 6, 11, 12, 14, 15)}
    assert told == {
        2: "",
        3: "earnings in 12 days.",
        5: "earnings in 10 days.",
        6: "earnings in 6 days.",
        11: "earnings in 1 day.",
        12: "earnings in 3 days.",
        14: "earnings in 1 day.",
        15: "",
    }


def test_events_are_read_with_when_they_were_announced(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("date,name,known,symbol\n2020-02-03,Fed,2019-12-01,\n2020-01-30,earnings,2020-01-10,aaa\n,,,BBB\n")
    with pytest.raises(DataError, match="events.csv, line 4: '' is not a date"):
        read_events(file, "AAA")
    file.write_text(file.read_text().replace(",,,BBB", "2020-01-02,x,2020-01-01,BBB"))
    first, second = read_events(file, "AAA")
    assert (first.name, str(first.known_at)) == ("earnings", "2020-01-11T00:00:00")
    assert second.name == "Fed"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("date,name\n", "header: no column known"),
        ("date,name,known\n2020-01-02,x,2020-01-03\n", "line 2, known: 2020-01-03 is after the event"),
        ("date,name,known\n2020-01-02,x\n", "line 2: has 2 cells"),
    ],
)
def test_what_is_wrong_with_events_is_named(content, says, tmp_path) -> None:
    (tmp_path / "events.csv").write_text(content)
    with pytest.raises(DataError, match=says):
        read_events(tmp_path / "events.csv", "AAA")
