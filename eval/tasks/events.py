"""Event-driven trading: one decision when something happened, held for some days."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from flag_trl.data import MarketData, Period
from flag_trl.metrics import clustered_mean

from ..baselines.sentiment import lexicon_scores
from ..evaluation import TRAINED, UNTRAINED, Evaluation, TaskResult, flat_probabilities, leaning
from ..events import MarketEvent, events_of
from ..words import clean

NAME, TITLE = "events", "Event-driven trading"
VERSION = "1"
UP, DOWN = 0.0055, -0.005
"""StockNet's labels (Xu and Cohen 2018): a day's return from the first on is a rise, from the second down a fall."""
ESTIMATION = (130, 10)
"""The normal return of an event is estimated on bars from 130 to 11 before it (MacKinlay 1997)."""


def run(evaluation: Evaluation) -> TaskResult:
    """Decide on every event of the periods, and hold."""
    bars = int(evaluation.options.get("event_bars", 5))
    found = [e for period in evaluation.periods for e in events_in(evaluation, period, bars)]
    if not found:
        return TaskResult({"events": 0}, {}, ["There was no event in the periods."])
    table = _positions(evaluation, found)
    table["return"], table["abnormal"], table["next_day"] = _outcomes(evaluation, found, bars).T
    cost = 2 * (evaluation.commission + evaluation.rules.costs.slippage_bps) / 1e4
    names = [name for name in table.columns if name.startswith("position ")]
    rows = [_judge(table, name.removeprefix("position "), cost) for name in names]
    kinds = table["kind"].value_counts().to_dict()
    comparisons = {against: _difference(table, TRAINED, against, cost) for against in (UNTRAINED, "always long")}
    figures = {
        "events": len(table),
        "days": int(table["date"].nunique()),
        "kinds": kinds,
        "held_bars": bars,
        "strategies": {row.pop("strategy"): row for row in rows},
        "trained_less": {against: row for against, row in comparisons.items() if row},
    }
    return TaskResult(clean(figures), {"events": table}, _in_words(clean(figures)))


def events_in(evaluation: Evaluation, period: Period, bars: int) -> list[MarketEvent]:
    """The period's events whose outcome is known before it ends; of several kinds on a day, each counts."""
    after_close = evaluation.rules.fill == "next_open"
    found = []
    for symbol, market in evaluation.markets.items():
        first, stop = market.index_range(period.start, period.end)
        found += events_of(symbol, market, max(first, ESTIMATION[0] + 1), stop - bars - after_close, after_close)
    return found


def _positions(evaluation: Evaluation, found: Sequence[MarketEvent]) -> pd.DataFrame:
    """One row an event, with the position that each strategy takes: -1, 0 or 1."""
    markets = evaluation.markets
    table = pd.DataFrame(found)
    table["date"] = [markets[e.symbol].dates[e.bar] for e in found]
    asked = [(e.symbol, e.bar) for e in found]
    for name, policy in evaluation.policies.items():
        probabilities = flat_probabilities(
            policy,
            markets,
            asked,
            evaluation.rules,
            evaluation.telling(f"{name} policy, events"),
        )
        table[f"leaning {name}"] = leaning(probabilities, evaluation.rules)
        table[f"position {name}"] = np.sign(table[f"leaning {name}"]).astype(int)
    table["position always long"] = 1
    moved = [markets[e.symbol].close[e.bar] / markets[e.symbol].close[e.bar - 1] - 1.0 for e in found]
    table["position drift continuation"] = np.sign(moved).astype(int)
    scores = lexicon_scores(markets, asked, evaluation.rules.fill == "next_open")
    if scores is not None:
        table["position sentiment lexicon"] = np.sign(scores).astype(int)
    table["position random"] = np.random.default_rng(evaluation.seed).choice([-1, 1], len(found))
    return table


def _outcomes(evaluation: Evaluation, found: Sequence[MarketEvent], bars: int) -> np.ndarray:
    """Return over the bars held, the same less what is normal, and the next day's return; shape (n, 3)."""
    rows = []
    for event in found:
        market = evaluation.markets[event.symbol]
        entry, last = _entry(market, event.bar, evaluation.rules.fill), event.bar + bars
        earned = market.close[last] / entry - 1.0
        rows.append((earned, earned - _normal(evaluation, event, bars), _next_day(market, event.bar)))
    return np.array(rows)


def _entry(market: MarketData, bar: int, fill: str) -> float:
    if fill == "same_close":
        return float(market.close[bar])
    assert market.open is not None
    return float(market.open[bar + 1])


