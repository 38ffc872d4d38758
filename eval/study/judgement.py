"""What the runs of a study show together: measures and paired differences over seeds, by group of symbols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from flag_trl.backtest import Ledger
from flag_trl.metrics import (
    investorbench_measures,
    series_mean,
    sharpe_difference,
    sharpe_interval,
    sharpe_ratio,
    standard_measures,
    turnover,
)
from flag_trl.scripts.recipe import Recipe

from ..baselines.published import PAPER_WINDOW, quoted_rows
from ..evaluation import TRAINED, UNTRAINED, TaskResult
from ..pool import closes, pooled
from ..words import always, clean, difference_in_words, row_of
from .play import HOLD, Books

T = TypeVar("T")
NAME, TITLE = "study", "Over seeds"
CONSTANT = "constant_position"
SHARPE, YEARLY = "Sharpe ratio", "Return in percent a year"
BENCHMARK = "investorbench"
MEASURES = ("CR", "SR", "AV", "MDD")
_POSITIONS = {1: "long", 0: "flat", -1: "short"}


@dataclass(frozen=True)
class View:
    """A convention: how a day of an account is counted, and after which commission."""

    name: str
    cost_bps: float

    @property
    def benchmark(self) -> bool:
        """INVESTOR-BENCH's: position times log return, without costs."""
        return self.name == BENCHMARK

    def of(self, by_cost: Mapping[float, T]) -> T:
        """What it looks at; the benchmark reads positions alone, at the recipes' own commission."""
        return next(iter(by_cost.values())) if self.benchmark else by_cost[self.cost_bps]

    def returns(self, ledgers: Sequence[Ledger]) -> pd.Series:
        """A day's return of the accounts in equal parts, by date."""
        if not self.benchmark:
            return pooled(ledgers)
        return _side_by_side({one.symbol: _rewards(one) for one in ledgers}).mean(axis=1)

    def constant(self, ledgers: Sequence[Ledger]) -> pd.Series:
        """The same had each account held what it held on average all the time, without costs."""
        if not self.benchmark:
            weights = [one.equity["weight"].to_numpy()[1:].mean() for one in ledgers]
            return (closes(ledgers) * weights).mean(axis=1)
        held = {one.symbol: _log_returns(one) * one.equity["position"].to_numpy()[1:].mean() for one in ledgers}
        return _side_by_side(held).mean(axis=1)

    def measure(self, returns: np.ndarray, periods_per_year: int) -> dict[str, float]:
        """CR, SR, AV and MDD of daily returns."""
        if self.benchmark:
            prices = np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
            found: Any = investorbench_measures(np.ones(len(returns)), prices, periods_per_year)
        else:
            found = standard_measures(np.concatenate([[1.0], np.cumprod(1 + returns)]), periods_per_year)
        return {name: getattr(found, name) for name in MEASURES}

    def scale(self, days: int) -> float:
        """A Sharpe ratio of the convention over that of its daily returns: the benchmark divides by one day more."""
        return days / (days + 1) if self.benchmark else 1.0


@dataclass(frozen=True)
class Group:
    """Some symbols in one test period: a list of ledgers a run, and those of the untrained model and of Buy & Hold.

    All by commission.
    """

    name: str
    period: str
    periods_per_year: int
    trained: Mapping[float, Sequence[Sequence[Ledger]]]
    single: Mapping[str, Mapping[float, Sequence[Ledger]]]

    @property
    def symbols(self) -> list[str]:
        """Its symbols."""
        return [ledger.symbol for ledger in next(iter(self.trained.values()))[0]]


def judge(recipes: Mapping[str, Recipe], found: Mapping[str, Sequence[Books]]) -> TaskResult:
    """Compare what was trained with what was not.

    Parameters
    ----------
    recipes : mapping of str to Recipe
    found : mapping of str to sequence of Books
        By recipe the books of the untrained model, then those of each seed.
    """
    parts = groups(recipes, found)
    views = _views(recipes, list(parts[0].trained))
    measures, comparisons, daily, words = [], [], [], []
    for group in parts:
        for view in views:
            found_here, compared = _measures(group, view), _comparisons(group, view)
            if view is views[0]:
                words += _in_words(group, found_here, compared)
            measures += found_here
            comparisons += compared
            daily.append(_daily(group, view))
    tables = {
        "measures": pd.DataFrame(measures),
        "comparisons": pd.DataFrame(comparisons),
        "daily": pd.concat(daily, ignore_index=True),
    }
    single = [group for group in parts if len(group.symbols) == 1 and group.period == PAPER_WINDOW]
    quoted = [{**row, "group": group.name} for group in single for row in quoted_rows(group.symbols[0])]
    if quoted and views[0].benchmark:
        tables["quoted"] = pd.DataFrame(quoted)
    own = [row for row in comparisons if row["convention"] == views[0].name and row["cost_bps"] == views[0].cost_bps]
    outside = [row for row in own if row["low"] > 0 or row["high"] < 0]
    words.append(
        f"{len(outside)} of these {len(own)} differences have an interval without zero; chance alone would give about "
        f"{0.05 * len(own):.1f}."
    )
    return TaskResult(clean({"groups": [group.name for group in parts], "comparisons": own}), tables, words)


