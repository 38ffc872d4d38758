"""Risk forecasting: does what trading taught the model's states help to tell how volatile the days ahead will be?"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flag_trl.agent import Agent
from flag_trl.data import DataError, MarketData, Period
from flag_trl.metrics import coverage_test, loss_difference, mincer_zarnowitz, qlike

from ..baselines.volatility import FORECASTERS, realised
from ..evaluation import TRAINED, UNTRAINED, Evaluation, TaskResult
from ..words import clean, row_of
from .probes import ask_volatility, probe_states

NAME, TITLE = "risk", "Risk forecasting"
VERSION = "1"
HORIZONS = (5, 20)
RATES = (0.01, 0.05)
LEAST_DAYS, LOOK_BACK = 30, 61
SMALLEST = 1e-8
"""Daily variances are not taken to be smaller: a halted stock would else have an infinite loss."""


class Days(NamedTuple):
    """Bars of one symbol: those that forecasts may be fitted to, and those that are judged."""

    symbol: str
    fit: np.ndarray
    judged: np.ndarray
    period: str

    @property
    def every(self) -> np.ndarray:
        """All bars from the first to the last, those between the two periods too."""
        return np.arange(self.fit[0], self.judged[-1] + 1)


class Variances(NamedTuple):
    """Expected variances a day of one symbol, on the days of `Days.fit` and of `Days.judged`."""

    fit: np.ndarray
    judged: np.ndarray


def run(evaluation: Evaluation) -> TaskResult:
    """Forecast the volatility of the next 5 and 20 days, and the value at risk of the next one, every way there is."""
    forecasts = pd.concat([_of_horizon(evaluation, h) for h in HORIZONS], ignore_index=True)
    if forecasts.empty:
        return TaskResult({"skipped": "no day has a forecast"}, {}, ["Not run: the periods are too short."])
    rows = [
        {"horizon": h, "period": p, "forecaster": name, **_score(group)}
        for (h, p, name), group in forecasts.groupby(["horizon", "period", "forecaster"], sort=False)
    ]
    comparisons = _comparisons(forecasts)
    var = [
        {"period": p, "forecaster": name, "symbol": s, "rate": rate, **_var(group, rate, evaluation.seed)}
        for (p, name, s), group in forecasts[forecasts["horizon"] == HORIZONS[0]].groupby(
            ["period", "forecaster", "symbol"], sort=False
        )
        for rate in RATES
    ]
    figures = {"scores": rows, "comparisons": comparisons, "value_at_risk": var}
    tables = {"forecasts": forecasts, "scores": pd.DataFrame(rows), "value_at_risk": pd.DataFrame(var)}
    return TaskResult(clean(figures), tables, _in_words(clean(comparisons)))


def _of_horizon(evaluation: Evaluation, horizon: int) -> pd.DataFrame:
    """One row a symbol, judged day and forecaster: its daily variance over the horizon, and what was realised."""
    found: list[pd.DataFrame] = []
    for period in evaluation.periods:
        days = [_days(evaluation, symbol, period, horizon) for symbol in evaluation.markets]
        days = [day for day in days if len(day.fit) >= LEAST_DAYS and len(day.judged)]
        if not days:
            continue
        by_name: dict[str, list[Variances]] = {}
        for place, (name, forecast) in enumerate(FORECASTERS.items()):
            evaluation.tell(f"{horizon}-day risk", place, len(FORECASTERS))
            by_name[name] = [
                _at(forecast(evaluation.markets[d.symbol].close, d.fit, d.every, horizon), d) for d in days
            ]
        by_name.update(_by_policies(evaluation, days, horizon))
        for name, values in by_name.items():
            found += [_table(evaluation, d, v, horizon, name) for d, v in zip(days, values, strict=True)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["horizon", "period", "forecaster"])


def _at(variance: np.ndarray, days: Days) -> Variances:
    """What was forecast on every day, on those that count."""
    return Variances(variance[days.fit - days.fit[0]], variance[days.judged - days.fit[0]])


def _days(evaluation: Evaluation, symbol: str, period: Period, horizon: int) -> Days:
    """Days of the training period less the horizon before its end, and judged days with a whole horizon ahead.

    None of a symbol whose data do not reach over both.
    """
    market, none = evaluation.markets[symbol], np.empty(0, dtype=np.int64)
    try:
        start, end = market.index_range(evaluation.train.start, evaluation.train.end)
        first, stop = market.index_range(period.start, period.end)
    except DataError:
        return Days(symbol, none, none, period.name)
    stride = int(evaluation.options.get("probe_stride", 5))
    fit = np.arange(max(start, LOOK_BACK), end - horizon, stride)
    return Days(symbol, fit, np.arange(max(first, LOOK_BACK), stop - horizon), period.name)


def _by_policies(evaluation: Evaluation, days: Sequence[Days], horizon: int) -> dict[str, list[Variances]]:
    """Forecasts of a ridge probe on each policy's states, and of what it says when asked."""
    found: dict[str, list[Variances]] = {}
    for name, policy in evaluation.policies.items():
        if not isinstance(policy, Agent):
            continue
        tell = evaluation.telling(f"{name} policy, {horizon}-day risk")
        for way, forecast in (("probe", probe_states), ("asked", ask_volatility)):
            pairs = forecast(policy, evaluation, days, horizon, tell)
            found[f"{name}, {way}"] = [Variances(*pair) for pair in pairs]
    return found


