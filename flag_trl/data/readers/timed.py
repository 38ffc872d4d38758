"""Texts that come with the moment at which they were published."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from flag_trl.data.errors import DataError

EXCHANGE = ZoneInfo("America/New_York")
UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class TimedText:
    """A text with its moment.

    Attributes
    ----------
    kind : str
    text : str
    moment : datetime.datetime
        With a time zone.
    """

    kind: str
    text: str
    moment: datetime

    @property
    def has_time(self) -> bool:
        """Whether the moment says more than the day: midnight in UTC is what sources write that have the day alone."""
        own = self.moment.astimezone(UTC)
        return (own.hour, own.minute, own.second) != (0, 0, 0)

    def local(self, zone: ZoneInfo) -> np.datetime64:
        """The moment on the exchange's clock, to the second; of a text without a time its day in UTC."""
        own = self.moment.astimezone(zone if self.has_time else UTC)
        # A fraction of a second more, not less: cutting it off would make the text known before it was.
        rounded = np.datetime64(own.replace(tzinfo=None, microsecond=0), "s")
        return rounded + np.timedelta64(1, "s") if own.microsecond else rounded


def read_moment(text: str, form: str | None, place: str) -> datetime:
    """A moment as a file writes it; without a time zone it counts as UTC.

    Parameters
    ----------
    text : str
    form : str, optional
        As `datetime.strptime` takes it; by default ISO 8601, with or without ``UTC`` behind it.
    place : str
        Names the file and row in errors.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        plain = text.strip().removesuffix("UTC").strip()
        moment = datetime.strptime(text, form) if form else datetime.fromisoformat(plain)
    except ValueError as error:
        raise DataError(f"{place}: {text!r} is no moment ({error}); correct it, or leave the row out") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
