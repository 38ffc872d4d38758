"""Tables with one row a bar: CSV and Parquet files, Hugging Face datasets."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flag_trl.data.errors import DataError, Offence, shortened
from flag_trl.data.validation import RawTable, checked_frame

if TYPE_CHECKING:
    import datasets
    import pandas as pd

TEXT_COLUMNS = ("text", "news")
COLUMNS = ("date", "open", "high", "low", "close", "volume", *TEXT_COLUMNS)
SYMBOL = "symbol"


def check_rows(table: RawTable) -> "pd.DataFrame":
    """Check rows of the columns date and close, and optionally open, high, low, volume, text and news.

    Prices are taken as they stand: all of a row must be on one scale. Raises `DataError` listing all that is wrong.
    """
    return checked_frame(table, "close", COLUMNS, TEXT_COLUMNS)


def read_csv(path: Path, symbol: str) -> RawTable:
    """Read one symbol's rows of a CSV file; errors name rows by line, the header being line 1."""
    return _select(csv_columns(path), symbol)


def csv_columns(path: Path) -> RawTable:
    """All cells of a CSV file by column, the header in lower case; `DataError` where it cannot be read."""
    file = str(path)
    cells: list[list[str]] = []
    rows: list[str] = []
    offences: list[Offence] = []
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            line = reader.line_num + 1
            for row in reader:
                # A quoted text may span lines: a row is named by its first.
                if row and len(row) != len(header):
                    problem = f"has {len(row)} cells, the header has {len(header)}; quote cells that hold commas"
                    offences.append(Offence(file, f"line {line}", "", problem))
                elif row:
                    cells.append(row)
                    rows.append(f"line {line}")
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except csv.Error as error:
        raise DataError(
            f"{file}, line {line}: cannot be read as CSV ({error}); close the quotes of its cells"
        ) from error
    if not header:
        raise DataError(f"{file}: the file is empty; download or write it again")
    columns: dict[str, list[object]] = _lower_case(
        file, header, [[row[i] for row in cells] for i in range(len(header))]
    )
    return RawTable(file, rows, columns, offences)


def read_parquet(path: Path, symbol: str) -> RawTable:
    """Read one symbol's rows of a Parquet file; errors count rows from 1."""
    import pandas as pd

    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; download or write it again")
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}); download or write it again") from error
    if frame.index.name is not None:
        frame = frame.reset_index()
    header = [str(name) for name in frame.columns]
    absent = frame.isna().to_numpy()
    cells = [
        [None if missing else cell for cell, missing in zip(frame.iloc[:, i].tolist(), absent[:, i], strict=True)]
        for i in range(len(header))
    ]
    columns = _lower_case(str(path), header, cells)
    return _select(RawTable(str(path), [f"row {i + 1}" for i in range(len(frame))], columns), symbol)


def read_dataset(dataset: "datasets.Dataset", name: str, symbol: str) -> RawTable:
    """Take one symbol's rows of a Hugging Face dataset; errors count rows from 1."""
    header = dataset.column_names
    plain = dataset.with_format(None)
    columns = _lower_case(name, header, [list(plain[column]) for column in header])
    return _select(RawTable(name, [f"row {i + 1}" for i in range(len(plain))], columns), symbol)


def _lower_case(file: str, header: Sequence[str], cells: Sequence[Sequence[object]]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {}
    for name, column in zip(header, cells, strict=True):
        key = name.strip().casefold()
        if key in columns:
            raise DataError(f"{file}, header: the column {key!r} stands twice; keep one (case is ignored)")
        columns[key] = list(column)
    return columns


def _select(table: RawTable, symbol: str) -> RawTable:
    """Keep the symbol's rows, where there is a symbol column."""
    if SYMBOL not in table.columns:
        return table
    names = [str(name or "").strip() for name in table.columns[SYMBOL]]
    kept = [i for i, name in enumerate(names) if name.casefold() == symbol.casefold()]
    if not kept:
        found = shortened(sorted(set(names)))
        raise DataError(f"{table.file}, column {SYMBOL}: there is no {symbol!r}; there are: {found}")
    offences = [
        Offence(table.file, table.rows[i], SYMBOL, "an empty cell; name the row's symbol")
        for i, name in enumerate(names)
        if not name
    ]
    columns = {name: [cells[i] for i in kept] for name, cells in table.columns.items() if name != SYMBOL}
    return RawTable(table.file, [table.rows[i] for i in kept], columns, table.offences + offences)
