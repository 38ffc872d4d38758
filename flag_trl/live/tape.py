"""What has become known of a symbol so far, growing bar by bar into the `MarketData` that observations are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from flag_trl.data import DatedText, Event, MarketData
from flag_trl.live.events import NewsItem, PriceBar, day_of, moment_of, nanoseconds

COLUMNS = ("open", "high", "low", "volume")


class Tape:
    """One symbol's past.

    Parameters
    ----------
    history : MarketData
        Bars and texts before the run; its calendar, session and events are those of the run.
    """

    def __init__(self, history: MarketData) -> None:
        self._like = replace(history, texts=())
        self._dates, self._closes = history.dates, history.close
        self._columns: dict[str, np.ndarray | None] = {name: getattr(history, name) for name in COLUMNS}
        self._texts = list(history.texts)
        self._market: MarketData | None = None

    def __len__(self) -> int:
        return len(self._closes)

    def add_bar(self, bar: PriceBar) -> PriceBar:
        """Take in a bar; what comes back says no more than is known of the bars before it."""
        date = moment_of(bar.ts).astype("datetime64[s]") if self._like.intraday else day_of(bar.ts)
        self._dates, self._closes = np.append(self._dates, date), np.append(self._closes, bar.close)
        for name, values in self._columns.items():
            if values is not None:
                self._columns[name] = np.append(values, getattr(bar, name))
        self._market = None
        unknown: dict[str, Any] = {name: None for name, values in self._columns.items() if values is None}
        return replace(bar, **unknown)

    def add_news(self, news: NewsItem) -> None:
        """Take in a text that has become known."""
        self._texts.append(DatedText(news.kind, news.text, moment_of(news.ts)))
        self._market = None

    def decided_at(self, after_close: bool) -> int:
        """When the last bar is decided on: the last moment whose texts the decision may use."""
        date = self._dates[-1].astype("datetime64[s]")
        return nanoseconds(date + self._like.decided_after(after_close))

    def market(self, context: tuple[MarketData, ...] = ()) -> MarketData:
        """All of it; nothing else is known to it, so nothing later can be looked at."""
        if self._market is None or self._market.context != context:
            known: dict[str, Any] = {"dates": self._dates, "close": self._closes, **self._columns}
            self._market = replace(self._like, texts=tuple(self._texts), context=context, **known)
        return self._market


def markets_of(
    tapes: Mapping[str, Tape], symbols: Sequence[str], context: Mapping[str, Sequence[str]]
) -> dict[str, MarketData]:
    """What is known of `symbols`, each with the markets beside it."""
    return {
        symbol: tapes[symbol].market(tuple(tapes[other].market() for other in context.get(symbol, ())))
        for symbol in symbols
    }


def head_of(market: MarketData) -> dict[str, Any]:
    """What of a market is no bar and no text, for JSON."""
    events = [(event.name, str(event.date), str(event.known_at)) for event in market.events]
    return {
        "periods_per_year": market.periods_per_year,
        "session_close_s": int(market.session_close / np.timedelta64(1, "s")),
        "intraday": market.intraday,
        "events": events,
    }


def history_rows(history: Mapping[str, MarketData]) -> dict[str, list[dict[str, Any]]]:
    """Markets before a run as rows of the journal; their texts are numbered below zero."""
    bars, news = [], []
    for symbol, market in history.items():
        closes = market.dates.astype("datetime64[s]") + market.decided_after(False)
        columns: dict[str, list[Any]] = {
            name: _listed(getattr(market, name)) or [None] * len(market) for name in COLUMNS
        }
        for bar, (moment, close) in enumerate(zip(closes, market.close.tolist(), strict=True)):
            row: dict[str, Any] = {name: values[bar] for name, values in columns.items()}
            bars.append({"symbol": symbol, "ts": nanoseconds(moment), "close": close, "history": 1, **row})
        for number, text in enumerate(market.texts, -len(market.texts)):
            row = {"kind": text.kind, "text": text.text, "number": number}
            news.append({"symbol": symbol, "ts": nanoseconds(text.known_at), **row})
    return {"bars": bars, "news": news}


def market_of(
    symbol: str, head: Mapping[str, Any], bars: Sequence[Mapping[str, Any]], news: Sequence[Mapping[str, Any]]
) -> MarketData:
    """A market from the journal's rows; what is not known of all bars is left out."""
    moments = [moment_of(row["ts"]).astype("datetime64[s]") for row in bars]
    dates = moments if head["intraday"] else [day_of(row["ts"]) for row in bars]
    values = {name: [row[name] for row in bars] for name in COLUMNS}
    columns: dict[str, Any] = {name: None if None in found else np.array(found) for name, found in values.items()}
    return MarketData(
        symbol,
        np.array(dates),
        np.array([row["close"] for row in bars]),
        **columns,
        texts=tuple(DatedText(row["kind"], row["text"], moment_of(row["ts"])) for row in news),
        events=tuple(Event(name, np.datetime64(date), np.datetime64(known)) for name, date, known in head["events"]),
        periods_per_year=head["periods_per_year"],
        session_close=np.timedelta64(head["session_close_s"], "s"),
    )


def _listed(values: np.ndarray | None) -> list[float] | None:
    return None if values is None else values.tolist()
