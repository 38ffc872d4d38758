"""The error that every reader and check of market data raises."""

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 20


@dataclass(frozen=True)
class Offence:
    """One thing that is wrong with the data.

    Attributes
    ----------
    file : str
        The file or dataset that holds it.
    row : str
        The row's date or line number; empty where the whole file is meant.
    column : str
        The column or key; empty where the whole row is meant.
    problem : str
        What is wrong, and after a semicolon what to do about it.
    """

    file: str
    row: str
    column: str
    problem: str

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.file, self.row, self.column) if part)
        return f"{place}: {self.problem}"


class DataError(ValueError):
    """Market data, or a request made of them, that cannot be used."""

    @classmethod
    def listing(cls, offences: Sequence[Offence]) -> "DataError":
        """Build the error whose message lists the offences, one a line.

        Parameters
        ----------
        offences : sequence of Offence
            All of them; beyond the first 20 only their number is given.

        Returns
        -------
        DataError
        """
        lines = [str(offence) for offence in offences[:SHOWN]]
        if len(offences) > SHOWN:
            lines.append(f"... and {len(offences) - SHOWN} more")
        return cls("\n".join(lines))


def shortened(names: Sequence[str]) -> str:
    """Join names for a message: the first 20, and how many there are beside."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more
