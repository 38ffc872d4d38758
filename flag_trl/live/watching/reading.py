"""What grows with a run, read on from where the last reading ended."""

import math
from collections import deque
from dataclasses import dataclass, field

from flag_trl.live.journal import Journal

MOST_POINTS = 1500
MOST_MARKS = 500
MILLISECOND = 1_000_000


class Curve:
    """Equity and drawdown at every mark, thinned to at most `MOST_POINTS` and the last.

    Attributes
    ----------
    start, peak, deepest : float
        First and highest equity, and the largest drawdown, of all marks; nan before there is one.
    """

    def __init__(self) -> None:
        self.start = self.peak = self.deepest = math.nan
        self._points: list[tuple[int, float, float]] = []
        self._last: tuple[int, float, float] | None = None
        self._read_to, self._marks, self._stride = -(2**63), 0, 1

    def read(self, journal: Journal) -> None:
        """Take in the marks that are new; those that are no number are left out."""
        for row in journal.rows("totals", "ts > ?", self._read_to):
            self._read_to = row["ts"]
            if row["equity"] is not None and math.isfinite(row["equity"]):
                self._add(row["ts"], float(row["equity"]))

    def _add(self, ts: int, equity: float) -> None:
        if self._last is None:
            self.start = self.peak = equity
            self.deepest = 0.0
        self.peak = max(self.peak, equity)
        self._last = ts // MILLISECOND, equity, self.drawdown(equity)
        self.deepest = max(self.deepest, self._last[2])
        if self._marks % self._stride == 0:
            self._points.append(self._last)
        self._marks += 1
        if len(self._points) > MOST_POINTS:
            self._points, self._stride = self._points[::2], 2 * self._stride

    def drawdown(self, equity: float) -> float:
        """Of an equity, from the highest mark."""
        return max(0.0, 1.0 - equity / self.peak) if self.peak > 0.0 else math.nan

    @property
    def equity(self) -> float:
        """At the last mark; nan before there is one."""
        return math.nan if self._last is None else self._last[1]

    @property
    def points(self) -> dict[str, list[float]]:
        """Columns ``time`` (milliseconds), ``equity`` and ``drawdown``."""
        kept = list(self._points)
        if self._last is not None and kept[-1] != self._last:
            kept.append(self._last)
        # Eight digits are more than a picture shows.
        return {
            "time": [time for time, _, _ in kept],
            "equity": [float(f"{equity:.8g}") for _, equity, _ in kept],
            "drawdown": [float(f"{drawdown:.6g}") for _, _, drawdown in kept],
        }


@dataclass
class Holdings:
    """What the fills have made of each symbol's part, those since the last mark too.

    Attributes
    ----------
    units, paid : dict of str to float
        Held, and spent for it with commissions; by symbol.
    commission : float
    count : int
    latest : deque of dict
        The last `MOST_MARKS` fills.
    """

    units: dict[str, float] = field(default_factory=dict)
    paid: dict[str, float] = field(default_factory=dict)
    commission: float = 0.0
    count: int = 0
    latest: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=MOST_MARKS))

    def __post_init__(self) -> None:
        self._read_to = -(2**63)
        self._read: set[tuple[str, int]] = set()

    def read(self, journal: Journal) -> None:
        """Take in the fills that are new."""
        for row in journal.rows("fills", "ts >= ?", self._read_to, order="ts, id, number"):
            # A moment may have been read before all of its fills were there.
            if row["ts"] > self._read_to:
                self._read_to, self._read = row["ts"], set()
            name = (row["id"], row["number"])
            if name not in self._read:
                self._read.add(name)
                self._add(row["ts"], row["symbol"], row["side"], row["quantity"], row["price"], row["commission"])

    def _add(self, ts: int, symbol: str, side: str, quantity: float, price: float, commission: float) -> None:
        signed = quantity if side == "buy" else -quantity
        self.units[symbol] = self.units.get(symbol, 0.0) + signed
        self.paid[symbol] = self.paid.get(symbol, 0.0) + signed * price + commission
        self.commission += commission
        self.count += 1
        told = {"time": ts // MILLISECOND, "symbol": symbol, "side": side, "quantity": quantity, "price": price}
        self.latest.append(told)


@dataclass
class Reading:
    """How far one journal has been read."""

    curve: Curve = field(default_factory=Curve)
    holdings: Holdings = field(default_factory=Holdings)
