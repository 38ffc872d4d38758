"""Performance measures: arrays in, numbers out. What is undefined is nan, never an exception."""

from flag_trl.metrics.activity import exposure, turnover, win_rate_days, win_rate_trades
from flag_trl.metrics.calibration import Calibration, calibration
from flag_trl.metrics.investorbench import InvestorBench, investorbench_measures
from flag_trl.metrics.significance.bootstrap import mean_difference_interval, mean_interval, sharpe_interval
from flag_trl.metrics.significance.coverage import CoverageTest, coverage_test, traffic_light
from flag_trl.metrics.significance.forecasts import loss_difference, mincer_zarnowitz, qlike
from flag_trl.metrics.significance.multiple import Superiority, confidence_set, superior_ability
from flag_trl.metrics.significance.regression import Estimate, MarketModel, clustered_mean, market_model, series_mean
from flag_trl.metrics.significance.sharpe import (
    SharpeDifference,
    best_of_trials,
    probabilistic_sharpe,
    sharpe_difference,
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
    "Calibration",
    "CoverageTest",
    "Estimate",
    "InvestorBench",
    "MarketModel",
    "SharpeDifference",
    "Standard",
    "Superiority",
    "best_of_trials",
    "calibration",
    "clustered_mean",
    "confidence_set",
    "coverage_test",
    "exposure",
    "investorbench_measures",
    "loss_difference",
    "market_model",
    "max_drawdown",
    "mean_difference_interval",
    "mean_interval",
    "mincer_zarnowitz",
    "probabilistic_sharpe",
    "qlike",
    "sample_deviation",
    "series_mean",
    "sharpe_difference",
    "sharpe_interval",
    "sharpe_ratio",
    "simple_returns",
    "standard_measures",
    "superior_ability",
    "traffic_light",
    "turnover",
    "win_rate_days",
    "win_rate_trades",
]
