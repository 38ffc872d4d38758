"""What a market's data cover: days, gaps, large moves, and how many texts of which length."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flag_trl.data.market import MarketData
from flag_trl.data.texts import DatedText

LONG_GAP = {True: 1, False: 4}
"""Calendar days between two bars that are usual, by whether it trades every day: a weekend with a holiday is four."""
LARGE_MOVE = 0.25
"""Of a bar, in either direction: rare for a large stock, and what a split that was not adjusted for looks like."""


@dataclass(frozen=True)
class TextCoverage:
    """Texts of one kind.

    Attributes
    ----------
    kind : str
    per_bar : ndarray of int64, shape (n,)
        How many became known after the bar before and by the end of each bar's day.
    lengths : ndarray of int64
        Characters of each text.
    repeated : int
        How many say, letter by letter, what one before said.
    empty : int
        How many are blank.
    """

    kind: str
    per_bar: np.ndarray
    lengths: np.ndarray
    repeated: int
    empty: int


@dataclass(frozen=True)
class Coverage:
    """What one market's data hold.

    Attributes
    ----------
    market : MarketData
    gaps : list of (before, after, days)
        Neighbouring bars that lie further apart than is usual.
    moves : list of (date, return)
        Bars of ``LARGE_MOVE`` or more, the largest first.
    unchanged : int
        Bars that close where the bar before did.
    texts : list of TextCoverage
        By kind, the most frequent first.
    late : int
        Texts known only after the last bar's day: no decision sees them.
    """

    market: MarketData
    gaps: list[tuple[np.datetime64, np.datetime64, int]]
    moves: list[tuple[np.datetime64, float]]
    unchanged: int
    texts: list[TextCoverage]
    late: int


def coverage(market: MarketData) -> Coverage:
    """Look a market's data over."""
    days = np.diff(market.dates).astype(int)
    usual = LONG_GAP[market.periods_per_year == 365]
    gaps = [(market.dates[i], market.dates[i + 1], int(days[i])) for i in np.flatnonzero(days > usual)]
    returns = market.close[1:] / market.close[:-1] - 1.0
    large = sorted(np.flatnonzero(np.abs(returns) >= LARGE_MOVE), key=lambda i: -abs(returns[i]))
    moves = [(market.dates[i + 1], float(returns[i])) for i in large]
    # By the end of each bar's day, as a decision before the next open sees them.
    ends = market.dates.astype("datetime64[s]") + np.timedelta64(24, "h")
    kinds = [kind for kind, _ in Counter(text.kind for text in market.texts).most_common()]
    texts = [_texts(kind, [text for text in market.texts if text.kind == kind], ends) for kind in kinds]
    late = sum(1 for text in market.texts if text.known_at > ends[-1])
    return Coverage(market, gaps, moves, int((returns == 0).sum()), texts, late)


def _texts(kind: str, texts: Sequence[DatedText], ends: np.ndarray) -> TextCoverage:
    bars = np.searchsorted(ends, np.array([text.known_at for text in texts], dtype="datetime64[s]"), side="left")
    said = Counter(text.text.strip() for text in texts)
    empty = said.pop("", 0)
    lengths = np.array([len(text.text) for text in texts], dtype=np.int64)
    per_bar = np.bincount(bars, minlength=len(ends))[: len(ends)]
    return TextCoverage(kind, per_bar, lengths, said.total() - len(said), empty)
