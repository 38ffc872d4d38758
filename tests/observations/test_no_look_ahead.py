"""Nothing looks ahead: what comes later, in any source, changes no part of an earlier prompt."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.accounts import Signed
from flag_trl.agent import choose, play
from flag_trl.agent.decision import Decision
from flag_trl.data import DatedText, Event, MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.observations.indicators import KINDS
from flag_trl.observations.memory import remembered
from flag_trl.observations.observer import Observer

BARS = 60
DAYS = np.datetime64("2020-01-01") + np.arange(BARS)
WORDS = ["Acme", "sells", "buys", "plant", "profit", "of", "5%", "$3", "falls", "rises", "AAA", "record", "lawsuit"]
EVERYTHING = ObservationConfig(
    indicators=tuple(f"{kind}{6 if kind == 'macd' else 5}" for kind in KINDS),
    numbers="both",
    soft_bars=8,
    chart_bars=8,
    weekday=True,
    next_event=True,
    context=True,
    news_items=3,
    news_budget=200,
    news_selector="combined",
    news_query=("Acme",),
    filing_budget=200,
    memory_items=4,
    memory_budget=400,
    reflections=3,
    reflection_budget=300,
    account_text="full",
)
UNIFORMS = np.random.default_rng(7).random((30, 2))


def market(seed: int, later_seed: int, last: int) -> MarketData:
    """Random bars, news, filings, events and an index; behind bar `last` they come from another seed."""
    random, later = np.random.default_rng(seed), np.random.default_rng(later_seed)

    def mixed(draw) -> np.ndarray:
        return np.where(np.arange(BARS) <= last, draw(random), draw(later))

    close = 100 * np.exp(np.cumsum(mixed(lambda r: r.normal(0, 0.03, BARS))))
    opened = close * mixed(lambda r: np.exp(r.normal(0, 0.01, BARS)))
    high, low = np.maximum(close, opened) * 1.02, np.minimum(close, opened) * 0.97
    volume = mixed(lambda r: r.uniform(0, 9, BARS))
    sources = [(r, [r.choice(WORDS, 6) for _ in range(3 * BARS)]) for r in (random, later)]
    texts = []
    for bar, day in enumerate(DAYS):
        words = sources[bar > last][1]
        for n in range(3):
            kind = "10q" if n == 0 and bar % 11 == 0 else "10k" if n == 1 and bar % 19 == 0 else "news"
            text = " ".join(words[3 * bar + n]) + f" on day {bar}."
            texts.append(DatedText(kind, text, np.datetime64(day, "s") + np.timedelta64(8 + n, "h")))
    schedule = random.integers(1, 9, BARS)  # What is announced after `last` differs; what was announced before stays.
    events = []
    for bar, ahead in enumerate(np.where(np.arange(BARS) <= last, schedule, later.integers(1, 9, BARS))):
        noon = DAYS[bar].astype("datetime64[s]") + np.timedelta64(12, "h")
        events.append(Event(f"event {ahead}", DAYS[bar] + ahead, noon))
    index = MarketData("IDX", DAYS, 50 * np.exp(np.cumsum(mixed(lambda r: r.normal(0, 0.01, BARS)))))
    prices = {"open": opened, "high": high, "low": low, "volume": volume}
    beside = {"events": tuple(events), "context": (index,)}
    return MarketData("AAA", DAYS, close, texts=tuple(texts), **prices, **beside)


class Chance:
    """Any policy will do; this one draws among the legal actions."""

    def decide(self, observations, uniforms=None) -> Decision:
        legal = np.array([observation.legal for observation in observations], dtype=float)
        probabilities = legal / legal.sum(1, keepdims=True)
        return Decision(choose(probabilities, uniforms), probabilities)


def seen(own: MarketData, fill: str, anonymise: bool = False):
    """What two accounts see from bar 25 on, day by day."""
    rules = TradingRules(Signed(), fill)
    observer = Observer({"AAA": own}, replace(EVERYTHING, anonymise=anonymise), fill)
    windows = [Window("AAA", 25, 30), Window("AAA", 25, 30)]
    return play(Chance(), rules.make({"AAA": own}, 2), observer, windows, UNIFORMS)


@settings(max_examples=8, deadline=None)
@given(last=st.integers(25, 54), seeds=st.tuples(st.integers(0, 99), st.integers(100, 199)))
@pytest.mark.parametrize(("fill", "anonymise"), [("same_close", False), ("next_open", False), ("next_open", True)])
def test_no_later_row_of_any_source_changes_a_prompt(fill, anonymise, last, seeds) -> None:
    before = seen(market(*seeds, last=BARS), fill, anonymise)
    after = seen(market(*seeds, last=last), fill, anonymise)
    days = last - 25 + 1
    assert before.observations[:days] == after.observations[:days]


def test_every_part_was_there_to_be_changed() -> None:
    one = seen(market(0, 100, last=BARS), "next_open")
    late = [observation for day in one.observations[20:] for observation in day]
    texts = "\n".join(observation.market_text + observation.account_text for observation in late)
    for sign in (
        "RSI5",
        "MACD6",
        "ATR5",
        "day.",
        "on day",
        "10-Q,",
        "10-K,",
        " then ",
        "Closed ",
        "After: ",
        "Cash ",
        "IDX ",
        "event ",
    ):
        assert sign in texts, sign
    assert all(observation.numbers and observation.image for observation in late)
    changed = seen(market(0, 100, last=30), "next_open")
    assert changed.observations[-1] != one.observations[-1]


def test_a_text_of_today_is_not_yet_remembered_and_yesterday_s_is_with_today_s_return() -> None:
    own = market(3, 100, last=BARS)
    found = remembered(own.as_of(40), EVERYTHING, 1000)
    assert not any("day 40" in memory.text for memory in found)
    (yesterday, *_) = (memory for memory in found if "day 39" in memory.text)
    assert yesterday.reaction == pytest.approx(own.close[40] / own.close[39] - 1)
