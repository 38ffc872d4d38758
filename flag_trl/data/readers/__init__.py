"""Readers of market data: the bundled sample, files of several layouts, Hugging Face datasets."""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from flag_trl.data.errors import DataError, shortened
from flag_trl.data.market import MarketData
from flag_trl.data.readers.assemble import TextKnown, assemble
from flag_trl.data.readers.days import parse_days
from flag_trl.data.readers.finmem import is_finmem, read_finmem
from flag_trl.data.readers.fnspid import is_fnspid, read_fnspid
from flag_trl.data.readers.hub import SAVED_MARKS, load_published, load_saved
from flag_trl.data.readers.investorbench import TEXT_KEYS, read_investorbench
from flag_trl.data.readers.sample import SAMPLE, read_sample, sample_symbols
from flag_trl.data.readers.stocknet import is_stocknet, read_stocknet
from flag_trl.data.readers.tables import SYMBOL, TEXT_COLUMNS, check_rows, read_csv, read_dataset, read_parquet
from flag_trl.data.readers.timed import TimedText

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".json", ".csv", ".parquet")
# Column to kind of text. The two schemas do not clash: a table's text column simply holds news.
KINDS = {key: key for key in TEXT_KEYS} | {column: "news" for column in TEXT_COLUMNS}

__all__ = ["TextKnown", "load_market", "sample_symbols"]


def load_market(
    source: str,
    symbol: str,
    *,
    text_known: TextKnown = "after_close",
    filings_known: TextKnown = "after_close",
    periods_per_year: int = 252,
) -> MarketData:
    """Read one symbol's market, and check every row of it.

    Parameters
    ----------
    source : str
        One of

        - "sample": adjusted closes of 20 S&P 500 stocks, 1990 to 2022, shipped with skfolio; no network.
        - A ``.json`` file in INVESTOR-BENCH's schema. Its `prices`, the adjusted close, is the market's close; open,
          high and low, as traded in the file, are brought onto the adjusted scale. Or FinMem's data as JSON, days of
          `price`, `news`, `filing_k` and `filing_q` by symbol.
        - A ``.csv`` or ``.parquet`` file with one row a bar: date and close, optionally open, high, low, volume, text
          or news, and symbol, by which rows are then chosen; the header in any case. All prices of a row must stand on
          one scale.
        - A folder that holds `<symbol>.json`, `.csv` or `.parquet` (in any case), a dataset written by
          `save_to_disk`, or CSV or Parquet files with a symbol column; or StockNet's or FNSPID's own folder, whose
          texts have times.
        - The id of a dataset on the Hugging Face Hub, with rows as in the CSV file and a single split.
    symbol : str
    text_known, filings_known : {"after_close", "before_open", "timestamp"}
        From when a day's news, and its 10-K and 10-Q, count as known: one second after its close, its first moment,
        or, of news that have one, their own.
    periods_per_year : int
        Bars in a year; with 365, which means trading on every day, the session closes at midnight, else at 16:00.

    Returns
    -------
    MarketData

    Raises
    ------
    DataError
        Naming all that is wrong with the data, each by file, row and column.
    ValueError
        If one of the two is none of these words.
    """
    for name, given in (("text_known", text_known), ("filings_known", filings_known)):
        if given not in get_args(TextKnown):
            raise ValueError(f"{name} is {given!r}; give one of {', '.join(get_args(TextKnown))}")
    frame, name, timed = _read(source, symbol)
    return assemble(
        frame,
        symbol,
        name,
        kinds=KINDS,
        timed=timed,
        text_known=text_known,
        filings_known=filings_known,
        periods_per_year=periods_per_year,
    )


def _read(source: str, symbol: str) -> "tuple[pd.DataFrame, str, list[TimedText]]":
    path = Path(source).expanduser()
    for is_layout, read in ((is_stocknet, read_stocknet), (is_fnspid, read_fnspid)):
        if path.is_dir() and is_layout(path):
            frame, file, timed = read(path, symbol)
            return frame, str(file), timed
    return (*_read_dated(source, path, symbol), [])


def _read_dated(source: str, path: Path, symbol: str) -> "tuple[pd.DataFrame, str]":
    if source == SAMPLE:
        table = read_sample(symbol)
        return check_rows(table), table.file
    if path.is_file():
        return _read_file(path, symbol), str(path)
    if path.is_dir():
        return _read_folder(path, symbol)
    # What can only be a path must not be looked for on the Hub.
    if path.suffix.casefold() in SUFFIXES or path.is_absolute() or source.startswith(".") or len(path.parts) > 2:
        raise DataError(f"{source}: there is no such file or folder; check the path")
    return check_rows(read_dataset(load_published(source), source, symbol)), source


def _read_file(path: Path, symbol: str) -> "pd.DataFrame":
    suffix = path.suffix.casefold()
    if suffix == ".json":
        days = parse_days(path)
        return read_finmem(str(path), days, symbol) if is_finmem(days) else read_investorbench(str(path), days)
    if suffix == ".csv":
        return check_rows(read_csv(path, symbol))
    if suffix == ".parquet":
        return check_rows(read_parquet(path, symbol))
    raise DataError(f"{path}: the kind of file is unknown; give one that ends with {', '.join(SUFFIXES)}")


def _read_folder(folder: Path, symbol: str) -> "tuple[pd.DataFrame, str]":
    files = [file for file in sorted(folder.iterdir()) if file.suffix.casefold() in SUFFIXES]
    for file in files:
        if file.stem.casefold() == symbol.casefold():
            return _read_file(file, symbol), str(file)
    if any((folder / mark).is_file() for mark in SAVED_MARKS):
        return check_rows(read_dataset(load_saved(folder), str(folder), symbol)), str(folder)
    if any(next(folder.rglob(f"*{suffix}"), None) for suffix in SUFFIXES if suffix != ".json"):
        dataset = load_published(str(folder))
        # Without the column, any symbol would be given the same rows.
        if not any(name.strip().casefold() == SYMBOL for name in dataset.column_names):
            raise DataError(f"{folder}: has no {symbol}.csv or .parquet, and its tables no column {SYMBOL}; add it")
        return check_rows(read_dataset(dataset, str(folder), symbol)), str(folder)
    found = shortened([file.stem for file in files])
    raise DataError(f"{folder}: there is no {symbol}.json, .csv or .parquet; there are: {found}")
