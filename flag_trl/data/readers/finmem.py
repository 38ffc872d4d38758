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
    """Check one symbol's days; texts of a day without a price of the symbol count as those of the next that has one.

    Raises
    ------
    DataError
        Listing all that is wrong, each by file, date and key.
    """
    rows: list[str] = []
    columns: dict[str, list[object]] = {column: [] for column in ("date", *COLUMN_OF.values())}
    waiting: dict[str, list[object]] = {column: [] for column in TEXTS}
    offences: list[Offence] = []
    symbols: set[str] = set()
    for day, record in days:
        own, wrong = _own(file, day, record, symbol)
        offences += wrong
        symbols |= _symbols(record)
        for column in TEXTS:
            waiting[column] += own.get(column, [])
        if "close" not in own:
            continue
        rows.append(day)
        columns["date"].append(day)
        columns["close"] += own["close"]
        for column in TEXTS:
            columns[column].append(waiting[column])
            waiting[column] = []
    if not rows and not offences:
        raise DataError(f"{file}: there is no price of {symbol!r}; there are: {shortened(sorted(symbols))}")
    return checked_frame(RawTable(file, rows, columns, offences), "close", ("date", "close", *TEXTS), TEXTS)


def _symbols(record: object) -> set[str]:
    """Those that have a price in a day's record."""
    prices = dict(record).get(PRICE) if isinstance(record, Pairs) else None
    return {name for name, _ in prices} if isinstance(prices, Pairs) else set()


def _own(file: str, day: str, record: object, symbol: str) -> tuple[dict[str, list[object]], list[Offence]]:
    """What a day's record says of a symbol, by column, and what is wrong with it."""
    if not isinstance(record, Pairs):
        return {}, [Offence(file, day, "", 'is not an object; write {"price": {"SYMBOL": number}}')]
    found: dict[str, list[object]] = {}
    offences: list[Offence] = []
    for key, value in record:
        if key not in COLUMN_OF:
            known = ", ".join(COLUMN_OF)
            offences.append(Offence(file, day, key, f"unknown key; rename it or leave it out, known are: {known}"))
        elif not isinstance(value, Pairs):
            if value:
                offences.append(Offence(file, day, key, 'is not by symbol; write {"SYMBOL": ...}'))
        else:
            own = [given for name, given in value if name.casefold() == symbol.casefold() and given is not None]
            if len(own) > 1 and key == PRICE:
                offences.append(Offence(file, day, f"{key}, {symbol}", "stands twice; keep one"))
            if own:
                texts = [text for given in own for text in (given if isinstance(given, list) else [given])]
                found[COLUMN_OF[key]] = own[:1] if key == PRICE else texts
    return found, offences
