"""Train a language model to trade by policy gradient, and measure with statistics what that did.

The names below are imported when first used, so that ``import flag_trl`` and ``flag-trl --help`` load no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "ActionTokens": "flag_trl.policy",
    "Agent": "flag_trl.agent",
    "Costs": "flag_trl.accounts",
    "FlagConfig": "flag_trl.trainer",
    "FlagTrainer": "flag_trl.trainer",
    "LLMPolicy": "flag_trl.policy",
    "MarketData": "flag_trl.data",
    "ObservationConfig": "flag_trl.observations",
    "Period": "flag_trl.data",
    "TradingEnv": "flag_trl.envs",
    "TradingRules": "flag_trl.envs",
    "TradingVectorEnv": "flag_trl.envs",
    "Tuning": "flag_trl.policy",
    "episode_dataset": "flag_trl.data",
    "load_market": "flag_trl.data",
    "measures": "flag_trl.backtest",
    "position_scheme": "flag_trl.accounts",
    "run_backtest": "flag_trl.backtest",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name from the room it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module 'flag_trl' has no attribute {name!r}; its public names: {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
