"""What is remembered of earlier texts: scores as defined, layers that decay, budgets that hold."""

from dataclasses import replace

import numpy as np
import pytest

from flag_trl.data import DatedText, MarketData
from flag_trl.observations import ObservationConfig
from flag_trl.observations.market_text import market_parts
from flag_trl.observations.memory import DECAY_DAYS, remembered

DAYS = np.datetime64("2020-01-01") + np.arange(40)
CLOSE = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 40)))
CLOSE[21:] *= 1.10  # A jump of about 10 % over the bar after day 20.
CONFIG = ObservationConfig(past_returns=0, indicators=(), news_query=("Acme",), memory_items=3, memory_budget=300)


def text(bar: int, words: str, kind: str = "news") -> DatedText:
    return DatedText(kind, words, DAYS[bar].astype("datetime64[s]") + np.timedelta64(9, "h"))


def market(*texts: DatedText) -> MarketData:
    return MarketData("AAA", DAYS, CLOSE, texts=tuple(sorted(texts, key=lambda t: t.known_at)))


def test_scores_are_what_their_definitions_say() -> None:
    own = market(text(20, "Acme opens a plant."), text(27, "Acme plans a dividend."), text(30, "Acme opens a shop."))
    found = {memory.text: memory for memory in remembered(own.as_of(30), CONFIG, 9)}
    plant, dividend = found["Acme opens a plant."], found["Acme plans a dividend."]
    assert set(found) == {plant.text, dividend.text}
    assert plant.relevance == 1.0 > dividend.relevance > 0
    returns = CLOSE[11:31] / CLOSE[10:30] - 1
    assert plant.reaction == pytest.approx(CLOSE[21] / CLOSE[20] - 1)
    assert plant.importance == pytest.approx(min(abs(plant.reaction) / (2 * returns.std()), 1))
    assert dividend.importance == pytest.approx(abs(CLOSE[28] / CLOSE[27] - 1) / (2 * returns.std()))
    assert (plant.age, plant.recency) == (10, pytest.approx(np.exp(-10 / DECAY_DAYS["short"])))
    assert plant.score == plant.relevance + plant.importance + plant.recency


def test_filings_outlast_news_and_are_remembered_by_their_figures() -> None:
    year, quarter = "The company is fine. Revenue rose 4%. It has offices.", "All is well. Cash fell to $3."
    own = market(text(5, year, "10k"), text(5, quarter, "10q"), text(5, "Acme opens a plant."))
    found = {memory.layer: memory for memory in remembered(own.as_of(39), CONFIG, 9)}
    # News of more than twenty bars ago are gone.
    assert set(found) == {"long", "middle"}
    assert (found["long"].text, found["middle"].text) == ("Revenue rose 4%.", "Cash fell to $3.")
    assert found["middle"].recency == pytest.approx(np.exp(-34 / 90))
    assert found["long"].recency == pytest.approx(np.exp(-34 / 365))


def test_a_filing_that_stands_in_the_prompt_is_not_remembered_beside() -> None:
    own = market(text(3, "Sales rose 1%.", "10q"), text(9, "Debt fell to $2.", "10q"))
    both, older = (
        [memory.text for memory in remembered(own.as_of(39), replace(CONFIG, filing_budget=budget), 9)]
        for budget in (0, 60)
    )
    assert (set(both), older) == ({"Sales rose 1%.", "Debt fell to $2."}, ["Sales rose 1%."])


def test_what_today_s_news_say_is_not_said_again() -> None:
    own = market(text(25, "Acme opens a plant."), text(26, "Acme opens a plant."), text(28, "Acme opens a plant."))
    assert remembered(own.as_of(28), CONFIG, 9) == []
    assert len(remembered(own.as_of(27), CONFIG, 9)) == 1


def test_the_part_says_age_and_what_followed_and_keeps_its_budget() -> None:
    deeds = "sells its plant|buys a rival firm|hires two chiefs|pays one fine|opens new shops".split("|")
    texts = [text(20 + n, f"Acme {deed} this week.") for n, deed in enumerate(deeds)]
    own = market(*texts)
    for budget in (300, 120, 60, 20, 0):
        config = ObservationConfig(past_returns=0, indicators=(), memory_items=3, memory_budget=budget)
        (part,) = [part for part in market_parts(own.as_of(30), config, len) if part.name == "memory"]
        assert len(part.text) <= budget
        lines = part.text.splitlines()
        assert len(lines) == (3 if budget >= 120 else 0) or budget == 60
        assert part.left_out == ("" if len(lines) == 3 else f"{3 - len(lines)} of 3 items")
    config = ObservationConfig(past_returns=0, indicators=(), memory_items=1, memory_budget=300)
    (part,) = [part for part in market_parts(market(texts[0]).as_of(30), config, len) if part.name == "memory"]
    moved = 100 * (CLOSE[21] / CLOSE[20] - 1)
    assert part.text == f"10 days ago, then {moved:+.1f}%: {texts[0].text}"


def test_without_an_earlier_text_there_is_nothing_to_remember() -> None:
    assert remembered(market().as_of(30), CONFIG, 9) == []
    assert remembered(market(text(30, "Acme.")).as_of(30), CONFIG, 9) == []
    assert remembered(market(text(0, "Acme.")).as_of(0), CONFIG, 9) == []
