"""Trading: what the accounts earned, beside what anything else would have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from flag_trl.agent import Decider
from flag_trl.backtest import Ledger, RandomLegal, always_cash, buy_and_hold, measures, run_backtest
from flag_trl.data import Period
from flag_trl.metrics import (
    best_of_trials,
    confidence_set,
    probabilistic_sharpe,
    series_mean,
    sharpe_difference,
    sharpe_interval,
    sharpe_ratio,
    superior_ability,
)
from flag_trl.observations import Observer

from ..baselines.chat import ChatPolicy
from ..baselines.published import PAPER_WINDOW, quoted_rows
from ..baselines.rules import RULES, Follower
from ..evaluation import TRAINED, UNTRAINED, Evaluation, TaskResult
from ..pool import closes, pooled
from ..words import always, clean, difference_in_words, row_of

NAME, TITLE = "trading", "Trading"
VERSION = "2"
POOL = "all"


@dataclass(frozen=True)
class Book:
    """What one strategy did at one commission: a ledger a symbol, all over one period."""

    strategy: str
    period: str
    cost_bps: float
    ledgers: dict[str, Ledger]
    run: int | None = None

    @property
    def returns(self) -> pd.Series:
        """Daily returns of an equal-weight portfolio of the accounts."""
        return pooled(list(self.ledgers.values()))


def run(evaluation: Evaluation) -> TaskResult:
    """Trade the periods with every strategy at every commission, and compare."""
    books, unread = _books(evaluation)
    own = [book for book in books if book.cost_bps == evaluation.commission]
    figures: dict[str, Any] = {"periods": {}, "costs_bps": evaluation.all_costs, "unreadable": unread}
    comparisons: list[dict[str, Any]] = []
    words = [f"{name}: {count} answers held no action." for name, count in unread.items() if count]
    for period in evaluation.periods:
        chosen = {book.strategy: book for book in own if book.period == period.name and book.run is None}
        rows = _compare(chosen, evaluation)
        comparisons += [{"period": period.name, **row} for row in rows]
        random = _random(evaluation, period, chosen[TRAINED])
        found = {
            **_across(chosen, evaluation),
            "random": random,
            "sampled": _sampled(own, period.name, evaluation.periods_per_year),
            "transfer_gain": _row(rows, UNTRAINED),
            "over_constant_exposure": timing(chosen[TRAINED], evaluation.periods_per_year),
            "over_buy_and_hold": _row(rows, "buy_and_hold"),
            "after_costs": _after_costs(books, period.name, evaluation.periods_per_year),
        }
        figures["periods"][period.name] = clean(found)
        words += _in_words(period, chosen, found)
    tables = {
        "equity": pd.concat([_equity(book) for book in books if book.run is None], ignore_index=True),
        "measures": pd.DataFrame([row for book in books for row in _measure(book, evaluation.periods_per_year)]),
        "comparisons": pd.DataFrame(comparisons),
    }
    drawn = [
        {"period": period, "strategy": name, **row, "SR_of_mean": row["SR_of_mean"][0]}
        for period, part in figures["periods"].items()
        for name, row in part["sampled"].items()
    ]
    if drawn:
        tables["draws"] = pd.DataFrame(drawn)
    quoted = [row for symbol in evaluation.markets for row in quoted_rows(symbol)]
    if quoted and any(period.name == PAPER_WINDOW for period in evaluation.periods):
        tables["quoted"] = pd.DataFrame(quoted)
    return TaskResult(figures, tables, words)


def _books(evaluation: Evaluation) -> tuple[list[Book], dict[str, int]]:
    """Every strategy, greedy at every commission, and policies with drawn actions at the rules' own.

    Besides, how many answers of a model behind an endpoint held no action.
    """
    scheme = evaluation.rules.scheme
    books: list[Book] = []
    rules: dict[str, Decider] = {
        "buy_and_hold": buy_and_hold(scheme),
        "cash": always_cash(scheme),
        **{name: Follower(signal, scheme) for name, signal in RULES.items()},
        **{name: build(evaluation.telling(name)) for name, build in _built(evaluation).items()},
    }
    players: dict[str, tuple[Decider, Observer | None]] = {n: evaluation.player(n) for n in evaluation.policies}
    players.update({name: (decider, None) for name, decider in rules.items()})
    for place, (name, (decider, observer)) in enumerate(players.items()):
        evaluation.tell("strategies", place, len(players))
        for cost in evaluation.all_costs:
            books += _trade(evaluation, name, decider, observer, cost)
    longest = max(len(ledger.returns) for book in books for ledger in book.ledgers.values())
    for name in evaluation.policies:
        decider, observer = players[name]
        for draw in range(evaluation.sampled):
            evaluation.tell(f"{name} policy, drawn actions", draw, evaluation.sampled)
            uniforms = evaluation.uniforms(draw, longest + 1)
            books += _trade(evaluation, name, decider, observer, evaluation.commission, uniforms, draw)
    unread = {name: decider.unreadable for name, (decider, _) in players.items() if isinstance(decider, ChatPolicy)}
    return books, unread


def _built(evaluation: Evaluation) -> Mapping[str, Callable[[Callable[[int, int], None]], Decider]]:
    """Baselines that take training or an endpoint, each a function of a progress callback."""
    found: Mapping[str, Callable[[Callable[[int, int], None]], Decider]] = evaluation.options.get("baselines", {})
    return found


def _trade(
    evaluation: Evaluation,
    name: str,
    decider: Decider,
    observer: Observer | None,
    cost: float,
    uniforms: np.ndarray | None = None,
    draw: int | None = None,
) -> list[Book]:
    ledgers = run_backtest(
        decider, evaluation.markets, evaluation.periods, evaluation.at_cost(cost), uniforms, observer=observer
    )
    return [
        Book(name, period.name, cost, {one.symbol: one for one in ledgers if one.period is period}, draw)
        for period in evaluation.periods
    ]


def _compare(books: Mapping[str, Book], evaluation: Evaluation) -> list[dict[str, Any]]:
    """The trained policy's Sharpe ratio less that of every other strategy, paired by day."""
    own, periods = books[TRAINED].returns, evaluation.periods_per_year
    others = {name: book.returns for name, book in books.items() if name not in (TRAINED, "cash")}
    rows = []
    for name, returns in others.items():
        found = sharpe_difference(own.to_numpy(), returns.to_numpy(), periods, seed=evaluation.seed)
        rows.append({"less": name, **row_of(found), "mean_difference_bp": 1e4 * float((own - returns).mean())})
    return rows


