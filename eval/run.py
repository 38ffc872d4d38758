"""Evaluate a policy: every task, the audit, and one report.

accelerate launch -m eval.run --config recipes/eval/full.yaml --policy FOLDER
"""

import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flag_trl.agent import AGENT_FILES, Agent, Policy, agent_folder, count_trials, file_digest
from flag_trl.data import DataError, MarketData
from flag_trl.data.altered import WEEKS
from flag_trl.scripts.backtest import check_training
from flag_trl.scripts.progress import report_console
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.trainer.preparation import arrange

from . import store
from .arguments import OPTIONS, TASKS, EvalArguments
from .baselines.chat import ChatPolicy
from .baselines.mlp import train_mlp
from .evaluation import TRAINED, UNTRAINED, Evaluation, TaskResult
from .evaluation import Progress as Tell
from .words import clean

WIDE = ("portfolio", "events")
"""Tasks that look at the transfer symbols; the others at what is traded."""
EXTRAS = {
    "arch": "arch",
    "matplotlib": "matplotlib",
    "plotly": "plotly",
    "skfolio": "skfolio",
    "sklearn": "scikit-learn",
    "statsmodels": "statsmodels",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate; what is wrong with a user's files is told without a traceback."""
    try:
        _evaluate(argv)
    except (DataError, FileNotFoundError) as error:
        raise SystemExit(f"eval.run: {error}") from error


def _evaluate(argv: Sequence[str] | None) -> None:
    """Run the tasks that are not done, and write results and report."""
    began = time.monotonic()
    # Each set of altered days would tell anew which texts did not fit; flag-trl show-prompt does.
    logging.getLogger("flag_trl.observations").setLevel(logging.ERROR)
    recipe = read_recipe(argv, EvalArguments)
    if recipe.training.process_index:
        return  # One process is enough, and two would write the same files.
    options: EvalArguments = recipe.extra
    _check(options)
    console = report_console()
    evaluation, about = build(recipe, options)
    about["command"] = shlex.join(["python", "-m", __spec__.name, *(sys.argv[1:] if argv is None else argv)])
    given = _by_task(recipe, options, evaluation)
    keys = {name: _key(name, about, options, part) for name, part in given.items()}
    console.print("\n".join(about["conventions"]), style="dim", highlight=False)
    for name in options.tasks:
        result, note = _run(name, given[name], keys[name])
        console.print(f"\n[bold]{task(name).TITLE}[/bold] [dim]{note}[/dim]", highlight=False)
        console.print("\n".join(result.words), highlight=False, markup=False)
        about["seconds"] = round(time.monotonic() - began, 1)
        _write(recipe.output, about, keys)
    console.print(f"\n[dim]{recipe.output}/report.html, results.json; {about['seconds']:.0f} s[/dim]", highlight=False)


def task(name: str) -> Any:
    """A task's module; imported when it is asked for, since each brings libraries of its own."""
    return import_module(f".tasks.{name}", __package__)


def build(recipe: Recipe, options: EvalArguments) -> tuple[Evaluation, dict[str, Any]]:
    """What the tasks work with, and what a reader must know about it."""
    policies, identity = _policies(recipe, options)
    agent = policies[TRAINED]
    assert isinstance(agent, Agent)
    periods = recipe.test_periods(options.period)
    own = 1 if options.policy == UNTRAINED else count_trials(agent_folder(str(options.policy)))
    trials = options.trials or own
    evaluation = Evaluation(
        policies=policies,
        markets=recipe.markets(unseen=True),
        train=recipe.periods()[0],
        periods=periods,
        rules=recipe.rules(),
        costs_bps=options.costs_bps,
        sampled=options.sampled,
        random_draws=options.random_draws,
        options={**asdict(options), "cutoff": _cutoff(recipe, options)},
        trials=trials,
        seed=recipe.training.seed,
        folder=recipe.output,
    )
    evaluation = replace(
        evaluation, options={**evaluation.options, "baselines": _baselines(recipe, options, evaluation)}
    )
    about = {
        "policy": options.policy,
        "identity": identity,
        "conventions": [
            *(
                ["the base model itself is judged: what is called trained has not been"]
                if UNTRAINED not in policies
                else []
            ),
            *recipe.conventions(agent),
            *check_training(agent, recipe, periods),
            f"configurations tried: {trials}",
        ],
        "periods": {period.name: [str(period.start), str(period.end)] for period in periods},
        "symbols": list(evaluation.markets),
        "versions": store.versions(),
    }
    return evaluation, about


def _policies(recipe: Recipe, options: EvalArguments) -> tuple[dict[str, Policy], dict[str, str]]:
    """The trained agent and the same model without its training; they share what the frozen layers compute."""
    if options.policy == UNTRAINED:
        agent = recipe.agent()
        arrange(agent, recipe.training)
        return {TRAINED: agent}, _identity(agent, None)
    folder = agent_folder(str(options.policy))
    agents = {name: Agent.from_pretrained(folder, trained=name == TRAINED) for name in (TRAINED, UNTRAINED)}
    for agent in agents.values():
        agent.observation = recipe.as_altered(agent.observation)
        agent.policy.to(recipe.training.device)
        arrange(agent, recipe.training)
    trained, untrained = (agents[name].policy for name in (TRAINED, UNTRAINED))
    if (
        trained.cache is not None
        and untrained.cache is not None
        and trained.cache.settings == untrained.cache.settings
    ):
        untrained.cache = trained.cache
    return dict(agents), _identity(agents[TRAINED], folder)


def _identity(agent: Agent, folder: Path | None) -> dict[str, str]:
    """Hashes of the adapter's files and of the base model's weights, what is shown, and the words said."""
    base = Path(str(agent.policy.base_model))
    files = [folder / name for name in AGENT_FILES] if folder else []
    files += sorted(base.glob("*.safetensors")) if base.is_dir() else []
    found = {file.name: file_digest(file) for file in files if file.is_file()}
    found["shown"] = store.digest(asdict(agent.observation), agent.prompts.template, agent.policy.actions.words)
    return {**found, "base model": str(agent.policy.base_model)}


def _cutoff(recipe: Recipe, options: EvalArguments) -> str | None:
    """The last day that the base model may have read about, moved where the days are."""
    if options.cutoff is None or recipe.market.counterfactual != "dates":
        return options.cutoff
    return str(np.datetime64(options.cutoff) + np.timedelta64(7 * WEEKS, "D"))


def _baselines(recipe: Recipe, options: EvalArguments, evaluation: Evaluation) -> dict[str, Any]:
    """What takes training or an endpoint; built when it is first asked, for a result may be there already."""
    found: dict[str, Any] = {}
    if options.mlp_steps:
        seen = {symbol: evaluation.markets[symbol] for symbol in recipe.market.symbols}
        train = (evaluation.train, evaluation.rules, options.mlp_steps, evaluation.seed)
        found["mlp_ppo"] = lambda tell: train_mlp(seen, *train, tell)
    if options.chat_url:
        agent = evaluation.policies[TRAINED]
        assert isinstance(agent, Agent)
        answers = recipe.output / "chat.jsonl"
        given = (options.chat_url, str(options.chat_model), agent.observation, evaluation.rules.scheme, answers)
        found["zero_shot_llm"] = lambda tell: ChatPolicy(*given)
    return found


def _by_task(recipe: Recipe, options: EvalArguments, evaluation: Evaluation) -> dict[str, Evaluation]:
    """What each task works with; some look at the transfer symbols where these are named."""
    wide: Mapping[str, MarketData] = evaluation.markets
    if options.transfer_symbols:
        chosen = replace(recipe.market, symbols=options.transfer_symbols, unseen_symbols=[])
        wide = replace(recipe, market=chosen).markets()
    return {name: replace(evaluation, markets=wide) if name in WIDE else evaluation for name in TASKS}


def _key(name: str, about: Mapping[str, Any], options: EvalArguments, evaluation: Evaluation) -> str:
    """A name for all that a task's result depends on."""
    return store.digest(
        task(name).VERSION,
        about["versions"]["flag-trl"],
        about["identity"],
        about["periods"],
        evaluation.trials,
        evaluation.seed,
        [str(evaluation.train.start), str(evaluation.train.end)],
        repr(evaluation.rules),
        {option: getattr(options, option) for option in OPTIONS[name]},
        {symbol: store.market_digest(market) for symbol, market in evaluation.markets.items()},
    )


def _run(name: str, evaluation: Evaluation, key: str) -> tuple[TaskResult, str]:
    """A task's result, from an earlier run with the same settings where there is one."""
    assert evaluation.folder is not None
    folder = evaluation.folder / name
    if (stored := store.read(folder, key)) is not None:
        return stored, "(found by an earlier run with the same settings)"
    began = time.monotonic()
    with _telling(task(name).TITLE) as tell:
        result = task(name).run(replace(evaluation, tell=tell))
    store.save(folder, key, result)
    return result, f"{time.monotonic() - began:.0f} s"


@contextmanager
def _telling(title: str) -> Iterator[Tell]:
    """A bar for what a task is doing."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    clock = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *clock, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(title, total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(bar, description=f"{title}: {what}", completed=done, total=total)

        yield tell


def _write(folder: Path, about: dict[str, Any], keys: Mapping[str, str]) -> None:
    """Results and report of every task that is done under these settings, whichever was asked for this time."""
    from .report import write_report

    found = {name: result for name, key in keys.items() if (result := store.read(folder / name, key)) is not None}
    about["settings"] = store.digest(keys)
    tasks = {name: {"figures": clean(result.figures), "words": result.words} for name, result in found.items()}
    store.replace_text(folder / "results.json", json.dumps({**about, "tasks": tasks}, indent=1) + "\n")
    write_report(folder / "report.html", about, {name: (task(name).TITLE, result) for name, result in found.items()})


def check_extras(besides: Mapping[str, str] = {}) -> None:  # noqa: B006
    """Stop before the work starts where a package is missing; `besides` are modules and their packages."""
    missing = [package for name, package in {**EXTRAS, **besides}.items() if find_spec(name) is None]
    if missing:
        raise SystemExit(f"evaluation needs {', '.join(missing)}: pip install 'flag-trl[eval]'")


def _check(options: EvalArguments) -> None:
    """Stop before the work starts where something is missing or misspelt."""
    unknown = sorted(set(options.tasks) - set(TASKS))
    if unknown:
        raise SystemExit(f"tasks: there is no {', '.join(unknown)}; choose among {', '.join(TASKS)}")
    check_extras({"stable_baselines3": "stable-baselines3"} if options.mlp_steps else {})
    if options.policy is None:
        raise SystemExit(f"--policy: name the folder of a trained agent, or {UNTRAINED} for the base model")
    if options.policy != UNTRAINED:
        agent_folder(options.policy)
    if options.chat_url and not options.chat_model:
        raise SystemExit("--chat_url: name the model that is to be asked for with --chat_model")


if __name__ == "__main__":
    main()
