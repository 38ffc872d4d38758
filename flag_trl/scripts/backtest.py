"""Run a policy over the test periods of a recipe: trades, equity, measures and a picture of each.

accelerate launch -m flag_trl.scripts.backtest --config recipes/quickstart.yaml
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from flag_trl.agent import Agent
from flag_trl.backtest import Ledger, compare, draw, in_words, run_backtest, run_baselines, table
from flag_trl.data import MarketData, Period
from flag_trl.scripts.progress import days_bar
from flag_trl.scripts.recipe import Recipe, read_recipe


@dataclass
class BacktestArguments:
    """Options of the backtest alone."""

    policy: str | None = field(
        default=None,
        metadata={"help": "Folder of a trained agent, or `untrained`; by default the recipe's output folder."},
    )
    period: list[str] | None = field(default=None, metadata={"help": "Names of the test periods; by default all."})


def report(
    recipe: Recipe, market: MarketData, period: Period, ledgers: Mapping[str, Ledger], folder: Path, console: Console
) -> dict:
    """Compare policies with the baselines over one period; print the table and the words, write the files.

    The first of `ledgers` is the one whose trades are written, drawn and put in words. Returns the figures by policy.
    """
    name, ledger = next(iter(ledgers.items()))
    fixed, random = run_baselines(market, period, recipe.rules())
    figures = compare({**ledgers, **fixed}, random)
    ledger.save(folder)
    record = {"symbol": market.symbol, "period": str(period), "conventions": recipe.conventions(), "policies": figures}
    (folder / "metrics.json").write_text(json.dumps(record, indent=2) + "\n")
    draw({**ledgers, **fixed}, name, folder / "backtest.png", recipe.conventions().split(", borrowing")[0])
    console.print(table(f"{market.symbol}, {period}", figures))
    console.print(in_words(ledger, figures, name), highlight=False)
    console.print(f"[dim]{folder}/ holds trades, equity, metrics and the picture[/dim]\n")
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Backtest every symbol over every test period."""
    recipe = read_recipe(argv, BacktestArguments)
    folder = recipe.extra.policy or recipe.output
    name = "untrained" if folder == "untrained" else "trained"
    agent = recipe.agent() if folder == "untrained" else Agent.from_pretrained(folder)
    console = Console(width=None if Console().is_terminal else 110)
    console.print(recipe.conventions(), style="dim", highlight=False)
    markets, periods = recipe.markets(), recipe.test_periods(recipe.extra.period)
    with days_bar(f"{name} policy", markets, periods) as tick:
        ledgers = run_backtest(agent, markets, periods, recipe.rules(), on_step=tick)
    for ledger in ledgers:
        place = recipe.output / "backtest" / f"{ledger.symbol}-{ledger.period.name}"
        report(recipe, markets[ledger.symbol], ledger.period, {name: ledger}, place, console)


if __name__ == "__main__":
    main()
