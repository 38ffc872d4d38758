"""One symbol's calendar, prices and dated texts."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from flag_trl.data.dates import DateLike, as_day
from flag_trl.data.errors import DataError
from flag_trl.data.events import Event
from flag_trl.data.texts import DatedText
from flag_trl.data.view import MarketView

PRICE_COLUMNS = ("open", "high", "low", "close")
STOCK_SESSION_CLOSE = np.timedelta64(16, "h")
WHOLE_DAY = np.timedelta64(24, "h")
DAYS = np.dtype("datetime64[D]")


@dataclass(frozen=True, eq=False)
class MarketData:
    """Bars of one symbol, a day each or shorter, with the texts about it.

    All arrays are copied and made read-only. Prices of one market must stand on one scale (all adjusted, or all as
    traded), since returns are taken between opens and closes.

    Attributes
    ----------
    symbol : str
    dates : ndarray of datetime64[D], shape (n,)
        Strictly increasing, n >= 1. Of bars shorter than a day datetime64[s], the moments at which they close.
    close : ndarray of float64, shape (n,)
        Above zero.
    open, high, low : ndarray of float64, shape (n,), optional
        Above zero.
    volume : ndarray of float64, shape (n,), optional
        Not below zero.
    texts : tuple of DatedText
        Sorted by `known_at` on construction; texts of one moment keep their order.
    events : tuple of Event
        Scheduled ones, each with when its date became known.
    context : tuple of MarketData
        Markets that are looked at beside it, such as an index.
    periods_per_year : int
        Bars in a year: 252 for stocks, 365 for what trades every day.
    session_close : numpy.timedelta64
        Time of the close after midnight; without meaning for bars shorter than a day.
    source : str
        Where the data came from, for reports and errors.

    Raises
    ------
    DataError
        If an array breaks what is said above.

    Examples
    --------
    >>> import numpy as np
    >>> dates = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[D]")
    >>> market = MarketData("XYZ", dates, np.array([10.0, 11.0, 12.0]))
    >>> market.as_of(1).close
    array([10., 11.])
    """

    symbol: str
    dates: np.ndarray
    close: np.ndarray
    open: np.ndarray | None = None
    high: np.ndarray | None = None
    low: np.ndarray | None = None
    volume: np.ndarray | None = None
    texts: tuple[DatedText, ...] = ()
    events: tuple[Event, ...] = ()
    context: "tuple[MarketData, ...]" = ()
    periods_per_year: int = 252
    session_close: np.timedelta64 = STOCK_SESSION_CLOSE
    source: str = ""
    _known_at: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        texts = tuple(self.texts)
        known_at = np.array([text.known_at for text in texts], dtype="datetime64[s]")
        if (known_at[1:] < known_at[:-1]).any():
            order = np.argsort(known_at, kind="stable")
            texts, known_at = tuple(texts[place] for place in order.tolist()), known_at[order]
        frozen: dict[str, object] = {"texts": texts, "_known_at": _frozen(known_at, None)}
        frozen["dates"] = _frozen(self.dates, "datetime64[s]" if _within_days(self.dates) else DAYS)
        for name in (*PRICE_COLUMNS, "volume"):
            values = getattr(self, name)
            frozen[name] = None if values is None else _frozen(values, np.float64)
        for name, value in frozen.items():
            object.__setattr__(self, name, value)
        self._check_dates()
        self._check_numbers()

    def _check_dates(self) -> None:
        if self.dates.ndim != 1 or len(self.dates) == 0:
            raise DataError(
                f"{self.symbol}: dates have shape {self.dates.shape}; give one dimension, at least one day"
            )
        if np.isnat(self.dates).any():
            raise DataError(
                f"{self.symbol}, row {np.isnat(self.dates).argmax()}, dates: missing; give every row a day"
            )
        backwards = np.flatnonzero(np.diff(self.dates) <= np.timedelta64(0, "D"))
        if len(backwards):
            day = self.dates[backwards[0] + 1]
            raise DataError(f"{self.symbol}, {day}, dates: not after the row before it; sort, and keep one row a day")

    def _check_numbers(self) -> None:
        for name in (*PRICE_COLUMNS, "volume"):
            values = getattr(self, name)
            if values is None:
                continue
            if values.shape != self.dates.shape:
                raise DataError(f"{self.symbol}, {name}: shape {values.shape}, dates have {self.dates.shape}")
            sound = np.isfinite(values) & (values >= 0 if name == "volume" else values > 0)
            if not sound.all():
                bar = int(np.argmin(sound))
                least = "at least" if name == "volume" else "above"
                raise DataError(
                    f"{self.symbol}, {self.dates[bar]}, {name}: {values[bar]}; give a finite number {least} zero"
                )

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def intraday(self) -> bool:
        """Whether bars are shorter than a day."""
        return bool(self.dates.dtype != DAYS)

    def index_range(self, start: DateLike, end: DateLike) -> tuple[int, int]:
        """Find the bars of a period.

        Parameters
        ----------
        start, end : str, date or numpy.datetime64
            First and last day, both included; they need not be trading days but must lie within the data.

        Returns
        -------
        first, stop : int
            The bars are `range(first, stop)`; there is at least one.

        Raises
        ------
        DataError
            If a day lies outside the data, or the period holds no bar.
        """
        first_day, last_day = as_day(start), as_day(end)
        place = f"{self._name()}, {first_day}..{last_day}"
        held = f"the data run from {self.dates[0]} to {self.dates[-1]}"
        if first_day > last_day:
            raise DataError(f"{place}: the period ends before it starts; swap the two dates")
        if first_day < self.dates[0] or last_day > self.dates[-1]:
            raise DataError(f"{place}: the period reaches outside the data; {held}, choose dates within them")
        first = int(np.searchsorted(self.dates, first_day, side="left"))
        stop = int(np.searchsorted(self.dates, last_day, side="right"))
        if first == stop:
            raise DataError(f"{place}: the period holds no trading day; widen it ({held})")
        return first, stop

    def as_of(self, bar: int, *, after_close: bool = False) -> MarketView:
        """Look at the market as of one bar.

        Parameters
        ----------
        bar : int
            Index of the bar, 0 to n - 1.
        after_close : bool
            Whether the decision is taken between the bar's close and the next open, when everything of the bar's day
            is known, and not at the close itself.

        Returns
        -------
        MarketView
            Prices up to and including the bar; texts known at the close, or with `after_close` at the day's end.

        Raises
        ------
        IndexError
            If there is no such bar; negative indices do not count from the end.
        """
        bar = operator.index(bar)
        if not 0 <= bar < len(self):
            raise IndexError(f"{self._name()}: there is no bar {bar}; bars run from 0 to {len(self) - 1}")
        cutoff = self.dates[bar].astype("datetime64[s]") + self.decided_after(after_close)
        known = int(np.searchsorted(self._known_at, cutoff, side="right"))

        def past(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else _frozen(values[: bar + 1], None)

        return MarketView(
            symbol=self.symbol,
            dates=_frozen(self.dates[: bar + 1], None),
            close=_frozen(self.close[: bar + 1], None),
            open=past(self.open),
            high=past(self.high),
            low=past(self.low),
            volume=past(self.volume),
            cutoff=cutoff,
            periods_per_year=self.periods_per_year,
            known_texts=self.texts[:known],
            known_events=tuple(event for event in self.events if event.known_at <= cutoff),
            context=tuple(found for other in self.context if (found := other._closed_by(cutoff, after_close))),
        )

    def decided_after(self, after_close: bool) -> np.timedelta64:
        """From a bar's date to the decision: to its close, or with `after_close` to its day's end."""
        if self.intraday:
            return np.timedelta64(0, "s")
        return WHOLE_DAY if after_close else self.session_close

    def _closed_by(self, moment: np.datetime64, after_close: bool) -> MarketView | None:
        """The market as of its last bar that had closed by then; None before its first."""
        closes = self.dates.astype("datetime64[s]") + self.decided_after(False)
        bar = int(np.searchsorted(closes, moment, side="right")) - 1
        return self.as_of(bar, after_close=after_close) if bar >= 0 else None

    def _name(self) -> str:
        return f"{self.symbol} ({self.source})" if self.source else self.symbol


def _within_days(dates: np.ndarray | Sequence[DateLike]) -> bool:
    """Whether any date has a time of day."""
    if not isinstance(dates, np.ndarray) or dates.dtype.kind != "M" or dates.dtype == DAYS:
        return False
    return bool((dates != dates.astype(DAYS)).any())


def _frozen(values: np.ndarray | Sequence[float], dtype: type | str | np.dtype | None) -> np.ndarray:
    copy = np.array(values, dtype=dtype)
    copy.setflags(write=False)
    return copy
