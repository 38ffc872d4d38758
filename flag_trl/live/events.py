"""What reaches a live run from outside: bars, prices, news, halts, and moments at which nothing else happens.

Times are nanoseconds since 1970 on the exchange's own clock, as `MarketData` has them: 16:00 is the close in New York
whatever the season.
"""

from dataclasses import dataclass

import numpy as np

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


@dataclass(frozen=True)
class PriceBar:
    """A bar at its close.

    Attributes
    ----------
    symbol : str
    ts : int
        The close.
    close : float
    open, high, low, volume : float, optional
    opened : int, optional
        Moment of the open, where there is one.
    """

    symbol: str
    ts: int
    close: float
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float | None = None
    opened: int | None = None


@dataclass(frozen=True)
class NewsItem:
    """A text at the moment from which it counts as known."""

    symbol: str
    ts: int
    kind: str
    text: str


@dataclass(frozen=True)
class Quote:
    """A price at which the market stands, and the units that may be had there; None for any number."""

    symbol: str
    ts: int
    price: float
    size: float | None = None


@dataclass(frozen=True)
class Halt:
    """A symbol stops trading, or starts again."""

    symbol: str
    ts: int
    halted: bool


@dataclass(frozen=True)
class ClockTick:
    """Time has come this far; everything known by then has been told."""

    ts: int


@dataclass(frozen=True)
class FeedNotice:
    """Something of the feed that people should know: it goes into the journal, and nothing is made of it."""

    kind: str
    text: str

    @property
    def ts(self) -> int:
        """None of the market's moments; those begin later."""
        return 0


MarketEvent = PriceBar | NewsItem | Quote | Halt | ClockTick
FeedEvent = MarketEvent | FeedNotice


def nanoseconds(moment: np.datetime64) -> int:
    """Of a moment on the exchange's clock."""
    return int(moment.astype("datetime64[ns]").astype(np.int64))


def moment_of(ts: int) -> np.datetime64:
    """The moment, to the nanosecond."""
    return np.datetime64(ts, "ns")


def day_of(ts: int) -> np.datetime64:
    """The day, on the exchange's calendar; a close at midnight is the end of the day before it."""
    return np.datetime64(ts - 1, "ns").astype("datetime64[D]")