def _table(evaluation: Evaluation, days: Days, variance: Variances, horizon: int, name: str) -> pd.DataFrame:
    market: MarketData = evaluation.markets[days.symbol]
    returns = np.diff(np.log(market.close))
    judged = np.maximum(variance.judged, SMALLEST)
    # The tail of the forecaster's own errors on the training days; what is left to judge is how it follows the times.
    scaled = returns[days.fit] / np.sqrt(np.maximum(variance.fit, SMALLEST))
    tail = {f"var_{rate:g}": -np.quantile(scaled, rate) * np.sqrt(judged) for rate in RATES}
    return pd.DataFrame(
        {
            "horizon": horizon,
            "period": days.period,
            "forecaster": name,
            "symbol": days.symbol,
            "date": market.dates[days.judged],
            "variance": judged,
            "realised": np.maximum(realised(market.close, days.judged, horizon), SMALLEST),
            "next_return": returns[days.judged],
            **tail,
        }
    )


def _score(group: pd.DataFrame) -> dict[str, Any]:
    truth, given = group["realised"].to_numpy(), group["variance"].to_numpy()
    return {
        "days": len(group),
        "qlike": float(qlike(truth, given).mean()),
        # Of volatilities a day, in percentage points squared.
        "mse": float(np.mean((100 * np.sqrt(truth) - 100 * np.sqrt(given)) ** 2)),
        "r_squared": mincer_zarnowitz(np.sqrt(truth), np.sqrt(given)),
    }


def _comparisons(forecasts: pd.DataFrame) -> list[dict[str, Any]]:
    """QLIKE of the trained model's forecasts less that of the untrained model's, and of each baseline's."""
    rows = []
    pairs = forecasts[["horizon", "period"]].drop_duplicates()
    for horizon, period in pairs.itertuples(index=False):
        group = forecasts[(forecasts["horizon"] == horizon) & (forecasts["period"] == period)]
        # Losses of one day are averaged over the symbols, for they depend on each other.
        loss = group.assign(loss=qlike(group["realised"], group["variance"]))
        wide = loss.pivot_table(index="date", columns="forecaster", values="loss")
        for way in ("probe", "asked"):
            own = f"{TRAINED}, {way}"
            for other in [f"{UNTRAINED}, {way}", *FORECASTERS]:
                if own in wide and other in wide:
                    test = loss_difference(wide[own].to_numpy(), wide[other].to_numpy(), int(horizon))
                    label = {"horizon": int(horizon), "period": period, "forecaster": own, "less": other}
                    rows.append({**label, **row_of(test)})
    return rows


def _var(group: pd.DataFrame, rate: float, seed: int) -> dict[str, Any]:
    hits = group["next_return"].to_numpy() < -group[f"var_{rate:g}"].to_numpy()
    if len(hits) < 2:
        return {"exceptions": int(hits.sum()), "periods": len(hits)}
    return dict(clean(coverage_test(hits, rate, draws=999, seed=seed)))


def _in_words(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    words = []
    for row in comparisons:
        if row["less"] not in (f"{UNTRAINED}, probe", f"{UNTRAINED}, asked", "past volatility") or row["low"] is None:
            continue
        verdict = "better" if row["high"] < 0 else "worse" if row["low"] > 0 else "no telling"
        words.append(
            f"{row['period']}, {row['horizon']} days, {row['forecaster']} less {row['less']}: QLIKE "
            f"{row['difference']:+.3f}, 95 % [{row['low']:+.3f}, {row['high']:+.3f}]: {verdict}."
        )
    return words or ["No policy with states to probe was given: baselines alone are shown."]
