"""Audit: questions that a sceptic would ask of a policy, answered by tests on its public interface alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from flag_trl.agent import Agent, Decider, Policy
from flag_trl.backtest import Ledger, buy_and_hold, run_backtest
from flag_trl.data import COMPANY, name_stand_in
from flag_trl.envs import TradingRules
from flag_trl.metrics import calibration, clustered_mean, market_model, sharpe_difference, sharpe_ratio
from flag_trl.observations import Observer

from ..evaluation import TRAINED, Evaluation, TaskResult, flat_probabilities, log_odds
from ..pool import closes, pooled
from ..prompts import ALTERATIONS, EVIDENCE, Delayed, all_later_altered
from ..words import always, clean

NAME, TITLE = "audit", "Audit"
VERSION = "2"
LEAK = 1e-3
"""Batches of another composition move probabilities by less; what a later row moves by more was seen."""
NAME_FLIPS, NAME_MOVES = 0.10, 0.05
"""Names alone turn so many decisions, or move probabilities so far and further than evidence does."""
LEAK_DAYS = 12


Player = tuple[Decider, Observer | None]


class Answer(NamedTuple):
    """One question, what was found, and whether it speaks for the policy.

    `verdict` is ``passed``, ``caught``, or ``open`` where this evaluation cannot tell.
    """

    key: str
    question: str
    verdict: str
    finding: str
    figures: dict[str, Any]


def run(evaluation: Evaluation) -> TaskResult:
    """Ask every question of the trained policy."""
    policy = evaluation.policies[TRAINED]
    asked = days_of(evaluation)
    player = evaluation.player(TRAINED)
    ledgers = _trade(evaluation, player)
    effects = altered_decisions(policy, evaluation, asked)
    answers = [
        looks_ahead(policy, evaluation, asked),
        one_sided(ledgers),
        goes_by_the_name(effects),
        after_the_cutoff(evaluation),
        survives(policy, player, evaluation, ledgers),
        exposure(ledgers, evaluation),
        calibrated(policy, evaluation),
        tries(evaluation),
    ]
    answers = [answer._replace(figures=clean(answer.figures)) for answer in answers]
    figures = {
        "answers": [answer._asdict() for answer in answers],
        "caught": [answer.key for answer in answers if answer.verdict == "caught"],
    }
    return TaskResult(figures, {"altered": effects}, [f"{a.question} {a.finding}" for a in answers])


def days_of(evaluation: Evaluation) -> list[tuple[str, int]]:
    """(symbol, bar) of the days on which prompts are altered, drawn evenly from the periods."""
    every = [
        (symbol, bar)
        for period in evaluation.periods
        for symbol, market in evaluation.markets.items()
        for bar in range(*market.index_range(period.start, period.end))[:-1]
    ]
    wanted = max(1, int(evaluation.options.get("audit_days", 60)))
    return [every[k] for k in np.unique(np.linspace(0, len(every) - 1, wanted).round().astype(int))]


def looks_ahead(policy: Policy, evaluation: Evaluation, asked: Sequence[tuple[str, int]]) -> Answer:
    """Change every row after a day; the decision of the day may not change."""
    chosen = [asked[k] for k in np.unique(np.linspace(0, len(asked) - 1, LEAK_DAYS).round().astype(int))]
    after_close = evaluation.rules.fill == "next_open"
    moved = []
    for place, (symbol, bar) in enumerate(chosen):
        evaluation.tell("later rows altered", place, len(chosen))
        other = all_later_altered(evaluation.markets, evaluation.markets[symbol].dates[bar], after_close)
        pair = [flat_probabilities(policy, m, [(symbol, bar)], evaluation.rules) for m in (evaluation.markets, other)]
        moved.append(float(np.abs(pair[0] - pair[1]).max()))
    leaks = sum(change > LEAK for change in moved)
    finding = (
        f"Yes: on {leaks} of {len(chosen)} days its probabilities changed, by up to {max(moved):.2f}, when rows after "
        "the day were altered."
        if leaks
        else f"No: on {len(chosen)} days every later row was altered, and no probability changed."
    )
    figures = {"days": len(chosen), "changed": leaks, "largest_change": max(moved)}
    return Answer("looks_ahead", "Does it see the future?", "caught" if leaks else "passed", finding, figures)


def one_sided(ledgers: Sequence[Ledger]) -> Answer:
    """A policy that holds one position on 95 % of its days has that position's name."""
    held = [int(p) for ledger in ledgers for p in ledger.equity["position"].to_numpy()[1:]]
    one = always(held)
    shares = {name: float(np.mean([p == value for p in held])) for name, value in _POSITIONS.items()}
    names = {value: f"always {name}" for name, value in _POSITIONS.items()}
    finding = (
        f"It is {names[one]}: {100 * max(shares.values()):.0f} % of the days."
        if one is not None
        else "No: " + ", ".join(f"{100 * share:.0f} % {name}" for name, share in shares.items() if share) + "."
    )
    verdict = "passed" if one is None else "caught"
    return Answer("one_sided", "Is it one position by another name?", verdict, finding, {"shares": shares})


