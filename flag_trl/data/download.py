"""Prices from Yahoo Finance by yfinance, kept as a file with a record of the query."""

import json
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flag_trl.data.dates import as_day
from flag_trl.data.errors import DataError

COLUMNS = ("open", "high", "low", "close", "volume")


def download(symbol: str, start: str, end: str, folder: Path) -> Path:
    """Fetch daily bars of a symbol, adjusted for splits and dividends, into ``<folder>/<symbol>.csv``.

    Beside it ``<symbol>.query.json`` says what was asked for, when, and of which version of yfinance: Yahoo changes
    past prices with every dividend, so a later download of the same days differs.

    Parameters
    ----------
    symbol : str
        As Yahoo writes it, such as ``MSFT`` or ``BTC-USD``.
    start, end : str
        First and last day, both included.
    folder : Path
        Made if it is not there. A file that is there is not replaced.

    Returns
    -------
    Path
        Of the CSV file, which `load_market` reads.

    Raises
    ------
    DataError
        If yfinance is not installed, Yahoo has no such bars or cannot be reached, or the file is there.
    """
    first, last = as_day(start), as_day(end)
    if find_spec("yfinance") is None:
        raise DataError("downloads need yfinance: pip install 'flag-trl[download]'")
    file = folder / f"{symbol}.csv"
    if file.exists():
        raise DataError(f"{file} is there already, with the query that made it beside it; remove it, or name a folder")
    import yfinance

    # Yahoo's end is the first day that is not wanted.
    query: dict[str, Any] = {"start": str(first), "end": str(last + 1), "interval": "1d", "auto_adjust": True}
    yfinance.config.debug.hide_exceptions = False
    asked = f"{symbol}, {first} to {last}"
    try:
        frame = yfinance.Ticker(symbol).history(**query)
    except Exception as error:  # Of many kinds, from the network to Yahoo's own answers.
        raise DataError(f"{asked}: Yahoo gave no bars ({error}); check symbol, days and network") from error
    if frame.empty:
        raise DataError(f"{asked}: Yahoo has no bars; check the symbol and the days")
    frame.columns = [str(name).casefold() for name in frame.columns]
    frame.index = [str(day.date()) for day in frame.index]
    folder.mkdir(parents=True, exist_ok=True)
    frame[list(COLUMNS)].to_csv(file, index_label="date")
    record = {
        "source": "Yahoo Finance",
        "symbol": symbol,
        **query,
        "rows": len(frame),
        "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
        "yfinance": yfinance.__version__,
    }
    file.with_name(f"{symbol}.query.json").write_text(json.dumps(record, indent=2) + "\n")
    return file
