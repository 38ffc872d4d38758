"""Event-driven trading: one decision when something happened, held for some days."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from flag_trl.data import MarketData, Period
from flag_trl.metrics import clustered_mean

from ..baselines.sentiment import lexicon_scores
from ..evaluation import TRAINED, UNTRAINED, Evaluation, TaskResult, leanings
from ..events import MarketEvent, events_of
from ..words import clean, row_of

NAME, TITLE = "events", "Event-driven trading"
VERSION = "1"
UP, DOWN = 0.0055, -0.005
"""StockNet's labels (Xu and Cohen 2018): a day's return from the first on is a rise, from the second down a fall."""
ESTIMATION = (130, 10)
"""What is normal for a stock is estimated on the returns of bars from 130 to 11 before the event (MacKinlay 1997)."""
CONSTANT = "constant exposure"


def run(evaluation: Evaluation) -> TaskResult:
    """Decide on every event of the periods, and hold."""
    bars = int(evaluation.options.get("event_bars", 5))
    found = [e for period in evaluation.periods for e in events_in(evaluation, period, bars)]
    if not found:
        return TaskResult({"events": 0}, {}, ["There was no event in the periods."])
    table = _positions(evaluation, found)
    table["return"], table["abnormal"], table["next_day"] = _outcomes(evaluation, found, bars).T
    table["day"] = _day_numbers(evaluation, table["date"].to_numpy())
    names = [name.removeprefix("position ") for name in table.columns if name.startswith("position ")]
    rows = [
        {"strategy": name, "cost_bps": cost, **_judge(table, name, _round_trip(evaluation, cost), bars)}
        for cost in evaluation.all_costs
        for name in names
    ]
    cost = _round_trip(evaluation, evaluation.commission)
    against = {other: _difference(table, TRAINED, other, cost, bars) for other in (UNTRAINED, CONSTANT, "always long")}
    figures = {
        "events": len(table),
        "days": int(table["date"].nunique()),
        "kinds": table["kind"].value_counts().to_dict(),
        "held_bars": bars,
        "strategies": {row["strategy"]: row for row in rows if row["cost_bps"] == evaluation.commission},
        "trained_less": {other: row for other, row in against.items() if row},
        "random": _random(table, cost, evaluation),
    }
    tables = {"strategies": pd.json_normalize([clean(_flat(row)) for row in rows]), "events": table}
    return TaskResult(clean(figures), tables, _in_words(clean(figures)))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose intervals are three columns each."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, tuple):
            found.update(zip((key, f"{key}_low", f"{key}_high"), value, strict=True))
        else:
            found[key] = value
    return found


def _round_trip(evaluation: Evaluation, commission_bps: float) -> float:
    """Cost of opening and closing a position, as a fraction of it."""
    return 2 * (commission_bps + evaluation.rules.costs.slippage_bps) / 1e4


def _day_numbers(evaluation: Evaluation, dates: np.ndarray) -> np.ndarray:
    """The place of each date among all days on which any market traded."""
    calendar = np.unique(np.concatenate([market.dates for market in evaluation.markets.values()]))
    return np.searchsorted(calendar, dates.astype("datetime64[D]"))


def events_in(evaluation: Evaluation, period: Period, bars: int) -> list[MarketEvent]:
    """The period's events whose outcome is known before it ends."""
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
        tell = evaluation.telling(f"{name} policy, events")
        table[f"leaning {name}"] = leanings(policy, markets, asked, evaluation.rules, tell)
        table[f"position {name}"] = np.sign(table[f"leaning {name}"])
    table[f"position {CONSTANT}"] = table[f"position {TRAINED}"].mean()
    table["position always long"] = 1.0
    moved = [markets[e.symbol].close[e.bar] / markets[e.symbol].close[e.bar - 1] - 1.0 for e in found]
    table["position drift continuation"] = np.sign(moved)
    scores = lexicon_scores(markets, asked, evaluation.rules.fill == "next_open")
    if scores is not None:
        table["position sentiment lexicon"] = np.sign(scores)
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
    return float(market.open[bar + 1])  # type: ignore[index]  # The environment refuses data without opens.


