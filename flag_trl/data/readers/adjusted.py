"""Prices as traded beside an adjusted close, brought onto one scale."""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from flag_trl.data.errors import Offence
from flag_trl.data.validation import RawTable, checked_frame

if TYPE_CHECKING:
    import pandas as pd

AS_TRADED = ("open", "high", "low", "close")


def adjusted_frame(table: RawTable, adjusted: str, texts: Collection[str] = ()) -> "pd.DataFrame":
    """Check a table whose column `adjusted` holds the adjusted close, and make that the close.

    Where open, high, low and close stand beside it they are as traded, so the first three are multiplied by
    adjusted / close. Volume stays as traded.

    Parameters
    ----------
    table : RawTable
    adjusted : str
    texts : collection of str
        Columns that hold text.

    Raises
    ------
    DataError
        Listing all that is wrong.
    """
    bars = [name for name in AS_TRADED if name in table.columns]
    offences = list(table.offences)
    if bars and "close" not in bars:
        problem = f"missing beside {', '.join(bars)}; give the close as traded, their scale cannot be told without it"
        offences.append(Offence(table.file, "", "close", problem))
    known = ("date", adjusted, *AS_TRADED, "volume", *texts)
    frame = checked_frame(replace(table, offences=offences), adjusted, known, texts)
    if bars:
        ratio = frame[adjusted] / frame["close"]
        for name in bars:
            frame[name] *= ratio
    # Not ratio * close: the file's own digits are kept.
    frame["close"] = frame[adjusted]
    return frame.drop(columns=adjusted)