_POSITIONS = {"long": 1, "flat": 0, "short": -1}


def altered_decisions(policy: Policy, evaluation: Evaluation, asked: Sequence[tuple[str, int]]) -> pd.DataFrame:
    """One row a day and alteration: how far the probabilities moved (total variation), and whether the choice did."""
    markets, rules = evaluation.markets, evaluation.rules
    names = list(policy.observation.news_query) if isinstance(policy, Agent) else []
    before = flat_probabilities(policy, markets, asked, rules)
    rows = []
    for place, (name, alter) in enumerate(ALTERATIONS.items()):
        evaluation.tell("prompts altered", place, len(ALTERATIONS))
        if name == "news shuffled" and not any(market.texts for market in markets.values()):
            continue
        other = {symbol: alter(market, names, evaluation.seed) for symbol, market in markets.items()}
        after = flat_probabilities(_looking_for(policy, name), other, asked, rules)
        distance = np.abs(after - before).sum(axis=1) / 2
        flipped = after.argmax(axis=1) != before.argmax(axis=1)
        rows += [
            {"symbol": s, "date": markets[s].dates[bar], "altered": name, "distance": float(d), "flipped": bool(f)}
            for (s, bar), d, f in zip(asked, distance, flipped, strict=True)
        ]
    return pd.DataFrame(rows)


def _looking_for(policy: Policy, alteration: str) -> Policy:
    """The policy; an agent that looks for a company's name looks for its stand-in where names are replaced."""
    if not isinstance(policy, Agent) or not policy.observation.news_query:
        return policy
    asked = policy.observation.news_query
    stand_ins = {"names replaced": tuple(map(name_stand_in, asked)), "anonymised": (COMPANY,)}
    shown = replace(policy.observation, news_query=stand_ins.get(alteration, asked))
    return Agent(policy.policy, shown, policy.prompts.template)


def goes_by_the_name(effects: pd.DataFrame) -> Answer:
    """Whether names alone turn decisions, and how much more the evidence does."""
    found: dict[str, Any] = {}
    for name in effects["altered"].unique():
        group = effects[effects["altered"] == name]
        moved = clustered_mean(group["distance"].to_numpy(), group["date"].to_numpy())
        found[name] = {"distance": moved.interval, "flipped": float(group["flipped"].mean())}
    evidence = [found[name] for name in EVIDENCE if name in found]
    names, most = found["names replaced"], max(evidence, key=lambda row: row["distance"][0])
    turned = max(row["flipped"] for row in evidence)
    # Without an interval, for every day moved as far, the value itself counts.
    low, high = np.fmin(*names["distance"][:2]), np.fmax(most["distance"][0], most["distance"][2])
    caught = names["flipped"] >= NAME_FLIPS or (names["distance"][0] >= NAME_MOVES and low > high)
    finding = (
        f"{'Yes' if caught else 'No'}: names alone turned {100 * names['flipped']:.0f} % of its decisions and moved "
        f"its probabilities by {names['distance'][0]:.3f} on average; mirrored prices or shuffled news turned "
        f"{100 * turned:.0f} % and moved them by {most['distance'][0]:.3f}."
    )
    question = "Does it go by the name instead of the evidence?"
    return Answer("goes_by_the_name", question, "caught" if caught else "passed", finding, found)


def after_the_cutoff(evaluation: Evaluation) -> Answer:
    """Days that the base model may have read about prove nothing."""
    question, cutoff = "Are the days after the base model's training text?", evaluation.options.get("cutoff")
    if not cutoff:
        return Answer("cutoff", question, "open", "Not known: no cut-off was given, so it may have read of them.", {})
    day = np.datetime64(cutoff)
    late = [period.name for period in evaluation.periods if period.start > day]
    early = [period.name for period in evaluation.periods if period.start <= day]
    finding = "Yes." if not early else f"No: {', '.join(early)} begins by {cutoff}; it may have read of those days."
    return Answer("cutoff", question, "caught" if early else "passed", finding, {"after": late, "before": early})


