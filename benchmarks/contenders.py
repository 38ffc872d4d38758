"""This trainer's own contenders: one after another of its savings switched on."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback

from flag_trl import Agent, FlagConfig, FlagTrainer, LLMPolicy, TradingRules, load_market
from flag_trl.data import Period, episode_dataset
from flag_trl.observations import ObservationConfig
from flag_trl.policy import Tuning
from flag_trl.scripts.demo import peak_megabytes

LADDER: dict[str, dict[str, Any]] = {
    "plain": {"share": "none", "trunk_cache": False, "table_rollouts": False},
    "+ equal states once": {"share": "states", "trunk_cache": False, "table_rollouts": False},
    "+ prefixes shared": {"share": "prefixes", "trunk_cache": False, "table_rollouts": False},
    "+ window in one table": {"share": "prefixes", "trunk_cache": False, "table_rollouts": True},
    "+ frozen layers cached": {"share": "prefixes", "trunk_cache": True, "table_rollouts": True},
    "cache alone": {"share": "none", "trunk_cache": True, "table_rollouts": False},
}
"""Each line of the ladder adds to the one before; the last says what the cache does without sharing."""
EVERYTHING = "+ frozen layers cached"
TRAINING = Period("train", "2015-01-02", "2019-12-31")
SLOW = 10.0
"""Seconds above which a first step counts too: what warms up in it is lost in its length."""


@dataclass(frozen=True)
class Run:
    """What one contender measured.

    Attributes
    ----------
    seconds : list of float
        Of each optimiser step: rollout, forward, backward, update; without the first where that is short.
    transitions, states : int
        Decisions and distinct states of a step.
    first_seconds : float
        What had to be computed once before: the frozen layers of all days.
    gflops : float
        Billions of floating-point operations in a step's matrix products, counted; 0 where nobody counted.
    peak_mb : float
        Most memory that the process held.
    """

    seconds: list[float]
    transitions: int
    states: int
    first_seconds: float = 0.0
    gflops: float = 0.0
    peak_mb: float = 0.0

    @property
    def step(self) -> float:
        """Seconds of a step, the median."""
        return float(np.median(self.seconds))

    def record(self) -> dict[str, Any]:
        """Raw figures and rates for the JSON file."""
        rates = {"transitions_per_second": self.transitions / self.step, "states_per_second": self.states / self.step}
        return {**vars(self), "seconds_median": self.step, **rates, "gflops_per_second": self.gflops / self.step}


@dataclass
class Clock(TrainerCallback):
    """Times whole optimiser steps and ends the run when its time is up.

    Attributes
    ----------
    budget : float
        Seconds; at least one step is timed.
    count : bool
        Whether a last step, which is not timed, counts operations.
    """

    budget: float
    count: bool = False
    seconds: list[float] = field(default_factory=list)
    counter: Any = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock or the counter."""
        if self._enough and self.count:
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop what was started."""
        if self.counter is not None:
            self.counter.__exit__(None, None, None)
            control.should_training_stop = True
            return
        self.seconds.append(time.perf_counter() - self._began)
        control.should_training_stop = self._enough and not self.count

    @property
    def timed(self) -> list[float]:
        """Seconds of the steps that count."""
        return self.seconds if self.seconds[:1] > [SLOW] else self.seconds[1:]

    @property
    def gflops(self) -> float:
        """Billions of operations in the step that was counted."""
        return 0.0 if self.counter is None else self.counter.get_total_flops() / 1e9

    @property
    def _enough(self) -> bool:
        return bool(self.timed) and sum(self.seconds) > self.budget


def train(
    switches: str,
    model: str,
    observation: ObservationConfig,
    rollouts: int,
    days: int,
    budget: float = 10.0,
    layers: int = 6,
    windows: int = 1,
    symbols: Sequence[str] = ("MSFT",),
    count: bool = False,
) -> Run:
    """Train a few steps as a user would and time them.

    Parameters
    ----------
    switches : str
        A key of `LADDER`.
    model : str
        Folder of the base model.
    observation : ObservationConfig
    rollouts, days, windows : int
        Rollouts a window, decisions a rollout, windows a step.
    budget : float
        Seconds for the steps.
    layers : int
        Trained layers.
    symbols : sequence of str
        Of the sample.
    count : bool
        Whether to count operations in one more step.
    """
    markets = {symbol: load_market("sample", symbol) for symbol in symbols}
    agent = Agent(LLMPolicy.from_pretrained(model, tuning=Tuning(num_trainable_layers=layers)), observation)
    each = -(-windows // len(symbols))
    dataset = episode_dataset(markets, TRAINING, length=days)
    starts = np.concatenate([np.flatnonzero(np.array(dataset["symbol"]) == symbol)[:each] for symbol in symbols])
    clock = Clock(budget, count)
    with tempfile.TemporaryDirectory() as folder:
        args = FlagConfig(
            folder,
            use_cpu=True,
            max_steps=10_000,
            num_generations=rollouts,
            baseline="rloo" if rollouts > 1 else "none",
            per_device_train_batch_size=windows,
            learning_rate=3e-5,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            trunk_cache_dir="none",
            **LADDER[switches],
        )
        dataset = dataset.select(starts[:windows])
        trainer = FlagTrainer(agent, args, markets, TradingRules(fill="same_close"), dataset, callbacks=[clock])
        trainer.train()
    log = [row for row in trainer.state.log_history if "states" in row][-1]
    cache = agent.policy.cache
    return Run(
        clock.timed,
        transitions=rollouts * days * windows,
        states=int(log["states"]),
        first_seconds=cache.seconds if cache else 0.0,
        gflops=clock.gflops,
        peak_mb=peak_megabytes(),
    )
