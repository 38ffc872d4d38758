"""One account as an ordinary Gymnasium environment."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from flag_trl.accounts import Costs, PositionScheme
from flag_trl.data import MarketData
from flag_trl.envs.vector import Arrays, FillAt, RewardName, TradingVectorEnv


class TradingEnv(gymnasium.Env[Arrays, np.int64]):
    """A `TradingVectorEnv` of one account, without the leading dimension.

    Parameters are those of `TradingVectorEnv`. ``reset(options={"window": Window(...)})`` chooses the window; without
    it one is drawn.

    Gymnasium expects every action of the space to be accepted at any time. One that the account cannot execute, such
    as selling under `all_in` while flat, therefore trades nothing here, and info's ``executed`` says False;
    `TradingVectorEnv` refuses it. Info holds NumPy scalars and leaves out what is NaN, the price of a trade that was
    not made, since Gymnasium's checker counts NaN as unequal to itself.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        markets: Mapping[str, MarketData],
        *,
        scheme: PositionScheme,
        fill: FillAt = "next_open",
        costs: Costs | None = None,
        reward: RewardName = "log_return",
        sharpe_rate: float = 0.01,
        drawdown_penalty: float = 1.0,
        initial_capital: float = 100_000.0,
        close_at_end: bool = False,
        lot_size: float = 0.0,
    ) -> None:
        self._accounts = TradingVectorEnv(
            markets,
            1,
            scheme=scheme,
            fill=fill,
            costs=costs,
            reward=reward,
            sharpe_rate=sharpe_rate,
            drawdown_penalty=drawdown_penalty,
            initial_capital=initial_capital,
            close_at_end=close_at_end,
            lot_size=lot_size,
        )
        self.symbols = self._accounts.symbols
        self.observation_space = self._accounts.single_observation_space
        self.action_space = self._accounts.single_action_space
        self._idle = np.isnan(scheme.target_weight(np.arange(len(scheme.actions))))
        self._legal = np.zeros(len(scheme.actions), dtype=np.int8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Arrays, dict[str, np.generic]]:
        """Open the account anew; ValueError for an unknown option or a window that does not fit its market."""
        super().reset(seed=seed)
        unknown = sorted(set(options or {}) - {"window"})
        if unknown:
            raise ValueError(f"reset: unknown options {', '.join(unknown)}; there is only window")
        windows = {"windows": [options["window"]]} if options else None
        observation, info = self._accounts.reset(seed=seed, options=windows)
        return self._one(observation), _defined(info)

    def step(self, action: int | np.int64) -> tuple[Arrays, float, bool, bool, dict[str, np.generic]]:
        """Trade, move to the next close, and mark; ValueError for an action that is not in the space."""
        executed = not self.action_space.contains(action) or bool(self._legal[action])
        no_trade = np.flatnonzero(self._idle & (self._legal == 1))
        if not executed and len(no_trade):
            action = int(no_trade[0])
        observation, reward, terminated, truncated, info = self._accounts.step(np.asarray([action]))
        single_info = _defined(info) | {"executed": np.bool_(executed)}
        return self._one(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), single_info

    def _one(self, observation: Arrays) -> Arrays:
        self._legal = observation["legal"][0].copy()
        # Not [0] alone: that would give NumPy scalars, which Discrete spaces want and Box spaces do not.
        single = {key: np.asarray(values[0]) for key, values in observation.items()}
        return single | {"symbol": observation["symbol"][0]}


def _defined(info: Arrays) -> dict[str, np.generic]:
    # Prices are the only numbers that can be NaN, and a date is never missing.
    return {key: values[0] for key, values in info.items() if values[0] == values[0]}
