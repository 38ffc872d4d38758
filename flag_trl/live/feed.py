"""Where a run's events come from: market data played again, or any source of bars and news as they arrive."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

import numpy as np

from flag_trl.data import DataError, MarketData
from flag_trl.data.market import WHOLE_DAY
from flag_trl.live.events import SECOND, ClockTick, FeedEvent, NewsItem, PriceBar, Quote, nanoseconds
from flag_trl.live.tape import COLUMNS

SESSION = 6 * 3600 * SECOND + 1800 * SECOND
"""From the open to the close of a stock exchange's day."""


class FeedError(Exception):
    """A feed has ended by itself, before anybody wanted it to."""


class Feed(Protocol):
    """A source of events, those of one moment together, in order of time."""

    def moments(self) -> Iterator[list[FeedEvent]]:
        """Moment by moment; a live source waits for the next one."""
        ...


@dataclass(frozen=True)
class ReplayFeed:
    """Market data of a period, as they became known.

    A bar with an open is a price at the open, its high and low in between, nearer to the open first, and the close;
    one without is the close alone. Behind each decision's moment there is a tick.

    Attributes
    ----------
    markets : mapping of str to MarketData
        Those that are traded, and those that are looked at beside them.
    start, end : numpy.datetime64
        First and last bar.
    after_close : bool
        Whether decisions fall at the day's end, and not at the close.
    traded : tuple of str
        Those that are traded.
    """

    markets: Mapping[str, MarketData]
    start: np.datetime64
    end: np.datetime64
    after_close: bool
    traded: tuple[str, ...]

    @classmethod
    def of_period(
        cls, markets: Mapping[str, MarketData], start: np.datetime64, end: np.datetime64, fill: str
    ) -> "ReplayFeed":
        """The feed of a run; markets beside those traded come along.

        Raises
        ------
        DataError
            If orders shall fill at opens that a market does not have.
        """
        without = sorted(symbol for symbol, market in markets.items() if market.open is None)
        if fill == "next_open" and without:
            raise DataError(
                f"{', '.join(without)} has closes but no opens, so nothing can fill at the next open; choose fill: "
                "same_close, or data with opens"
            )
        beside = {other.symbol: other for market in markets.values() for other in market.context}
        return cls({**beside, **markets}, start, end, fill == "next_open", tuple(sorted(markets)))

    def history(self) -> dict[str, MarketData]:
        """What was known of each market before the first bar."""
        return {symbol: before(market, self.start, self.after_close) for symbol, market in self.markets.items()}

    def context(self) -> dict[str, list[str]]:
        """By traded symbol, the markets beside it."""
        return {symbol: [other.symbol for other in self.markets[symbol].context] for symbol in self.traded}

    def last_bar(self) -> int:
        """Moment of the last bar of the period, of whatever market that is traded."""
        ends = []
        for market in (self.markets[symbol] for symbol in self.traded):
            first, stop = _bars(market, self.start, self.end)
            ends += [bar_moments(market, stop - 1, self.after_close)[0]] * (stop > first)
        return max(ends)

    def moments(self) -> Iterator[list[FeedEvent]]:
        """All of the period, from the first close on."""
        streams = [self._stream(market) for market in self.markets.values()]
        merged = heapq.merge(*streams, key=lambda event: event.ts)
        for _, together in groupby(merged, key=lambda event: event.ts):
            moment = sorted(together, key=_order)
            # Several markets have one tick.
            ticks = sum(isinstance(event, ClockTick) for event in moment)
            yield moment[: len(moment) - ticks + 1] if ticks else moment

    def _stream(self, market: MarketData) -> Iterator[FeedEvent]:
        first, stop = _bars(market, self.start, self.end)
        events: list[FeedEvent] = []
        session = _session(market)
        for bar in range(first, stop):
            closed, decided = bar_moments(market, bar, self.after_close)
            row = _row(market, bar, closed, session)
            events += [*quotes_of(row, opening=bar > first), row, ClockTick(decided + 1)]
        known_from = bar_moments(market, first - 1, self.after_close)[1] if first else -(2**62)
        until = bar_moments(market, stop - 1, self.after_close)[1] if stop > first else known_from
        for text in market.texts:
            known = nanoseconds(text.known_at)
            if known_from < known <= until:
                events.append(NewsItem(market.symbol, known, text.kind, text.text))
        return iter(sorted(events, key=lambda event: event.ts))