def timing(policy: Book, periods_per_year: int) -> dict[str, Any]:
    """What the policy earned more than constant positions of its own mean weights, in percent a year.

    A position an asset, free of costs. What is gained over it is timing; what is gained over cash, or lost against Buy
    & Hold, may be exposure alone.
    """
    ledgers = list(policy.ledgers.values())
    weights = [ledger.equity["weight"].to_numpy()[1:].mean() for ledger in ledgers]
    constant = (closes(ledgers) * weights).mean(axis=1)
    found = series_mean(100 * periods_per_year * (policy.returns - constant).to_numpy())
    return {"mean_weight": float(np.mean(weights)), **row_of(found)}


def _across(books: Mapping[str, Book], evaluation: Evaluation) -> dict[str, Any]:
    """Whether any strategy beats Buy & Hold once all were looked at, and how lucky the policy may have been."""
    returns = {name: book.returns.to_numpy() for name, book in books.items() if name != "cash"}
    held = returns.pop("buy_and_hold")
    best = superior_ability(held, returns, seed=evaluation.seed)
    # One trial more or less says little about luck; the deviation of a Sharpe ratio a period without skill is this.
    chance = 1 / np.sqrt(len(held))
    return {
        "days": len(held),
        "superior_ability": {"best": best.best, "p_value": best.p_value},
        "confidence_set": confidence_set({**returns, "buy_and_hold": held}, seed=evaluation.seed),
        "probabilistic_sharpe": probabilistic_sharpe(returns[TRAINED]),
        "deflated_sharpe": probabilistic_sharpe(returns[TRAINED], evaluation.trials, chance),
        "p_best_of_trials": best_of_trials(returns[TRAINED], evaluation.trials),
        "trials": evaluation.trials,
        "one_action": always(action for ledger in books[TRAINED].ledgers.values() for action in _actions(ledger)),
        "one_position": {name: _one_position(book) for name, book in books.items()},
    }


def _random(evaluation: Evaluation, period: Period, trained: Book) -> dict[str, Any]:
    """Where the policy stands among accounts that trade at random."""
    if not evaluation.random_draws:
        return {"draws": 0}
    frames = []
    for place, (symbol, market) in enumerate(evaluation.markets.items()):
        evaluation.tell("random trading", place, len(evaluation.markets))
        decider, accounts = RandomLegal(evaluation.seed + place), [period] * evaluation.random_draws
        ledgers = run_backtest(decider, {symbol: market}, accounts, evaluation.rules)
        days = ledgers[0].equity["date"].to_numpy()[1:]
        frames.append(pd.DataFrame(np.column_stack([ledger.returns for ledger in ledgers]), index=days))
    own, periods = trained.returns, evaluation.periods_per_year
    together = np.mean([frame.loc[own.index].to_numpy() for frame in frames], axis=0)
    drawn = np.array([sharpe_ratio(column, periods) for column in together.T])
    own_ratio = sharpe_ratio(own.to_numpy(), periods)
    low, middle, high = np.nanquantile(drawn, [0.025, 0.5, 0.975])
    return {
        "draws": evaluation.random_draws,
        "SR": [middle, low, high],
        # Which share of random accounts did worse; the policy is one more draw under the null.
        "percentile": 100 * float(np.mean(drawn <= own_ratio)) if np.isfinite(own_ratio) else None,
        "p_value": (np.count_nonzero(drawn >= own_ratio) + 1) / (len(drawn) + 1) if np.isfinite(own_ratio) else None,
    }


