"""How fast a policy trades on the engine, and where the time goes.

python -m benchmarks.live_speed --json outputs/live_speed.json

Five years of daily bars of 20 stocks with a decision a week each, and a day of one-minute bars on five symbols with a
decision a minute each; SmolLM2-135M decides, untrained, greedy. The minutes are SYNTHETIC, a random walk: they are
there to be many. Takes about twenty minutes on two cores.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.command import add_model, command_line, write_json
from benchmarks.live_play import played
from benchmarks.machine import machine
from flag_trl.accounts import Costs
from flag_trl.agent import Agent
from flag_trl.data import MarketData, load_market
from flag_trl.data.readers import sample_symbols
from flag_trl.live import LiveSettings, Summary, summary
from flag_trl.observations import ObservationConfig
from flag_trl.policy import LLMPolicy
from flag_trl.scripts.progress import progress_bar

FIRST, LAST = np.datetime64("2018-01-02"), np.datetime64("2022-12-28")
MINUTES, SYMBOLS, PAST = 390, 5, 30
COSTS = Costs(commission_bps=5.0, slippage_bps=1.0)


def synthetic_minutes(seed: int = 0) -> dict[str, MarketData]:
    """A random walk a symbol: a day of minutes, and half an hour before it."""
    found = {}
    start = np.datetime64("2022-12-27T15:30:00")
    day = np.datetime64("2022-12-28T09:30:00")
    before = start + np.arange(1, PAST + 1) * np.timedelta64(60, "s")
    minutes = np.concatenate([before, day + np.arange(1, MINUTES + 1) * np.timedelta64(60, "s")])
    for number in range(SYMBOLS):
        random = np.random.default_rng([seed, number])
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.0005, len(minutes))))
        open_ = np.concatenate([[100.0], close[:-1]])
        spread = 1 + np.abs(random.normal(0, 0.0003, len(minutes)))
        columns = {"open": open_, "high": np.maximum(open_, close) * spread, "low": np.minimum(open_, close) / spread}
        symbol = f"SYN{number}"
        found[symbol] = MarketData(symbol, minutes, close, periods_per_year=252 * MINUTES, **columns)
    return found


def timed(
    agent: Agent, markets: dict[str, MarketData], settings: LiveSettings, days: Any, title: str
) -> dict[str, Any]:
    """One run: what it did, and the seconds of each part."""
    with tempfile.TemporaryDirectory() as folder, progress_bar(title) as tell:
        with played(agent, markets, settings, days, Path(folder), tell) as (outcome, journal):
            found: Summary = summary(journal)
            size = journal.path.stat().st_size + journal.path.with_name("journal.sqlite-wal").stat().st_size
    return {
        "symbols": len(markets),
        "bars": found.bars + 1,
        "decisions": outcome.decisions,
        "fills": found.fills,
        "seconds": outcome.total_s,
        "decisions/s": outcome.decisions / outcome.total_s,
        "policy %": 100 * outcome.asked_s / outcome.total_s,
        "engine %": 100 * outcome.engine_s / outcome.total_s,
        "ms a decision without the policy": 1000 * (outcome.total_s - outcome.asked_s) / outcome.decisions,
        "journal MB": size / 1e6,
        "ended": outcome.how,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Time both, print a table."""
    parser = command_line("live_speed", __doc__)
    add_model(parser)
    args = parser.parse_args(argv)
    agent = Agent(LLMPolicy.from_pretrained(args.model), ObservationConfig(past_returns=3))
    stocks = {symbol: load_market("sample", symbol) for symbol in sample_symbols()}
    weekly = LiveSettings(fill="same_close", costs=COSTS, capital=2_000_000.0, decide_every=5)
    minutes = synthetic_minutes()
    dates = next(iter(minutes.values())).dates
    each = LiveSettings(fill="next_open", costs=COSTS, capital=500_000.0)
    found = {
        "five years of days, weekly decisions": timed(agent, stocks, weekly, (FIRST, LAST), "days"),
        "a day of minutes (synthetic)": timed(agent, minutes, each, (dates[PAST], dates[-1]), "minutes"),
    }
    grid = Table(title="Live simulation", title_justify="left")
    for header in ("", *next(iter(found.values()))):
        grid.add_column(header, justify="right" if header else "left")
    for name, row in found.items():
        grid.add_row(name, *(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=160).print(grid)
    write_json(args.json, {"machine": machine(), "runs": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