def groups(recipes: Mapping[str, Recipe], found: Mapping[str, Sequence[Books]]) -> list[Group]:
    """Each recipe's symbols, its unseen ones, and all that training saw where recipes differ in their symbols."""
    parts = []
    every = [symbol for recipe in recipes.values() for symbol in recipe.market.symbols]
    repeated = len(set(every)) < len(every)
    for name, recipe in recipes.items():
        seen, unseen = recipe.market.symbols, recipe.market.unseen_symbols
        label = f"{name}, symbols of training" if len(seen) > 1 else f"{name}, {seen[0]}" if repeated else seen[0]
        for period in recipe.periods()[2]:
            parts.append(_group(label, period.name, {name: seen}, recipes, found))
            if unseen:
                parts.append(_group(f"{name}, unseen symbols", period.name, {name: unseen}, recipes, found))
    if len(recipes) > 1 and not repeated:
        chosen = {name: recipe.market.symbols for name, recipe in recipes.items()}
        for shared in next(iter(recipes.values())).periods()[2]:
            if all(str(shared) in map(str, recipe.periods()[2]) for recipe in recipes.values()):
                parts.append(_group("all", shared.name, chosen, recipes, found))
    return parts


def _group(
    name: str,
    period: str,
    chosen: Mapping[str, Sequence[str]],
    recipes: Mapping[str, Recipe],
    found: Mapping[str, Sequence[Books]],
) -> Group:
    def pick(run: int, strategy: str, cost: float) -> list[Ledger]:
        return [
            ledger
            for recipe, symbols in chosen.items()
            for ledger in found[recipe][run][strategy, period, cost]
            if ledger.symbol in symbols
        ]

    first = next(iter(chosen))
    costs = [cost for strategy, of, cost in found[first][0] if strategy == HOLD and of == period]
    runs = range(1, len(found[first]))
    return Group(
        name=name,
        period=period,
        periods_per_year=min(recipes[recipe].market.periods_per_year for recipe in chosen),
        trained={cost: [pick(run, TRAINED, cost) for run in runs] for cost in costs},
        single={s: {cost: pick(0, s, cost) for cost in costs} for s in (UNTRAINED, HOLD)},
    )


def _views(recipes: Mapping[str, Recipe], costs: Sequence[float]) -> list[View]:
    """The benchmark's convention where all trade so, then accounts at each commission, the recipes' own first."""
    counted = all(
        one.trading.fill == "same_close" and one.trading.scheme in ("signed", "all_in") for one in recipes.values()
    )
    accounts = [View("standard", cost) for cost in costs]
    return [View(BENCHMARK, 0.0), *accounts] if counted else accounts


def _strategies(group: Group, view: View) -> dict[str, list[Sequence[Ledger]]]:
    """By strategy its runs: several of the trained policy, one of every other."""
    others = {name: [view.of(books)] for name, books in group.single.items()}
    return {TRAINED: list(view.of(group.trained)), **others}


def _measures(group: Group, view: View) -> list[dict[str, Any]]:
    """A row a strategy: the mean of its runs, the Sharpe ratio's interval over days, its deviation over seeds."""
    rows = []
    for name, runs in _strategies(group, view).items():
        series = np.column_stack([view.returns(ledgers).to_numpy() for ledgers in runs])
        each = pd.DataFrame([view.measure(column, group.periods_per_year) for column in series.T])
        low, high = sharpe_interval(series, group.periods_per_year)
        scale = view.scale(len(series))
        ratios = each["SR"].fillna(0.0)
        means = {measure: float(each[measure].mean()) for measure in MEASURES}
        rows.append(
            {
                **_label(group, view),
                "strategy": name,
                "runs": len(runs),
                **means,
                # A run that never trades counts as 0 beside others, as in the tests of differences.
                "SR": float(ratios.mean()) if each["SR"].notna().any() else np.nan,
                "SR_low": low * scale,
                "SR_high": high * scale,
                "SR_deviation_over_runs": float(ratios.std(ddof=1)) if len(runs) > 1 else np.nan,
                "mean_position": _mean_position(runs),
                "turnover": float(np.mean([_turnover(ledger) for ledgers in runs for ledger in ledgers])),
                "one_position": _one_position(runs),
                "days": len(series),
            }
        )
    return rows


