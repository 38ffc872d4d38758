"""Days: one strict way from what users and files write to `numpy.datetime64[D]`."""

from datetime import date, datetime

import numpy as np

from flag_trl.data.errors import DataError

DateLike = str | date | np.datetime64


def as_day(value: object) -> np.datetime64:
    """Turn a date as written into a day.

    Parameters
    ----------
    value : str, date, datetime or numpy.datetime64
        Text is read as ISO 8601 and must name a full day: "2021-05" is refused, since it would silently mean the first
        of May. Of a moment, the day as written is kept, whatever its time zone.

    Returns
    -------
    numpy.datetime64
        With unit day.

    Raises
    ------
    DataError
        If the value names no day.
    """
    try:
        if isinstance(value, str):
            return np.datetime64(datetime.fromisoformat(value.strip()).date(), "D")
        if isinstance(value, np.datetime64):
            # `Y` and `M` would widen to the first day of the year or month.
            if np.datetime_data(value.dtype)[0] not in ("Y", "M", "W", "generic") and not np.isnat(value):
                return value.astype("datetime64[D]")
        # A missing pandas timestamp calls itself a datetime but is unequal to itself.
        elif isinstance(value, date) and value == value:
            return np.datetime64(date(value.year, value.month, value.day), "D")
    except ValueError:
        pass
    raise DataError(f"{value!r} is not a date; write it as YYYY-MM-DD")
