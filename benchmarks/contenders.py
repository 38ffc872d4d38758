"""This trainer's own contenders: one after another of its savings switched on."""

import resource
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback

from flag_trl import Agent, FlagConfig, FlagTrainer, LLMPolicy, TradingRules, load_market
from flag_trl.data import Period, episode_dataset
from flag_trl.observations import ObservationConfig

LADDER: dict[str, dict[str, Any]] = {
    "plain": {"share": "none", "trunk_cache": False, "table_rollouts": False},
    "+ equal states once": {"share": "states", "trunk_cache": False, "table_rollouts": False},
    "+ prefixes shared": {"share": "prefixes", "trunk_cache": False, "table_rollouts": False},
    "+ window in one table": {"share": "prefixes", "trunk_cache": False, "table_rollouts": True},
    "+ frozen layers cached": {"share": "prefixes", "trunk_cache": True, "table_rollouts": True},
    "cache alone": {"share": "none", "trunk_cache": True, "table_rollouts": False},
}
"""Each line of the ladder adds to the one before; the last says what the cache does without sharing."""


@dataclass(frozen=True)
class Run:
    """What one contender measured.

    Attributes
    ----------
    seconds : list of float
        Of each optimiser step after the first: rollout, forward, backward, update.
    transitions, states : int
        Decisions and distinct states of a step.
    first_seconds : float
        What had to be computed once before: the frozen layers of all days.
    flops : float
        Floating-point operations of a step's matrix products, counted.
    peak_mb : float
        Most memory that the process held.
    """

    seconds: list[float]
    transitions: int
    states: int
    first_seconds: float
    flops: float
    peak_mb: float

    def record(self) -> dict[str, Any]:
        """Raw figures and rates for the JSON file."""
        step = float(np.median(self.seconds))
        return {
            **vars(self),
            "transitions_per_second": self.transitions / step,
            "states_per_second": self.states / step,
            "gflops_per_second": self.flops / step / 1e9,
        }


class _Clock(TrainerCallback):
    """Times whole steps, and counts the operations of the last one, which is not timed."""

    def __init__(self, counted_step: int) -> None:
        self.seconds: list[float] = []
        self._counted_step = counted_step
        self.counter = FlopCounterMode(display=False)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock or the counter."""
        if state.global_step == self._counted_step:
            self.counter.__enter__()
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop what was started."""
        seconds = time.perf_counter() - self._began
        if state.global_step == self._counted_step + 1:
            self.counter.__exit__(None, None, None)
        elif state.global_step > 1:
            self.seconds.append(seconds)


def measure(
    name: str,
    model: str,
    observation: ObservationConfig,
    generations: int,
    days: int,
    repetitions: int,
    layers: int = 6,
    windows: int = 1,
    symbols: tuple[str, ...] = ("MSFT",),
) -> Run:
    """Train a few steps as a user would and time them.

    Parameters
    ----------
    name : str
        A key of `LADDER`.
    model : str
        Folder of the base model.
    observation : ObservationConfig
    generations, days, windows : int
        Rollouts a window, decisions a rollout, windows a step.
    repetitions : int
        Steps to time; one before them warms up and one after them is counted.
    layers : int
        Trained layers.
    symbols : tuple of str
        Of the sample.
    """
    from flag_trl.policy import Tuning

    markets = {symbol: load_market("sample", symbol) for symbol in symbols}
    agent = Agent(LLMPolicy.from_pretrained(model, tuning=Tuning(num_trainable_layers=layers)), observation)
    steps = repetitions + 2
    first = Period("train", "2015-01-02", "2019-12-31")
    dataset = episode_dataset(markets, first, length=days).select(range(windows))
    clock = _Clock(steps - 1)
    with tempfile.TemporaryDirectory() as folder:
        args = FlagConfig(
            folder,
            use_cpu=True,
            max_steps=steps,
            num_generations=generations,
            baseline="rloo" if generations > 1 else "none",
            per_device_train_batch_size=windows,
            learning_rate=3e-5,
            entropy_coef=0.01,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            trunk_cache_dir="none",
            **LADDER[name],
        )
        trainer = FlagTrainer(agent, args, markets, TradingRules(fill="same_close"), dataset, callbacks=[clock])
        trainer.train()
    log = [row for row in trainer.state.log_history if "states" in row][-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cache = agent.policy.cache
    return Run(
        clock.seconds,
        transitions=generations * days * windows,
        states=int(log["states"]),
        first_seconds=cache.seconds if cache else 0.0,
        flops=float(clock.counter.get_total_flops()),
        peak_mb=peak,
    )
