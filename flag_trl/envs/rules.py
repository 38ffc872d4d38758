"""The rules under which an account trades, apart from which market and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from flag_trl.accounts import AllIn, Costs, PositionScheme
from flag_trl.data import MarketData, Window
from flag_trl.envs.vector import FillAt, RewardName, TradingVectorEnv


@dataclass(frozen=True)
class TradingRules:
    """Everything of `TradingVectorEnv` that a recipe fixes for training, validation and test alike.

    Attributes
    ----------
    scheme : PositionScheme
        What the actions mean.
    fill : {"next_open", "same_close"}
        When orders fill; ``same_close`` for data that has closes alone.
    costs : Costs
    reward : {"log_return", "timing_return", "sharpe_increment", "differential_sharpe", "drawdown_penalised"}
    sharpe_rate, drawdown_penalty : float
        Of the last two rewards.
    drift : mapping of str to float, optional
        By symbol, the mean log return a bar that ``timing_return`` takes off; `with_drift` measures it. The trainer
        does where it is left out.
    initial_capital : float
    close_at_end : bool
        Whether the last position is closed, at a cost, on an episode's last bar.
    lot_size : float
        Units are held in multiples of it, as shares are in ones; 0 trades any fraction of a unit.
    """

    scheme: PositionScheme = AllIn()
    fill: FillAt = "next_open"
    costs: Costs = Costs()
    reward: RewardName = "log_return"
    sharpe_rate: float = 0.01
    drawdown_penalty: float = 1.0
    drift: Mapping[str, float] | None = None
    initial_capital: float = 100_000.0
    close_at_end: bool = False
    lot_size: float = 0.0

    @property
    def identity(self) -> dict[str, str]:
        """What an agent's actions mean: the scheme with its actions, and the fill. A trained agent fits no other."""
        return {"scheme": f"{self.scheme.name} ({', '.join(self.scheme.actions)})", "fill": self.fill}

    def make(self, markets: Mapping[str, MarketData], num_envs: int) -> TradingVectorEnv:
        """An environment of `num_envs` accounts under these rules."""
        return TradingVectorEnv(
            markets,
            num_envs,
            scheme=self.scheme,
            fill=self.fill,
            costs=self.costs,
            reward=self.reward,
            sharpe_rate=self.sharpe_rate,
            drawdown_penalty=self.drawdown_penalty,
            drift=self.drift,
            initial_capital=self.initial_capital,
            close_at_end=self.close_at_end,
            lot_size=self.lot_size,
        )

    def with_drift(self, markets: Mapping[str, MarketData], windows: Sequence[Window]) -> Self:
        """These rules with the drift of the bars that `windows` span.

        A symbol without a window, one that is held out of training, gets the mean of the others.
        """
        span: dict[str, tuple[int, int]] = {}
        for symbol, start, length in windows:
            first, last = span.get(symbol, (start, start))
            span[symbol] = min(first, start), max(last, start + length)
        measured = {
            symbol: float(np.log(markets[symbol].close[last] / markets[symbol].close[first]) / (last - first))
            for symbol, (first, last) in span.items()
        }
        others = float(np.mean(list(measured.values())))
        return replace(self, drift={symbol: measured.get(symbol, others) for symbol in markets})
