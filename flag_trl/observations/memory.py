"""What is remembered of the texts of earlier days: layers, scores, and what each was followed by.

A function of the symbol and the day alone, made from texts and prices that were public by then. What an account
remembers of its own trades is in `flag_trl.observations.reflections`.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Literal

import numpy as np

from flag_trl.data import DatedText, MarketView
from flag_trl.observations.config import ObservationConfig
from flag_trl.observations.news import day_news, distinct, from_mention, ranked_news, similarity
from flag_trl.observations.text import cleaned, with_figures

Layer = Literal["short", "middle", "long"]
DECAY_DAYS: dict[Layer, float] = {"short": 3.0, "middle": 90.0, "long": 365.0}
"""Days in which a layer's recency falls to 1/e: those of FinMem (arXiv 2311.13743), as published."""
LAYER_OF: dict[str, Layer] = {"10q": "middle", "10k": "long"}
"""Kind of text to layer; all others are short."""
SHORT_BARS = 20
"""Bars before the day whose news are remembered: beyond them recency is below 0.002."""
MAX_SHORT = 400
MAX_FILINGS = 4
USUAL_MOVE = 2.0
"""Reaction, in deviations of the last returns, from which importance is at its highest."""


@dataclass(frozen=True)
class Memory:
    """A text of an earlier day as it is remembered.

    Attributes
    ----------
    layer : {"short", "middle", "long"}
    text : str
        Cleaned; news from where they mention the company on, filings by their sentences with figures.
    age : int
        Days since it became known.
    reaction : float
        The asset's return over the bar after it became known, as a fraction.
    relevance : float
        Likeness to the day's first news (BM25), over that of the likeliest; 0 to 1.
    importance : float
        Size of the reaction in deviations of the returns before the day; 0 to 1.
    recency : float
        exp(-age / decay of the layer); 0 to 1.
    """

    layer: Layer
    text: str
    age: int
    reaction: float
    relevance: float
    importance: float
    recency: float

    @property
    def score(self) -> float:
        """By which memories are ranked: the sum of the three."""
        return self.relevance + self.importance + self.recency

    @property
    def head(self) -> str:
        """How old it is and what followed, in a few words."""
        return f"{self.age} day{'s' * (self.age != 1)} ago, then {100 * self.reaction:+.1f}%:"


def remembered(view: MarketView, config: ObservationConfig, count: int) -> list[Memory]:
    """The best `count` memories of the view's day, best first; none near-identical to another or to the day's news.

    Only texts of earlier bars are looked at, so that the reaction to each is known.
    """
    kept = _kept(view, config)
    query = (view.symbol, *config.news_query)
    lines: dict[str, tuple[DatedText, int]] = {}
    for text, bar in kept:
        lines.setdefault(_line(text.kind, text.text, query), (text, bar))
    lines.pop("", None)
    if not lines:
        return []
    today = ranked_news(day_news(view), view, config, max(config.news_items, 1))
    alike = similarity(list(lines), " ".join([*today[:1], view.symbol, *config.news_query]))
    relevance = alike / alike.max() if alike.max() > 0 else alike
    spread = _spread(view)
    memories: dict[str, Memory] = {}
    for (line, (text, bar)), relevant in zip(lines.items(), relevance.tolist(), strict=True):
        layer = LAYER_OF.get(text.kind, "short")
        age = int((view.cutoff - text.known_at) / np.timedelta64(1, "D"))
        reaction = float(view.close[bar + 1] / view.close[bar] - 1.0)
        important = min(abs(reaction) / (USUAL_MOVE * spread), 1.0) if spread else 0.0
        recency = float(np.exp(-age / DECAY_DAYS[layer]))
        memories[line] = Memory(layer, line, age, reaction, relevant, important, recency)
    best = sorted(memories, key=lambda line: -memories[line].score)
    return [memories[line] for line in islice(distinct(best, beside=today), count)]


def _kept(view: MarketView, config: ObservationConfig) -> list[tuple[DatedText, int]]:
    """News of the last bars and the latest filings of each form, and the first bar at whose cutoff each was known.

    Where the observation has filings, their latest is no memory.
    """
    shown = 1 if config.filing_budget else 0
    short = [text for text in view.texts(since_bars=1 + SHORT_BARS) if text.kind not in LAYER_OF]
    filings = [view.texts(kinds=(kind,))[::-1][shown:MAX_FILINGS] for kind in reversed(LAYER_OF)]
    texts = [*chain(*filings), *short[-MAX_SHORT:][::-1]]
    cutoffs = view.dates.astype("datetime64[s]") + (view.cutoff - view.dates[-1].astype("datetime64[s]"))
    bars = np.searchsorted(cutoffs, np.array([text.known_at for text in texts], dtype="datetime64[s]")).tolist()
    return [(text, bar) for text, bar in zip(texts, bars, strict=True) if bar < view.bar]


@lru_cache(maxsize=20_000)
def _line(kind: str, text: str, query: tuple[str, ...]) -> str:
    """What is remembered of a text; the same on every day."""
    return " ".join(with_figures(text)) if kind in LAYER_OF else from_mention(cleaned(text), query)


def _spread(view: MarketView) -> float:
    """Deviation of the last returns."""
    close = view.close[-1 - SHORT_BARS :]
    return float((close[1:] / close[:-1] - 1.0).std()) if len(close) > 2 else 0.0
