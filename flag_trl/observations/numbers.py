"""Bars and indicators as numbers, for policies that read them without words."""

import numpy as np

from flag_trl.data import MarketView
from flag_trl.observations.config import NUMBERS_PER_BAR, ObservationConfig
from flag_trl.observations.indicators import LIMIT, Indicator

SHORTEST_SPREAD = 1e-4
"""Least deviation of one-bar returns that they are divided by: prices may stand still."""


class Numbers:
    """A vector that is equal to another of the same values, so that observations can be compared.

    Attributes
    ----------
    values : ndarray of float32, shape (K,)
        Read-only.
    """

    __slots__ = ("_content", "values")

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.array(values, dtype=np.float32)
        self.values.setflags(write=False)
        self._content = self.values.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        return f"Numbers({len(self.values)})"


def market_numbers(view: MarketView, config: ObservationConfig) -> Numbers:
    """What `view` knows, as numbers about 0.

    Of each of the last ``soft_bars`` bars, oldest first: log return of the close, of the open and of high and low from
    the close before, all over the deviation of the window's returns; and the log of volume over the window's mean.
    Then the log of that deviation over 1 %, and the configuration's indicators in units of their usual spread. What is
    not known, before the first bar or of prices that the market does not have, is 0.

    Only ratios appear: the level of an adjusted price contains the dividends paid after the day.
    """
    close = view.close[-1 - config.soft_bars :]
    returns = np.diff(np.log(close))
    spread = max(float(returns.std()), SHORTEST_SPREAD) if len(returns) > 1 else 0.01
    bars = np.zeros((config.soft_bars, NUMBERS_PER_BAR))
    if len(returns):
        own, before = bars[-len(returns) :], np.log(close[:-1])
        own[:, 0] = returns / spread
        for column, prices in enumerate((view.open, view.high, view.low), 1):
            if prices is not None:
                own[:, column] = (np.log(prices[-len(returns) :]) - before) / spread
        own[:, 4] = _volume(view.volume, len(returns))
    indicators = [Indicator.parse(name).number(view) for name in config.indicators]
    values = np.concatenate([bars.ravel(), [np.log(spread / 0.01)], indicators])
    return Numbers(np.clip(values, -LIMIT, LIMIT))


def _volume(volume: np.ndarray | None, bars: int) -> np.ndarray:
    """Log of the latest volumes over their mean; 0 where nothing was traded or none is given."""
    if volume is None:
        return np.zeros(bars)
    latest = volume[-bars:]
    mean = latest.mean()
    return np.log(np.where(latest > 0, latest, mean) / mean) if mean > 0 else np.zeros(bars)
