"""What every task works with, and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flag_trl.accounts import Costs, PositionScheme
from flag_trl.agent import Agent, Decider, Policy
from flag_trl.backtest import prepared
from flag_trl.data import MarketData, Period
from flag_trl.envs import TradingRules
from flag_trl.observations import Observation, Observer

AT_ONCE = 64
TRAINED, UNTRAINED = "trained", "untrained"
Progress = Callable[[str, int, int], None]


def no_progress(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: the policies, the days, the rules, and how thorough it is to be.

    Attributes
    ----------
    policies : mapping of str to Policy
        ``trained``, and ``untrained`` where the same model without its training is known.
    markets : mapping of str to MarketData
    train : Period
        Days that baselines may be fitted to; the policy's own training days.
    periods : sequence of Period
        Those that are judged.
    rules : TradingRules
    costs_bps : sequence of float
        Commissions at which trading is repeated; the rules' own is judged in any case.
    sampled : int
        Runs of each policy with drawn actions, beside the greedy one.
    random_draws : int
        Accounts that trade at random.
    options : mapping
        What single tasks are told besides.
    trials : int
        Configurations tried, this one included.
    seed : int
    folder : Path, optional
        For what a task wants to find again when it is run again; none in most tests.
    tell : callable
        Told what is being done, how much of it is done, and how much there is.
    """

    policies: Mapping[str, Policy]
    markets: Mapping[str, MarketData]
    train: Period
    periods: Sequence[Period]
    rules: TradingRules
    costs_bps: Sequence[float] = (0.0, 5.0, 20.0)
    sampled: int = 10
    random_draws: int = 1000
    options: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 1
    seed: int = 0
    folder: Path | None = None
    tell: Progress = no_progress

    @property
    def commission(self) -> float:
        """The rules' own commission, in basis points."""
        return self.rules.costs.commission_bps

    @property
    def periods_per_year(self) -> int:
        """Bars a year of the pooled accounts, which trade on the days that all markets share."""
        return min(market.periods_per_year for market in self.markets.values())

    @property
    def all_costs(self) -> list[float]:
        """Every commission at which trading is judged, the rules' own first."""
        return list(dict.fromkeys([self.commission, *map(float, self.costs_bps)]))

    def at_cost(self, commission_bps: float) -> TradingRules:
        """The rules with another commission."""
        costs = self.rules.costs
        return replace(self.rules, costs=Costs(commission_bps, costs.slippage_bps, costs.borrow_rate))

    def player(self, name: str) -> tuple[Decider, Observer]:
        """A policy's decisions on every day of the periods, computed once, and what it is shown."""
        return prepared(self.policies[name], self.markets, self.periods, self.rules, self.telling(f"{name} policy"))

    def telling(self, what: str) -> Callable[[int, int], None]:
        """`tell` for one piece of work."""
        return partial(self.tell, what)

    def uniforms(self, run: int, steps: int) -> np.ndarray:
        """Draws of one run with drawn actions, shape (steps, markets x periods); the same for every policy."""
        return np.random.default_rng([self.seed, run]).random((steps, len(self.markets) * len(self.periods)))


def flat_states(
    observer: Observer, markets: Mapping[str, MarketData], asked: Sequence[tuple[str, int]], scheme: PositionScheme
) -> list[Observation]:
    """What a flat account is shown, for each (symbol, bar) asked for."""
    number, size = {symbol: place for place, symbol in enumerate(sorted(markets))}, len(asked)
    raw: dict[str, np.ndarray] = {
        "symbol": np.array([number[symbol] for symbol, _ in asked], dtype=np.int64),
        "bar": np.array([bar for _, bar in asked], dtype=np.int64),
        "position": np.zeros(size, dtype=np.int8),
        "cash_share": np.ones(size),
        "return_since_entry": np.zeros(size),
        "drawdown": np.zeros(size),
        "legal": scheme.legal_actions(np.zeros(size, dtype=np.int8)).astype(np.int8),
    }
    return observer.observe(raw)


def flat_probabilities(
    policy: Policy,
    markets: Mapping[str, MarketData],
    asked: Sequence[tuple[str, int]],
    rules: TradingRules,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    masked: bool = True,
) -> np.ndarray:
    """The policy's probabilities for a flat account at each (symbol, bar); shape (n, A).

    Not `masked`, actions that a flat account cannot execute have theirs too: an agent's prompt stays as it is in
    trading, any other policy is told that all is legal.
    """
    observer, actions = policy.observer(markets, rules.fill), len(rules.scheme.actions)
    found = []
    for start in range(0, len(asked), AT_ONCE):
        shown = flat_states(observer, markets, asked[start : start + AT_ONCE], rules.scheme)
        if masked:
            found.append(policy.decide(shown).probabilities)
        elif isinstance(policy, Agent):
            found.append(policy.unmasked(shown))
        else:
            free = [replace(observation, legal=(True,) * actions) for observation in shown]
            found.append(policy.decide(free).probabilities)
        on_progress(min(start + AT_ONCE, len(asked)), len(asked))
    return np.concatenate(found) if found else np.empty((0, actions))


def leanings(
    policy: Policy,
    markets: Mapping[str, MarketData],
    asked: Sequence[tuple[str, int]],
    rules: TradingRules,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """How much rather a policy would hold the most than the least, as a flat account with no action masked.

    Log odds of the two actions, ``buy`` against ``sell`` where the scheme has these; shape (n,).
    """
    return log_odds(flat_probabilities(policy, markets, asked, rules, on_progress, masked=False), rules)


def log_odds(probabilities: np.ndarray, rules: TradingRules) -> np.ndarray:
    """Log odds of holding the most against holding the least, shape (n,)."""
    weights = rules.scheme.target_weight(np.arange(probabilities.shape[1]))
    most, least = int(np.nanargmax(weights)), int(np.nanargmin(weights))
    floored = np.maximum(probabilities, 1e-12)
    return np.log(floored[:, most]) - np.log(floored[:, least])


@dataclass(frozen=True)
class TaskResult:
    """What a task found.

    Attributes
    ----------
    figures : dict
        Numbers, texts, lists and dicts of them; None where undefined.
    tables : dict of str to DataFrame
        Tidy, one observation a row.
    words : list of str
        What it found, in sentences.
    """

    figures: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    words: list[str]
