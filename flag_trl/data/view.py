"""What is known of a market on one of its days, and nothing later."""

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from flag_trl.data.events import Event
from flag_trl.data.texts import DatedText


@dataclass(frozen=True, eq=False)
class MarketView:
    """A market as of one bar.

    The arrays are read-only copies that end with that bar and the texts end with the cutoff, so that no attribute of a
    view, nor the `base` of an array, leads to a later row. Build one with `MarketData.as_of`.

    Attributes
    ----------
    symbol : str
    dates : ndarray of datetime64[D], or [s] of bars shorter than a day, shape (bar + 1,)
    close : ndarray of float64, shape (bar + 1,)
    open, high, low, volume : ndarray of float64, shape (bar + 1,), or None
    cutoff : numpy.datetime64
        Exchange-local moment, to the second, at which the decision is taken.
    periods_per_year : int
    known_texts : tuple of DatedText
        All texts known at the cutoff, oldest first.
    known_events : tuple of Event
        Those whose date was known at the cutoff.
    context : tuple of MarketView
        Markets beside it, each as of its last bar that had closed by the cutoff.
    """

    symbol: str
    dates: np.ndarray
    close: np.ndarray
    open: np.ndarray | None
    high: np.ndarray | None
    low: np.ndarray | None
    volume: np.ndarray | None
    cutoff: np.datetime64
    periods_per_year: int
    known_texts: tuple[DatedText, ...]
    known_events: tuple[Event, ...] = ()
    context: "tuple[MarketView, ...]" = ()

    @property
    def bar(self) -> int:
        """Index of the view's bar in its market."""
        return len(self.dates) - 1

    @property
    def date(self) -> np.datetime64:
        """Day of the view's bar."""
        return self.dates[-1].astype("datetime64[D]")

    def texts(
        self, days: int | None = None, kinds: Collection[str] | None = None, since_bars: int | None = None
    ) -> tuple[DatedText, ...]:
        """Select among the texts known at the cutoff.

        Parameters
        ----------
        days : int, optional
            Only texts that became known within this many times 24 hours before the cutoff.
        kinds : collection of str, optional
            Only texts of these kinds.
        since_bars : int, optional
            Only texts that became known after the cutoff of the bar this many bars ago: 1 gives the day's texts, with
            those of a weekend before it. Reaches back to the first text where there are fewer bars.

        Returns
        -------
        tuple of DatedText
            Oldest first.

        Raises
        ------
        ValueError
            If `days` or `since_bars` is below 1, or `kinds` is a bare string.
        """
        for name, value in (("days", days), ("since_bars", since_bars)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; give 1 or more, or None for no limit")
        if isinstance(kinds, str):
            raise ValueError(f"kinds is the string {kinds!r}; give a collection of kinds, such as ({kinds!r},)")
        chosen = self.known_texts
        if kinds is not None:
            chosen = tuple(text for text in chosen if text.kind in kinds)
        if days is not None:
            chosen = _known_after(chosen, self.cutoff - np.timedelta64(days, "D"))
        if since_bars is not None and since_bars <= self.bar:
            # Cutoffs stand at the same time of day on every bar.
            chosen = _known_after(chosen, self.dates[-1 - since_bars] + (self.cutoff - self.dates[-1]))
        return chosen


def _known_after(texts: tuple[DatedText, ...], moment: np.datetime64) -> tuple[DatedText, ...]:
    """Of texts in order of time, those known after a moment."""
    return texts[bisect_right(texts, moment, key=lambda text: text.known_at) :]