def _sampled(books: Sequence[Book], period: str, periods_per_year: int) -> dict[str, Any]:
    """Sharpe ratios of runs with drawn actions: their mean and what the draws alone do to it."""
    found = {}
    for name in (TRAINED, UNTRAINED):
        runs = [book for book in books if book.strategy == name and book.period == period and book.run is not None]
        if len(runs) > 1:
            ratios = np.array([sharpe_ratio(run.returns.to_numpy(), periods_per_year) for run in runs])
            mean = np.mean([run.returns.to_numpy() for run in runs], axis=0)
            found[name] = {
                "runs": len(runs),
                "SR": float(np.nanmean(ratios)),
                "deviation_over_draws": float(np.nanstd(ratios, ddof=1)),
                "SR_of_mean": [sharpe_ratio(mean, periods_per_year), *sharpe_interval(mean, periods_per_year)],
            }
    return found


def _after_costs(books: Sequence[Book], period: str, periods_per_year: int) -> list[dict[str, Any]]:
    """The trained policy's Sharpe ratio and its difference to Buy & Hold at every commission."""
    rows = []
    for cost in dict.fromkeys(book.cost_bps for book in books):
        at = {b.strategy: b for b in books if b.period == period and b.cost_bps == cost and b.run is None}
        own, held = at[TRAINED].returns.to_numpy(), at["buy_and_hold"].returns.to_numpy()
        less = sharpe_difference(own, held, periods_per_year).interval
        rows.append({"cost_bps": cost, "SR": sharpe_ratio(own, periods_per_year), "less_buy_and_hold": less})
    return rows


def _measure(book: Book, periods_per_year: int) -> list[dict[str, Any]]:
    """Measures of each account under both conventions, and of the pool where there is more than one."""
    label = {"strategy": book.strategy, "run": book.run, "period": book.period, "cost_bps": book.cost_bps}
    rows = []
    for symbol, ledger in book.ledgers.items():
        found = measures(ledger)
        low, high = sharpe_interval(ledger.returns, ledger.periods_per_year) if book.run is None else (None, None)
        bench = {f"investorbench_{key}": value for key, value in found["investorbench"].items()}
        rows.append({**label, "symbol": symbol, **found["standard"], "SR_low": low, "SR_high": high, **bench})
    if len(book.ledgers) > 1:
        returns = book.returns.to_numpy()
        low, high = sharpe_interval(returns, periods_per_year) if book.run is None else (None, None)
        ratio = sharpe_ratio(returns, periods_per_year)
        rows.append({**label, "symbol": POOL, "SR": ratio, "SR_low": low, "SR_high": high})
    return rows


def _equity(book: Book) -> pd.DataFrame:
    parts = [one.equity.assign(symbol=symbol, period=book.period) for symbol, one in book.ledgers.items()]
    return pd.concat(parts, ignore_index=True).assign(strategy=book.strategy, cost_bps=book.cost_bps)


def _actions(ledger: Ledger) -> list[str]:
    return [action for action in ledger.equity["action"] if action]


def _one_position(book: Book) -> str | None:
    names = {1: "always long", 0: "always in cash", -1: "always short"}
    held = [int(p) for ledger in book.ledgers.values() for p in ledger.equity["position"].to_numpy()[1:]]
    one = always(held)
    return None if one is None else names[int(one)]


def _row(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    return next((dict(row) for row in rows if row["less"] == name), None)


def _in_words(period: Period, books: Mapping[str, Book], found: Mapping[str, Any]) -> list[str]:
    growth, market = (
        100 * float(np.mean([one.equity["equity"].iloc[-1] / one.equity["equity"].iloc[0] for one in ledgers]) - 1)
        for ledgers in (books[TRAINED].ledgers.values(), books["buy_and_hold"].ledgers.values())
    )
    first = (
        f"{period.name} ({period.start} to {period.end}): the trained policy's accounts, in equal parts, ended at "
        f"{growth:+.1f} %, Buy & Hold at {market:+.1f} %."
    )
    one = found["one_position"][TRAINED]
    if one:
        first += f" It is {one} by another name: on 95 % of the days or more it holds that."
    lines = [first]
    for key, against in (
        ("transfer_gain", "the same model untrained"),
        ("over_buy_and_hold", "Buy & Hold"),
    ):
        if found[key] is not None:
            lines.append(difference_in_words("Sharpe ratio", against, found[key]))
    constant = f"constant positions of its own mean size ({found['over_constant_exposure']['mean_weight']:.2f})"
    lines.append(difference_in_words("Return in percent a year", constant, found["over_constant_exposure"]))
    return lines
