"""INVESTOR-BENCH's JSON: an object of days, each with a price and the day's texts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from flag_trl.data.errors import DataError, Offence
from flag_trl.data.validation import RawTable, checked_frame

if TYPE_CHECKING:
    import pandas as pd

ADJUSTED_CLOSE = "prices"
RAW_PRICES = ("open", "high", "low", "close")
TEXT_KEYS = ("news", "10k", "10q")
KEYS = (ADJUSTED_CLOSE, *RAW_PRICES, "volume", *TEXT_KEYS)


class _Pairs(list[tuple[str, object]]):
    """A JSON object as its pairs, so that a key that stands twice is not lost."""


def read_investorbench(path: Path) -> "pd.DataFrame":
    """Read and check a file of `{"YYYY-MM-DD": {"prices": number, "news": [str], ...}}`.

    `prices`, the adjusted close, becomes close. Where open, high, low and close stand beside it they are as traded, so
    the first three are multiplied by prices / close, which brings all onto the adjusted scale. Volume stays as traded.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    pandas.DataFrame
        Columns date, close and those of open, high, low, volume, news, 10k and 10q that the file has.

    Raises
    ------
    DataError
        Listing all that is wrong, each by file, date and key.
    """
    table = _raw_table(str(path), _parse(path))
    bars = [name for name in RAW_PRICES if name in table.columns]
    if bars and "close" not in bars:
        problem = f"missing beside {', '.join(bars)}; give the close as traded, their scale cannot be told without it"
        table.offences.append(Offence(table.file, "", "close", problem))
    frame = checked_frame(table, ADJUSTED_CLOSE, ("date", *KEYS), TEXT_KEYS)
    if bars:
        ratio = frame[ADJUSTED_CLOSE] / frame["close"]
        for name in bars:
            frame[name] *= ratio
    # Not ratio * close: the file's own digits are kept.
    frame["close"] = frame[ADJUSTED_CLOSE]
    return frame.drop(columns=ADJUSTED_CLOSE)


def _parse(path: Path) -> _Pairs:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; download or write it again")
    try:
        days = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}, column {error.colno}: the JSON is broken or cut off here ({error.msg}); "
            "download or write it again"
        ) from error
    if not isinstance(days, _Pairs):
        raise DataError(
            f'{path}: holds a {type(days).__name__}, not an object of days; write {{"YYYY-MM-DD": {{...}}}}'
        )
    return days


def _raw_table(file: str, days: _Pairs) -> RawTable:
    offences: list[Offence] = []
    rows: list[dict[str, object]] = []
    unknown: dict[str, str] = {}
    for day, pairs in days:
        row: dict[str, object] = {}
        if not isinstance(pairs, _Pairs):
            offences.append(Offence(file, day, "", 'is not an object; write {"prices": number, "news": [text]}'))
            pairs = _Pairs()
        for key, value in pairs:
            if key in row:
                offences.append(Offence(file, day, key, "stands twice; keep one"))
            if key not in KEYS:
                unknown.setdefault(key, day)
            row[key] = value
        rows.append(row)
    for key, day in unknown.items():
        problem = f"unknown key, first met here; rename it or leave it out, known are: {', '.join(KEYS)}"
        offences.append(Offence(file, day, key, problem))
    present = [key for key in KEYS if key == ADJUSTED_CLOSE or any(key in row for row in rows)]
    columns: dict[str, list[object]] = {"date": [day for day, _ in days]}
    columns |= {key: [row.get(key) for row in rows] for key in present}
    return RawTable(file, [day for day, _ in days], columns, offences)
