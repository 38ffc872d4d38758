"""Prices of N windows, looked up a step at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flag_trl.data import DataError, MarketData, Window

DEFAULT_LENGTH = 64
"""Decisions in a window drawn by the environment itself; fewer where a market is shorter."""


@dataclass(frozen=True)
class WindowPrices:
    """What N accounts trade, a step at a time; behind the end of a window its last bar is repeated.

    Looking a step up in the markets' own small arrays is cheaper than laying all steps out beforehand.

    Attributes
    ----------
    symbol : np.ndarray
        Index of each account's market, int64 of shape (N,).
    start, length : np.ndarray
        First decision bar and number of decisions, int64 of shape (N,).
    periods_per_year : np.ndarray
        float64 of shape (N,).
    """

    symbol: np.ndarray
    start: np.ndarray
    length: np.ndarray
    periods_per_year: np.ndarray
    _first: np.ndarray
    _shortest: int
    _closes: np.ndarray
    _opens: np.ndarray | None
    _dates: np.ndarray

    def close(self, t: int) -> np.ndarray:
        """The close that step `t` observes, and at which step t-1 is marked; float64 of shape (N,)."""
        return self._closes.take(self._rows(t))

    def fill(self, t: int) -> np.ndarray:
        """The reference price at which step `t` trades, float64 of shape (N,)."""
        return self.close(t) if self._opens is None else self._opens.take(self._rows(t + 1))

    def date(self, t: int) -> np.ndarray:
        """The date of ``close(t)``, datetime64[D] of shape (N,)."""
        return self._dates.take(self._rows(t))

    def _rows(self, t: int) -> np.ndarray:
        return self._first + (t if t <= self._shortest else np.minimum(t, self.length))


class PriceBook:
    """All markets end to end in flat arrays, from which windows are gathered without a loop over them.

    Parameters
    ----------
    markets : mapping of str to MarketData
        By symbol; each with at least two bars.
    fill_at_open : bool
        Whether trades fill at the next bar's open instead of the close that is observed.

    Raises
    ------
    ValueError
        Where there is no market, one is too short, or opens are wanted that a market does not have.
    """

    def __init__(self, markets: Mapping[str, MarketData], fill_at_open: bool) -> None:
        if not markets:
            raise ValueError("the environment got no market; give at least one")
        self.symbols = tuple(sorted(markets))
        ordered = [markets[symbol] for symbol in self.symbols]
        for symbol, market in zip(self.symbols, ordered, strict=True):
            if len(market) < 2:
                raise ValueError(f"{symbol}: {len(market)} bar is too short; a step needs two closes")
        self.bars = np.array([len(market) for market in ordered])
        self._offsets = np.concatenate(([0], np.cumsum(self.bars)[:-1]))
        self._close = np.concatenate([market.close for market in ordered])
        self._date = np.concatenate([market.dates for market in ordered])
        self._open = np.concatenate(_opens(self.symbols, ordered)) if fill_at_open else None
        self._periods_per_year = np.array([float(market.periods_per_year) for market in ordered])
        self._index = {symbol: number for number, symbol in enumerate(self.symbols)}

    def draw(self, n: int, rng: np.random.Generator) -> list[Window]:
        """Draw ``n`` windows of one length: a market with equal chances, then a start with equal chances."""
        length = min(DEFAULT_LENGTH, int(self.bars.min()) - 1)
        markets = rng.integers(len(self.symbols), size=n)
        starts = rng.integers(self.bars[markets] - length)
        return [
            Window(self.symbols[m], int(start), length)
            for m, start in zip(markets.tolist(), starts.tolist(), strict=True)
        ]

    def gather(self, windows: Sequence[Window]) -> WindowPrices:
        """Gather the prices of ``windows``; ValueError naming the window that does not fit its market."""
        unknown = sorted({str(window.symbol) for window in windows} - self._index.keys())
        if unknown:
            raise ValueError(
                f"windows name unknown symbols {', '.join(unknown)}; the markets are {', '.join(self.symbols)}"
            )
        symbol = np.array([self._index[window.symbol] for window in windows], dtype=np.int64)
        start = np.array([window.start for window in windows], dtype=np.int64)
        length = np.array([window.length for window in windows], dtype=np.int64)
        bad = (start < 0) | (length < 1) | (start + length >= self.bars[symbol])
        if bad.any():
            n = int(bad.argmax())
            raise ValueError(
                f"window {n} ({windows[n]}) does not fit: decisions need length >= 1 and start >= 0, and the last "
                f"price is bar start + length, while {windows[n].symbol} has bars 0 to {self.bars[symbol[n]] - 1}"
            )
        first = self._offsets[symbol] + start
        years = self._periods_per_year[symbol]
        shortest = int(length.min())
        return WindowPrices(symbol, start, length, years, first, shortest, self._close, self._open, self._date)


def _opens(symbols: Sequence[str], markets: Sequence[MarketData]) -> list[np.ndarray]:
    opens = []
    for symbol, market in zip(symbols, markets, strict=True):
        if market.open is None:
            raise DataError(
                f"{symbol} has closes but no opens, so nothing can fill at the next open; choose fill: same_close, or "
                "data with opens"
            )
        opens.append(market.open)
    return opens
