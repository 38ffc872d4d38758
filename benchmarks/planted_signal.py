"""Does the policy learn to read? A market with a planted signal, SmolLM2-135M, and what a perfect reader would earn.

python -m benchmarks.planted_signal --seeds 5 --json outputs/planted_signal.json

Each day's news sentence tells tomorrow's direction and is right on 70 % of the days. There are forty wordings of good
news and forty of bad; a seed draws twenty of each for training and keeps the others for the test. The policy never
sees a label: it trades, and is paid. Shares are Sharpe ratios over that of the Bayes-optimal policy, which follows
every sentence:

  share_known     greedy policy, unseen dates, wordings of the training days
  share_unseen    greedy policy, unseen dates, unseen wordings
  share_probe     logistic probe on the untrained model's hidden states, fitted to the same training days' next-day
                  directions; same days as share_unseen, so the difference is paired
  share_ceiling   the same probe fitted to what the sentences say: what this model's states allow
  share_shuffled  greedy policy on the days of share_unseen with their news dealt anew among them: chance

The checkpoint is chosen on validation days alone, by what a greedy account earns there. A finished seed is read from
the folder, an interrupted one goes on from its last checkpoint; a changed recipe works in a folder of its own.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

# Before the Hub's client is imported: nothing here needs the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np

from benchmarks.machine import machine
from benchmarks.planted_market import (
    SENTENCES,
    SYMBOL,
    PlantedConfig,
    PlantedMarket,
    planted_market,
)
from benchmarks.planted_shares import TestDays, bootstrap_shares, interval, sharpe_share

SHARES = ("share_known", "share_unseen", "share_probe", "share_ceiling", "share_shuffled")
MODEL = "models/SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class TrainingRecipe:
    """How the policy is trained; every field is an option of ``--set``.

    Attributes
    ----------
    tuning : str
        ``top_layers`` or ``lora``; see `flag_trl.Tuning`.
    trained_layers : int
        Top decoder layers that train; the rest is the frozen trunk.
    steps : int
        Updates.
    episode_days, episodes : int
        Days of a window, and windows an update.
    rollouts : int
        Rollouts a window (``num_generations``); with baseline ``exact`` they are only what is logged.
    baseline, learning_rate, scheduler, warmup_steps, entropy_coef, weight_decay
        As in `FlagConfig`; ``scheduler`` is ``lr_scheduler_type``.
    eval_steps : int
        Updates between validations, each with a checkpoint.
    test_days : int
        Test days an account trades from flat; accounts stand side by side, which makes the batches.
    """

    tuning: str = "top_layers"
    trained_layers: int = 6
    steps: int = 64
    episode_days: int = 8
    episodes: int = 4
    rollouts: int = 8
    baseline: str = "exact"
    learning_rate: float = 3e-5
    scheduler: str = "cosine"
    warmup_steps: int = 4
    entropy_coef: float = 0.05
    weight_decay: float = 0.0
    eval_steps: int = 8
    test_days: int = 40


class SeedRun:
    """One seed: its market, its folder, and the stages that are done.

    Parameters
    ----------
    seed : int
    config : PlantedConfig
    recipe : TrainingRecipe
    folder : Path
        Of the whole benchmark; hidden states are shared between recipes, everything else is by recipe and seed.
    model : str
        Folder of the untrained model.
    """

    def __init__(self, seed: int, config: PlantedConfig, recipe: TrainingRecipe, folder: Path, model: str) -> None:
        self.seed, self.config, self.recipe, self.model_folder = seed, config, recipe, model
        self.planted = planted_market(seed, config)
        self.states_folder = folder / "hidden_states"
        self.folder = folder / _digest(asdict(config), asdict(recipe), SENTENCES, model) / f"seed-{seed}"
        self._file = self.folder / "state.json"
        found = json.loads(self._file.read_text()) if self._file.is_file() else {}
        self.positions: dict[str, list[int]] = found.get("positions", {})
        self.seconds: dict[str, float] = found.get("seconds", {})
        self.notes: dict[str, Any] = found.get("notes", {})

    @property
    def finished(self) -> bool:
        """Whether every stage is done."""
        return {"known", "unseen", "shuffled", "probe", "ceiling"} <= set(self.positions)

    @property
    def total_seconds(self) -> float:
        """Wall-clock seconds of all stages, those of interrupted attempts included unless they were killed outright.

        What an earlier recipe left in the folder for all to share (hidden states, the trunk's cache) costs no time
        again: for figures to report, give a fresh folder.
        """
        return sum(self.seconds.values())

    def run(self) -> None:
        """Do what is not done yet."""
        if self.finished:
            _say(f"seed {self.seed}: finished earlier, read from {self.folder}")
            return
        import torch

        torch.manual_seed(self.seed)
        agent = self._agent()
        if not {"probe", "ceiling"} <= set(self.positions):
            self._probe(agent)
        saved = self.folder / "agent"
        if not (saved / "agent.json").is_file():
            self._train(agent)
            agent.save(saved)
            shutil.rmtree(self.folder / "training")
        agent.policy.load_trained(saved)
        for name in ("unseen", "known", "shuffled"):
            if name not in self.positions:
                self._test(agent, name)
        _say(f"seed {self.seed}: done, {self.total_seconds:.0f} s in all")

    def test_days(self, name: str) -> TestDays:
        """What the policies earned on the ``known`` or the ``unseen`` test days."""
        period = f"test_{name}"
        bars = self.planted.bars(period)
        paid = self.planted.next_return[bars]
        policies = ("known",) if name == "known" else ("unseen", "probe", "ceiling", "shuffled")
        returns = {policy: np.array(self.positions[policy]) * paid for policy in policies}
        return TestDays(returns, self.planted.optimal_returns(period), self.planted.sentence[bars])

    def reading(self, name: str) -> float:
        """How often a policy's position follows the sentence; the shuffled policy reads the sentence it was shown."""
        period = "test_known" if name == "known" else "test_unseen"
        shown = self.planted.shuffled(period, self.seed) if name == "shuffled" else self.planted
        return float((np.array(self.positions[name]) == shown.told[shown.bars(period)]).mean())

    def _agent(self) -> Any:
        from flag_trl import Agent, LLMPolicy, ObservationConfig, Tuning

        tuning = Tuning(self.recipe.tuning, self.recipe.trained_layers)
        seen = ObservationConfig(past_returns=3, momentum_bars=0, volatility_bars=0, text_items=1, text_budget=40)
        return Agent(LLMPolicy.from_pretrained(self.model_folder, tuning=tuning), seen)

    def _rules(self) -> Any:
        from flag_trl import Costs, TradingRules, position_scheme

        return TradingRules(position_scheme("signed"), fill="same_close", costs=Costs())

    def _probe(self, agent: Any) -> None:
        """Fit the probe to what the next day did and the ceiling to what the sentence says; both trade the test."""
        from benchmarks.planted_probe import fit_probe

        layers = (agent.policy.config.num_hidden_layers - self.recipe.trained_layers,)
        layers += (agent.policy.config.num_hidden_layers,)
        with self._stage("hidden_states"):
            train = self._hidden_states(agent, "train", layers)
            unseen = self._hidden_states(agent, "test_unseen", layers)
        bars, planted = self.planted.bars("train"), self.planted
        labels = {"probe": planted.next_return[bars] > 0, "ceiling": planted.told[bars] > 0}
        with self._stage("probes"):
            for name, label in labels.items():
                _, predict, chosen = fit_probe(train, label, planted.sentence[bars])
                self.positions[name] = predict(unseen).tolist()
                self.notes[name] = chosen
        _say(f"seed {self.seed}: share_probe {self._share('probe'):.2f}, share_ceiling {self._share('ceiling'):.2f}")

    def _share(self, name: str) -> float:
        days = "known" if name == "known" else "unseen"
        bars = self.planted.bars(f"test_{days}")
        earned = np.array(self.positions[name]) * self.planted.next_return[bars]
        return sharpe_share(earned, self.planted.optimal_returns(f"test_{days}"))

    def _hidden_states(self, agent: Any, period: str, layers: tuple[int, ...]) -> dict[int, np.ndarray]:
        """Of the prompts of a period's flat account; kept by content, so any recipe finds them."""
        from benchmarks.planted_probe import hidden_states
        from flag_trl.observations import Observation

        observer = agent.observer({SYMBOL: self.planted.market}, "same_close")
        legal = (True,) * len(agent.policy.actions.names)
        texts = [observer.market_text(0, int(bar)) for bar in self.planted.bars(period)]
        prompts = [agent.prompts.build(Observation(text, "Position: flat.", legal)).token_ids for text in texts]
        tick = Ticker(f"seed {self.seed}: hidden states of {period}", len(prompts))
        file = self.states_folder / f"{_digest(prompts, layers, self.model_folder)}.safetensors"
        if file.is_file():
            self.notes.setdefault("hidden_states_reused", []).append(period)
        return hidden_states(agent.policy.model, prompts, layers, file, on_batch=tick)

    def _train(self, agent: Any) -> None:
        """Train from the last checkpoint on, keep the checkpoint that earned most on the validation days."""
        from datasets import disable_progress_bars

        from flag_trl import FlagConfig, FlagTrainer, episode_dataset

        disable_progress_bars()
        recipe, periods, markets = self.recipe, self.planted.periods, {SYMBOL: self.planted.market}
        folder = self.folder / "training"
        config = FlagConfig(
            str(folder),
            max_steps=recipe.steps,
            per_device_train_batch_size=recipe.episodes,
            num_generations=recipe.rollouts,
            baseline=recipe.baseline,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type=recipe.scheduler,
            warmup_steps=recipe.warmup_steps,
            weight_decay=recipe.weight_decay,
            entropy_coef=recipe.entropy_coef,
            eval_strategy="steps",
            eval_steps=recipe.eval_steps,
            eval_on_start=True,
            save_strategy="steps",
            save_steps=recipe.eval_steps,
            save_total_limit=1,
            load_best_model_at_end=True,
            trunk_cache_dir=str(self.states_folder.parent / "trunk"),
            use_cpu=True,
            bf16=False,
            report_to="none",
            seed=self.seed,
        )
        trainer = FlagTrainer(
            agent,
            config,
            markets,
            self._rules(),
            episode_dataset(markets, periods["train"], length=recipe.episode_days),
            episode_dataset(markets, periods["validation"], length=recipe.episode_days),
        )
        last = _last_checkpoint(folder)
        _say(f"seed {self.seed}: training {'goes on from ' + last.name if last else 'starts'}")
        with self._stage("training"):
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        self.notes["curve"] = self._curve(trainer.state.log_history)
        best = trainer.state.best_model_checkpoint
        self.notes["chosen_step"] = int(str(best).rsplit("-", 1)[-1]) if best else None
        trainer.end()

    def _curve(self, history: list[dict[str, float]]) -> dict[str, list[float]]:
        """Log returns over the optimum's: of sampled training episodes by update, of greedy validation."""
        optimum = {
            name: np.log1p(self.planted.optimal_returns(name)).mean() * self.recipe.episode_days
            for name in ("train", "validation")
        }
        trained = [row for row in history if "log_return" in row]
        checked = {row["step"]: row for row in history if "eval_log_return" in row}
        return {
            "step": [row["step"] for row in trained],
            "train": [row["log_return"] / optimum["train"] for row in trained],
            "entropy": [row["entropy"] for row in trained],
            "validation_step": list(checked),
            "validation": [row["eval_log_return"] / optimum["validation"] for row in checked.values()],
        }

    def _test(self, agent: Any, name: str) -> None:
        """Positions of the greedy policy on the test days."""
        period = "test_known" if name == "known" else "test_unseen"
        planted = self.planted.shuffled(period, self.seed) if name == "shuffled" else self.planted
        with self._stage(f"test_{name}"):
            self.positions[name] = self._greedy(agent, planted, period, f"seed {self.seed}: testing {name}")
        _say(f"seed {self.seed}: share_{name} {self._share(name):.2f}")

    def _greedy(self, agent: Any, planted: PlantedMarket, period: str, title: str) -> list[int]:
        from flag_trl.agent import play
        from flag_trl.data import Window

        whole, length = planted.window(period), self.recipe.test_days
        starts = range(whole.start, whole.start + whole.length, length)
        stop = whole.start + whole.length
        windows = [Window(SYMBOL, start, min(length, stop - start)) for start in starts]
        markets, rules = {SYMBOL: planted.market}, self._rules()
        tick = Ticker(title, length)
        trajectory = play(
            agent,
            rules.make(markets, len(windows)),
            agent.observer(markets, rules.fill),
            windows,
            on_progress=lambda done, total: tick(done),
        )
        # Accounts side by side, one after another in time.
        held = trajectory.infos["held_position"].T[trajectory.active.T].astype(int)
        return [int(position) for position in held]

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Count a stage's seconds, those of a failed attempt too, and write down what is known."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
            self._write()

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        content = {"positions": self.positions, "seconds": self.seconds, "notes": self.notes}
        partial.write_text(json.dumps(content))
        partial.replace(self._file)


class Ticker:
    """Says every few seconds how far a stage is and how long it will take."""

    def __init__(self, title: str, total: int, every: float = 10.0) -> None:
        self._title, self._total, self._every = title, total, every
        self._began = self._said = time.monotonic()
        self.done = 0

    def __call__(self, done: int) -> None:
        """Note that `done` of the total are finished."""
        self.done = done
        now = time.monotonic()
        if now - self._said >= self._every and done:
            left = (now - self._began) / done * (self._total - done)
            _say(f"{self._title}: {done}/{self._total}, {left:.0f} s left")
            self._said = now


def report(runs: Sequence[SeedRun]) -> dict[str, Any]:
    """All figures of finished seeds.

    Returns
    -------
    dict
        The five shares, a list over seeds each; ``pooled``, their means with two-level intervals; ``intervals`` by
        seed; ``difference``, policy less probe as a share of the optimum, by seed and pooled, by the two-level
        bootstrap and by days alone; ``reading``, how often positions follow the sentence; curves and seconds.
    """
    known, unseen = ([run.test_days(name) for run in runs] for name in ("known", "unseen"))
    out: dict[str, Any] = {}
    for key in SHARES:
        name = key.removeprefix("share_")
        days = known if name == "known" else unseen
        out[key] = [sharpe_share(one.returns[name], one.optimal) for one in days]
    pooled = {**bootstrap_shares(known), **bootstrap_shares(unseen)}
    single = [{**bootstrap_shares([k]), **bootstrap_shares([u])} for k, u in zip(known, unseen, strict=True)]
    names = {key: key.removeprefix("share_") for key in SHARES}
    out["pooled"] = {
        key: {"mean": float(np.mean(out[key])), "interval": interval(pooled[name].mean(0))}
        for key, name in names.items()
    }
    out["intervals"] = {key: [interval(one[name][0]) for one in single] for key, name in names.items()}
    differences = np.subtract(out["share_unseen"], out["share_probe"])
    by_days = bootstrap_shares(unseen, wordings=False)
    out["difference"] = {
        "by_seed": differences.tolist(),
        "intervals": [interval(one["unseen"][0] - one["probe"][0]) for one in single],
        "pooled": float(differences.mean()),
        "pooled_interval": interval((pooled["unseen"] - pooled["probe"]).mean(0)),
        "pooled_interval_days_alone": interval((by_days["unseen"] - by_days["probe"]).mean(0)),
    }
    out["reading"] = {name: [run.reading(name) for run in runs] for name in names.values()}
    out["optimal_daily_sharpe"] = [float(d.optimal.mean() / d.optimal.std()) for d in unseen]
    out["seconds"] = [round(run.total_seconds, 1) for run in runs]
    out["stages"] = [run.seconds for run in runs]
    out["notes"] = [run.notes for run in runs]
    out["seeds"] = [run.seed for run in runs]
    return out


def summary(figures: dict[str, Any]) -> str:
    """The report as a few lines for people."""
    lines = [f"{len(figures['seeds'])} seed(s); shares of the Bayes-optimal Sharpe ratio, 95 % two-level intervals"]
    for key in SHARES:
        low, high = figures["pooled"][key]["interval"]
        each = " ".join(f"{value:5.2f}" for value in figures[key])
        lines.append(f"{key:15} {figures['pooled'][key]['mean']:5.2f} [{low:5.2f}, {high:5.2f}]  by seed {each}")
    low, high = figures["difference"]["pooled_interval"]
    lines.append(f"policy - probe  {figures['difference']['pooled']:5.2f} [{low:5.2f}, {high:5.2f}]")
    lines.append(f"seconds a seed: {', '.join(f'{value:.0f}' for value in figures['seconds'])}")
    return "\n".join(lines)


def changed(recipe: Any, settings: Sequence[str]) -> Any:
    """A recipe with ``key=value`` settings applied, each read as the field's type.

    Raises
    ------
    SystemExit
        If there is no such field or the value does not fit it.
    """
    kinds = {field.name: type(getattr(recipe, field.name)) for field in fields(recipe)}
    values = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in kinds:
            raise SystemExit(f"--set {setting}: there is no {key!r}; choose among {', '.join(kinds)}")
        try:
            values[key] = kinds[key](text)
        except ValueError:
            raise SystemExit(f"--set {setting}: give {key} as {kinds[key].__name__}") from None
    return replace(recipe, **values)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the seeds, write the figures and the picture."""
    # So that a run that is told to stop still writes down how long it took.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planted_signal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="--set steps=96 learning_rate=5e-5 tries another recipe, which works in a folder of its own.\n"
        f"Recipe: {TrainingRecipe()}\nMarket: {PlantedConfig()}",
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from --first-seed on (default 5)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--json", type=Path, help="file for the figures; the picture stands beside it as .png")
    parser.add_argument("--folder", type=Path, default=Path("outputs/planted_signal"), help="where work is kept")
    parser.add_argument("--model", default=MODEL, help=f"folder of the untrained model (default {MODEL})")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="change the training recipe")
    parser.add_argument("--market", nargs="*", default=[], metavar="KEY=VALUE", help="change the planted market")
    args = parser.parse_args(argv)
    if args.seeds < 1:
        raise SystemExit(f"--seeds is {args.seeds}; give at least 1")
    recipe, config = changed(TrainingRecipe(), args.set), changed(PlantedConfig(), args.market)
    runs = []
    began = time.monotonic()
    for number in range(args.seeds):
        run = SeedRun(args.first_seed + number, config, recipe, args.folder, args.model)
        run.run()
        runs.append(run)
        left = (time.monotonic() - began) / len(runs) * (args.seeds - len(runs))
        _say(f"{len(runs)}/{args.seeds} seeds, about {left / 60:.0f} min left")
        # Written after each seed, so that an interrupted benchmark leaves what it has.
        figures = report(runs)
        if args.json:
            from benchmarks.planted_picture import draw

            content = {**figures, "recipe": asdict(recipe), "market": asdict(config), "machine": machine()}
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(content, indent=1) + "\n")
            draw(figures, args.json.with_suffix(".png"))
    print(summary(figures))


def _last_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint that was written to its end; what was cut short is removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[-1]))
    while found and not (found[-1] / "trainer_state.json").is_file():
        shutil.rmtree(found.pop())
    return found[-1] if found else None


def _digest(*content: Any) -> str:
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