def survives(policy: Policy, player: Player, evaluation: Evaluation, ledgers: Sequence[Ledger]) -> Answer:
    """The Sharpe ratio less Buy & Hold's with costs, with a day's delay, and with orders at the next open."""
    years, hold = evaluation.periods_per_year, (buy_and_hold(evaluation.rules.scheme), None)
    held = pooled(_trade(evaluation, hold))
    dearest = max(evaluation.all_costs)
    late = replace(evaluation, policies={"delayed": Delayed(policy)})
    ways = {
        "as traded": pooled(ledgers),
        f"{dearest:g} bp commission": pooled(_trade(evaluation, player, evaluation.at_cost(dearest))),
        "a day late": pooled(_trade(evaluation, late.player("delayed"))),
    }
    if evaluation.rules.fill == "same_close" and all(m.open is not None for m in evaluation.markets.values()):
        # What was known at the close decides; the order fills at the next open.
        later = replace(evaluation.rules, fill="next_open")
        ways["orders at the next open"] = pooled(_trade(evaluation, player, later))
    rows: dict[str, Any] = {}
    for name, returns in ways.items():
        days = returns.index.intersection(held.index)
        test = sharpe_difference(returns[days].to_numpy(), held[days].to_numpy(), years)
        rows[name] = {"SR": sharpe_ratio(returns.to_numpy(), years), "less_buy_and_hold": test.interval}
    base, low, _ = rows["as traded"]["less_buy_and_hold"]
    listed = "; ".join(f"{name} {_signed(row['less_buy_and_hold'][0])}" for name, row in rows.items())
    question = "Does what it gains on Buy & Hold survive costs, a day's delay, other fills?"
    if not np.isfinite(low) or low <= 0:
        finding = f"There is no gain to lose. Differences of the Sharpe ratio: {listed}."
        return Answer("survives", question, "open", finding, rows)
    lost = [name for name, row in rows.items() if not row["less_buy_and_hold"][0] > 0.5 * base]
    finding = f"{'No' if lost else 'Yes'}. Differences of the Sharpe ratio: {listed}."
    return Answer("survives", question, "caught" if lost else "passed", finding, rows)


def exposure(ledgers: Sequence[Ledger], evaluation: Evaluation) -> Answer:
    """How much of the return is the market's."""
    own = pooled(ledgers)
    by_period = [[one for one in ledgers if one.period is period] for period in evaluation.periods]
    market = pd.concat([closes(part).mean(axis=1) for part in by_period])
    found = market_model(own.to_numpy(), market.loc[own.index].to_numpy(), evaluation.periods_per_year)
    alpha, beta = found.alpha, found.beta
    finding = (
        f"Beta {beta.value:.2f} [{beta.low:.2f}, {beta.high:.2f}], alpha {100 * alpha.value:+.1f} % a year "
        f"[{100 * alpha.low:+.1f}, {100 * alpha.high:+.1f}]; the market explains {100 * found.r_squared:.0f} %."
    )
    if np.isnan(beta.value) or np.isnan(found.r_squared):
        finding = "It never traded."
    verdict = "passed" if alpha.low > 0 else "open"
    return Answer("exposure", "How much of its return is plain market exposure?", verdict, finding, vars(found))


def calibrated(policy: Policy, evaluation: Evaluation) -> Answer:
    """P(buy | buy or sell) against the sign of the next return, on every judged day."""
    asked, rose = [], []
    for period in evaluation.periods:
        for symbol, market in evaluation.markets.items():
            for bar in range(*market.index_range(period.start, period.end))[:-1]:
                asked.append((symbol, bar))
                rose.append(market.close[bar + 1] > market.close[bar])
    tell = evaluation.telling("calibration")
    odds = log_odds(
        flat_probabilities(policy, evaluation.markets, asked, evaluation.rules, tell, False), evaluation.rules
    )
    given = 1 / (1 + np.exp(-odds))
    days = np.array([evaluation.markets[symbol].dates[bar] for symbol, bar in asked])
    found = calibration(given, rose, days, seed=evaluation.seed)
    good = found.p_value > 0.05
    finding = (
        f"{'Within chance' if good else 'No'} (p = {found.p_value:.3f}): expected calibration error {found.ece:.3f}; "
        f"exact probabilities would be charged {found.ece_by_chance:.3f} for so few days. The share of rises was "
        f"{np.mean(rose):.2f}, its mean probability {given.mean():.2f}."
    )
    question = "Does P(buy | buy or sell) mean what it says?"
    return Answer("calibrated", question, "passed" if good else "caught", finding, vars(found))


def tries(evaluation: Evaluation) -> Answer:
    """The best of many is lucky."""
    n = evaluation.trials
    finding = f"{n}. " + (
        "The best of so many without skill would be expected to look good; see the deflated Sharpe ratio."
        if n > 1
        else "As far as was recorded."
    )
    return Answer("tries", "How many configurations were tried?", "open", finding, {"trials": n})


def _trade(evaluation: Evaluation, player: Player, rules: TradingRules | None = None) -> list[Ledger]:
    decider, observer = player
    return run_backtest(decider, evaluation.markets, evaluation.periods, rules or evaluation.rules, observer=observer)


def _signed(value: float) -> str:
    return f"{value:+.2f}" if np.isfinite(value) else "undefined"
