"""The whole way in one command: an untrained policy, its training, and both on later prices they have not seen.

flag-trl demo
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flag_trl.agent import AGENT_FILES, LEDGER, carry_trials, record_trial
from flag_trl.backtest import Ledger, learning_in_words, run_backtest
from flag_trl.data import Period
from flag_trl.hub import TRAINING_FILE
from flag_trl.scripts.backtest import check_extras, report
from flag_trl.scripts.bundled import bundled
from flag_trl.scripts.progress import progress_bar, report_console
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.scripts.train import build_trainer
from flag_trl.trainer import FlagTrainer

RECIPE = "recipes/quickstart.yaml"
MARK = ".demo"
WRITES = (
    "backtest",
    "results.json",
    *AGENT_FILES,
    LEDGER,
    TRAINING_FILE,
    "checkpoint-*",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, test, compare, and write ``results.json`` and the pictures."""
    began = time.monotonic()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not any(word.split("=")[0] in ("--config", "--help", "-h") for word in arguments):
        arguments = ["--config", str(bundled(RECIPE)), *arguments]
    recipe, console = read_recipe(arguments), report_console()
    check_extras()
    if len(recipe.market.symbols) != 1:
        raise SystemExit(
            f"the demo trades one symbol, the recipe names {recipe.market.symbols}; use train and backtest"
        )
    trainer = build_trainer(recipe)
    _clear(recipe.output)
    console.print(_introduction(recipe, trainer), highlight=False)
    untrained = _test(recipe, trainer, "untrained policy")
    record_trial(recipe.output, recipe.configuration, recipe.market.symbols, recipe.training.seed)
    trainer.train()
    trainer.save_model()
    carry_trials(recipe.output, recipe.market.symbols)
    recipe.write_training(trainer.agent)
    trained = _test(recipe, trainer, "trained policy")

    conventions = recipe.conventions(trainer.agent)
    console.print("\n".join(conventions), style="dim", highlight=False)
    results: dict[str, Any] = {"conventions": conventions, "periods": {}}
    for ledger, before in zip(trained, untrained, strict=True):
        symbol, period, pair = ledger.symbol, ledger.period, {"trained": ledger, "untrained": before}
        figures = report(symbol, trainer.markets[symbol], period, pair, recipe, conventions, console)
        results["periods"][period.name] = figures
    text, results["learning"] = learning_in_words([r for r in trainer.state.log_history if "log_return" in r])
    cache = trainer.agent.policy.cache
    results["cache_s"] = {"spent": round(cache.seconds, 1), "saved": round(cache.seconds_saved, 1)} if cache else None
    results["wall_s"] = round(time.monotonic() - began, 1)
    results["peak_rss_mb"] = peak_megabytes()
    (recipe.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(
        f"{text}\nOne asset over a few hundred days cannot prove a strategy; see the intervals.\n"
        f"{_savings(results['cache_s'])}{results['wall_s']:.0f} s, {results['peak_rss_mb']} MB at most; figures in "
        f"{recipe.output}/results.json",
        highlight=False,
    )
    trainer.end()


def _savings(seconds: dict[str, float] | None) -> str:
    """What keeping the frozen layers' states was worth."""
    if seconds is None:
        return ""
    return (
        f"Frozen layers: {seconds['spent']:.0f} s in this run, {seconds['saved']:.0f} s saved by keeping what they "
        "computed.\n"
    )


def _clear(output: Path) -> None:
    """Remove what an earlier demo left in its folder, and nothing that another command wrote."""
    mark = output / MARK
    if not mark.exists() and any(found for pattern in WRITES for found in output.glob(pattern)):
        raise SystemExit(f"{output} holds a run that is not the demo's; remove it, or name another --output_dir")
    for found in [path for pattern in WRITES for path in output.glob(pattern)]:
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    output.mkdir(parents=True, exist_ok=True)
    mark.write_text("flag-trl demo writes this folder anew at each run\n")


def _introduction(recipe: Recipe, trainer: FlagTrainer) -> str:
    """What is about to happen."""
    train, validation, tests = recipe.periods()
    parameters = list(trainer.agent.policy.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad) / 1e6
    validates = f", validates on {_days(validation)}" if validation else ""
    args = trainer.args
    return (
        f"[bold]FLAG-Trader demo[/bold]: {Path(str(trainer.agent.policy.base_model)).name} trades "
        f"{recipe.market.symbols[0]}\n"
        f"  trains on {_days(train)}{validates}\n"
        f"  then trades {' and '.join(map(_days, tests))}\n"
        f"  {trained:.1f} of {sum(p.numel() for p in parameters) / 1e6:.1f} million weights train; {args.max_steps} "
        f"updates of {args.per_device_train_batch_size} windows x {args.num_generations} rollouts x "
        f"{recipe.market.episode_length} days"
    )


def _days(period: Period) -> str:
    return f"{period.start} to {period.end}"


def _test(recipe: Recipe, trainer: FlagTrainer, title: str) -> list[Ledger]:
    """Trade the test periods side by side."""
    periods = recipe.test_periods()
    with progress_bar(title) as tell:
        return run_backtest(trainer.agent, trainer.markets, periods, trainer.rules, on_progress=tell)


def peak_megabytes() -> int:
    """The most memory that this process held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux kilobytes.
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


if __name__ == "__main__":
    main()
