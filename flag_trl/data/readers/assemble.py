"""From a checked table to `MarketData`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from flag_trl.data.errors import DataError
from flag_trl.data.market import STOCK_SESSION_CLOSE, WHOLE_DAY, MarketData
from flag_trl.data.readers.timed import EXCHANGE, UTC, TimedText
from flag_trl.data.texts import FILINGS, DatedText

if TYPE_CHECKING:
    import pandas as pd

TextKnown = Literal["after_close", "before_open", "timestamp"]

EVERY_DAY = 365


def assemble(
    frame: "pd.DataFrame",
    symbol: str,
    source: str,
    *,
    kinds: Mapping[str, str],
    timed: Sequence[TimedText] = (),
    text_known: TextKnown,
    filings_known: TextKnown,
    periods_per_year: int,
) -> MarketData:
    """Build a market from checked rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns date and close, optionally open, high, low and volume, and text columns holding lists of str.
    symbol, source : str
    kinds : mapping of str to str
        Text column to the kind of its texts.
    timed : sequence of TimedText
        Texts that have a moment of their own; none of them is a filing.
    text_known, filings_known : {"after_close", "before_open", "timestamp"}
        Whether a day's news, and its 10-K and 10-Q, count as known one second after its close, from its first
        moment, or, news with a moment of their own, from that moment on.
    periods_per_year : int
        With 365 the session closes at the day's end, and days are those of UTC; else those of New York.

    Returns
    -------
    MarketData

    Raises
    ------
    DataError
        If texts shall be known by their timestamp and have none.
    """
    every_day = periods_per_year == EVERY_DAY
    session_close = WHOLE_DAY if every_day else STOCK_SESSION_CLOSE
    rules = {kind: filings_known if kind in FILINGS else text_known for kind in (*kinds.values(), "news")}
    dated = {column: kind for column, kind in kinds.items() if column in frame and frame[column].map(len).any()}
    without = sorted({kind for kind in dated.values() if rules[kind] == "timestamp"})
    if without:
        raise DataError(
            f"{source}: {', '.join(without)} have dates and no times of day, so that nothing is known by its "
            "timestamp; give after_close, or before_open where that is what happened"
        )
    delays = {"after_close": session_close + np.timedelta64(1, "s"), "before_open": np.timedelta64(0, "s")}
    days = frame["date"].to_numpy("datetime64[s]")
    texts = [
        DatedText(kind, text, moment)
        for column, kind in dated.items()
        for moment, items in zip(days + delays[rules[kind]], frame[column], strict=True)
        for text in items
    ]
    zone = UTC if every_day else EXCHANGE
    for item in timed:
        moment, rule = item.local(zone), text_known
        if rule == "timestamp" and not item.has_time:
            rule = "after_close"
        if rule != "timestamp":
            moment = moment.astype("datetime64[D]") + delays[rule]
        texts.append(DatedText(item.kind, item.text, moment))
    bars = {name: frame[name].to_numpy() if name in frame else None for name in ("open", "high", "low", "volume")}
    return MarketData(
        symbol=symbol,
        dates=frame["date"].to_numpy("datetime64[D]"),
        close=frame["close"].to_numpy(),
        texts=tuple(texts),
        periods_per_year=periods_per_year,
        session_close=session_close,
        source=source,
        open=bars["open"],
        high=bars["high"],
        low=bars["low"],
        volume=bars["volume"],
    )