def _comparisons(group: Group, view: View) -> list[dict[str, Any]]:
    """The trained policy less the untrained one, Buy & Hold, and constant positions of its own mean size."""
    strategies = _strategies(group, view)
    own = np.column_stack([view.returns(ledgers).to_numpy() for ledgers in strategies.pop(TRAINED)])
    scale, rows = view.scale(len(own)), []
    for name, (ledgers,) in strategies.items():
        other = np.repeat(view.returns(ledgers).to_numpy()[:, None], own.shape[1], axis=1)
        row: dict[str, Any] = row_of(sharpe_difference(own, other, group.periods_per_year))
        for key in ("difference", "low", "high", "detectable"):
            row[key] *= scale
        ratios = scale * np.nan_to_num([sharpe_ratio(column, group.periods_per_year) for column in own.T])
        deviation = float(np.std(ratios, ddof=1)) if len(ratios) > 1 else np.nan
        rows.append({**_label(group, view), "measure": SHARPE, "less": name, **row, "deviation_over_runs": deviation})
    runs = view.of(group.trained)
    timing = np.column_stack([(view.returns(ledgers) - view.constant(ledgers)).to_numpy() for ledgers in runs])
    yearly = 100 * group.periods_per_year * timing
    deviation = float(yearly.mean(axis=0).std(ddof=1)) if len(runs) > 1 else np.nan
    row = row_of(series_mean(yearly.mean(axis=1)))
    rows.append({**_label(group, view), "measure": YEARLY, "less": CONSTANT, **row, "deviation_over_runs": deviation})
    return rows


def _daily(group: Group, view: View) -> pd.DataFrame:
    """A day's return of every strategy and run, tidy."""
    parts = []
    for name, runs in _strategies(group, view).items():
        for run, ledgers in enumerate(runs):
            returns = view.returns(ledgers)
            parts.append(
                pd.DataFrame({"date": returns.index, "return": returns.to_numpy(), "strategy": name, "run": run})
            )
    return pd.concat(parts, ignore_index=True).assign(**_label(group, view))


def _in_words(group: Group, rows: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]]) -> list[str]:
    """What became of a group, in sentences."""
    by = {row["strategy"]: row for row in rows}
    own, held = by[TRAINED], by[HOLD]
    text = (
        f"{group.name}, {group.period}, {own['days']} days, {own['runs']} seeds: Sharpe ratio {own['SR']:.2f} "
        f"[{own['SR_low']:.2f}, {own['SR_high']:.2f}], Buy & Hold {held['SR']:.2f}; mean position "
        f"{own['mean_position']:+.2f}."
    )
    if own["one_position"]:
        text += f" It is always {own['one_position']} by another name: on 95 % of the days or more."
    said = {UNTRAINED: "the model untrained", HOLD: "Buy & Hold", CONSTANT: "constant positions of its own mean size"}
    return [text, *(difference_in_words(row["measure"], said[row["less"]], row) for row in compared)]


def _label(group: Group, view: View) -> dict[str, Any]:
    return {"group": group.name, "period": group.period, "convention": view.name, "cost_bps": view.cost_bps}


def _mean_position(runs: Sequence[Sequence[Ledger]]) -> float:
    return float(np.mean([one.equity["position"].to_numpy()[1:].mean() for ledgers in runs for one in ledgers]))


def _turnover(ledger: Ledger) -> float:
    """Percent of equity a year."""
    days = ledger.equity
    return turnover(days["traded"].to_numpy()[1:], days["equity"].to_numpy()[:-1], ledger.periods_per_year)


def _one_position(runs: Sequence[Sequence[Ledger]]) -> str | None:
    """What 95 % of the days or more were spent in, over all runs."""
    one = always(int(p) for ledgers in runs for ledger in ledgers for p in ledger.equity["position"].to_numpy()[1:])
    return None if one is None else _POSITIONS[one]


def _log_returns(ledger: Ledger) -> pd.Series:
    days = ledger.equity
    return pd.Series(np.diff(np.log(days["close"].to_numpy())), index=days["date"].to_numpy()[1:])


def _rewards(ledger: Ledger) -> pd.Series:
    return _log_returns(ledger) * ledger.equity["position"].to_numpy()[1:]


def _side_by_side(series: Mapping[str, pd.Series]) -> pd.DataFrame:
    return pd.concat(series, axis=1, join="inner")
