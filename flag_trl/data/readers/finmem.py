"""FinMem's data as JSON (its own files are pickles): days of records by kind and symbol.

`{"2022-01-03": {"price": {"TSLA": 399.9}, "news": {"TSLA": ["..."]}, "filing_k": {}, "filing_q": {}}}`
"""

from typing import TYPE_CHECKING

from flag_trl.data.errors import DataError, Offence, shortened
from flag_trl.data.readers.days import Pairs
from flag_trl.data.validation import RawTable, checked_frame

if TYPE_CHECKING:
    import pandas as pd

PRICE = "price"
COLUMN_OF = {PRICE: "close", "news": "news", "filing_k": "10k", "filing_q": "10q"}
TEXTS = ("news", "10k", "10q")


def is_finmem(days: Pairs) -> bool:
    """Whether the first day of a file has prices by symbol."""
    _, first = next(iter(days), ("", None))
    return isinstance(first, Pairs) and isinstance(dict(first).get(PRICE), Pairs)


def read_finmem(file: str, days: Pairs, symbol: str) -> "pd.DataFrame":
    """Check one symbol's days; one without a price of the symbol is left out.

    Raises
    ------
    DataError
        Listing all that is wrong, each by file, date and key.
    """
    rows: list[str] = []
    columns: dict[str, list[object]] = {column: [] for column in ("date", *COLUMN_OF.values())}
    offences: list[Offence] = []
    symbols: set[str] = set()
    for day, record in days:
        if not isinstance(record, Pairs):
            offences.append(Offence(file, day, "", 'is not an object; write {"price": {"SYMBOL": number}}'))
            continue
        offences += [
            Offence(file, day, key, f"unknown key; rename it or leave it out, known are: {', '.join(COLUMN_OF)}")
            for key, _ in record
            if key not in COLUMN_OF
        ]
        kinds = {key: dict(value) if isinstance(value, Pairs) else {} for key, value in record}
        symbols |= kinds.get(PRICE, {}).keys()
        if symbol not in kinds.get(PRICE, {}):
            continue
        rows.append(day)
        columns["date"].append(day)
        for key, column in COLUMN_OF.items():
            columns[column].append(kinds.get(key, {}).get(symbol))
    if not rows and not offences:
        raise DataError(f"{file}: there is no price of {symbol!r}; there are: {shortened(sorted(symbols))}")
    return checked_frame(RawTable(file, rows, columns, offences), "close", ("date", "close", *TEXTS), TEXTS)
