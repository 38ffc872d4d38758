"""Checks of rows as a file gave them, every offence at once."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from flag_trl.data.dates import as_day
from flag_trl.data.errors import DataError, Offence

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

# Files round prices, and adjusting them rounds again: an open may stand this far, relatively, outside low to high.
RANGE_TOLERANCE = 1e-6

NUMBER = "is not a number; correct it, or leave the row out"
POSITIVE = "is not a finite price above zero; correct it, or leave the row out"


@dataclass(frozen=True)
class RawTable:
    """One symbol's rows, as read and not yet trusted.

    Attributes
    ----------
    file : str
        What errors call the source.
    rows : list of str
        Name of each row in errors: its date or its line number.
    columns : dict of str to list
        Cells of each column, one a row.
    offences : list of Offence
        What was found wrong while reading; reported together with what the checks find.
    """

    file: str
    rows: list[str]
    columns: dict[str, list[object]]
    offences: list[Offence] = field(default_factory=list)


def checked_frame(
    table: RawTable, close: str, known: Collection[str], text_columns: Collection[str]
) -> "pd.DataFrame":
    """Check a table and give its cells their types.

    Parameters
    ----------
    table : RawTable
    close : str
        The column that must hold the price of each row, beside "date".
    known : collection of str
        All columns that there may be.
    text_columns : collection of str
        Those of them that hold text: a string, a list of strings or nothing.

    Returns
    -------
    pandas.DataFrame
        date as datetime64[s], numbers as float64, texts as lists of str.

    Raises
    ------
    DataError
        Listing all that is wrong.
    """
    import pandas as pd
    from pandera.errors import SchemaErrors

    if not table.rows and not table.offences:
        raise DataError(f"{table.file}: holds no rows; give at least one day with a price")
    numbers = [name for name in known if name in table.columns and name not in (*text_columns, "date")]
    texts = [name for name in text_columns if name in table.columns]
    cells: dict[str, object] = dict(table.columns)
    if "date" in table.columns:
        cells["date"] = np.array([_day(cell) for cell in table.columns["date"]], dtype="datetime64[s]")
    cells |= {name: np.array([_number(cell) for cell in table.columns[name]], dtype=float) for name in numbers}
    cells |= {name: pd.Series([_items(cell) for cell in table.columns[name]], dtype=object) for name in texts}
    frame = pd.DataFrame(cells, index=range(len(table.rows)))
    try:
        _schema(frame, close, numbers, texts).validate(frame, lazy=True)
    except SchemaErrors as error:
        table.offences.extend(_offences(table, error.failure_cases, known))
    if table.offences:
        raise DataError.listing(table.offences)
    return frame


def _schema(frame: "pd.DataFrame", close: str, numbers: list[str], texts: list[str]) -> "pa.DataFrameSchema":
    import pandera.pandas as pa

    columns = {"date": pa.Column(nullable=True, checks=_date_checks()), close: pa.Column(nullable=True)}
    for name in numbers:
        checks = [pa.Check(lambda cells: cells.notna(), error=NUMBER, ignore_na=False)]
        if name == "volume":
            error = "is not a finite volume of zero or more; correct it, or leave the column out"
            checks.append(pa.Check(lambda cells: np.isfinite(cells) & (cells >= 0), error=error))
        else:
            checks.append(pa.Check(lambda cells: np.isfinite(cells) & (cells > 0), error=POSITIVE))
        checks.extend(_range_checks(name, frame))
        columns[name] = pa.Column(nullable=True, checks=checks)
    for name in texts:
        error = "is not text; give a string or a list of strings"
        all_text = pa.Check(lambda items: all(isinstance(item, str) for item in items), element_wise=True, error=error)
        columns[name] = pa.Column(nullable=True, checks=all_text)
    return pa.DataFrameSchema(columns, strict=True)


def _date_checks() -> "list[pa.Check]":
    import pandera.pandas as pa

    def in_order(dates: "pd.Series") -> "pd.Series":
        return ~(dates < dates.cummax().shift())

    return [
        pa.Check(lambda dates: dates.notna(), error="is not a date; write it as YYYY-MM-DD", ignore_na=False),
        pa.Check(in_order, error="is earlier than a row before it; sort the rows by date"),
        pa.Check(lambda dates: ~dates.duplicated(), error="stands in a row before; keep one row a day"),
    ]


def _range_checks(name: str, frame: "pd.DataFrame") -> "list[pa.Check]":
    """Bound a price by its row's high and low, where the table has them."""
    import pandera.pandas as pa

    # Closures over the frame, since a column's check sees its own cells only, and a check of whole rows would blame
    # every column of the row.
    def not_below_low(cells: "pd.Series") -> "pd.Series":
        return ~(cells < frame["low"] * (1 - RANGE_TOLERANCE))

    def not_above_high(cells: "pd.Series") -> "pd.Series":
        return ~(cells > frame["high"] * (1 + RANGE_TOLERANCE))

    checks = []
    if name in ("open", "high", "close") and "low" in frame:
        error = "is below the row's low; correct one of the two"
        checks.append(pa.Check(not_below_low, error=error, ignore_na=False))
    if name in ("open", "close") and "high" in frame:
        error = "is above the row's high; correct one of the two"
        checks.append(pa.Check(not_above_high, error=error, ignore_na=False))
    return checks


def _offences(table: RawTable, failures: "pd.DataFrame", known: Collection[str]) -> list[Offence]:
    """Name the place of each failure, in the order of the rows; failures of the whole table come first."""
    found: list[tuple[float, Offence]] = []
    for column, check, case, index in failures[["column", "check", "failure_case", "index"]].itertuples(index=False):
        if check == "column_in_dataframe":
            problem = f"there is no column {case!r}; add it, or rename one of: {', '.join(table.columns)}"
            found.append((-1, Offence(table.file, "", "", problem)))
        elif check == "column_in_schema":
            problem = f"unknown column {case!r}; rename it or leave it out, known are: {', '.join(known)}"
            found.append((-1, Offence(table.file, "", "", problem)))
        else:
            row = int(index)
            problem = f"{_shown(table.columns[column][row])} {check}"
            found.append((row, Offence(table.file, table.rows[row], str(column), problem)))
    return [offence for _, offence in sorted(found, key=lambda pair: pair[0])]


def _day(cell: object) -> np.datetime64:
    try:
        return as_day(cell)
    except DataError:
        return np.datetime64("NaT")


def _number(cell: object) -> float:
    # Python would read True as 1 and "1_000" as 1000.
    if isinstance(cell, bool | np.bool_) or (isinstance(cell, str) and "_" in cell):
        return math.nan
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _items(cell: object) -> list[object]:
    """Bring a text cell to a list; an empty cell and an empty string hold no text."""
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    # Not isinstance: a reader may hand an object that it keeps as a list of pairs.
    if type(cell) in (list, tuple):
        return [item for item in cell if item != ""]  # type: ignore[attr-defined]
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return []
    return [cell]


def _shown(cell: object) -> str:
    if cell is None or cell == "":
        return "an empty cell"
    if isinstance(cell, list):
        cell = next((item for item in cell if not isinstance(item, str)), cell)
    shown = repr(cell) if isinstance(cell, str) else str(cell)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
