"""Performance measures: arrays in, numbers out. What is undefined is nan, never an exception."""

from flag_trl.metrics.activity import exposure, turnover, win_rate_days, win_rate_trades
from flag_trl.metrics.investorbench import InvestorBench, investorbench_measures
from flag_trl.metrics.significance import (
    mean_difference_interval,
    mean_interval,
    sharpe_difference_interval,
    sharpe_interval,
)
from flag_trl.metrics.standard import (
    Standard,
    max_drawdown,
    sample_deviation,
    sharpe_ratio,
    simple_returns,
    standard_measures,
)

__all__ = [
    "InvestorBench",
    "Standard",
    "exposure",
    "investorbench_measures",
    "max_drawdown",
    "mean_difference_interval",
    "mean_interval",
    "sample_deviation",
    "sharpe_difference_interval",
    "sharpe_interval",
    "sharpe_ratio",
    "simple_returns",
    "standard_measures",
    "turnover",
    "win_rate_days",
    "win_rate_trades",
]
