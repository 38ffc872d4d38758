"""A view never yields anything later than its bar."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.data import DatedText, MarketData, MarketView

START = np.datetime64("2020-01-02")
COLUMNS = ("open", "high", "low", "volume")
ARRAYS = ("dates", "close", *COLUMNS)


def moment(text: str) -> np.datetime64:
    return np.datetime64(text, "s")


@st.composite
def markets(draw: st.DrawFn) -> MarketData:
    """Markets of 1 to 12 bars with gaps, some columns, and texts at any second around them."""
    n = draw(st.integers(1, 12))
    gaps = draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    dates = START + np.cumsum(gaps).astype("timedelta64[D]")
    prices = st.lists(st.floats(0.01, 1e6), min_size=n, max_size=n).map(np.array)
    columns = {name: draw(prices) for name in draw(st.sets(st.sampled_from(COLUMNS)))}
    # At any second, and often at a close, at midnight, or one second after.
    second = st.integers(-86_400, 3 * 86_400) | st.sampled_from([0, 57_600, 57_601, 86_400, 86_401])
    moments = draw(st.lists(st.tuples(st.sampled_from(list(dates)), second), max_size=12))
    kind = st.sampled_from(["news", "10k"])
    texts = tuple(
        DatedText(draw(kind), f"text {i}", day + np.timedelta64(seconds, "s"))
        for i, (day, seconds) in enumerate(moments)
    )
    hours = draw(st.sampled_from([16, 24]))
    session_close = np.timedelta64(hours, "h")
    return MarketData("XYZ", dates, draw(prices), texts=texts, session_close=session_close, **columns)


def reachable(view: MarketView) -> Iterator[object]:
    """Walk from the view's attributes, hidden ones included, through containers and the bases of arrays."""
    waiting = [getattr(view, name) for name in dir(view) if not name.startswith("__")]
    while waiting:
        thing = waiting.pop()
        yield thing
        if isinstance(thing, np.ndarray) and thing.base is not None:
            waiting.append(thing.base)
        if isinstance(thing, tuple | list | set):
            waiting.extend(thing)
        if isinstance(thing, dict):
            waiting.extend(thing.values())


@settings(deadline=None, max_examples=100)
@given(market=markets(), data=st.data(), after_close=st.booleans())
def test_nothing_reachable_from_a_view_is_later_than_its_bar(
    market: MarketData, data: st.DataObject, after_close: bool
) -> None:
    bar = data.draw(st.integers(0, len(market) - 1))
    view = market.as_of(bar, after_close=after_close)
    cutoff = market.dates[bar] + (np.timedelta64(24, "h") if after_close else market.session_close)
    assert view.cutoff == cutoff and view.date == market.dates[bar] and view.bar == bar
    for thing in reachable(view):
        assert not isinstance(thing, MarketData)
        if isinstance(thing, np.ndarray):
            assert thing.shape == (bar + 1,)
            with pytest.raises(ValueError, match="read-only"):
                thing[0] = thing[0]
        if isinstance(thing, DatedText):
            assert thing.known_at <= cutoff
    for name in ARRAYS:
        values = getattr(market, name)
        np.testing.assert_array_equal(getattr(view, name), None if values is None else values[: bar + 1])
    assert view.texts() == tuple(text for text in market.texts if text.known_at <= cutoff)


@settings(deadline=None, max_examples=50)
@given(market=markets(), data=st.data())
def test_changing_what_comes_later_changes_no_view(market: MarketData, data: st.DataObject) -> None:
    bar = data.draw(st.integers(0, len(market) - 1))
    after_close = data.draw(st.booleans())
    later = np.arange(len(market)) > bar
    present = [name for name in ("close", *COLUMNS) if getattr(market, name) is not None]
    columns = {name: np.where(later, 7.0, getattr(market, name)) for name in present}
    view = market.as_of(bar, after_close=after_close)
    texts = tuple(text for text in market.texts if text.known_at <= view.cutoff)
    rumour = DatedText("news", "rumour", view.cutoff + np.timedelta64(1, "s"))
    other = MarketData("XYZ", market.dates, texts=(*texts, rumour), session_close=market.session_close, **columns)
    other_view = other.as_of(bar, after_close=after_close)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(view, name), getattr(other_view, name))
    assert view.texts() == other_view.texts()


@settings(deadline=None, max_examples=50)
@given(market=markets(), after_close=st.booleans())
def test_the_days_texts_of_all_bars_together_are_all_texts_once(market: MarketData, after_close: bool) -> None:
    views = [market.as_of(bar, after_close=after_close) for bar in range(len(market))]
    # The first bar has no bar before it: its texts are all that came before.
    told = [text for view in views for text in view.texts(since_bars=1)]
    assert tuple(told) == views[-1].texts()


@pytest.fixture
def weekend() -> MarketData:
    """Thursday, Friday, Monday, with a text an hour after each close, two at closes and one on Saturday."""
    dates = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[D]")
    texts = (
        DatedText("news", "thursday", moment("2020-01-02T17:00:00")),
        DatedText("news", "friday at the close", moment("2020-01-03T16:00:00")),
        DatedText("10k", "friday", moment("2020-01-03T17:00:00")),
        DatedText("news", "saturday", moment("2020-01-04T09:00:00")),
        DatedText("news", "monday at the close", moment("2020-01-06T16:00:00")),
        DatedText("news", "monday", moment("2020-01-06T17:00:00")),
    )
    return MarketData("XYZ", dates, np.array([1.0, 2.0, 3.0]), texts=texts)


def words(texts: tuple[DatedText, ...]) -> list[str]:
    return [text.text for text in texts]


def test_at_the_close_the_evening_is_not_known_and_after_it_it_is(weekend: MarketData) -> None:
    assert words(weekend.as_of(2).texts()) == [
        "thursday",
        "friday at the close",
        "friday",
        "saturday",
        "monday at the close",
    ]
    assert words(weekend.as_of(2, after_close=True).texts())[-1] == "monday"


def test_the_days_texts_reach_back_over_the_weekend(weekend: MarketData) -> None:
    assert words(weekend.as_of(2).texts(since_bars=1)) == ["friday", "saturday", "monday at the close"]
    assert words(weekend.as_of(2, after_close=True).texts(since_bars=1)) == [
        "saturday",
        "monday at the close",
        "monday",
    ]
    assert words(weekend.as_of(2).texts(since_bars=2)) == [
        "thursday",
        "friday at the close",
        "friday",
        "saturday",
        "monday at the close",
    ]
    assert words(weekend.as_of(0, after_close=True).texts(since_bars=5)) == ["thursday"]


def test_texts_can_be_cut_to_days_and_kinds(weekend: MarketData) -> None:
    view = weekend.as_of(2)
    assert words(view.texts(days=3)) == ["friday", "saturday", "monday at the close"]
    assert words(view.texts(days=3, kinds=["news"])) == ["saturday", "monday at the close"]
    assert words(view.texts(kinds={"10k"})) == ["friday"]


@pytest.mark.parametrize("limits", [{"days": 0}, {"since_bars": 0}, {"days": -1}, {"kinds": "news"}])
def test_limits_that_make_no_sense_are_refused(weekend: MarketData, limits: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give"):
        weekend.as_of(2).texts(**limits)
