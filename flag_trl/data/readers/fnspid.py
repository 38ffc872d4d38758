"""FNSPID's layout (arXiv 2402.06698): a CSV of prices a symbol, and large CSVs of news of all symbols."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flag_trl.data.errors import DataError, shortened
from flag_trl.data.readers.adjusted import adjusted_frame
from flag_trl.data.readers.tables import read_csv
from flag_trl.data.readers.timed import TimedText, read_moment
from flag_trl.data.validation import RawTable

if TYPE_CHECKING:
    import pandas as pd

PRICES = "full_history"
NEWS_COLUMNS = ("date", "article_title", "stock_symbol")
BODIES = ("lsa_summary", "luhn_summary", "textrank_summary", "lexrank_summary", "article")
"""Where a text is taken from behind its title: the first that is not empty."""


def is_fnspid(folder: Path) -> bool:
    """Whether a folder holds FNSPID's unpacked prices."""
    return _prices(folder) is not None


def read_fnspid(folder: Path, symbol: str) -> "tuple[pd.DataFrame, Path, list[TimedText]]":
    """Read one symbol's bars, and its news with their moments.

    Every CSV below the folder whose header has Date, Article_title and Stock_symbol is news; files are read line by
    line, whatever their size. An item is its title and the first summary that it has. The same item in two files
    counts once.

    Returns
    -------
    frame, file, news

    Raises
    ------
    DataError
        Naming the file and line of what cannot be read, or the symbols that there are.
    """
    prices = _prices(folder)
    files = {file.stem.casefold(): file for file in sorted(prices.glob("*.csv"))} if prices else {}
    file = files.get(symbol.casefold())
    if file is None:
        found = shortened([file.stem for file in files.values()])
        raise DataError(f"{prices}: there is no {symbol}.csv; there are: {found}")
    tables = [path for path in sorted(folder.rglob("*.csv")) if path.parent != prices]
    news = dict.fromkeys(item for path in tables for item in _news(path, symbol))
    return adjusted_frame(_in_order(read_csv(file, symbol)), "adj close"), file, list(news)


def _prices(folder: Path) -> Path | None:
    return next((path for path in (folder / PRICES, folder / "Stock_price" / PRICES) if path.is_dir()), None)


def _in_order(table: RawTable) -> RawTable:
    """Rows in order of time: the published files begin with the latest."""
    order = sorted(range(len(table.rows)), key=lambda i: str(table.columns.get("date", table.rows)[i]))
    columns = {name: [cells[i] for i in order] for name, cells in table.columns.items()}
    return RawTable(table.file, [table.rows[i] for i in order], columns, table.offences)


def _news(file: Path, symbol: str) -> Iterator[TimedText]:
    csv.field_size_limit(sys.maxsize)  # Articles are longer than the module's own limit.
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines)
            header = [name.strip().casefold() for name in next(rows, [])]
            if not set(NEWS_COLUMNS) <= set(header):
                return
            for row in rows:
                cells = dict(zip(header, row, strict=False))
                if cells.get("stock_symbol", "").strip().casefold() != symbol.casefold():
                    continue
                place = f"{file}, line {rows.line_num}"
                if not set(NEWS_COLUMNS) <= set(cells):
                    raise DataError(f"{place}: has {len(row)} cells, the header has {len(header)}; download it again")
                yield _item(cells, place)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start} is not UTF-8; download it again") from error
    except csv.Error as error:
        raise DataError(f"{file}, line {rows.line_num}: cannot be read as CSV ({error}); download it again") from error


def _item(cells: dict[str, str], place: str) -> TimedText:
    title = cells["article_title"].strip()
    body = next((text for name in BODIES if (text := cells.get(name, "").strip())), "")
    text = f"{title.rstrip('.')}. {body}" if title and body else title or body
    return TimedText("news", text, read_moment(cells["date"], None, f"{place}, Date"))
