"""Technical indicators of the bars known so far, computed by TA-Lib and written as ratios."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import talib

from flag_trl.data import DataError, MarketView

Value = Callable[[MarketView, int], float]


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
        value = KINDS[self.kind].value(view, self.bars)
        return KINDS[self.kind].words.format(bars=self.bars, value=round(value)) if np.isfinite(value) else ""

    def number(self, view: MarketView) -> float:
        """What `write` says in units of the kind's usual spread, about 0; 0 where the history is too short."""
        kind = KINDS[self.kind]
        value = (kind.value(view, self.bars) - kind.centre) / kind.spread
        return float(np.clip(value, -LIMIT, LIMIT)) if np.isfinite(value) else 0.0


@dataclass(frozen=True)
class Kind:
    """How an indicator is computed and said.

    Attributes
    ----------
    value : callable
        Of a view and a look-back; nan where the history is too short.
    words : str
        With the fields ``bars`` and ``value``, a whole number.
    usual, least : int
        The usual look-back, and the shortest that it can work with.
    centre, spread : float
        About where values lie, for those who read numbers.
    """

    value: Value
    words: str
    usual: int
    least: int = 2
    centre: float = 0.0
    spread: float = 1.0


def _rsi(view: MarketView, bars: int) -> float:
    """Relative strength index, 0 to 100."""
    # Of prices that stood still throughout TA-Lib says 0, which would read as a crash.
    moved = bool((view.close != view.close[-1]).any())
    return float(talib.RSI(view.close, bars)[-1]) if moved else np.nan


def _macd(view: MarketView, bars: int) -> float:
    """MACD less its signal line, over the close; look-backs of 12, 26 and 9 bars, or in that proportion."""
    fast, signal = max(2, round(bars * 12 / 26)), max(1, round(bars * 9 / 26))
    return 1000 * float(talib.MACD(view.close, fast, bars, signal)[2][-1] / view.close[-1])


def _bollinger(view: MarketView, bars: int) -> float:
    """Where the close stands between the bands of two standard deviations: -100 at the lower one, 100 at the upper."""
    upper, middle, _ = talib.BBANDS(view.close, bars, 2.0, 2.0)
    width = upper[-1] - middle[-1]
    # Of prices that stand still the bands leave rounding.
    return 100 * float((view.close[-1] - middle[-1]) / width) if width > 1e-9 * view.close[-1] else np.nan


def _atr(view: MarketView, bars: int) -> float:
    """Average true range over the close."""
    if view.high is None or view.low is None:
        raise DataError(
            f"indicators: atr{bars} needs highs and lows, and {view.symbol}'s data have closes alone; leave it out or "
            "give a file with high and low"
        )
    return 1000 * float(talib.ATR(view.high, view.low, view.close, bars)[-1] / view.close[-1])


def _sma(view: MarketView, bars: int) -> float:
    """The close over its moving average, less 1."""
    return 1000 * float(view.close[-1] / talib.SMA(view.close, bars)[-1] - 1.0)


def _ema(view: MarketView, bars: int) -> float:
    """The close over its exponential moving average, less 1."""
    return 1000 * float(view.close[-1] / talib.EMA(view.close, bars)[-1] - 1.0)


def _momentum(view: MarketView, bars: int) -> float:
    """Total return over the look-back, in percent."""
    return 100 * float(view.close[-1] / view.close[-1 - bars] - 1.0) if len(view.close) > bars else np.nan


def _volatility(view: MarketView, bars: int) -> float:
    """Annualised sample deviation of one-bar returns, in percent."""
    if len(view.close) <= bars:
        return np.nan
    close = view.close[-1 - bars :]
    return 100 * float((close[1:] / close[:-1] - 1.0).std(ddof=1) * np.sqrt(view.periods_per_year))


KINDS: Mapping[str, Kind] = {
    "rsi": Kind(_rsi, "RSI{bars} {value:d}.", 14, centre=50, spread=15),
    "macd": Kind(_macd, "MACD{bars} {value:+d}.", 26, 5, spread=5),
    "bollinger": Kind(_bollinger, "Bands{bars} {value:+d}.", 20, spread=60),
    "atr": Kind(_atr, "ATR{bars} {value:d}.", 14, 1, centre=20, spread=10),
    "sma": Kind(_sma, "SMA{bars} {value:+d}.", 50, spread=50),
    "ema": Kind(_ema, "EMA{bars} {value:+d}.", 20, spread=30),
    "momentum": Kind(_momentum, "{bars} days {value:+d}%.", 20, 1, spread=8),
    "volatility": Kind(_volatility, "Volatility {value:d}%.", 20, centre=30, spread=15),
}
"""Averages, MACD and ATR are in tenths of a percent of the close."""

LIMIT = 10.0
"""How far from the centre, in spreads, a number may lie: a single bad bar must not drown the rest."""


def per_mille(ratio: float) -> str:
    """A ratio in tenths of a percent, with its sign."""
    return f"{round(1000 * ratio):+d}"
