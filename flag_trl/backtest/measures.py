"""The measures of a ledger under both conventions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from flag_trl.backtest.ledger import Ledger
from flag_trl.metrics import (
    exposure,
    investorbench_measures,
    sharpe_difference,
    sharpe_interval,
    standard_measures,
    turnover,
    win_rate_days,
    win_rate_trades,
)


def measures(ledger: Ledger) -> dict[str, dict[str, float | None]]:
    """Measure one backtest.

    Returns
    -------
    dict
        ``investorbench``: CR, SR, AV, MDD from daily positions and closes alone, without costs; None unless orders
        fill at the close, since it would credit an order of the next open with the night before it. ``standard``: CR,
        SR, AV, MDD, sortino, calmar, turnover, exposure, win_rate_days and win_rate_trades of the account, after
        costs. Percent except ratios; None where undefined.
    """
    days = ledger.equity
    held, weights = days["position"].to_numpy()[1:], days["weight"].to_numpy()[1:].copy()
    equity, periods = days["equity"].to_numpy(), ledger.periods_per_year
    table = {"CR": np.nan, "SR": np.nan, "AV": np.nan, "MDD": np.nan}
    if ledger.fill == "same_close":
        table = asdict(investorbench_measures(held, days["close"].to_numpy(), periods))
    if len(held) > 1 and weights[-1] == 0 and held[-1] != 0:
        # Closed on the last bar, over which the position was still held.
        weights[-1] = weights[-2] if held[-2] == held[-1] else held[-1]
    standard = {
        **asdict(standard_measures(equity, periods)),
        "turnover": turnover(days["traded"].to_numpy()[1:], equity[:-1], periods),
        "exposure": exposure(weights),
        "win_rate_days": win_rate_days(ledger.returns, weights),
        "win_rate_trades": win_rate_trades(ledger.trades["trade_return"].dropna().to_numpy(dtype=float)),
    }
    return {"investorbench": nulled(table), "standard": nulled(standard)}


def intervals(ledger: Ledger, benchmark: Ledger) -> dict[str, Any]:
    """95 % intervals by block bootstraps.

    Returns
    -------
    dict
        ``SR``: [low, high] of the Sharpe ratio under ``standard``; ``SR_minus_buy_and_hold``: difference to
        `benchmark`, low and high, paired by day. None where undefined.
    """
    own = sharpe_interval(ledger.returns, ledger.periods_per_year)
    paired = sharpe_difference(ledger.returns, benchmark.returns, ledger.periods_per_year)
    return {"SR": nulls(own), "SR_minus_buy_and_hold": nulls(paired.interval)}


def nulled(values: Mapping[str, float]) -> dict[str, float | None]:
    """What is undefined as None, which JSON can hold."""
    return dict(zip(values, nulls(list(values.values())), strict=True))


def nulls(values: Sequence[float]) -> list[float | None]:
    """As `nulled`, for a row of figures."""
    return [float(value) if np.isfinite(value) else None for value in values]