def _next_day(market: MarketData, bar: int) -> float:
    """The close after the event's over the event's, which StockNet's labels are made of."""
    return float(market.close[bar + 1] / market.close[bar] - 1.0)


def _normal(evaluation: Evaluation, event: MarketEvent, bars: int) -> float:
    """What the market model of the bars before the event expects over the bars held.

    The market is the first that stands beside it, else the mean of the other symbols, else the stock's own mean.
    """
    market = evaluation.markets[event.symbol]
    far, near = ESTIMATION
    days = market.dates[event.bar - far : event.bar + bars + 1]
    own = _returns(market, days)
    beside = market.context[:1] or tuple(m for s, m in evaluation.markets.items() if s != event.symbol)
    before = slice(0, far - near)
    if not beside:
        return float(own[before].mean()) * bars
    index = np.mean([_returns(other, days) for other in beside], axis=0)
    usual = np.isfinite(own[before]) & np.isfinite(index[before])
    if usual.sum() < 30:
        return float(np.nanmean(own[before])) * bars
    slope, level = np.polyfit(index[before][usual], own[before][usual], 1)
    return float(np.nansum(level + slope * index[-bars:]))


def _returns(market: MarketData, days: np.ndarray) -> np.ndarray:
    """Simple returns between the given days; nan where the market did not trade on both."""
    place = np.searchsorted(market.dates, days)
    inside = place < len(market)
    known = inside & (market.dates[np.minimum(place, len(market) - 1)] == days)
    close = np.where(known, market.close[np.minimum(place, len(market) - 1)], np.nan)
    return close[1:] / close[:-1] - 1.0


def _judge(table: pd.DataFrame, strategy: str, cost: float) -> dict[str, Any]:
    """What one strategy earned an event, and how well it told rises from falls."""
    position, days = table[f"position {strategy}"].to_numpy(), table["date"].to_numpy()
    earned = position * table["return"].to_numpy() - np.abs(position) * cost
    taken = position != 0
    net, abnormal = clustered_mean(1e4 * earned, days), clustered_mean(1e4 * position * table["abnormal"], days)
    return {
        "strategy": strategy,
        "mean_bp": net.interval,
        "p_value": net.p_value,
        "abnormal_bp": abnormal.interval,
        "hit_rate": 100 * float((position * table["return"] > 0)[taken].mean()) if taken.any() else None,
        "long_share": 100 * float((position > 0).mean()),
        "mcc": mcc(position, table["next_day"].to_numpy()),
    }


def mcc(position: np.ndarray, next_day: np.ndarray) -> float | None:
    """Matthews correlation of positions with StockNet's labels of the next day; days between the two are left out."""
    labelled = (position != 0) & ((next_day >= UP) | (next_day <= DOWN))
    said, was = position[labelled] > 0, next_day[labelled] >= UP
    tp, tn = float((said & was).sum()), float((~said & ~was).sum())
    fp, fn = float((said & ~was).sum()), float((~said & was).sum())
    divisor = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / divisor if divisor else None


def _difference(table: pd.DataFrame, one: str, other: str, cost: float) -> dict[str, Any] | None:
    """What one strategy earned an event more than another, in basis points."""
    if f"position {other}" not in table:
        return None
    gap = table[f"position {one}"] - table[f"position {other}"]
    paid = cost * (table[f"position {one}"].abs() - table[f"position {other}"].abs())
    found = clustered_mean(1e4 * (gap * table["return"] - paid), table["date"].to_numpy())
    return {"difference": found.value, "low": found.low, "high": found.high, "p_value": found.p_value}


def _in_words(figures: Mapping[str, Any]) -> list[str]:
    own = figures["strategies"][TRAINED]
    mean, low, high = own["mean_bp"]
    held = f"{figures['held_bars']} bars"
    interval = "" if low is None else f", 95 % [{low:+.0f}, {high:+.0f}]"
    words = [
        f"{figures['events']} events on {figures['days']} days; the trained policy earned {mean:+.0f} bp an event"
        f"{interval} after costs, held {held}."
    ]
    for against, row in figures["trained_less"].items():
        if row["low"] is not None:
            verdict = "more" if row["low"] > 0 else "less" if row["high"] < 0 else "no telling"
            bounds = f"95 % [{row['low']:+.0f}, {row['high']:+.0f}]"
            words.append(f"Less {against}: {row['difference']:+.0f} bp, {bounds}: {verdict}.")
    return words
