"""Transitions trained a second by one process on one core, by two on two, and by one on both.

python -m benchmarks.bench_distributed --json outputs/bench_distributed.json

Real launches of the demo's recipe, four windows an update whoever trains them: `accelerate launch` with cpu.yaml or
multi_cpu.yaml. Processes are held to as many threads and cores (as the system counts them) as the row says. What the
frozen layers say is in the cache before; what is timed is whole updates, rollouts, exchange of gradients and optimiser
included, from the line of the second update to that of the last. The launches take turns, and the median of their
rounds counts.
"""

import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.command import add_model, command_line, write_json
from benchmarks.machine import machine

RECIPE = "recipes/quickstart.yaml"
WINDOWS, ROLLOUTS, DAYS = 4, 8, 20
TRANSITIONS = WINDOWS * ROLLOUTS * DAYS
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DS_ACCELERATOR": "cpu", "COLUMNS": "200"}
UPDATE = re.compile(r"step (\d+)/\d+:")


@dataclass(frozen=True)
class Launch:
    """So many processes, with so many threads each."""

    name: str
    config: str
    processes: int
    threads: int

    @property
    def cores(self) -> int:
        """Those that it may use."""
        return self.processes * self.threads


LAUNCHES = (
    Launch("one process, one core", "cpu", 1, 1),
    Launch("two processes, a core each", "multi_cpu", 2, 1),
    Launch("one process, two cores", "cpu", 1, 2),
)


def updates(launch: Launch, model: str, cache: Path, steps: int, more: Sequence[str] = ()) -> list[float]:
    """When the line of each update came, in seconds.

    Raises
    ------
    RuntimeError
        With what the launch said, if it failed.
    """
    options = {
        "model_name_or_path": model,
        "trunk_cache_dir": str(cache),
        "output_dir": str(cache / "run"),
        "per_device_train_batch_size": str(WINDOWS // launch.processes),
        "num_generations": str(ROLLOUTS),
        "episode_length": str(DAYS),
        "max_steps": str(steps),
        "use_cpu": "true",
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": "false",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    config = ["--config_file", f"accelerate_configs/{launch.config}.yaml"]
    line = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *config]
    cores = sorted(os.sched_getaffinity(0))[: launch.cores]
    with subprocess.Popen(
        [*line, "-m", "flag_trl.scripts.train", "--config", RECIPE, *words, *more],
        env={**os.environ, **QUIET, "OMP_NUM_THREADS": str(launch.threads)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ) as process:
        assert process.stderr is not None
        said, times = [], []
        for text in process.stderr:
            said.append(text)
            if UPDATE.search(text):
                times.append(time.monotonic())
    if process.returncode or len(times) != steps:
        raise RuntimeError(f"{shlex.join(line)} ended with {process.returncode}:\n{''.join(said[-30:])}")
    return times


def measure(model: str, steps: int, rounds: int, console: Console) -> dict[str, list[float]]:
    """Transitions a second of each launch, one figure a round."""
    rates: dict[str, list[float]] = {launch.name: [] for launch in LAUNCHES}
    with tempfile.TemporaryDirectory(prefix="bench-distributed-") as folder:
        # More than an epoch's windows: what is computed once is computed here.
        updates(LAUNCHES[2], model, Path(folder), 4)
        for number in range(1, rounds + 1):
            for launch in LAUNCHES:
                times = updates(launch, model, Path(folder), steps)
                rates[launch.name].append(TRANSITIONS * (steps - 2) / (times[-1] - times[1]))
                rate = rates[launch.name][-1]
                console.print(f"round {number}/{rounds}, {launch.name}: {rate:.1f} transitions/s", highlight=False)
    return rates


def table(rates: dict[str, list[float]]) -> Table:
    """All launches, for people."""
    out = Table(
        title=f"{RECIPE}, {WINDOWS} windows x {ROLLOUTS} rollouts x {DAYS} days an update", title_justify="left"
    )
    for name in ("launch", "transitions/s", "lowest", "highest", "against one core"):
        out.add_column(name, justify="left" if name == "launch" else "right")
    alone = statistics.median(rates[LAUNCHES[0].name])
    for name, found in rates.items():
        middle = statistics.median(found)
        out.add_row(name, *(f"{rate:.1f}" for rate in (middle, min(found), max(found))), f"{middle / alone:.2f}")
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = command_line("bench_distributed", __doc__)
    add_model(parser)
    parser.add_argument("--steps", type=int, default=8, help="updates a launch, the first two not timed (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each launch is measured (default 3)")
    args = parser.parse_args(argv)
    if args.steps < 3:
        parser.error("--steps must be at least 3: the first two are not timed")
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("bench_distributed: two cores are needed, and this process may use one")
    console = Console(width=120)
    rates = measure(args.model, args.steps, args.rounds, console)
    console.print(table(rates))
    alone, two = (statistics.median(rates[launch.name]) for launch in LAUNCHES[:2])
    found: dict[str, Any] = {"ratio": two / alone, "transitions_per_second": rates, "machine": machine()}
    write_json(args.json, found)


if __name__ == "__main__":
    main()
