"""Technical rules, the classics that a trader would try first; each is a `Policy` like any other.

A rule says which position it wants as of each close, from the closes up to it: -1 short, 0 flat, 1 long. Accounts that
cannot be short are flat instead.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import talib

from flag_trl.accounts import PositionScheme
from flag_trl.agent import Decision
from flag_trl.observations import EpisodeMemory, Markets, Observation, ObservationConfig, Observer

Signal = Callable[[np.ndarray], np.ndarray]


def sma_crossover(close: np.ndarray) -> np.ndarray:
    """Long while the 20-bar average is above the 50-bar one, else short (Brock, Lakonishok and LeBaron 1992)."""
    return _sign(talib.SMA(close, 20) - talib.SMA(close, 50))


def macd(close: np.ndarray) -> np.ndarray:
    """Long while MACD(12, 26) is above its 9-bar signal line, short while below (Appel 2005)."""
    return _sign(talib.MACD(close, 12, 26, 9)[2])


def rsi_reversion(close: np.ndarray) -> np.ndarray:
    """Long from RSI(14) below 30 until it is above 50, short from above 70 until below 50 (Wilder 1978)."""
    wanted, held = np.zeros(len(close)), 0.0
    for bar, value in enumerate(talib.RSI(close, 14)):
        if value < 30:
            held = 1.0
        elif value > 70:
            held = -1.0
        elif held * (value - 50) > 0:
            held = 0.0
        wanted[bar] = held
    return wanted


def momentum(close: np.ndarray) -> np.ndarray:
    """The sign of the return over the last 252 bars, or over all of at least 20 (Moskowitz, Ooi and Pedersen 2012)."""
    bars = np.arange(len(close))
    back = np.minimum(bars, 252)
    return np.where(back >= 20, np.sign(close / close[bars - back] - 1.0), 0.0)


RULES: Mapping[str, Signal] = {
    "sma_crossover": sma_crossover,
    "macd": macd,
    "rsi_reversion": rsi_reversion,
    "momentum": momentum,
}


class Follower:
    """Holds, as far as the position scheme lets it, what a signal says.

    Parameters
    ----------
    signal : callable
        Closes of shape (n,), oldest first, to wanted positions of shape (n,); may look at no later close.
    scheme : PositionScheme
    """

    def __init__(self, signal: Signal, scheme: PositionScheme) -> None:
        self._signal = signal
        self._weights = scheme.target_weight(np.arange(len(scheme.actions)))

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """Shows the signal and the position held."""
        return _SignalObserver(markets, fill, self._signal)

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """The legal action that comes closest to the signal; `uniforms` change nothing."""
        wanted = np.array([float(o.market_text) for o in observations])[:, None]
        held = np.array([float(o.account_text) for o in observations])[:, None]
        weights = np.where(np.isnan(self._weights), held, self._weights)
        distance = np.abs(weights - np.maximum(wanted, np.nanmin(self._weights)))
        legal = np.array([o.legal for o in observations])
        # Of equally close actions the one that trades less.
        actions = np.where(legal, distance + 1e-6 * np.abs(weights - held), np.inf).argmin(axis=1)
        return Decision(actions, np.eye(len(self._weights))[actions])


class _SignalObserver(Observer):
    """Writes the signal as of a bar's close into the market part, and the position into the account part."""

    def __init__(self, markets: Markets, fill: Literal["next_open", "same_close"], signal: Signal) -> None:
        super().__init__(markets, ObservationConfig(), fill)
        self._wanted = [np.nan_to_num(signal(markets[symbol].close)) for symbol in sorted(markets)]

    def observe(
        self, raw: Mapping[str, np.ndarray], memories: Sequence[EpisodeMemory] | None = None
    ) -> list[Observation]:
        """One observation an account."""
        legal = raw["legal"].astype(bool)
        return [
            Observation(repr(float(self._wanted[symbol][bar])), str(int(position)), tuple(allowed.tolist()))
            for symbol, bar, position, allowed in zip(raw["symbol"], raw["bar"], raw["position"], legal, strict=True)
        ]


def _sign(values: np.ndarray) -> np.ndarray:
    return np.sign(np.nan_to_num(values))
