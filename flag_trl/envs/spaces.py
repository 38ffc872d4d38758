"""Gymnasium spaces of the trading environment."""

import numpy as np
from gymnasium import spaces


def account_observation_space(n_symbols: int, longest_market: int, n_actions: int) -> spaces.Dict:
    """Space of one account's observation; see `TradingVectorEnv` for what each entry means.

    ``cash_share`` is above 1 for a short, ``drawdown`` above 1 for a debt, hence no upper bounds there.
    """

    def number(low: float) -> spaces.Box:
        return spaces.Box(low, np.inf, shape=(), dtype=np.float64)

    return spaces.Dict(
        {
            "symbol": spaces.Discrete(n_symbols),
            "bar": spaces.Box(0, longest_market - 1, shape=(), dtype=np.int64),
            "position": spaces.Box(-1, 1, shape=(), dtype=np.int8),
            "cash_share": number(-np.inf),
            "return_since_entry": number(-np.inf),
            "drawdown": number(0.0),
            "legal": spaces.MultiBinary(n_actions),
        }
    )