def _next_day(market: MarketData, bar: int) -> float:
    """The close after the event's over the event's, which StockNet's labels are made of."""
    return float(market.close[bar + 1] / market.close[bar] - 1.0)


def _normal(evaluation: Evaluation, event: MarketEvent, bars: int) -> float:
    """What the market model of the bars before the event expects from the fill to the end.

    The market is the first that stands beside the stock, else the mean of the other symbols, else there is none and
    the stock's own mean is what is normal.
    """
    market, fill = evaluation.markets[event.symbol], evaluation.rules.fill
    far, near = ESTIMATION
    days = market.dates[event.bar - far - 1 : event.bar - near]
    own = (
        np.diff(market.close[event.bar - far - 1 : event.bar - near])
        / market.close[event.bar - far - 1 : event.bar - near - 1]
    )
    beside = market.context[:1] or tuple(m for s, m in evaluation.markets.items() if s != event.symbol)
    last = market.dates[event.bar + bars]
    earned = [x for other in beside if np.isfinite(x := _earned(other, market.dates[event.bar], last, fill))]
    index = np.array([_returns(other, days) for other in beside])
    known = index[:, np.isfinite(index).all(axis=0)] if len(index) else index
    if not earned or known.shape[1] < 30:
        return float(own.mean()) * bars
    slope, level = np.polyfit(known.mean(axis=0), own[np.isfinite(index).all(axis=0)], 1)
    return float(level * bars + slope * np.mean(earned))


def _earned(market: MarketData, day: np.datetime64, last: np.datetime64, fill: str) -> float:
    """What a market beside returned from an order of `day` to `last`; nan where it did not trade then."""
    start, stop = (int(np.searchsorted(market.dates, d, side="right")) - 1 for d in (day, last))
    if start < 0 or stop <= start:
        return float("nan")
    entry = market.open[start + 1] if fill == "next_open" and market.open is not None else market.close[start]
    return float(market.close[stop] / entry - 1.0)


def _returns(market: MarketData, days: np.ndarray) -> np.ndarray:
    """Simple returns between the given days; nan where the market did not trade on both."""
    place = np.minimum(np.searchsorted(market.dates, days), len(market) - 1)
    close = np.where(market.dates[place] == days, market.close[place], np.nan)
    return close[1:] / close[:-1] - 1.0


def _judge(table: pd.DataFrame, strategy: str, cost: float, bars: int) -> dict[str, Any]:
    """What one strategy earned an event, and how well it told rises from falls."""
    position, days = table[f"position {strategy}"].to_numpy(), table["day"].to_numpy()
    earned = position * table["return"].to_numpy() - np.abs(position) * cost
    taken = position != 0
    net = clustered_mean(1e4 * earned, days, bars)
    abnormal = clustered_mean(1e4 * position * table["abnormal"].to_numpy(), days, bars)
    return {
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


def _difference(table: pd.DataFrame, one: str, other: str, cost: float, bars: int) -> dict[str, Any] | None:
    """What one strategy earned an event more than another, in basis points."""
    if f"position {other}" not in table:
        return None
    gap = table[f"position {one}"] - table[f"position {other}"]
    paid = cost * (table[f"position {one}"].abs() - table[f"position {other}"].abs())
    found = clustered_mean(1e4 * (gap * table["return"] - paid).to_numpy(), table["day"].to_numpy(), bars)
    return row_of(found)


def _random(table: pd.DataFrame, cost: float, evaluation: Evaluation) -> dict[str, Any]:
    """How many of a thousand that go long or short by the toss of a coin a day earned as much or more."""
    days, place = np.unique(table["day"].to_numpy(), return_inverse=True)
    draws = np.random.default_rng(evaluation.seed).choice([-1.0, 1.0], (1000, len(days)))[:, place]
    earned = (draws * table["return"].to_numpy() - cost).mean(axis=1)
    position = table[f"position {TRAINED}"].to_numpy()
    own = float((position * table["return"].to_numpy() - np.abs(position) * cost).mean())
    return {"draws": len(draws), "p_value": (np.count_nonzero(earned >= own) + 1) / (len(draws) + 1)}


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
