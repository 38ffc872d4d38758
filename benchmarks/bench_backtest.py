"""How many decisions a second a backtest takes: this one, and transformers' `generate` on the same prompts.

python -m benchmarks.bench_backtest --json outputs/bench_backtest.json

  generate, day by day   up to eight new tokens for one prompt after another, as an account demands whose position,
                         which the next prompt tells, depends on the answer
  generate, one token    the same with one new token, which few users would trust to be an action
  generate, 32 prompts   up to eight tokens for them in left-padded batches, as if all were known beforehand
  backtest, first        `run_backtest` of an untrained policy; the frozen layers' states are computed and kept
  backtest, again        a second test of the same days, of another policy on the same frozen layers say
  without the model      the same accounts, random legal actions: what environment, observations and books cost

`ratio_vs_generate` is backtest, again, over generate, day by day; the others are beside it. Prices are those of the
sample; 100 symbols are its 20 stocks in five years.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.command import add_model, command_line, write_json
from benchmarks.isolated import isolated  # First: it sets the environment.

import numpy as np  # isort: skip
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from flag_trl import Agent, LLMPolicy, TradingRules, load_market, run_backtest
from flag_trl.agent import play
from flag_trl.backtest import RandomLegal
from flag_trl.data import Period, period_window
from flag_trl.observations import ObservationConfig

SYMBOLS = (
    "MSFT JNJ AAPL AMD BAC BBY CVX GE HD JPM KO LLY MRK PEP PFE PG RRC UNH WMT XOM".split()  # All of the sample's.
)
YEARS = (2018, 2016, 2014, 2012, 2010)
OBSERVATION = ObservationConfig(past_returns=3)
RULES = TradingRules(fill="same_close")
ANSWER_TOKENS = 8
ROUNDS = 3


def accounts(symbols: int, days: int) -> tuple[dict[str, Any], list[Period]]:
    """Markets and periods that make so many accounts of so many days, a symbol and year each."""
    markets = {symbol: load_market("sample", symbol) for symbol in SYMBOLS[: min(symbols, len(SYMBOLS))]}
    dates = next(iter(markets.values())).dates
    periods = []
    for year in YEARS[: -(-symbols // len(SYMBOLS))]:
        first = int(np.searchsorted(dates, np.datetime64(f"{year}-01-01")))
        periods.append(Period(str(year), dates[first], dates[first + days]))
    return markets, periods


def backtests(model: str, symbols: int, days: int) -> list[dict[str, Any]]:
    """Time a backtest with an empty cache, then with a full one; several rounds of the latter where they are short."""
    markets, periods = accounts(symbols, days)
    agent = Agent(LLMPolicy.from_pretrained(model), OBSERVATION)
    agent.policy.use_cache(memory_bytes=8 * 10**9)
    rows = []
    for name, rounds in (("backtest, first", 1), ("backtest, again", ROUNDS if symbols == 1 else 1)):
        seconds = [_seconds(lambda: run_backtest(agent, markets, periods, RULES)) for _ in range(rounds)]
        rows.append(_row(name, symbols, days, symbols * days, seconds))
    return rows


def without_model(symbols: int, days: int) -> list[dict[str, Any]]:
    """Time the books alone."""
    markets, periods = accounts(symbols, days)
    seconds = [_seconds(lambda: run_backtest(RandomLegal(), markets, periods, RULES)) for _ in range(ROUNDS)]
    return [_row("without the model", symbols, days, symbols * days, seconds)]


def generate(model: str, days: int, batch: int, new_tokens: int) -> list[dict[str, Any]]:
    """Time transformers' `generate` on prompts of a year of one account that trades at random."""
    markets, (period,) = accounts(1, days)
    agent = Agent(LLMPolicy.from_pretrained(model), OBSERVATION)
    window = period_window(SYMBOLS[0], markets[SYMBOLS[0]], period)
    observer = agent.observer(markets, RULES.fill)
    seen = play(RandomLegal(), RULES.make(markets, 1), observer, [window]).observations
    prompts = [list(agent.prompts.build(day[0]).token_ids) for day in seen]
    tokenizer = agent.policy.tokenizer
    tokenizer.padding_side = "left"

    def answer(chosen: list[list[int]]) -> None:
        for start in range(0, len(chosen), batch):
            inputs = tokenizer.pad({"input_ids": chosen[start : start + batch]}, return_tensors="pt")
            with torch.inference_mode():
                agent.policy.model.generate(
                    **inputs, max_new_tokens=new_tokens, do_sample=False, pad_token_id=tokenizer.eos_token_id
                )

    chosen = prompts[: 16 if batch == 1 else batch]
    answer(chosen[:batch])
    name = (
        f"generate, {batch} prompts"
        if batch > 1
        else "generate, " + ("one token" if new_tokens == 1 else "day by day")
    )
    seconds = [_seconds(lambda: answer(chosen)) for _ in range(ROUNDS)]
    return [_row(name, 1, len(chosen), len(chosen), seconds)]


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _row(name: str, symbols: int, days: int, decisions: int, seconds: list[float]) -> dict[str, Any]:
    rate = decisions / float(np.median(seconds))
    figures = {"decisions": decisions, "seconds": seconds, "decisions_per_second": rate}
    return {"contender": name, "symbols": symbols, "days": days, **figures}


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All rows, and how the one-symbol backtest compares with `generate`."""
    rate = {row["contender"]: row["decisions_per_second"] for row in rows if row["symbols"] == 1}
    first, again = rate["backtest, first"], rate["backtest, again"]
    peers = {"": "day by day", "_one_token": "one token", "_batched": "32 prompts"}
    ratios = {f"ratio_vs_generate{key}": again / rate[f"generate, {name}"] for key, name in peers.items()}
    empty = {f"ratio_vs_generate{key}_first": first / rate[f"generate, {name}"] for key, name in peers.items()}
    return {**ratios, **empty, "rows": list(rows)}


def table(found: dict[str, Any]) -> Table:
    """All rows, for people."""
    out = Table(title="Backtest, SmolLM2-135M, greedy", title_justify="left")
    out.add_column("contender", no_wrap=True)
    for name in ("symbols", "days", "decisions", "rounds", "s", "decisions/s"):
        out.add_column(name, justify="right")
    for row in found["rows"]:
        counts = [str(row[key]) for key in ("symbols", "days", "decisions")]
        timing = [str(len(row["seconds"])), f"{np.median(row['seconds']):.2f}", f"{row['decisions_per_second']:.1f}"]
        out.add_row(row["contender"], *counts, *timing)
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = command_line("bench_backtest", __doc__)
    add_model(parser)
    parser.add_argument("--days", type=int, default=250, help="days of a backtest (default 250)")
    parser.add_argument(
        "--symbols",
        type=int,
        nargs="+",
        default=[1, 10, 100],
        help="sizes of the backtests with the model; 1 has to be among them (default 1 10 100)",
    )
    parser.add_argument(
        "--days-of-100",
        type=int,
        default=25,
        help="days of the backtest of 100 symbols with the model (default 25; 250 take more than half an hour)",
    )
    args = parser.parse_args(argv)
    if 1 not in args.symbols:
        raise SystemExit(f"--symbols {args.symbols}: 1 has to be among them, for the ratios")
    console, rows = Console(width=120), []
    work: list[tuple[Callable[..., list[dict[str, Any]]], tuple[Any, ...]]] = [
        (generate, (args.model, args.days, 1, ANSWER_TOKENS)),
        (generate, (args.model, args.days, 1, 1)),
        (generate, (args.model, args.days, 32, ANSWER_TOKENS)),
        *((backtests, (args.model, n, args.days if n < 100 else args.days_of_100)) for n in args.symbols),
        *((without_model, (symbols, args.days)) for symbols in (1, 10, 100)),
    ]
    began = time.monotonic()
    for number, (measure, settings) in enumerate(work, 1):
        rows += isolated(measure, *settings)
        last = rows[-1]
        console.print(
            f"{number}/{len(work)} {last['contender']}, {last['symbols']} symbols x {last['days']} days: "
            f"{last['decisions_per_second']:.1f} decisions/s; {time.monotonic() - began:.0f} s so far",
            highlight=False,
        )
    found = figures(rows)
    console.print(table(found))
    console.print(
        f"One symbol: {found['ratio_vs_generate']:.1f} times as many decisions a second as generate day by day, "
        f"{found['ratio_vs_generate_one_token']:.1f} times as many as with one token, "
        f"{found['ratio_vs_generate_batched']:.1f} times as many as in batches. The first time: "
        f"{found['ratio_vs_generate_first']:.1f}, {found['ratio_vs_generate_one_token_first']:.1f} and "
        f"{found['ratio_vs_generate_batched_first']:.1f} times.",
        highlight=False,
    )
    write_json(args.json, {**found, "machine": machine()})


if __name__ == "__main__":
    main()
