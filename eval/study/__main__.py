"""Train recipes over seeds and judge what they learned, with intervals.

python -m eval.study --config recipes/eval/investorbench.yaml --data FOLDER
"""

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from trl import TrlParser

from flag_trl.data import DataError
from flag_trl.scripts.recipe import read_recipe, split_config

from ..run import check_extras
from .judgement import judge
from .play import LOG, Run, books, claim, end_with_parent, play
from .results import about, write

USAGE = "%(prog)s --config STUDY [--option VALUE ...]"
DESCRIPTION = """Trains each of the named training recipes with several seeds, trades their test periods with what came
out, with the model as it was before and with Buy & Hold, and compares them. Options that are not listed here go to
every training recipe. A run that is finished is not run again, one that was interrupted goes on from its last
checkpoint. Example: %(prog)s --config recipes/eval/investorbench.yaml --data FOLDER --seeds 2 --max_steps 4"""


@dataclass
class StudyArguments:
    """Which recipes, how often, and how many at a time."""

    recipes: list[str] = field(default_factory=list, metadata={"help": "Files of training recipes."})
    seeds: int = field(default=5, metadata={"help": "Runs of each recipe: seeds 0, 1, ..."})
    overrides: dict = field(
        default_factory=dict,
        metadata={"help": "Options on top of every training recipe's own (in the study's file)."},
    )
    costs_bps: list[float] = field(
        default_factory=lambda: [0.0, 5.0, 20.0], metadata={"help": "Commissions at which trading is repeated."}
    )
    jobs: int = field(default=1, metadata={"help": "Runs at a time, among which the cores are shared out."})
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder of runs and results; by default outputs/<name of the study>."}
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the study; what is wrong with a user's files is told without a traceback."""
    try:
        _study(argv)
    except (DataError, FileNotFoundError) as error:
        raise SystemExit(f"eval.study: {error}") from error


def _study(argv: Sequence[str] | None) -> None:
    logging.getLogger("flag_trl.observations").setLevel(logging.ERROR)
    options, words = parse(argv)
    check_extras()
    runs = plan(options, words)
    recipes = {run.recipe: read_recipe(run.command_line) for run in runs if run.seed is None}
    own = {recipe.trading.commission_bps for recipe in recipes.values()}
    if len(own) > 1:
        # What is compared together is traded at every commission that is anybody's own.
        runs = [replace(run, costs_bps=tuple(dict.fromkeys([*run.costs_bps, *sorted(own)]))) for run in runs]
    markets = {name: recipe.markets(unseen=True) for name, recipe in recipes.items()}
    for run in runs:
        claim(run, recipes[run.recipe], markets[run.recipe])
    work([run for run in runs if not run.done], options.jobs)
    found = {name: [books(run, recipe) for run in runs if run.recipe == name] for name, recipe in recipes.items()}
    command = shlex.join(["python", "-m", "eval.study", *(sys.argv[1:] if argv is None else argv)])
    write(Path(str(options.output_dir)), judge(recipes, found), {**about(runs, recipes), "command": command})


def parse(argv: Sequence[str] | None) -> tuple[StudyArguments, list[str]]:
    """The study's own options, and words for every training recipe."""
    given = [part for word in (sys.argv[1:] if argv is None else argv) for part in split_config(word)]
    name = given[given.index("--config") + 1] if "--config" in given[:-1] else None
    if name is None or not Path(name).is_file():
        raise SystemExit("--config: name a study, such as --config recipes/eval/investorbench.yaml")
    kinds: list[Any] = [StudyArguments]
    parser: Any = TrlParser(kinds, usage=USAGE, description=DESCRIPTION, allow_abbrev=False)
    options, unknown, words = parser.parse_args_and_config(
        given, return_remaining_strings=True, separate_remaining_strings=True
    )
    if unknown:
        raise SystemExit(f"{name}: {unknown[0].strip('-')} is no option of a study; training's belong under overrides")
    if "--seed" in words:
        raise SystemExit("--seed: a study counts its seeds from 0; say how many with --seeds")
    if not options.recipes or options.seeds < 1 or options.jobs < 1:
        raise SystemExit(f"{name}: name recipes, and at least one seed and one job")
    options.output_dir = options.output_dir or f"outputs/{Path(name).stem}"
    return options, words


def plan(options: StudyArguments, words: Sequence[str]) -> list[Run]:
    """Every run, in the order in which they are done: each recipe once before any a second time."""
    names = [Path(path).stem for path in options.recipes]
    if len(set(names)) < len(names):
        raise SystemExit(f"recipes: two files have one name: {', '.join(options.recipes)}")
    given = [word for key, value in options.overrides.items() for word in (f"--{key}", *_as_words(value))]
    costs = tuple(map(float, options.costs_bps))
    return [
        Run(
            recipe=name,
            words=("--config", path, *given, *words),
            seed=seed,
            folder=Path(str(options.output_dir)) / name / ("untrained" if seed is None else f"seed-{seed}"),
            costs_bps=costs,
        )
        for seed in (None, *range(options.seeds))
        for name, path in zip(names, options.recipes, strict=True)
    ]


def _as_words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [word for one in value for word in _as_words(one)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def work(runs: Sequence[Run], jobs: int) -> None:
    """Do the runs, several at a time, and tell how far they are.

    Raises
    ------
    SystemExit
        If one fails, after those under way have ended.
    """
    if not runs:
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    console = Console(stderr=True)
    console.print(f"{len(runs)} runs, {jobs} at a time; each writes {LOG} in its folder", style="dim", highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, speed_estimate_period=86400)
    # Spawned, since what is forked may not use what torch had started.
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=end_with_parent) as pool, bar:
        told = bar.add_task("runs", total=len(runs))
        # A run is handed over when it can begin: an interruption, which reaches those under way, begins no other.
        coming = iter(runs)
        active: dict[Future[float], Run] = {pool.submit(play, run, threads): run for run in islice(coming, jobs)}
        while active:
            ended, _ = wait(active, timeout=2, return_when=FIRST_COMPLETED)
            for future in ended:
                run = active.pop(future)
                if error := future.exception():
                    raise SystemExit(f"{run.name} failed ({error!r}); more is in {run.folder / LOG}")
                bar.advance(told)
                console.print(f"{run.name}: {future.result():.0f} s", highlight=False)
                active.update({pool.submit(play, following, threads): following for following in islice(coming, 1)})
            said = "; ".join(f"{run.name}: {run.last_words}" for run in active.values())
            bar.update(told, description=said[:80] or "runs")


if __name__ == "__main__":
    main()
