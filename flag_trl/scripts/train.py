"""Train a policy as a recipe says.

accelerate launch --config_file accelerate_configs/cpu.yaml -m flag_trl.scripts.train --config recipes/quickstart.yaml
flag-trl train --config recipes/quickstart.yaml --accelerate cpu
"""

import sys
from collections.abc import Mapping, Sequence

from datasets import Dataset

from flag_trl.agent import carry_trials, record_trial
from flag_trl.data import MarketData, Period, episode_dataset, period_window
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.scripts.relaunch import LaunchArguments
from flag_trl.trainer import FlagTrainer, last_whole
from flag_trl.trainer.launch import check_builds


def build_trainer(recipe: Recipe) -> FlagTrainer:
    """The trainer of a recipe, with the windows of its training and validation periods."""
    if recipe.market.counterfactual:
        raise SystemExit("counterfactual: altered days are for tests; leave it out of training")
    markets = recipe.markets()
    train, validation, _ = recipe.periods()
    args = recipe.market
    return FlagTrainer(
        agent=recipe.agent(),
        args=recipe.training,
        markets=markets,
        rules=recipe.rules(),
        train_dataset=episode_dataset(markets, train, length=args.episode_length, stride=args.episode_stride),
        eval_dataset=None if validation is None else _validation_windows(recipe, markets, validation),
    )


def _validation_windows(recipe: Recipe, markets: Mapping[str, MarketData], validation: Period) -> Dataset:
    shortest = min(period_window(symbol, market, validation).length for symbol, market in markets.items())
    return episode_dataset(markets, validation, length=recipe.market.validation_length or shortest)


def checkpoint_to_resume(recipe: Recipe) -> str | None:
    """The checkpoint named by ``--resume_from_checkpoint``; ``auto`` is the last whole one in the output folder.

    Where ``auto`` finds none, the run begins anew, and says so.

    Raises
    ------
    SystemExit
        If the output folder holds checkpoints and nothing says what to do with them.
    """
    wanted = recipe.training.resume_from_checkpoint
    if wanted and wanted != "auto":
        return str(wanted)
    last, notes = last_whole(recipe.output)
    if wanted:
        if recipe.training.process_index == 0:
            chosen = f"going on from {last}" if last else f"{recipe.output} holds no checkpoint: from the beginning"
            print("\n".join([*notes, chosen]), file=sys.stderr)
        return None if last is None else str(last)
    if last:
        raise SystemExit(
            f"{recipe.output} holds checkpoints of an earlier run, the last is {last.name}. Go on from it "
            "with --resume_from_checkpoint auto, or remove the folder, or name another with --output_dir"
        )
    return None


def main(argv: Sequence[str] | None = None) -> None:
    """Train, keep the best checkpoint, save the agent."""
    try:
        check_builds()
    except ValueError as error:
        raise SystemExit(str(error)) from error
    recipe = read_recipe(argv, LaunchArguments)
    if recipe.extra.accelerate:
        raise SystemExit("--accelerate is read by `flag-trl train` on its command line, and stands in no recipe")
    checkpoint = checkpoint_to_resume(recipe)
    trainer = build_trainer(recipe)
    counts = trainer.is_world_process_zero()
    if counts and checkpoint is None:
        record_trial(recipe.output, recipe.configuration, recipe.market.symbols, recipe.training.seed)
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except (OSError, FloatingPointError) as error:
        raise SystemExit(f"training stopped: {error}") from error
    if trainer.interrupted:
        trainer.end()
        if counts:
            print("stopped; go on with --resume_from_checkpoint auto", file=sys.stderr)
        raise SystemExit(128 + trainer.interrupted)
    if counts:
        # What a push takes along.
        recipe.output.mkdir(parents=True, exist_ok=True)
        carry_trials(recipe.output, recipe.market.symbols)
        recipe.write_training(trainer.agent)
    trainer.save_model()
    trainer.save_state()
    trainer.end()


if __name__ == "__main__":
    main()
