"""Run a policy over the test periods of a recipe: trades, equity, measures and a picture of each.

accelerate launch -m flag_trl.scripts.backtest --config recipes/quickstart.yaml
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from rich.console import Console

from flag_trl.agent import Agent
from flag_trl.backtest import Ledger, compare, draw, in_words, run_backtest, run_baselines, table
from flag_trl.data import MarketData, Period
from flag_trl.scripts.progress import progress_bar, report_console
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.trainer.preparation import arrange


@dataclass
class BacktestArguments:
    """Options of the backtest alone."""

    policy: str | None = field(
        default=None,
        metadata={"help": "Folder of a trained agent, or `untrained`; by default the recipe's output folder."},
    )
    period: list[str] | None = field(default=None, metadata={"help": "Names of the test periods; by default all."})


def report(
    symbol: str,
    market: MarketData,
    period: Period,
    ledgers: Mapping[str, Ledger],
    recipe: Recipe,
    conventions: list[str],
    console: Console,
) -> dict[str, Any]:
    """Compare policies with the baselines over one period; print the table and the words, write the files.

    The first of `ledgers` is the one whose trades are written, drawn and put in words. Returns the figures by policy.
    """
    name, ledger = next(iter(ledgers.items()))
    folder = recipe.output / "backtest" / re.sub(r"[^\w-]+", "_", f"{symbol}-{period.name}")
    fixed, random = run_baselines(symbol, market, period, recipe.rules())
    figures = compare({**ledgers, **fixed}, random)
    ledger.save(folder)
    record = {"symbol": symbol, "period": str(period), "conventions": conventions, "policies": figures}
    (folder / "metrics.json").write_text(json.dumps(record, indent=2) + "\n")
    draw({**ledgers, **fixed}, name, folder / "backtest.png", conventions[0])
    console.print(table(f"{symbol}, {period.name}: {period.start} to {period.end}", figures))
    console.print(in_words(ledger, figures, name), highlight=False)
    console.print(f"[dim]{folder}/ holds trades, equity, metrics and the picture[/dim]\n", highlight=False)
    return figures


def check_extras() -> None:
    """Stop before the work starts where what the report needs is not installed."""
    missing = [name for name in ("arch", "matplotlib") if find_spec(name) is None]
    if missing:
        raise SystemExit(f"reports need {' and '.join(missing)}: pip install 'flag-trl[eval]'")


def check_training(agent: Agent, recipe: Recipe, periods: Sequence[Period]) -> list[str]:
    """Refuse an agent that was trained under other rules; tell of test days that it was trained on."""
    trained, own = agent.trained_on, recipe.rules().identity
    if trained is None:
        return []
    if any(trained[key] != value for key, value in own.items()):
        raise SystemExit(
            f"the agent was trained with scheme {trained['scheme']} and fill {trained['fill']}, the recipe has "
            f"{own['scheme']} and {own['fill']}; give --scheme and --fill as in training"
        )
    seen = [p.name for p in periods if recipe.first_day(p) <= np.datetime64(trained["last_day"])]
    return [f"WARNING: {', '.join(seen)} holds days up to {trained['last_day']} of its training"] if seen else []


def main(argv: Sequence[str] | None = None) -> None:
    """Backtest every symbol over every test period."""
    recipe = read_recipe(argv, BacktestArguments)
    if recipe.training.process_index:
        return  # One process is enough, and two would write the same files.
    check_extras()
    folder = recipe.extra.policy or recipe.output
    name = "untrained" if folder == "untrained" else "trained"
    agent = recipe.agent() if folder == "untrained" else Agent.from_pretrained(folder)
    agent.observation = recipe.as_altered(agent.observation)
    agent.policy.to(recipe.training.device)
    arrange(agent, recipe.training)
    markets, periods, console = recipe.markets(unseen=True), recipe.test_periods(recipe.extra.period), report_console()
    conventions = [*recipe.conventions(agent), *check_training(agent, recipe, periods)]
    console.print("\n".join(conventions), style="dim", highlight=False)
    with progress_bar(f"{name} policy") as tell:
        ledgers = run_backtest(agent, markets, periods, recipe.rules(), on_progress=tell)
    for ledger in ledgers:
        market = markets[ledger.symbol]
        report(ledger.symbol, market, ledger.period, {name: ledger}, recipe, conventions, console)


if __name__ == "__main__":
    main()
