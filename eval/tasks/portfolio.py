"""Portfolio optimisation: do the policy's leanings, asset by asset, make a better portfolio than none at all?"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from skfolio import RiskMeasure
from skfolio.exceptions import OptimizationError, SolverError
from skfolio.model_selection import WalkForward
from skfolio.optimization import (
    EqualWeighted,
    HierarchicalRiskParity,
    InverseVolatility,
    MeanRisk,
    ObjectiveFunction,
    RiskBudgeting,
)
from skfolio.prior import BlackLitterman

from flag_trl.data import Period
from flag_trl.metrics import max_drawdown, sharpe_difference, sharpe_interval, sharpe_ratio

from ..evaluation import TRAINED, UNTRAINED, Evaluation, TaskResult, leanings
from ..words import clean, difference_in_words, row_of

NAME, TITLE = "portfolio", "Portfolio optimisation"
VERSION = "1"
LOOKBACK = 252
INFORMATION = 0.05
"""Correlation of a score with the coming return that Black-Litterman views assume (Grinold 1994)."""

BASELINES: Mapping[str, Callable[[], Any]] = {
    "1/N": EqualWeighted,
    "inverse volatility": InverseVolatility,
    "minimum variance": lambda: MeanRisk(risk_measure=RiskMeasure.VARIANCE),
    "maximum Sharpe": lambda: MeanRisk(objective_function=ObjectiveFunction.MAXIMIZE_RATIO),
    "hierarchical risk parity": HierarchicalRiskParity,
    "risk parity": RiskBudgeting,
}


class Block(NamedTuple):
    """The days between two rebalances: fitted to returns up to `known`, decided at bar `decided`, held over `held`."""

    known: np.ndarray
    decided: int
    held: np.ndarray


def run(evaluation: Evaluation) -> TaskResult:
    """Walk forward month by month with every portfolio, at every commission."""
    symbols = list(evaluation.markets)
    if len(symbols) < 3:
        return TaskResult({"skipped": "fewer than three assets"}, {}, [f"Not run: {len(symbols)} asset(s), not 3."])
    closes, yearly = aligned(evaluation, symbols), evaluation.periods_per_year
    slippage = evaluation.rules.costs.slippage_bps
    figures: dict[str, Any] = {"symbols": symbols, "periods": {}}
    daily, held, rows, words = [], [], [], []
    for period in evaluation.periods:
        blocks = blocks_of(closes, period, evaluation)
        if not blocks:
            words.append(f"{period.name}: not run, there are no {LOOKBACK} days before it.")
            continue
        weights = {**_policy_weights(evaluation, closes, blocks), **_baseline_weights(closes, blocks, evaluation)}
        for cost in evaluation.all_costs:
            for name, chosen in weights.items():
                returns, turnover = walk(closes, blocks, chosen, cost + slippage, yearly)
                rows.append(
                    {"period": period.name, "portfolio": name, "cost_bps": cost, **_measure(returns, turnover, yearly)}
                )
                label = {"portfolio": name, "cost_bps": cost, "period": period.name}
                daily.append(pd.DataFrame({"date": returns.index.to_numpy(), "return": returns.to_numpy(), **label}))
        held += _weight_rows(closes, blocks, weights, period)
        found, sentences = _compare(daily, period, evaluation)
        figures["periods"][period.name] = {"rebalances": len(blocks), **found}
        words += sentences
    if not daily:
        return TaskResult({"skipped": "too few days"}, {}, words)
    together = pd.concat(daily, ignore_index=True)
    tables = {"measures": pd.DataFrame(rows), "weights": pd.DataFrame(held), "returns": together}
    return TaskResult(clean(figures), tables, words)


def aligned(evaluation: Evaluation, symbols: list[str]) -> pd.DataFrame:
    """Closes of the assets on the days that all of them traded."""
    known = {s: pd.Series(evaluation.markets[s].close, index=evaluation.markets[s].dates) for s in symbols}
    return pd.concat(known, axis=1, join="inner")


def blocks_of(closes: pd.DataFrame, period: Period, evaluation: Evaluation) -> list[Block]:
    """The walk through a period; the return on which a decision's order fills belongs to neither side."""
    delay = int(evaluation.rules.fill == "next_open")
    dates = closes.index.to_numpy()
    first, stop = np.searchsorted(dates, period.start), int(np.searchsorted(dates, period.end, side="right"))
    # Return k leads from close k to close k + 1.
    start = int(first) - LOOKBACK - 1
    if start < 0 or stop - first < 3:
        return []
    bars = min(int(evaluation.options.get("rebalance_bars", 21)), stop - 1 - delay - int(first))
    walk_forward = WalkForward(train_size=LOOKBACK, test_size=bars, purged_size=1 + delay, reduce_test=True)
    rows = np.arange(start, stop - 1)
    return [
        Block(rows[train], int(rows[test[0]]) - delay, rows[test])
        for train, test in walk_forward.split(np.zeros((len(rows), 1)))
    ]


