"""Evaluate a policy: every task, the audit, and one report.

accelerate launch -m eval.run --config recipes/eval/full.yaml --policy FOLDER
"""

import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flag_trl.agent import Agent, Policy, count_trials
from flag_trl.scripts.backtest import check_training
from flag_trl.scripts.progress import report_console
from flag_trl.scripts.recipe import Recipe, read_recipe
from flag_trl.trainer.preparation import arrange

from . import store
from .arguments import TASKS, EvalArguments
from .baselines.chat import ChatPolicy
from .baselines.mlp import train_mlp
from .evaluation import TRAINED, UNTRAINED, Evaluation, TaskResult
from .evaluation import Progress as Tell
from .report import write_report
from .tasks import audit, events, portfolio, risk, trading
from .words import clean

MODULES: dict[str, Any] = {"trading": trading, "portfolio": portfolio, "events": events, "risk": risk, "audit": audit}
WIDE = ("portfolio", "events")
"""Tasks that look at the transfer symbols; the others at what is traded."""
PACKAGES = ("flag-trl", "torch", "transformers", "trl", "peft", "numpy", "skfolio", "arch", "statsmodels")
POLICY_FILES = ("agent.json", "policy.json", "policy.safetensors")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the tasks that are not done, and write results and report."""
    began = time.monotonic()
    recipe = read_recipe(argv, EvalArguments)
    if recipe.training.process_index:
        return  # One process is enough, and two would write the same files.
    options: EvalArguments = recipe.extra
    _check(options)
    console = report_console()
    evaluation, about = build(recipe, options)
    evaluation = replace(evaluation, options={**evaluation.options, "baselines": _baselines(options, evaluation)})
    wide = _wide(recipe, options, evaluation)
    console.print("\n".join(about["conventions"]), style="dim", highlight=False)
    found: dict[str, TaskResult] = {}
    for name in options.tasks:
        given = replace(evaluation, markets=wide) if name in WIDE else evaluation
        found[name], note = _run(name, given, store.digest(about["settings"], MODULES[name].VERSION))
        console.print(f"\n[bold]{MODULES[name].TITLE}[/bold] [dim]{note}[/dim]", highlight=False)
        console.print("\n".join(found[name].words), highlight=False)
    about["seconds"] = round(time.monotonic() - began, 1)
    _write(recipe.output, about, found)
    console.print(f"\n[dim]{recipe.output}/report.html, results.json; {about['seconds']:.0f} s[/dim]", highlight=False)


def build(recipe: Recipe, options: EvalArguments) -> tuple[Evaluation, dict[str, Any]]:
    """What the tasks work with, and what a reader must know about it."""
    policies, identity = _policies(recipe, options)
    agent = policies[TRAINED]
    assert isinstance(agent, Agent)
    periods = recipe.test_periods(options.period)
    trials = options.trials or count_trials(str(options.policy))
    evaluation = Evaluation(
        policies=policies,
        markets=recipe.markets(unseen=True),
        train=recipe.periods()[0],
        periods=periods,
        rules=recipe.rules(),
        costs_bps=options.costs_bps,
        sampled=options.sampled,
        random_draws=options.random_draws,
        options={**asdict(options), "names": recipe.policy.news_query},
        trials=trials,
        seed=recipe.training.seed,
        folder=recipe.output,
    )
    conventions = [
        *recipe.conventions(agent),
        *check_training(agent, recipe, periods),
        f"configurations tried: {trials}",
    ]
    shown = {key: value for key, value in asdict(options).items() if key not in ("tasks", "policy")}
    settings = [identity, asdict(recipe.market), asdict(recipe.trading), shown, recipe.training.seed, trials]
    about = {
        "policy": options.policy,
        "identity": identity,
        "command": shlex.join(["python", "-m", "eval.run", *sys.argv[1:]]),
        "conventions": conventions,
        "periods": {period.name: [str(period.start), str(period.end)] for period in periods},
        "symbols": list(evaluation.markets),
        "versions": {name: version(name) for name in PACKAGES},
        "settings": store.digest(settings),
    }
    return evaluation, about


def _policies(recipe: Recipe, options: EvalArguments) -> tuple[dict[str, Policy], dict[str, str]]:
    """The trained agent and the same model without its training; they share what the frozen layers compute."""
    if options.policy == UNTRAINED:
        agent = recipe.agent()
        arrange(agent, recipe.training)
        return {TRAINED: agent}, {"base model": str(recipe.policy.model_name_or_path)}
    folder = Path(str(options.policy))
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
    identity = {name: store.file_digest(folder / name) for name in POLICY_FILES if (folder / name).is_file()}
    return dict(agents), identity


def _baselines(options: EvalArguments, evaluation: Evaluation) -> dict[str, Any]:
    """What takes training or an endpoint; built when it is first asked, for a result may be there already."""
    found: dict[str, Any] = {}
    if options.mlp_steps:
        train = (evaluation.train, evaluation.at_cost(evaluation.commission), options.mlp_steps, evaluation.seed)
        found["mlp_ppo"] = lambda tell: train_mlp(evaluation.markets, *train, tell)
    if options.chat_url:
        if not options.chat_model:
            raise SystemExit("--chat_url: name the model that is to be asked for with --chat_model")
        assert evaluation.folder is not None
        seen = evaluation.policies[TRAINED].observation  # type: ignore[attr-defined]
        answers = evaluation.folder / "chat.jsonl"
        given = (options.chat_url, options.chat_model, seen, evaluation.rules.scheme, answers)
        found["zero_shot_llm"] = lambda tell: ChatPolicy(*given)
    return found


def _wide(recipe: Recipe, options: EvalArguments, evaluation: Evaluation) -> Any:
    """The markets of the transfer symbols; those that are traded where none are named."""
    if not options.transfer_symbols:
        return evaluation.markets
    chosen = replace(recipe.market, symbols=options.transfer_symbols, unseen_symbols=[])
    return replace(recipe, market=chosen).markets()


def _run(name: str, evaluation: Evaluation, key: str) -> tuple[TaskResult, str]:
    """A task's result, from an earlier run with the same settings where there is one."""
    folder = evaluation.folder / name if evaluation.folder else None
    if folder is not None and (stored := store.read(folder, key)) is not None:
        return stored, "(found by an earlier run with the same settings)"
    began = time.monotonic()
    with _telling(MODULES[name].TITLE) as tell:
        result = MODULES[name].run(replace(evaluation, tell=tell))
    if folder is not None:
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


def _write(folder: Path, about: dict[str, Any], found: dict[str, TaskResult]) -> None:
    tasks = {name: {"figures": clean(result.figures), "words": result.words} for name, result in found.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({**about, "tasks": tasks}, indent=1) + "\n")
    write_report(folder / "report.html", about, found)


def _check(options: EvalArguments) -> None:
    """Stop before the work starts where something is missing or misspelt."""
    unknown = sorted(set(options.tasks) - set(TASKS))
    if unknown:
        raise SystemExit(f"tasks: there is no {', '.join(unknown)}; choose among {', '.join(TASKS)}")
    missing = [name for name in ("arch", "plotly", "skfolio", "statsmodels") if find_spec(name) is None]
    if missing:
        raise SystemExit(f"evaluation needs {', '.join(missing)}: pip install 'flag-trl[eval]'")
    if options.policy is None:
        raise SystemExit(f"--policy: name the folder of a trained agent, or {UNTRAINED} for the base model")
    if options.policy != UNTRAINED and not (Path(options.policy) / "agent.json").is_file():
        raise SystemExit(f"{options.policy} holds no trained agent; train one, or name another --policy")


if __name__ == "__main__":
    main()
