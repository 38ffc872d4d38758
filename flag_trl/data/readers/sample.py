"""The sample: adjusted closes of 20 S&P 500 stocks, 1990 to 2022, which skfolio ships."""

import csv
import gzip
from importlib.util import find_spec
from pathlib import Path

from flag_trl.data.errors import DataError
from flag_trl.data.validation import RawTable

SAMPLE = "sample"


def sample_symbols() -> tuple[str, ...]:
    """Name the symbols of the sample.

    Returns
    -------
    tuple of str

    Raises
    ------
    DataError
        If skfolio is not installed.
    """
    with gzip.open(_sample_file(), "rt", encoding="utf-8", newline="") as lines:
        return tuple(next(csv.reader(lines))[1:])


def read_sample(symbol: str) -> RawTable:
    """Read one symbol of the sample: its dates and closes.

    Raises
    ------
    DataError
        If skfolio is not installed or the sample has no such symbol.
    """
    symbols = sample_symbols()
    if symbol not in symbols:
        raise DataError(f"{SAMPLE}: there is no symbol {symbol!r}; there are: {', '.join(symbols)}")
    column = symbols.index(symbol) + 1
    file = _sample_file()
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    columns: dict[str, list[object]] = {"date": [row[0] for row in rows], "close": [row[column] for row in rows]}
    return RawTable(f"skfolio/{file.name}", [f"line {number}" for number in range(2, len(rows) + 2)], columns)


def _sample_file() -> Path:
    # Finding the top-level package runs none of its code; importing skfolio takes seconds.
    spec = find_spec("skfolio")
    for folder in spec.submodule_search_locations or () if spec else ():
        file = Path(folder) / "datasets" / "data" / "sp500_dataset.csv.gz"
        if file.is_file():
            return file
    raise DataError(f"{SAMPLE}: the data ship with skfolio, which is not installed; pip install 'flag-trl[eval]'")