def walk(
    closes: pd.DataFrame, blocks: list[Block], weights: np.ndarray, cost_bps: float, periods_per_year: int = 252
) -> tuple[pd.Series, float]:
    """Daily returns net of costs of a portfolio whose weights drift between rebalances, and its yearly turnover.

    Parameters
    ----------
    weights : ndarray, shape (blocks, assets)
        What is not invested lies in cash at no interest; short positions cost no fee and need no margin.
    """
    moves = (closes.to_numpy()[1:] / closes.to_numpy()[:-1]) - 1.0
    before, traded = np.zeros(weights.shape[1]), 0.0
    found = []
    for block, target in zip(blocks, weights, strict=True):
        change = float(np.abs(target - before).sum())
        traded += change
        # Money in each asset and in cash, of an equity of one.
        assets, cash = target.copy(), 1.0 - target.sum() - change * cost_bps / 1e4
        equity = 1.0
        for k in block.held:
            assets = assets * (1.0 + moves[k])
            found.append((assets.sum() + cash) / equity - 1.0)
            equity = float(assets.sum() + cash)
        before = assets / equity
    days = closes.index[1:][np.concatenate([block.held for block in blocks])]
    return pd.Series(found, index=days), 100 * traded / len(found) * periods_per_year


def policy_weights(scores: np.ndarray) -> dict[str, np.ndarray]:
    """Weights of one day from scores of shape (assets,): long the better half, and long against short."""
    apart = scores - scores.mean()
    total = np.abs(apart).sum()
    if not total > 1e-9:
        even = np.full(len(scores), 1 / len(scores))
        return {"long-only": even, "long-short": np.zeros(len(scores))}
    above = np.maximum(apart, 0.0)
    return {"long-only": above / above.sum(), "long-short": apart / total}


def _policy_weights(evaluation: Evaluation, closes: pd.DataFrame, blocks: list[Block]) -> dict[str, np.ndarray]:
    symbols = list(closes.columns)
    asked = []
    for block in blocks:
        day = closes.index.to_numpy()[block.decided].astype("datetime64[D]")
        asked += [(s, int(np.searchsorted(evaluation.markets[s].dates, day))) for s in symbols]
    returns = closes.pct_change().iloc[1:]
    found: dict[str, list[np.ndarray]] = {}
    for name, policy in evaluation.policies.items():
        tell = evaluation.telling(f"{name} policy, portfolio")
        scores = leanings(policy, evaluation.markets, asked, evaluation.rules, tell).reshape(len(blocks), len(symbols))
        for block, row in zip(blocks, scores, strict=True):
            views = _views(returns.iloc[block.known], row)
            for kind, weights in {**policy_weights(row), "views": views}.items():
                found.setdefault(f"{name}, {kind}", []).append(weights)
    chosen = {name: np.array(rows) for name, rows in found.items()}
    # The same mean weights all the time: what is gained over them is the choosing of months.
    constant = {
        f"{name}, constant": np.tile(rows.mean(axis=0), (len(rows), 1))
        for name, rows in chosen.items()
        if name.startswith(TRAINED)
    }
    return {**chosen, **constant}


