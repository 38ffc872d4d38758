"""How many environment steps a second, against gym-anytrading and TorchTrade, at 1, 64 and 4096 accounts.

python -m benchmarks.bench_env --json outputs/bench_env.json

Everyone trades the same seeded random walk of 2,000 daily bars in whole episodes of 250 steps, resets included, with
uniform random actions drawn beforehand; an account step is one step of one account. Each figure is the median of five
repetitions, each of as many whole episodes as half a second takes, after one untimed episode. Environments:

  ours            TradingVectorEnv, scheme `signed` (every action is always legal), fills at the next open,
                  10 bp commission, 5 bp slippage, borrowed units at 2 % a year; with two rewards
  gym-anytrading  StocksEnv in Gymnasium's SyncVectorEnv, since it has no batch of its own; 15 bp a side;
                  at 4096 accounts episodes of 50 steps and three repetitions, since one takes seconds
  TorchTrade      VectorizedSequentialTradingEnv at leverage 1, so flat or long and nothing to liquidate;
                  10 bp fee, random slippage up to 5 bp

What an observation holds differs: the peers are asked for the shortest window of prices they allow, one bar; ours
gives the bar's index and the state of the account, and leaves prices to whoever reads the market. Neither peer charges
for borrowing, and only ours fills at the next open. Everything runs on the CPU, with each library's own number of
threads.

The peers live in `.venv-peers/`, made on first use with pip: minutes, and about 2 GB where torch comes as the CPU
build. A peer that cannot be installed or does not run is named with the reason, and the others are measured.
"""

import cProfile
import pstats
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.command import command_line, write_json
from benchmarks.env_timing import BARS, COMMISSION, SLIPPAGE, Timing, daily_bars, draws, time_episodes
from benchmarks.machine import machine
from benchmarks.peer_environment import Peer, PeerError, install, measure
from flag_trl import Costs, TradingRules, position_scheme
from flag_trl.data import MarketData, Window
from flag_trl.envs.vector import RewardName

TARGET = 10_000_000
ACCOUNTS = (1, 64, 4096)
STEPS = 250
REPETITIONS = 5
SECONDS = 0.5
REWARDS: tuple[RewardName, ...] = ("log_return", "sharpe_increment")
GYM_ANYTRADING = Peer("gym-anytrading", "2.0.0")
TORCHTRADE = Peer("torchtrade", "0.1.0", needs_torch=True)
NAMES = {GYM_ANYTRADING: "gym-anytrading", TORCHTRADE: "TorchTrade"}
COSTS = Costs(commission_bps=COMMISSION * 1e4, slippage_bps=SLIPPAGE * 1e4, borrow_rate=0.02)


def our_name(reward: RewardName) -> str:
    """Ours in the table."""
    return f"flag-trl ({reward})"


def our_episode(reward: RewardName, timing: Timing) -> Callable[[], bool]:
    """One episode of ours, as `benchmarks.env_timing.time_episodes` takes it."""
    opened, close = daily_bars()
    days = np.datetime64("2000-01-03") + np.arange(BARS)
    market = MarketData("WALK", days, close, open=opened)
    rules = TradingRules(position_scheme("signed"), fill="next_open", costs=COSTS, reward=reward)
    env = rules.make({"WALK": market}, timing.accounts)
    starts, actions = draws(timing, len(rules.scheme.actions))
    windows = [Window("WALK", int(start), timing.steps) for start in starts]

    def episode() -> bool:
        env.reset(options={"windows": windows})
        ended = np.zeros(timing.accounts, dtype=bool)
        for chosen in actions:
            before = ended
            _, _, terminated, truncated, _ = env.step(chosen)
            ended = terminated | truncated
        return bool(ended.all() and not before.any())

    return episode


def time_ours(reward: RewardName, timing: Timing) -> dict[str, Any]:
    """Time ours under one reward; a row as `benchmarks.env_timing.time_episodes` returns it."""
    return time_episodes(our_name(reward), our_episode(reward, timing), timing)


def rates(row: dict[str, Any]) -> list[float]:
    """Account steps a second of each repetition of a row."""
    per_episode = row["accounts"] * row["steps"]
    return [per_episode * count / taken for count, taken in zip(row["episodes"], row["seconds"], strict=True)]


