"""Trade periods that a policy has not seen and keep the books."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from flag_trl.agent import Agent, Decider, Policy, Tabular, Trajectory, play
from flag_trl.backtest.ledger import Ledger, equity_table, trade_table
from flag_trl.backtest.rules import RandomLegal, always_cash, buy_and_hold
from flag_trl.data import MarketData, Period, Window, period_window
from flag_trl.envs import TradingRules
from flag_trl.observations import Markets, ObservationConfig, Observer


def prepared(
    policy: Decider,
    markets: Markets,
    periods: Sequence[Period],
    rules: TradingRules,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Decider, Observer]:
    """What `run_backtest` trades with, for those who run several: a policy's decisions and what it is shown.

    Where an agent's account text is finite, all states of all periods are evaluated in one go, with the policy's cache
    if it has one, and what comes back only looks them up; costs and draws may then differ from run to run. So it is
    with any other policy that has a `table`. Elsewhere the policy comes back as it is.

    Parameters
    ----------
    policy : Decider
        What says by itself what it is shown, an agent for instance, is asked; others see legal actions and position.
    markets, periods, rules
        As in `run_backtest`.
    on_progress : callable
        Called with the states done and those to do, now and then.
    """
    if not isinstance(policy, Policy):
        return policy, Observer(markets, ObservationConfig(), rules.fill)
    if isinstance(policy, Agent):
        policy.check_actions(rules.scheme)
    observer = policy.observer(markets, rules.fill)
    if not isinstance(policy, Tabular) or not observer.finite:
        return policy, observer
    windows = [period_window(symbol, markets[symbol], period) for symbol in markets for period in periods]
    states = [o for window in windows for o in observer.every_state(*window, rules.scheme)]
    return policy.table(states, on_progress), observer


def run_backtest(
    decider: Decider,
    markets: Markets,
    periods: Sequence[Period],
    rules: TradingRules,
    uniforms: np.ndarray | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    observer: Observer | None = None,
) -> list[Ledger]:
    """Trade every period of every market with one account each, side by side.

    Parameters
    ----------
    decider : Decider
        An agent, which is greedy unless `uniforms` are given, or a rule; see `prepared`.
    markets : mapping of str to MarketData
    periods : sequence of Period
        Days before a period are used to look back on only; its last day has a price but no decision.
    rules : TradingRules
    uniforms : ndarray, shape (longest period, markets x periods), optional
        Draws of an agent's actions.
    on_progress : callable
        Called with the work done and the work to do, now and then.
    observer : Observer, optional
        What `prepared` gave with the decider; by default it is prepared here.

    Returns
    -------
    list of Ledger
        Markets in the mapping's order, and the periods of each in theirs.
    """
    accounts = [(symbol, period) for symbol in markets for period in periods]
    windows = [period_window(symbol, markets[symbol], period) for symbol, period in accounts]
    if observer is None:
        given = decider
        decider, observer = prepared(given, markets, periods, rules, on_progress)
        if decider is not given:
            on_progress = _no_progress
    # Books have no reward.
    env = replace(rules, reward="log_return").make(markets, len(windows))
    trajectory = play(decider, env, observer, windows, uniforms, on_progress)
    return [
        _ledger(trajectory, n, window, period, markets, rules)
        for n, (window, (_, period)) in enumerate(zip(windows, accounts, strict=True))
    ]


def run_baselines(
    symbol: str, market: MarketData, period: Period, rules: TradingRules, draws: int = 200
) -> tuple[dict[str, Ledger], list[Ledger]]:
    """Buy & Hold, always cash, and `draws` runs of random legal actions over one period."""
    markets = {symbol: market}
    rule_of = {"buy_and_hold": buy_and_hold(rules.scheme), "cash": always_cash(rules.scheme)}
    fixed = {name: run_backtest(rule, markets, [period], rules)[0] for name, rule in rule_of.items()}
    return fixed, run_backtest(RandomLegal(), markets, [period] * draws, rules)


def _no_progress(done: int, total: int) -> None:
    """What takes time has been done."""


def _ledger(
    trajectory: Trajectory, n: int, window: Window, period: Period, markets: Markets, rules: TradingRules
) -> Ledger:
    """The books of account `n` over its whole window; after a ruin nothing moves and no action is taken."""
    market, names, steps = markets[window.symbol], rules.scheme.actions, window.length
    # An episode ends early where every account is ruined.
    played = {key: values[:steps, n] for key, values in trajectory.infos.items()}
    infos = {key: _standing_still(values, steps, keep=key == "equity") for key, values in played.items()}
    infos["date"] = market.dates[window.start + 1 : window.start + steps + 1]
    active, actions, probabilities = (
        _standing_still(values[:steps, n], steps)
        for values in (trajectory.active, trajectory.actions, trajectory.probabilities)
    )
    equity = equity_table(
        infos,
        market.close[window.start : window.start + steps + 1],
        market.dates[window.start],
        rules.initial_capital,
        [names[action] if decided else "" for action, decided in zip(actions, active, strict=True)],
        dict(zip(names, probabilities.T, strict=True)),
    )
    first_fill = window.start + (rules.fill == "next_open")
    fill_dates = market.dates[first_fill : first_fill + steps]
    trades = trade_table(infos, fill_dates, rules.initial_capital, rules.costs.commission)
    memory = None if trajectory.memories is None else trajectory.memories[n]
    return Ledger(window.symbol, period, market.periods_per_year, rules.fill, equity, trades, memory)


def _standing_still(values: np.ndarray, steps: int, keep: bool = False) -> np.ndarray:
    """`values` brought to `steps` rows, with the last one if `keep`, else with zeros."""
    missing = steps - len(values)
    rest = np.repeat(values[-1:], missing, axis=0)
    return np.concatenate([values, rest if keep else np.zeros_like(rest)])
