"""Which of a day's news an observation shows, and in which order."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import bm25s
import numpy as np
from rapidfuzz import fuzz

from flag_trl.data import FILINGS, DatedText, MarketView
from flag_trl.observations.config import ObservationConfig
from flag_trl.observations.text import cleaned, sentences

SAME = 90.0
"""Share of common words, in percent, from which two items are one (rapidfuzz's token_set_ratio)."""
MAX_ITEMS = 200
"""The latest of a day that are looked at."""
PAST_BARS = 5
"""Bars before the day whose news an item is compared with for its novelty."""


def day_news(view: MarketView) -> list[str]:
    """What became known since the bar before but for filings, cleaned, the latest first, without empty ones."""
    return _cleaned([text for text in view.texts(since_bars=1) if text.kind not in FILINGS])


def ranked_news(items: list[str], view: MarketView, config: ObservationConfig, count: int) -> list[str]:
    """A day's news by what `config.news_selector` puts first, each of several near-identical items once.

    Parameters
    ----------
    items : list of str
        The day's, from `day_news`.
    view : MarketView
    config : ObservationConfig
    count : int
        At most so many.

    Returns
    -------
    list of str
        Cleaned, best first.
    """
    query = [view.symbol, *config.news_query]
    scores = np.zeros(len(items))
    if items and config.news_selector in ("relevance", "combined"):
        scores += _ranks(relevance(items, query))
        items = [from_mention(item, query) for item in items]
    if items and config.news_selector in ("novelty", "combined"):
        scores += _ranks(novelty(items, past_news(view)))
    return list(islice(distinct(items[i] for i in np.argsort(-scores, kind="stable")), count))


def relevance(items: Sequence[str], query: Sequence[str]) -> np.ndarray:
    """BM25 score (Robertson and Zaragoza 2009) of each item for the words of `query`, shape (n,).

    0 for items that `mentions` none of its entries: words such as "of" occur anywhere.
    """
    scores = similarity(items, " ".join(query))
    return np.where([mentions(item, query) for item in items], scores, 0.0)


def mentions(text: str, query: Sequence[str]) -> bool:
    """Whether a text holds an entry of `query` as a whole phrase.

    One in capitals, as symbols are, has to stand in capitals: "ON" is a company, "on" a word. Behind a dollar sign, as
    symbols stand in tweets, any case will do.
    """
    return any(_mention(entry).search(text) for entry in query if entry)


@lru_cache(maxsize=4096)
def _mention(entry: str) -> re.Pattern[str]:
    name = re.escape(entry)
    if not entry.isupper():
        return re.compile(rf"(?<!\w){name}(?!\w)", re.IGNORECASE)
    return re.compile(rf"(?<!\w){name}(?!\w)|\$ ?(?i:{name})(?!\w)")


def from_mention(item: str, query: Sequence[str]) -> str:
    """An item from its first sentence on that mentions an entry of `query`; whole where none does."""
    found = sentences(item)
    first = next((i for i, sentence in enumerate(found) if mentions(sentence, query)), 0)
    return " ".join(found[first:])


def novelty(items: Sequence[str], past: Sequence[str]) -> np.ndarray:
    """1 less the BM25 score of the past item most like it, over the item's own score; shape (n,).

    1 for what shares no word with the past, 0 for what was there before.
    """
    if not past:
        return np.ones(len(items))
    index = _index([*past, *items])
    out = np.zeros(len(items))
    for i, item in enumerate(items):
        scores = _scores(index, _words(item), len(past) + len(items))
        if scores[len(past) + i] > 0:
            out[i] = 1.0 - min(1.0, float(scores[: len(past)].max() / scores[len(past) + i]))
    return out


def past_news(view: MarketView) -> list[str]:
    """News of the days before; all of it was known by then."""
    today = {id(text) for text in view.texts(since_bars=1)}
    before = view.texts(since_bars=1 + PAST_BARS)
    return _cleaned([text for text in before if id(text) not in today and text.kind not in FILINGS])


def _cleaned(texts: Sequence[DatedText]) -> list[str]:
    return [item for text in texts[: -1 - MAX_ITEMS : -1] if (item := cleaned(text.text))]


def distinct(items: Iterable[str], beside: Sequence[str] = ()) -> Iterator[str]:
    """Those that are not near-identical to one before, nor to one `beside` them."""
    kept = list(beside)
    for item in items:
        if all(fuzz.token_set_ratio(item, other, score_cutoff=SAME) < SAME for other in kept):
            kept.append(item)
            yield item


def similarity(items: Sequence[str], query: str) -> np.ndarray:
    """BM25 score of each item for the words of a text, shape (n,)."""
    return _scores(_index(items), _words(query), len(items))


def _index(items: Sequence[str]) -> bm25s.BM25:
    index = bm25s.BM25()
    index.index([list(_words(item)) or [""] for item in items], show_progress=False)
    return index


def _scores(index: bm25s.BM25, query: Sequence[str], count: int) -> np.ndarray:
    """Scores of all `count` texts; a query without a word finds nothing."""
    return np.asarray(index.get_scores(list(query)), dtype=float) if query else np.zeros(count)


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """From 0 for the lowest to 1 for the highest; equal scores have equal ranks."""
    _, place = np.unique(scores, return_inverse=True)
    return place / max(int(place.max()), 1)
