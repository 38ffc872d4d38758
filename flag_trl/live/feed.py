"""Where a run's happenings come from: market data played again, or any source of bars and news as they arrive."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np

from flag_trl.data import MarketData
from flag_trl.data.market import WHOLE_DAY
from flag_trl.live.events import SECOND, Beat, Happening, NewsItem, PriceBar, Quote, nanoseconds

SESSION = 6 * 3600 * SECOND + 1800 * SECOND
"""From the open to the close of a stock exchange's day."""


class Feed(Protocol):
    """A source of happenings, those of one moment together, in order of time."""

    def moments(self) -> Iterator[list[Happening]]:
        """Moment by moment; a live source waits for the next one."""
        ...


@dataclass(frozen=True)
class ReplayFeed:
    """Market data of a period, as they became known.

    A bar with an open is a price at the open, its high and low in between, nearer to the open first, and the close;
    one without is the close alone. Behind each decision's moment there is a beat.

    Attributes
    ----------
    markets : mapping of str to MarketData
        Those that are traded, and those that are looked at beside them.
    start, end : numpy.datetime64
        First and last bar.
    after_close : bool
        Whether decisions fall at the day's end, and not at the close.
    """

    markets: Mapping[str, MarketData]
    start: np.datetime64
    end: np.datetime64
    after_close: bool

    @classmethod
    def of_period(
        cls, markets: Mapping[str, MarketData], start: np.datetime64, end: np.datetime64, fill: str
    ) -> "ReplayFeed":
        """The feed of a run; markets beside those traded come along."""
        beside = {other.symbol: other for market in markets.values() for other in market.context}
        return cls({**beside, **markets}, start, end, fill == "next_open")

    def history(self) -> dict[str, MarketData]:
        """What was known of each market before the first bar."""
        return {symbol: before(market, self.start, self.after_close) for symbol, market in self.markets.items()}

    def last_bar(self) -> int:
        """Moment of the last bar of the period, of whatever market."""
        ends = []
        for market in self.markets.values():
            first, stop = _bars(market, self.start, self.end)
            ends += [bar_moments(market, stop - 1, self.after_close)[0]] * (stop > first)
        return max(ends)

    def moments(self) -> Iterator[list[Happening]]:
        """All of the period, from the first close on."""
        streams = [self._stream(market) for market in self.markets.values()]
        merged = heapq.merge(*streams, key=lambda happening: happening.ts)
        for _, together in groupby(merged, key=lambda happening: happening.ts):
            moment = sorted(together, key=_order)
            # Several markets have one beat.
            beats = sum(isinstance(happening, Beat) for happening in moment)
            yield moment[: len(moment) - beats + 1] if beats else moment

    def _stream(self, market: MarketData) -> Iterator[Happening]:
        first, stop = _bars(market, self.start, self.end)
        happenings: list[Happening] = []
        for bar in range(first, stop):
            closed, decided = bar_moments(market, bar, self.after_close)
            row = _row(market, bar, closed)
            happenings += [*quotes_of(row, opening=bar > first), row, Beat(decided + 1)]
        known_from = bar_moments(market, first - 1, self.after_close)[1] if first else -(2**62)
        until = bar_moments(market, stop - 1, self.after_close)[1] if stop > first else known_from
        for text in market.texts:
            known = nanoseconds(text.known_at)
            if known_from < known <= until:
                happenings.append(NewsItem(market.symbol, known, text.kind, text.text))
        return iter(sorted(happenings, key=lambda happening: happening.ts))


def moments_of(bar: PriceBar) -> Iterator[list[Happening]]:
    """A bar that has come from somewhere as the moments it is made of; see `ReplayFeed`."""
    *earlier, close = quotes_of(bar, opening=True)
    for quote in earlier:
        yield [quote]
    yield [close, bar]
    yield [Beat(bar.ts + 1)]


def quotes_of(bar: PriceBar, opening: bool) -> list[Quote]:
    """The prices of a bar in order of time; without the earlier ones where the run begins with its close."""
    close = Quote(bar.symbol, bar.ts, bar.close, bar.volume)
    if bar.open is None or bar.opened is None or not opening:
        return [close]
    between = []
    if bar.high is not None and bar.low is not None:
        nearer = sorted((bar.high, bar.low), key=lambda price: abs(price - (bar.open or 0.0)))
        third = (bar.ts - bar.opened) // 3
        between = [Quote(bar.symbol, bar.opened + n * third, p, bar.volume) for n, p in enumerate(nearer, 1)]
    return [Quote(bar.symbol, bar.opened, bar.open, bar.volume), *between, close]


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
    return MarketData(
        market.symbol,
        view.dates,
        view.close,
        open=view.open,
        high=view.high,
        low=view.low,
        volume=view.volume,
        texts=view.known_texts,
        events=market.events,
        periods_per_year=market.periods_per_year,
        session_close=market.session_close,
        source=market.source,
    )


def _row(market: MarketData, bar: int, closed: int) -> PriceBar:
    columns = {name: getattr(market, name) for name in ("open", "high", "low", "volume")}
    values = {name: None if column is None else float(column[bar]) for name, column in columns.items()}
    opened = None if market.open is None else closed - _session(market)
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


def _order(happening: Happening) -> tuple[int, str]:
    """Within a moment: what is known, then prices, then bars; a beat last."""
    kinds = (NewsItem, Quote, PriceBar, Beat)
    kind = next((place for place, kind in enumerate(kinds) if isinstance(happening, kind)), -1)
    return kind, getattr(happening, "symbol", "")
