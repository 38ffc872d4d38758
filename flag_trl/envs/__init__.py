"""The trading environment: N accounts side by side, and a wrapper for one."""

from flag_trl.envs.rewards import MIN_RETURNS, RUIN_FLOOR, STD_FLOOR, SharpeIncrement
from flag_trl.envs.rules import TradingRules
from flag_trl.envs.single import TradingEnv
from flag_trl.envs.vector import FillAt, RewardName, TradingVectorEnv

__all__ = [
    "MIN_RETURNS",
    "RUIN_FLOOR",
    "STD_FLOOR",
    "FillAt",
    "RewardName",
    "SharpeIncrement",
    "TradingEnv",
    "TradingRules",
    "TradingVectorEnv",
]
