"""How time and memory of a training step grow with the size of the problem, everything switched on.

python -m benchmarks.bench_scaling --json outputs/bench_scaling.json

One of five sizes grows tenfold at a time, in three steps, while the others stay small. The exponent is the slope of
log(time) over log(size): 1 is proportional, 0 is free. Memory is the peak above that of the loaded model.
"""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.command import add_model, command_line, write_json
from benchmarks.isolated import isolated  # First: it sets the environment.

import numpy as np  # isort: skip
from rich.console import Console
from rich.table import Table

from benchmarks import contenders
from benchmarks.contenders import EVERYTHING, Run
from benchmarks.machine import machine
from flag_trl import Agent, LLMPolicy, load_market
from flag_trl.accounts import AllIn
from flag_trl.observations import ObservationConfig
from flag_trl.scripts.demo import peak_megabytes

SYMBOLS = ("MSFT", "JNJ", "AAPL", "AMD", "BAC", "BBY", "CVX", "GE", "HD", "JPM")
BASE: dict[str, int] = {"window length": 8, "symbols": 1, "rollouts": 4, "past returns": 3, "trained layers": 3}
GROWTH: dict[str, tuple[int, ...]] = {
    "window length": (8, 24, 80),
    "symbols": (1, 3, 10),
    "rollouts": (4, 12, 40),
    "past returns": (3, 65, 270),  # A prompt of about 80, 260 and 800 tokens.
    "trained layers": (3, 9, 30),
}
BUDGET = 6.0


def step(model: str, sizes: dict[str, int]) -> Run:
    """Time steps of one problem."""
    return contenders.train(
        EVERYTHING,
        model,
        ObservationConfig(past_returns=sizes["past returns"]),
        sizes["rollouts"],
        sizes["window length"],
        BUDGET,
        layers=sizes["trained layers"],
        windows=sizes["symbols"],
        symbols=SYMBOLS[: sizes["symbols"]],
    )


def prompt_tokens(model: str, past_returns: int) -> int:
    """Tokens of a prompt that writes out so many returns."""
    markets = {"MSFT": load_market("sample", "MSFT")}
    agent = Agent(LLMPolicy.from_pretrained(model), ObservationConfig(past_returns=past_returns))
    (seen,) = agent.observer(markets, "same_close").every_state("MSFT", 7000, 1, AllIn())
    return len(agent.prompts.build(seen).token_ids)


def loaded(model: str) -> float:
    """Megabytes of a process that has loaded the model and done nothing."""
    LLMPolicy.from_pretrained(model)
    return peak_megabytes()


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log(value) over log(size), by least squares; 0 for what does not grow."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def figures(rows: Sequence[dict[str, Any]], loaded_mb: float) -> dict[str, Any]:
    """Rows and the exponents of each size."""
    exponents = {}
    for name in GROWTH:
        mine = [row for row in rows if row["grows"] == name]
        sizes = [row["size"] for row in mine]
        exponents[name] = {
            "time": exponent(sizes, [row["seconds_median"] for row in mine]),
            "memory": exponent(sizes, [row["peak_mb"] - loaded_mb for row in mine]),
        }
    return {"exponents": exponents, "loaded_mb": loaded_mb, "rows": list(rows)}


def table(found: dict[str, Any]) -> Table:
    """Each size with its three steps and exponents."""
    out = Table(title=f"A training step; the others stay at {BASE}", title_justify="left")
    out.add_column("grows", no_wrap=True)
    for name in ("sizes", "s a step", "MB above the model", "time ~ size^", "memory ~ size^"):
        out.add_column(name, justify="right")
    for name, slopes in found["exponents"].items():
        mine = [row for row in found["rows"] if row["grows"] == name]
        sizes = " / ".join(str(row["size"]) for row in mine)
        seconds = " / ".join(f"{row['seconds_median']:.2f}" for row in mine)
        memory = " / ".join(f"{row['peak_mb'] - found['loaded_mb']:.0f}" for row in mine)
        label = "prompt length, tokens" if name == "past returns" else name
        out.add_row(label, sizes, seconds, memory, f"{slopes['time']:.2f}", f"{slopes['memory']:.2f}")
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = command_line("bench_scaling", __doc__)
    add_model(parser)
    args = parser.parse_args(argv)
    console, rows, began = Console(width=140), [], time.monotonic()
    loaded_mb = isolated(loaded, args.model)
    todo = [(name, size) for name, sizes in GROWTH.items() for size in sizes]
    for number, (name, size) in enumerate(todo, 1):
        run = isolated(step, args.model, {**BASE, name: size})
        shown = isolated(prompt_tokens, args.model, size) if name == "past returns" else size
        rows.append({"grows": name, "size": shown, **run.record()})
        console.print(
            f"{number}/{len(todo)} {name} {shown}: {run.step:.2f} s a step; {time.monotonic() - began:.0f} s so far",
            highlight=False,
        )
    found = figures(rows, loaded_mb)
    console.print(table(found))
    write_json(args.json, {**found, "machine": machine()})


if __name__ == "__main__":
    main()
