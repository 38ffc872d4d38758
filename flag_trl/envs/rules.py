"""The rules under which an account trades, apart from which market and when."""

from collections.abc import Mapping
from dataclasses import dataclass

from flag_trl.accounts import AllIn, Costs, PositionScheme
from flag_trl.data import MarketData
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
    initial_capital : float
    close_at_end : bool
        Whether the last position is closed, at a cost, on an episode's last bar.
    """

    scheme: PositionScheme = AllIn()
    fill: FillAt = "next_open"
    costs: Costs = Costs()
    reward: RewardName = "log_return"
    sharpe_rate: float = 0.01
    drawdown_penalty: float = 1.0
    initial_capital: float = 100_000.0
    close_at_end: bool = False

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
            initial_capital=self.initial_capital,
            close_at_end=self.close_at_end,
        )
