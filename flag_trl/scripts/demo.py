"""The whole way in one command: an untrained policy, its training, and both on later prices they have not seen.

flag-trl demo
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from flag_trl.agent import Agent
from flag_trl.backtest import Ledger, learning_in_words, run_backtest
from flag_trl.data import Period
from flag_trl.scripts.backtest import report
from flag_trl.scripts.progress import days_bar
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.scripts.train import build_trainer
from flag_trl.trainer import FlagTrainer

RECIPE = "recipes/quickstart.yaml"


def main(argv: Sequence[str] | None = None) -> None:
    """Train, test, compare, and write ``results.json`` and the pictures."""
    began = time.monotonic()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--config" not in arguments and not {"--help", "-h"} & set(arguments):
        arguments = ["--config", str(_bundled(RECIPE)), *arguments]
    recipe = read_recipe(arguments)
    output, console = recipe.output, Console(width=None if Console().is_terminal else 110)
    # The demo always starts anew, in a folder that is its own.
    shutil.rmtree(output, ignore_errors=True)
    trainer = build_trainer(recipe)
    _introduce(recipe, trainer, console)
    untrained = _test(recipe, trainer.agent, "untrained policy", trainer)
    trainer.train()
    trainer.save_model()
    trained = _test(recipe, trainer.agent, "trained policy", trainer)

    console.print(recipe.conventions(), style="dim", highlight=False)
    results: dict = {"periods": {}, "conventions": recipe.conventions()}
    for ledger, before in zip(trained, untrained, strict=True):
        place, market = output / "backtest" / ledger.period.name, trainer.markets[ledger.symbol]
        ledgers = {"trained": ledger, "untrained": before}
        results["periods"][ledger.period.name] = report(recipe, market, ledger.period, ledgers, place, console)
    history = [row for row in trainer.state.log_history if "episode_return" in row]
    text, results["learning"] = learning_in_words(history)
    results["wall_s"] = round(time.monotonic() - began, 1)
    results["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    (output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(text, highlight=False)
    console.print(
        f"One asset over a few hundred days cannot prove a strategy; see the intervals.\n"
        f"{results['wall_s']:.0f} s, {results['peak_rss_mb']} MB at most; figures in {output}/results.json",
        highlight=False,
    )
    trainer.end()


def _introduce(recipe: Recipe, trainer: FlagTrainer, console: Console) -> None:
    """Say what is about to happen."""
    train, validation, tests = recipe.periods()
    policy = trainer.agent.policy
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    every = sum(p.numel() for p in policy.parameters())
    name, symbols = Path(str(policy.base_model)).name, ", ".join(recipe.market.symbols)
    console.print(
        f"[bold]FLAG-Trader demo[/bold]: {name} trades {symbols}\n"
        f"  trains on {_days(train)}" + (f", validates on {_days(validation)}" if validation else "") + "\n"
        f"  then trades {' and '.join(map(_days, tests))}\n"
        f"  {trained / 1e6:.1f} of {every / 1e6:.1f} million weights train "
        f"(the top {recipe.policy.num_trainable_layers} layers), {trainer.args.max_steps} updates of "
        f"{trainer.args.per_device_train_batch_size} windows x {trainer.args.num_generations} rollouts x "
        f"{recipe.market.episode_length} days",
        highlight=False,
    )


def _days(period: Period) -> str:
    return f"{period.start} to {period.end}"


def _test(recipe: Recipe, agent: Agent, title: str, trainer: FlagTrainer) -> list[Ledger]:
    """Trade the test periods of the recipe's one symbol, side by side."""
    periods = recipe.test_periods()
    with days_bar(title, trainer.markets, periods) as tick:
        return run_backtest(agent, trainer.markets, periods, trainer.rules, on_step=tick)


def _bundled(name: str) -> Path:
    """A recipe of this folder, or the one that came with the package."""
    here, packaged = Path(name), Path(str(files("flag_trl"))) / name
    return here if here.is_file() else packaged


if __name__ == "__main__":
    main()