def headline(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """The figures of the largest number of accounts that ours ran with.

    Returns
    -------
    dict
        ``account_steps_per_s`` of ours with log returns as reward, and ``ratio_vs_gym_anytrading`` and
        ``ratio_vs_torchtrade``, how many times the peer's that is; None for a peer without a row. Medians throughout.
    """
    ours = [row for row in rows if row["environment"] == our_name("log_return")]
    accounts = max(row["accounts"] for row in ours)
    medians = {row["environment"]: median(rates(row)) for row in rows if row["accounts"] == accounts}
    own = medians[our_name("log_return")]

    def ratio(peer: Peer) -> float | None:
        theirs = medians.get(NAMES[peer])
        return own / theirs if theirs else None

    return {
        "account_steps_per_s": own,
        "ratio_vs_gym_anytrading": ratio(GYM_ANYTRADING),
        "ratio_vs_torchtrade": ratio(TORCHTRADE),
    }


def own_time(timing: Timing, top: int = 5) -> list[dict[str, Any]]:
    """Profile one episode of ours with log returns as reward.

    Returns
    -------
    list of dict
        The `top` functions by own time, most first: ``function``, ``calls``, ``share`` of the episode's time.
        NumPy's operators count as own time of the function that uses them.
    """
    episode = our_episode("log_return", timing)
    episode()
    profile = cProfile.Profile()
    profile.runcall(episode)
    stats = pstats.Stats(profile)
    # {(file, line, function): (primitive calls, calls, own time, time with callees, callers)}
    functions: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats
    total = sum(entry[2] for entry in functions.values())
    slowest = sorted(functions.items(), key=lambda item: -item[1][2])[:top]
    return [
        {
            "function": name if file == "~" else f"{name} ({Path(file).name}:{line})",
            "calls": entry[1],
            "share": entry[2] / total,
        }
        for (file, line, name), entry in slowest
    ]


def peer_timings(peer: Peer, timings: Sequence[Timing]) -> list[Timing]:
    """The same timings, shortened where gym-anytrading needs seconds for what takes others milliseconds."""
    if peer != GYM_ANYTRADING:
        return list(timings)
    return [
        Timing(t.accounts, min(t.steps, 50), min(t.repetitions, 3), t.seconds) if t.accounts > 1000 else t
        for t in timings
    ]


def run(timings: Sequence[Timing], peers: Sequence[Peer], console: Console) -> dict[str, Any]:
    """Measure everyone.

    Parameters
    ----------
    timings : sequence of Timing
        One for each number of accounts.
    peers : sequence of Peer
        Those to measure beside ours.
    console : Console
        For progress.

    Returns
    -------
    dict
        The keys of `headline`, ``rows``, ``failures`` (reason by peer), ``versions``, ``machine`` and, where ours
        stays below `TARGET`, ``profile``, as `own_time` returns it.
    """
    rows, failures, versions = [], {}, {}
    for reward in REWARDS:
        console.print(f"{our_name(reward)}: measuring")
        rows += [time_ours(reward, timing) for timing in timings]
    for peer in peers:
        try:
            python = install(peer, console)
            console.print(f"{peer}: measuring")
            answer = measure(peer, python, peer_timings(peer, timings))
        except PeerError as error:
            failures[str(peer)] = str(error)
            console.print(f"{peer}: left out: {error}", markup=False)
            continue
        rows += answer["rows"]
        versions[peer.name] = answer["versions"]
    figures = {**headline(rows), "rows": rows, "failures": failures, "versions": versions, "machine": machine()}
    if figures["account_steps_per_s"] < TARGET:
        figures["profile"] = own_time(max(timings, key=lambda timing: timing.accounts))
    return figures


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the table, the ratios, who was left out, and what holds ours back if anything does."""
    table = Table(title="Account steps a second", caption="timed: episodes x steps of one", box=SIMPLE)
    table.add_column("environment", no_wrap=True)
    for column in ("accounts", "median", "min .. max", "timed"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in figures["rows"]:
        found = rates(row)
        spread = f"{_short(min(found))} .. {_short(max(found))}"
        count = f"{sum(row['episodes'])}x{row['steps']}"
        table.add_row(row["environment"], f"{row['accounts']:,}", _short(median(found)), spread, count)
    console.print(table)
    accounts, own = max(row["accounts"] for row in figures["rows"]), figures["account_steps_per_s"]
    console.print(f"At {accounts:,} accounts: {own:,.0f} account steps a second with log returns as reward.")
    for peer, key in ((GYM_ANYTRADING, "ratio_vs_gym_anytrading"), (TORCHTRADE, "ratio_vs_torchtrade")):
        if figures[key] is not None:
            console.print(f"{figures[key]:,.1f} times {peer}")
    for peer, reason in figures["failures"].items():
        console.print(f"{peer} was left out: {reason}", markup=False)
    if "profile" in figures:
        console.print(f"Below the {TARGET:,} aimed at. Where an episode's time goes, by own time:")
        for entry in figures["profile"]:
            console.print(f"  {entry['share']:5.1%}  {entry['function']}, {entry['calls']:,} calls", markup=False)


def _short(figure: float) -> str:
    """Three digits, in thousands or millions where it has that many."""
    for unit, size in ((" M", 1e6), (" k", 1e3)):
        if figure >= size:
            return f"{figure / size:#.3g}".rstrip(".") + unit
    return f"{figure:.0f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = command_line("bench_env", __doc__)
    parser.add_argument("--without-peers", action="store_true", help="measure ours alone; installs nothing")
    args = parser.parse_args(argv)
    console = Console()
    timings = [Timing(accounts, STEPS, REPETITIONS, SECONDS) for accounts in ACCOUNTS]
    figures = run(timings, () if args.without_peers else tuple(NAMES), console)
    write_json(args.json, figures)
    show(figures, console)


if __name__ == "__main__":
    main()