def _views(known: pd.DataFrame, scores: np.ndarray) -> np.ndarray:
    """Maximum-Sharpe weights after Black and Litterman, the scores as views: information x volatility x z-score."""
    spread = scores.std()
    if not spread > 1e-9:
        return np.full(len(scores), 1 / len(scores))
    expected = INFORMATION * known.std().to_numpy() * (scores - scores.mean()) / spread / np.sqrt(21)
    views = [f"{symbol} == {value:.10f}" for symbol, value in zip(known.columns, expected, strict=True)]
    estimator = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_RATIO, prior_estimator=BlackLitterman(views=views)
    )
    return _fit(estimator, known)


def _baseline_weights(closes: pd.DataFrame, blocks: list[Block], evaluation: Evaluation) -> dict[str, np.ndarray]:
    returns = closes.pct_change().iloc[1:]
    found = {}
    for place, (name, build) in enumerate(BASELINES.items()):
        evaluation.tell("portfolios", place, len(BASELINES))
        found[name] = np.array([_fit(build(), returns.iloc[block.known]) for block in blocks])
    return found


def _fit(estimator: Any, returns: pd.DataFrame) -> np.ndarray:
    """Weights of a skfolio estimator; equal ones where it finds none, as of a maximum Sharpe ratio without a gain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(estimator.fit(returns).weights_, dtype=np.float64)
        except (OptimizationError, SolverError):
            return np.full(returns.shape[1], 1 / returns.shape[1])


def _measure(returns: pd.Series, turnover: float, periods_per_year: int) -> dict[str, Any]:
    values = returns.to_numpy()
    low, high = sharpe_interval(values, periods_per_year)
    wealth = np.concatenate([[1.0], np.cumprod(1 + values)])
    return {
        "CR": 100 * (wealth[-1] - 1),
        "SR": sharpe_ratio(values, periods_per_year),
        "SR_low": low,
        "SR_high": high,
        # Of an investor of relative risk aversion 1, as in DeMiguel, Garlappi and Uppal (2009).
        "CEQ": 100 * periods_per_year * (values.mean() - values.var(ddof=1) / 2),
        "MDD": 100 * max_drawdown(wealth),
        "turnover": turnover,
    }


def _compare(daily: list[pd.DataFrame], period: Period, evaluation: Evaluation) -> tuple[dict[str, Any], list[str]]:
    """Each of the trained policy's portfolios less the untrained model's, and less 1/N."""
    table = pd.concat(daily)
    table = table[(table["period"] == period.name) & (table["cost_bps"] == evaluation.commission)]
    wide = table.pivot(index="date", columns="portfolio", values="return")
    found, words = {}, []
    for kind in ("long-only", "long-short", "views"):
        for against in (f"{UNTRAINED}, {kind}", f"{TRAINED}, {kind}, constant", "1/N"):
            if against not in wide or (kind == "long-short" and against == "1/N"):
                continue
            own = wide[f"{TRAINED}, {kind}"].to_numpy()
            row = row_of(sharpe_difference(own, wide[against].to_numpy(), evaluation.periods_per_year))
            found[f"{kind} less {against}"] = row
            words.append(f"{period.name}, {kind}: " + difference_in_words("Sharpe ratio", against, row))
    return {"comparisons": found}, words


def _weight_rows(
    closes: pd.DataFrame, blocks: list[Block], weights: Mapping[str, np.ndarray], period: Period
) -> list[dict[str, Any]]:
    return [
        {
            "period": period.name,
            "portfolio": name,
            "date": closes.index[block.decided],
            "symbol": s,
            "weight": float(w),
        }
        for name, table in weights.items()
        for block, row in zip(blocks, table, strict=True)
        for s, w in zip(closes.columns, row, strict=True)
    ]
