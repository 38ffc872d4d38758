"""Transitions trained a second: TRL's GRPOTrainer, this trainer plain, and each saving switched on in turn.

python -m benchmarks.bench_training --json outputs/bench_training.json

A transition is one decision of one account, rolled out, judged and trained on. Every contender takes whole optimiser
steps on prompts of the same market's same first days, with the same model, in a process of its own:

  GRPO, parsed text   TRL's GRPOTrainer as it comes: up to eight tokens are generated and parsed, all layers train
  GRPO, one token     GRPOTrainer held to one action token, the same layers trained as here
  plain               this trainer with cache and sharing off
  + ...               one saving after another switched on, each in addition to those before

What shares nothing costs in proportion to its transitions, the optimiser's part being about a hundredth, and is
measured on the first days alone (column days). A first step is left out unless it takes more than ten seconds. The
frozen layers' states, computed once in a run, are in the column `once`, not in the steps: `ratio_vs_plain` is that of
a window that has been met before, `ratio_vs_plain_first_visit` that of one met for the first time.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.command import add_model, command_line, write_json
from benchmarks.isolated import isolated, matmul_gflops  # First: it sets the environment.

from rich.console import Console  # isort: skip
from rich.table import Table

from benchmarks import contenders, grpo
from benchmarks.contenders import EVERYTHING, LADDER, Run
from benchmarks.machine import machine
from flag_trl.observations import ObservationConfig

LAYERS = 6
GRPO = ("GRPO, parsed text", "GRPO, one token")
ROLLOUTS = (1, 8, 32)
HEADLINE = ("position", 8)


@dataclass(frozen=True)
class Cell:
    """One contender under one setting.

    Attributes
    ----------
    contender : str
        One of `GRPO`, or a key of `LADDER`.
    text : {"position", "full"}
        What the prompt says of the account.
    rollouts, days : int
        A window.
    budget : float
        Seconds for its steps.
    """

    contender: str
    text: str
    rollouts: int
    days: int
    budget: float

    def run(self, model: str) -> Run:
        """Measure it here and now."""
        # Twenty written-out returns make a prompt about as long as one with a piece of news.
        observation = ObservationConfig(past_returns=20, account_text=self.text)  # type: ignore[arg-type]
        if self.contender in GRPO:
            one_token = self.contender == GRPO[1]
            return grpo.train(model, observation, self.rollouts, self.days, one_token, LAYERS, self.budget)
        counted = self.contender == EVERYTHING and (self.text, self.rollouts) == HEADLINE
        switches = self.contender
        return contenders.train(
            switches, model, observation, self.rollouts, self.days, self.budget, layers=LAYERS, count=counted
        )


def cells(quick: bool) -> Iterator[Cell]:
    """Everything that is measured, the headline's contenders first."""
    yield Cell(GRPO[0], "position", 8, 2, 45)
    yield Cell(GRPO[1], "position", 8, 2, 36)
    settings = [(text, rollouts) for text in ("position", "full") for rollouts in ROLLOUTS]
    for text, rollouts in sorted(settings, key=lambda setting: setting != HEADLINE):
        headline = (text, rollouts) == HEADLINE
        if quick and not headline:
            return
        for contender in LADDER:
            if text == "full" and contender == "+ window in one table":
                continue  # With running numbers in the account text there is no table: it stays as it was.
            if contender == "cache alone" and not headline:
                continue
            shares = text == "position" and LADDER[contender]["share"] != "none"
            days = 16 if shares else 8 if headline else max(2, min(16, 32 // rollouts))
            yield Cell(contender, text, rollouts, days, 24 if headline else 4)


def figures(rows: Sequence[tuple[Cell, Run]], matmul: float) -> dict[str, Any]:
    """Raw figures of all cells, and the ratios at 8 rollouts and `position`.

    Parameters
    ----------
    rows : sequence of (Cell, Run)
    matmul : float
        The machine's rate in matrix products, GFLOP/s.
    """
    rate = {cell.contender: run.transitions / run.step for cell, run in rows if (cell.text, cell.rollouts) == HEADLINE}
    everything = next(r for c, r in rows if (c.contender, c.text, c.rollouts) == (EVERYTHING, *HEADLINE))
    best = rate[EVERYTHING]
    return {
        "ratio_vs_grpo": best / rate[GRPO[0]],
        "ratio_vs_grpo_one_token": best / rate[GRPO[1]],
        "ratio_vs_plain": best / rate["plain"],
        "ratio_vs_plain_first_visit": everything.transitions
        / (everything.step + everything.first_seconds)
        / rate["plain"],
        "ratio_of_sharing": rate["+ window in one table"] / rate["plain"],
        "ratio_of_caching": best / rate["+ window in one table"],
        "matmul_share": everything.gflops / everything.step / matmul,
        "matmul_gflops": matmul,
        "cells": [{**vars(cell), **run.record()} for cell, run in rows],
    }


def table(found: dict[str, Any]) -> Table:
    """All cells, for people."""
    out = Table(
        title="Training, SmolLM2-135M, six trained layers (GRPO, parsed text: all thirty)", title_justify="left"
    )
    out.add_column("contender", no_wrap=True)
    for name in ("account", "rollouts", "days", "states", "steps", "s a step", "once, s", "peak MB"):
        out.add_column(name, justify="right")
    out.add_column("transitions/s", justify="right", style="bold")
    out.add_column("states/s", justify="right")
    before: tuple[str, int] | None = None
    for cell in found["cells"]:
        setting = (cell["text"], cell["rollouts"])
        if before not in (None, setting):
            out.add_section()
        before = setting
        numbers = [cell["days"], cell["states"], len(cell["seconds"])]
        timing = [f"{cell['seconds_median']:.2f}", f"{cell['first_seconds']:.1f}", f"{cell['peak_mb']:.0f}"]
        rates = [f"{cell['transitions_per_second']:.2f}", f"{cell['states_per_second']:.2f}"]
        out.add_row(cell["contender"], cell["text"], str(cell["rollouts"]), *map(str, numbers), *timing, *rates)
    return out


def in_words(found: dict[str, Any]) -> str:
    """What the ratios say, and what holds them back."""
    return (
        f"8 rollouts, position: {found['ratio_vs_grpo']:.1f} times as many transitions a second as GRPO with parsed "
        f"text, {found['ratio_vs_grpo_one_token']:.1f} times as many as GRPO with one token, "
        f"{found['ratio_vs_plain']:.1f} times as many as this trainer plain: {found['ratio_of_sharing']:.1f} times by "
        f"sharing, and that {found['ratio_of_caching']:.1f} times by caching; at a window's first visit, "
        f"{found['ratio_vs_plain_first_visit']:.1f} times plain. Matrix products run at "
        f"{found['matmul_share']:.0%} of the {found['matmul_gflops']:.0f} GFLOP/s that this machine reaches in them."
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every cell, print the table, write the figures."""
    parser = command_line("bench_training", __doc__)
    add_model(parser)
    parser.add_argument("--quick", action="store_true", help="8 rollouts and account_text position alone")
    args = parser.parse_args(argv)
    console = Console(width=140)
    matmul = isolated(matmul_gflops)
    rows: list[tuple[Cell, Run]] = []
    began, todo = time.monotonic(), list(cells(args.quick))
    for number, cell in enumerate(todo, 1):
        run = isolated(cell.run, args.model)
        rows.append((cell, run))
        rate = run.transitions / run.step
        console.print(
            f"{number}/{len(todo)} {cell.contender}, {cell.text}, {cell.rollouts} rollouts: {rate:.2f} transitions/s; "
            f"{time.monotonic() - began:.0f} s so far",
            highlight=False,
        )
    found = figures(rows, matmul)
    console.print(table(found))
    console.print(in_words(found), highlight=False)
    write_json(args.json, {**found, "machine": machine()})


if __name__ == "__main__":
    main()
