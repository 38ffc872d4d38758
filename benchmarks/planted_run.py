"""One seed of the planted-signal benchmark, from its market to positions on the test days, stage by stage."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.planted_market import SENTENCES, SYMBOL, PlantedConfig, PlantedMarket, planted_market
from benchmarks.planted_shares import TestDays, sharpe_share
from benchmarks.prompt import short_template

BATCH_TOKENS = 4096
REWARD = "less the mean of the training period"
"""What `timing_return` takes off; results of another meaning are not read as finished."""
WORDS = {"sell": "negative", "hold": "neutral", "buy": "positive"}
TEMPLATE = short_template("Say what the news means for the stock.")
"""Chosen among six by how well the untrained model's log-odds of buying rank the next day's returns of the training
days: best on every one of seeds 0 to 4."""


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
    reward : str
        As in `TradingRules`.
    baseline, learning_rate, scheduler, warmup_steps, entropy_coef, scale_advantages, weight_decay
        As in `FlagConfig`; ``scheduler`` is ``lr_scheduler_type``.
    eval_steps : int
        Updates between checkpoints.
    eval_delay : int
        Updates before the first validation: the checkpoint is chosen among the later ones.
    test_days : int
        Test days an account trades from flat; accounts stand side by side, which makes the batches.
    """

    tuning: str = "top_layers"
    trained_layers: int = 6
    steps: int = 96
    episode_days: int = 16
    episodes: int = 3
    rollouts: int = 8
    reward: str = "timing_return"
    baseline: str = "exact"
    learning_rate: float = 5e-5
    scheduler: str = "cosine"
    warmup_steps: int = 4
    entropy_coef: float = 0.003
    scale_advantages: bool = False
    weight_decay: float = 0.0
    eval_steps: int = 8
    eval_delay: int = 64
    test_days: int = 40


class SeedRun:
    """One seed: its market, its folder, and the stages that are done.

    Parameters
    ----------
    seed : int
    config : PlantedConfig
    recipe : TrainingRecipe
    folder : Path
        Of the whole benchmark; the frozen layers' states are shared, everything else is by recipe and seed.
    model : str
        Folder of the untrained model.
    """

    def __init__(self, seed: int, config: PlantedConfig, recipe: TrainingRecipe, folder: Path, model: str) -> None:
        self.seed, self.config, self.recipe, self.model_folder = seed, config, recipe, model
        self.planted = planted_market(seed, config)
        self.trunk_folder = folder / "trunk"
        self.folder = (
            folder / digest(asdict(config), asdict(recipe), SENTENCES, WORDS, TEMPLATE, model, REWARD) / f"seed-{seed}"
        )
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

        What an earlier recipe left in the folder for all to share, the frozen layers' states, costs no time again:
        for figures to report, give a fresh folder.
        """
        return sum(self.seconds.values())

    def run(self) -> None:
        """Do what is not done yet."""
        if self.finished:
            say(f"seed {self.seed}: finished earlier, read from {self.folder}")
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
        say(f"seed {self.seed}: done, {self.total_seconds:.0f} s in all")

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
        from flag_trl.policy import Engine

        tuning = Tuning(self.recipe.tuning, self.recipe.trained_layers)
        seen = ObservationConfig(past_returns=3, indicators=(), news_items=1, news_budget=40)
        agent = Agent(LLMPolicy.from_pretrained(self.model_folder, WORDS, tuning), seen, TEMPLATE)
        agent.policy.engine = Engine(batch_tokens=BATCH_TOKENS)
        agent.policy.use_cache(folder=self.trunk_folder)
        return agent

    def _rules(self) -> Any:
        from flag_trl import Costs, TradingRules, position_scheme

        return TradingRules(position_scheme("signed"), fill="same_close", costs=Costs())

    def _probe(self, agent: Any) -> None:
        """Fit the probe to what the next day did and the ceiling to what the sentence says; both trade the test."""
        from benchmarks.planted_probe import fit_probe

        with self._stage("hidden_states"):
            train, unseen = (self._hidden_states(agent, period) for period in ("train", "test_unseen"))
        bars, planted = self.planted.bars("train"), self.planted
        labels = {"probe": planted.next_return[bars] > 0, "ceiling": planted.told[bars] > 0}
        with self._stage("probes"):
            for name, label in labels.items():
                _, predict, chosen = fit_probe(train, label, planted.sentence[bars])
                self.positions[name] = predict(unseen).tolist()
                self.notes[name] = chosen
        say(f"seed {self.seed}: share_probe {self._share('probe'):.2f}, share_ceiling {self._share('ceiling'):.2f}")

    def _share(self, name: str) -> float:
        days = "known" if name == "known" else "unseen"
        bars = self.planted.bars(f"test_{days}")
        earned = np.array(self.positions[name]) * self.planted.next_return[bars]
        return sharpe_share(earned, self.planted.optimal_returns(f"test_{days}"))

    def _hidden_states(self, agent: Any, period: str) -> dict[int, np.ndarray]:
        """Of the prompts of a period's flat account."""
        from benchmarks.planted_probe import hidden_states

        rules, window = self._rules(), self.planted.window(period)
        every = agent.observer({SYMBOL: self.planted.market}, rules.fill).every_state(*window, rules.scheme)
        # Training and test need the other positions too; together they cost less.
        tick = Ticker(f"seed {self.seed}: frozen layers on {period}, per cent", 100)
        agent.precompute(every, lambda done, total: tick(100 * done // total))
        flat = [observation for observation in every if "flat" in observation.account_text]
        return hidden_states(agent.policy, [agent.prompts.build(observation).segments for observation in flat])

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
            scale_advantages=recipe.scale_advantages,
            eval_strategy="steps",
            eval_steps=recipe.eval_steps,
            eval_delay=recipe.eval_delay,
            save_strategy="steps",
            save_steps=recipe.eval_steps,
            save_total_limit=1,
            load_best_model_at_end=True,
            forward_batch_tokens=BATCH_TOKENS,
            trunk_cache_dir=str(self.trunk_folder),
            use_cpu=True,
            bf16=False,
            report_to="none",
            seed=self.seed,
        )
        trainer = FlagTrainer(
            agent,
            config,
            markets,
            replace(self._rules(), reward=recipe.reward),
            episode_dataset(markets, periods["train"], length=recipe.episode_days),
            episode_dataset(markets, periods["validation"], length=recipe.episode_days),
        )
        last = _last_checkpoint(folder)
        say(f"seed {self.seed}: training {'goes on from ' + last.name if last else 'starts'}")
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
        say(f"seed {self.seed}: share_{name} {self._share(name):.2f}")

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
            say(f"{self._title}: {done}/{self._total}, {left:.0f} s left")
            self._said = now


def _last_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint that was written to its end; what was cut short is removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[-1]))
    while found and not (found[-1] / "trainer_state.json").is_file():
        shutil.rmtree(found.pop())
    return found[-1] if found else None


def digest(*content: Any) -> str:
    """A short name for settings, so that results of others are not read as theirs."""
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()


def say(text: str) -> None:
    print(text, flush=True)
