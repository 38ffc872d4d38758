"""Technical indicators of the bars known so far, computed by TA-Lib and written as ratios."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import talib

from flag_trl.data import DataError, MarketView

Writer = Callable[[MarketView, int], str]


@dataclass(frozen=True)
class Indicator:
    """An indicator with its look-back.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    bars : int
        Its look-back; the slow average's where there are two.
    """

    kind: str
    bars: int

    @classmethod
    def parse(cls, name: str) -> "Indicator":
        """Read a name such as ``rsi14``; without a number, the usual look-back.

        Raises
        ------
        ValueError
            If there is no such indicator, or its look-back is shorter than it can work with.
        """
        match = re.fullmatch(r"([a-z]+)(\d*)", str(name))
        if match is None or match[1] not in KINDS:
            raise ValueError(f"indicators: there is no {name!r}; choose among {', '.join(KINDS)}, such as rsi14")
        kind, digits = match.groups()
        bars = int(digits or KINDS[kind].usual)
        if bars < KINDS[kind].least:
            raise ValueError(f"indicators: {name} looks back {bars} bars; {kind} needs {KINDS[kind].least} or more")
        return cls(kind, bars)

    def write(self, view: MarketView) -> str:
        """A few words as of the view's bar; none where the history is too short.

        Raises
        ------
        DataError
            If the indicator needs highs and lows that the market does not have.
        """
        return KINDS[self.kind].write(view, self.bars)


@dataclass(frozen=True)
class Kind:
    """How an indicator is written, its usual look-back and the least that it can work with."""

    write: Writer
    usual: int
    least: int = 2


def _rsi(view: MarketView, bars: int) -> str:
    """Relative strength index, 0 to 100."""
    value = talib.RSI(view.close, bars)[-1]
    # Of prices that stood still throughout TA-Lib says 0, which would read as a crash.
    moved = bool((view.close != view.close[-1]).any())
    return f"RSI{bars} {value:.0f}." if np.isfinite(value) and moved else ""


def _macd(view: MarketView, bars: int) -> str:
    """MACD less its signal line, over the close; look-backs of 12, 26 and 9 bars, or in that proportion."""
    fast, signal = max(2, round(bars * 12 / 26)), max(1, round(bars * 9 / 26))
    value = talib.MACD(view.close, fast, bars, signal)[2][-1] / view.close[-1]
    return f"MACD{bars} {per_mille(value)}." if np.isfinite(value) else ""


def _bollinger(view: MarketView, bars: int) -> str:
    """Where the close stands between the bands of two standard deviations: -100 at the lower one, 100 at the upper."""
    upper, middle, _ = talib.BBANDS(view.close, bars, 2.0, 2.0)
    width = upper[-1] - middle[-1]
    # Of prices that stand still the bands leave rounding.
    if not width > 1e-9 * view.close[-1]:
        return ""
    return f"Bands{bars} {100 * (view.close[-1] - middle[-1]) / width:+.0f}."


def _atr(view: MarketView, bars: int) -> str:
    """Average true range over the close, in tenths of a percent."""
    if view.high is None or view.low is None:
        raise DataError(
            f"indicators: atr{bars} needs highs and lows, and {view.symbol}'s data have closes alone; leave it out or "
            "give a file with high and low"
        )
    value = talib.ATR(view.high, view.low, view.close, bars)[-1] / view.close[-1]
    return f"ATR{bars} {1000 * value:.0f}." if np.isfinite(value) else ""


def _average(name: str, of: Callable[[np.ndarray, int], np.ndarray]) -> Writer:
    """The close over a moving average, less 1."""

    def write(view: MarketView, bars: int) -> str:
        value = view.close[-1] / of(view.close, bars)[-1] - 1.0
        return f"{name}{bars} {per_mille(value)}." if np.isfinite(value) else ""

    return write


def _momentum(view: MarketView, bars: int) -> str:
    """Total return over the look-back, in percent."""
    if len(view.close) <= bars:
        return ""
    return f"{bars} days {round(100 * (view.close[-1] / view.close[-1 - bars] - 1.0)):+d}%."


def _volatility(view: MarketView, bars: int) -> str:
    """Annualised sample deviation of one-bar returns, in percent."""
    if len(view.close) <= bars:
        return ""
    close = view.close[-1 - bars :]
    deviation = (close[1:] / close[:-1] - 1.0).std(ddof=1) * np.sqrt(view.periods_per_year)
    return f"Volatility {100 * deviation:.0f}%."


KINDS: Mapping[str, Kind] = {
    "rsi": Kind(_rsi, 14),
    "macd": Kind(_macd, 26, 5),
    "bollinger": Kind(_bollinger, 20),
    "atr": Kind(_atr, 14, 1),
    "sma": Kind(_average("SMA", talib.SMA), 50),
    "ema": Kind(_average("EMA", talib.EMA), 20),
    "momentum": Kind(_momentum, 20, 1),
    "volatility": Kind(_volatility, 20),
}
"""Averages, MACD and ATR are in tenths of a percent of the close."""


def per_mille(ratio: float) -> str:
    """A ratio in tenths of a percent, with its sign."""
    return f"{round(1000 * ratio):+d}"
