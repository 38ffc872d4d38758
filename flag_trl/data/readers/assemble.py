"""From a checked table to `MarketData`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from flag_trl.data.market import STOCK_SESSION_CLOSE, WHOLE_DAY, MarketData
from flag_trl.data.texts import FILINGS, DatedText

if TYPE_CHECKING:
    import pandas as pd

TextKnown = Literal["after_close", "before_open"]

EVERY_DAY = 365


def assemble(
    frame: "pd.DataFrame",
    symbol: str,
    source: str,
    *,
    kinds: Mapping[str, str],
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
    text_known, filings_known : {"after_close", "before_open"}
        Whether a day's news, and its 10-K and 10-Q, count as known one second after its close, or from its first
        moment.
    periods_per_year : int
        With 365 the session closes at the day's end.

    Returns
    -------
    MarketData
    """
    session_close = WHOLE_DAY if periods_per_year == EVERY_DAY else STOCK_SESSION_CLOSE
    days = frame["date"].to_numpy("datetime64[s]")
    delays = {"after_close": session_close + np.timedelta64(1, "s"), "before_open": np.timedelta64(0, "s")}
    texts = [
        DatedText(kind, text, moment)
        for column, kind in kinds.items()
        if column in frame
        for moment, items in zip(
            days + delays[filings_known if kind in FILINGS else text_known], frame[column], strict=True
        )
        for text in items
    ]
    bars = {name: frame[name].to_numpy() for name in ("open", "high", "low", "volume") if name in frame}
    return MarketData(
        symbol=symbol,
        dates=frame["date"].to_numpy("datetime64[D]"),
        close=frame["close"].to_numpy(),
        texts=tuple(texts),
        periods_per_year=periods_per_year,
        session_close=session_close,
        source=source,
        **bars,
    )