def moments_of(bars: Sequence[PriceBar], beside: Sequence[FeedEvent] = ()) -> Iterator[list[FeedEvent]]:
    """Bars of one close that have come from somewhere as the moments they are made of; see `ReplayFeed`.

    Parameters
    ----------
    bars : sequence of PriceBar
    beside : sequence of FeedEvent
        What else happened up to their close.
    """
    events: list[FeedEvent] = [*beside, ClockTick(bars[0].ts + 1)]
    for bar in bars:
        events += [*quotes_of(bar, opening=True), bar]
    for _, together in groupby(sorted(events, key=lambda each: each.ts), key=lambda each: each.ts):
        yield sorted(together, key=_order)


def quotes_of(bar: PriceBar, opening: bool) -> list[Quote]:
    """The prices of a bar in order of time; without the earlier ones where the run begins with its close."""
    prices = [(bar.ts, bar.close)]
    if bar.open is not None and bar.opened is not None:
        between: list[float] = []
        if bar.high is not None and bar.low is not None:
            between = sorted((bar.high, bar.low), key=lambda price: abs(price - (bar.open or 0.0)))
        third = (bar.ts - bar.opened) // 3
        earlier = [(bar.opened, bar.open), *((bar.opened + n * third, p) for n, p in enumerate(between, 1))]
        prices = [*earlier, *prices]
    # At each price a part of what was traded could be had.
    size = None if bar.volume is None else bar.volume / len(prices)
    return [Quote(bar.symbol, ts, price, size) for ts, price in prices][0 if opening else -1 :]


def bar_moments(market: MarketData, bar: int, after_close: bool) -> tuple[int, int]:
    """When a bar closes, and when it is decided on: when the last text that the decision may use is known."""
    date = market.dates[bar].astype("datetime64[s]")
    return nanoseconds(date + market.decided_after(False)), nanoseconds(date + market.decided_after(after_close))


def before(market: MarketData, start: np.datetime64, after_close: bool) -> MarketData:
    """A market as it was known at the decision of the last bar before `start`."""
    first = int(np.searchsorted(market.dates, start, side="left"))
    if not first:
        raise ValueError(
            f"{market.symbol}: its first bar is the run's; start later, so that there is a past to look at"
        )
    view = market.as_of(first - 1, after_close=after_close)
    known: dict[str, Any] = {name: getattr(view, name) for name in ("dates", "close", *COLUMNS)}
    return replace(market, texts=view.known_texts, context=(), **known)


def _row(market: MarketData, bar: int, closed: int, session: int) -> PriceBar:
    columns = {name: getattr(market, name) for name in COLUMNS}
    values = {name: None if column is None else float(column[bar]) for name, column in columns.items()}
    opened = None if market.open is None else closed - session
    return PriceBar(market.symbol, closed, float(market.close[bar]), **values, opened=opened)


def _session(market: MarketData) -> int:
    """From a bar's open to its close; what trades around the clock opens a second after it has closed."""
    if not market.intraday and market.session_close < WHOLE_DAY:
        return SESSION
    shortest = np.diff(market.dates[:2000]).min() if len(market) > 1 else np.timedelta64(1, "D")
    return int(shortest / np.timedelta64(1, "s")) * SECOND - SECOND


def _bars(market: MarketData, start: np.datetime64, end: np.datetime64) -> tuple[int, int]:
    return int(np.searchsorted(market.dates, start, side="left")), int(
        np.searchsorted(market.dates, end, side="right")
    )


def _order(event: FeedEvent) -> tuple[int, str]:
    """Within a moment: what is known, then prices, then bars; a tick last."""
    kinds = (NewsItem, Quote, PriceBar, ClockTick)
    kind = next((place for place, kind in enumerate(kinds) if isinstance(event, kind)), -1)
    return kind, getattr(event, "symbol", "")
