"""The market part of an observation: returns, momentum, volatility and the latest texts, as ratios only."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flag_trl.data import MarketView


@dataclass(frozen=True)
class ObservationConfig:
    """What an observation holds and how long it may be.

    Attributes
    ----------
    past_returns : int
        How many of the latest one-bar returns are written out, oldest first.
    momentum_bars : int
        Look-back of the total return.
    volatility_bars : int
        Look-back of the annualised standard deviation of one-bar returns.
    text_items : int
        At most this many of the texts that became known since the bar before, the latest.
    text_budget : int
        Length that all of them together may take, in tokens where an agent builds the observation.
    account_text : {"position", "full"}
        ``position`` says flat, long or short and nothing continuous, so that a day has few distinct states; ``full``
        adds cash, return since entry and drawdown as in the paper's prompt.
    """

    past_returns: int = 5
    momentum_bars: int = 20
    volatility_bars: int = 20
    text_items: int = 0
    text_budget: int = 60
    account_text: Literal["position", "full"] = "position"

    def __post_init__(self) -> None:
        if self.account_text not in ("position", "full"):
            raise ValueError(f"account_text is {self.account_text!r}; choose position or full")
        for name in ("past_returns", "momentum_bars", "volatility_bars", "text_items", "text_budget"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it counts and cannot be negative")
        if self.volatility_bars == 1:
            raise ValueError("volatility_bars is 1; a standard deviation needs two returns (0 leaves it out)")

    @property
    def lookback(self) -> int:
        """Bars before the first decision that the numbers need."""
        return max(self.past_returns, self.momentum_bars, self.volatility_bars)


def market_text(view: MarketView, config: ObservationConfig, length: Callable[[str], int]) -> str:
    """Write down what `view` knows.

    Parameters
    ----------
    view : MarketView
        The market as of one bar; nothing later can be read from it.
    config : ObservationConfig
        What to write.
    length : callable
        Length of a text in the unit of ``config.text_budget``.

    Notes
    -----
    Only ratios appear: the level of an adjusted price contains the dividends paid after the day. Where the history is
    shorter than a look-back, the numbers that need it are left out.
    """
    close = view.close[-1 - config.lookback :]
    returns = close[1:] / close[:-1] - 1.0
    parts = []
    if config.past_returns and len(returns):
        latest = " ".join(_per_mille(r) for r in returns[-config.past_returns :])
        parts.append(f"Returns, 0.1%: {latest}.")
    if config.momentum_bars and len(returns) >= config.momentum_bars:
        total = close[-1] / close[-1 - config.momentum_bars] - 1.0
        parts.append(f"{config.momentum_bars} days {_percent(total)}%.")
    if config.volatility_bars and len(returns) >= config.volatility_bars:
        volatility = returns[-config.volatility_bars :].std(ddof=1) * np.sqrt(view.periods_per_year)
        parts.append(f"Volatility {100 * volatility:.0f}%.")
    line = f"{view.symbol}. " + " ".join(parts)
    news = latest_texts(view, config, length)
    return "\n".join([line.strip(), *news])


def latest_texts(view: MarketView, config: ObservationConfig, length: Callable[[str], int]) -> list[str]:
    """The day's last few texts, the latest first, cut at a word's end where the budget is used up."""
    if not config.text_items:
        return []
    kept: list[str] = []
    left = config.text_budget
    for item in view.texts(since_bars=1)[::-1][: config.text_items]:
        text = " ".join(item.text.split())
        cut = cut_to(text, left, length)
        if not cut:
            break
        kept.append(cut)
        left -= length(cut)
        if cut != text:
            break
    return kept


def cut_to(text: str, budget: int, length: Callable[[str], int]) -> str:
    """The longest beginning of `text`, in whole words, that is at most `budget` long."""
    if length(text) <= budget:
        return text
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if length(text[: ends[middle - 1]]) <= budget:
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]] if low else ""


def _per_mille(ratio: float) -> str:
    """A return in tenths of a percent: the fewest tokens that still tell a quiet day from a loud one."""
    return f"{round(1000 * ratio):+d}"


def _percent(ratio: float) -> str:
    return f"{round(100 * ratio):+d}"
