"""The market part: ratios only, within its budget, and nothing from a later day."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.data import DatedText, MarketData
from flag_trl.observations import ObservationConfig, Observer
from flag_trl.observations.market_text import market_parts, market_text

CONFIG = ObservationConfig(past_returns=3, indicators=("momentum5", "volatility5"), news_items=2, news_budget=40)
DATES = np.datetime64("2020-01-01") + np.arange(12)


def written(view, config=CONFIG, length=len) -> str:
    return market_text(market_parts(view, config, length))


def market(close: np.ndarray, words: list[str]) -> MarketData:
    texts = [
        DatedText("news", word, np.datetime64(day, "s") + 8 * 3600) for day, word in zip(DATES, words, strict=True)
    ]
    return MarketData("AAA", DATES, close, texts=tuple(texts))


CLOSE = np.array([100, 101, 99, 98, 103, 104, 104, 102, 105, 107, 106, 110.0])
WORDS = [f"item {i} about the day" for i in range(12)]


def test_it_is_what_a_person_would_compute() -> None:
    view = market(CLOSE, WORDS).as_of(6)
    returns = CLOSE[1:7] / CLOSE[:6] - 1
    volatility = 100 * returns[-5:].std(ddof=1) * np.sqrt(252)
    assert written(view) == (
        f"AAA. Returns, 0.1%: +51 +10 +0. 5 days +3%. Volatility {volatility:.0f}%.\nitem 6 about the day"
    )


def test_numbers_whose_history_is_too_short_are_left_out() -> None:
    assert written(market(CLOSE, WORDS).as_of(1)).startswith("AAA. Returns, 0.1%: +10.\n")


@given(st.floats(0.01, 1000))
def test_no_level_of_an_adjusted_price_reaches_it(scale: float) -> None:
    one, other = market(CLOSE, WORDS), market(CLOSE * scale, WORDS)
    assert all(written(one.as_of(i)) == written(other.as_of(i)) for i in range(12))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10),
    st.lists(st.floats(1, 1000), min_size=12, max_size=12),
    st.lists(st.text(max_size=20), min_size=12, max_size=12),
)
def test_changing_any_later_price_or_text_changes_nothing(bar: int, prices: list[float], words: list[str]) -> None:
    later = np.arange(12) > bar
    news = [new if change else old for new, old, change in zip(words, WORDS, later, strict=True)]
    altered = market(np.where(later, prices, CLOSE), news)
    assert written(altered.as_of(bar)) == written(market(CLOSE, WORDS).as_of(bar))


def test_texts_of_the_evening_are_known_before_the_next_open_and_not_at_the_close() -> None:
    evening = DatedText("news", "after hours", np.datetime64("2020-01-07T18:00:00"))
    markets = {"AAA": MarketData("AAA", DATES, CLOSE, texts=(evening,))}
    assert "after hours" not in Observer(markets, CONFIG, "same_close").market_text(0, 6)
    assert "after hours" in Observer(markets, CONFIG, "next_open").market_text(0, 6)
    assert "after hours" in Observer(markets, CONFIG, "same_close").market_text(0, 7)


def test_the_latest_texts_come_first_and_stop_at_their_number() -> None:
    texts = tuple(
        DatedText("news", f"text {hour}", np.datetime64("2020-01-05") + np.timedelta64(hour, "h"))
        for hour in (1, 2, 3)
    )
    view = MarketData("AAA", DATES, CLOSE, texts=texts).as_of(4)
    assert written(view).splitlines()[1:] == ["text 3", "text 2"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"account_text": "all"}, "position or full"),
        ({"past_returns": -1}, "past_returns is -1"),
        ({"news_budget": -5}, "news_budget is -5"),
        ({"indicators": "rsi14"}, "indicators is the string 'rsi14'"),
        ({"indicators": ["rsi14", "fame"]}, "there is no 'fame'; choose among rsi, macd"),
        ({"indicators": ["volatility1"]}, "volatility needs 2 or more"),
        ({"news_selector": "best"}, "latest, relevance, novelty, combined"),
    ],
)
def test_a_configuration_that_means_nothing_is_refused(wrong, says) -> None:
    with pytest.raises(ValueError, match=says):
        ObservationConfig(**wrong)
