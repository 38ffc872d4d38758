"""INVESTOR-BENCH's JSON: an object of days, each with a price and the day's texts."""

from typing import TYPE_CHECKING

from flag_trl.data.errors import Offence
from flag_trl.data.readers.adjusted import AS_TRADED, adjusted_frame
from flag_trl.data.readers.days import Pairs
from flag_trl.data.validation import RawTable

if TYPE_CHECKING:
    import pandas as pd

ADJUSTED_CLOSE = "prices"
TEXT_KEYS = ("news", "10k", "10q")
KEYS = (ADJUSTED_CLOSE, *AS_TRADED, "volume", *TEXT_KEYS)


def read_investorbench(file: str, days: Pairs) -> "pd.DataFrame":
    """Check days of `{"YYYY-MM-DD": {"prices": number, "news": [str], ...}}`.

    `prices`, the adjusted close, becomes close. Where open, high, low and close stand beside it they are as traded,
    and are brought onto its scale.

    Parameters
    ----------
    file : str
        What errors call it.
    days : Pairs
        From `parse_days`.

    Returns
    -------
    pandas.DataFrame
        Columns date, close and those of open, high, low, volume, news, 10k and 10q that the file has.

    Raises
    ------
    DataError
        Listing all that is wrong, each by file, date and key.
    """
    return adjusted_frame(_raw_table(file, days), ADJUSTED_CLOSE, TEXT_KEYS)


def _raw_table(file: str, days: Pairs) -> RawTable:
    offences: list[Offence] = []
    rows: list[dict[str, object]] = []
    unknown: dict[str, str] = {}
    for day, pairs in days:
        row: dict[str, object] = {}
        if not isinstance(pairs, Pairs):
            offences.append(Offence(file, day, "", 'is not an object; write {"prices": number, "news": [text]}'))
            pairs = Pairs()
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
