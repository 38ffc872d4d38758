"""A text with the moment from which it may be used."""

from dataclasses import dataclass

import numpy as np

from flag_trl.data.errors import DataError

FILINGS = ("10k", "10q")
"""Kinds of text that are filings with the SEC; all others are news."""


@dataclass(frozen=True)
class DatedText:
    """A piece of text about a symbol.

    Attributes
    ----------
    kind : str
        "news", "10k", "10q" or another word of the reader's.
    text : str
        The text, as published.
    known_at : numpy.datetime64
        Exchange-local moment from which the text may be used; rounded up to the second.

    Raises
    ------
    DataError
        If the text is not a string or the moment is missing.
    """

    kind: str
    text: str
    known_at: np.datetime64

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise DataError(f"{self.kind}: {self.text!r} is not text; give a string")
        given = np.datetime64(self.known_at)
        if np.isnat(given):
            raise DataError(f"{self.kind}: known_at is missing; give the moment from which the text may be used")
        moment = given.astype("datetime64[s]")
        # Cutting a fraction of a second off would make the text known before it was.
        object.__setattr__(self, "known_at", moment if moment >= given else moment + np.timedelta64(1, "s"))
