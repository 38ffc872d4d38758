"""Scheduled events, such as earnings days, with the day on which the schedule became known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flag_trl.data.dates import as_day
from flag_trl.data.errors import DataError, Offence

COLUMNS = ("date", "name", "known")


@dataclass(frozen=True)
class Event:
    """Something that is announced before it takes place.

    Attributes
    ----------
    name : str
    date : numpy.datetime64[D]
        When it takes place.
    known_at : numpy.datetime64[s]
        Exchange-local moment from which its date may be used.
    """

    name: str
    date: np.datetime64
    known_at: np.datetime64


def read_events(file: str | Path, symbol: str) -> tuple[Event, ...]:
    """Read a symbol's events from a CSV file with the columns date, name, known and, optionally, symbol.

    ``known`` is the day on which the date was announced; it counts as known from that day's end. An event without a
    symbol is one of all.

    Raises
    ------
    DataError
        Listing all that is wrong, each by line and column.
    """
    from flag_trl.data.readers.tables import csv_columns

    table = csv_columns(Path(file))
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(f"{file}, header: no column {', '.join(missing)}; events have {', '.join(COLUMNS)}, symbol")
    offences, found = list(table.offences), []
    owners = table.columns.get("symbol", [""] * len(table.rows))
    for row, day, name, known, owner in zip(
        table.rows, *(table.columns[column] for column in COLUMNS), owners, strict=True
    ):
        try:
            date, announced = as_day(str(day)), as_day(str(known))
        except DataError as error:
            offences.append(Offence(str(file), row, "", str(error)))
            continue
        if announced > date:
            offences.append(
                Offence(str(file), row, "known", f"{announced} is after the event; correct one of the two")
            )
        if str(owner).strip().casefold() in ("", symbol.casefold()):
            found.append(Event(str(name).strip(), date, (announced + 1).astype("datetime64[s]")))
    if offences:
        raise DataError.listing(offences)
    return tuple(sorted(found, key=lambda event: event.date))
