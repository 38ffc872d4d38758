"""A trainer on a tiny model, in a line; every action sequence of a window; a loss's gradient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from flag_trl.agent import Agent
from flag_trl.data import MarketData, Period, Window, episode_dataset
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.policy import SoftInput, Tuning
from flag_trl.trainer import FlagConfig, FlagTrainer

TOP_TWO = Tuning(num_trainable_layers=2)


@pytest.fixture
def make_trainer(tiny_policy, walk, tmp_path) -> Callable[..., FlagTrainer]:
    """Build a trainer over a 60-day walk; keywords override `FlagConfig`."""

    def build(
        tuning: Tuning = TOP_TWO,
        rules: TradingRules | None = None,
        market=None,
        length: int = 5,
        observation: ObservationConfig = ObservationConfig(past_returns=2, indicators=()),
        callbacks=None,
        validate: bool = True,
        layers: int = 4,
        value_head: bool = False,
        family: str = "llama",
        **options: object,
    ) -> FlagTrainer:
        markets = {"AAA": market or walk()}
        dates = markets["AAA"].dates
        last = len(dates) - 1
        split = last - 12 if validate else last
        train = Period("train", dates[4], dates[split - 1])
        validation = Period("validation", dates[split], dates[last])
        defaults = {
            "output_dir": str(tmp_path / "run"),
            "use_cpu": True,
            "disable_tqdm": False,
            "num_generations": 4,
            "per_device_train_batch_size": 2,
            "learning_rate": 1e-3,
            "save_strategy": "no",
            "max_steps": 2,
            "trunk_cache_dir": "none",
        }
        soft = observation.soft_input and SoftInput(*observation.soft_input)
        model = {"layers": layers, "family": family}
        return FlagTrainer(
            Agent(tiny_policy(tuning, value_head=value_head, soft=soft, **model), observation),
            FlagConfig(**{**defaults, **options}),
            markets,
            rules or TradingRules(),
            episode_dataset(markets, train, length=length),
            episode_dataset(markets, validation, length=5) if validate else None,
            callbacks,
        )

    return build


@dataclass(frozen=True)
class Sequences:
    """Every legal action sequence of a window, n of them over T steps, as the environment played it.

    Attributes
    ----------
    actions, positions : ndarray of int, shape (n, T)
        Positions are those in which the actions were decided.
    rewards : ndarray of float64, shape (n, T)
    seen : list of n lists of T raw observations
    """

    actions: np.ndarray
    positions: np.ndarray
    rewards: np.ndarray
    seen: list[list[dict[str, np.ndarray]]]


@pytest.fixture(scope="session")
def every_sequence() -> Callable[[TradingRules, Mapping[str, MarketData], Window], Sequences]:
    """Play each sequence from the start on."""

    def play(rules: TradingRules, markets: Mapping[str, MarketData], window: Window) -> Sequences:
        played, env = [], rules.make(markets, 1)
        for sequence in product(range(len(rules.scheme.actions)), repeat=window.length):
            raw, _ = env.reset(options={"windows": [window]})
            seen, rewards = [], []
            for action in sequence:
                if not raw["legal"][0, action]:
                    break
                seen.append(raw)
                raw, reward, *_ = env.step(np.array([action]))
                rewards.append(reward[0])
            else:
                played.append((sequence, [day["position"][0] for day in seen], rewards, seen))
        actions, positions, rewards, seen = zip(*played, strict=True)
        return Sequences(np.array(actions), np.array(positions), np.array(rewards), list(seen))

    return play


@pytest.fixture(scope="session")
def decisions() -> Callable[[FlagTrainer, Sequences], tuple[torch.Tensor, torch.Tensor]]:
    """Log-probability of each action of each sequence and entropy of each decision, both (n, T) and in the graph.

    A plain forward pass a state: nothing of the trainer's takes part.
    """

    def evaluate(trainer: FlagTrainer, sequences: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
        agent, observer = trainer.agent, trainer.agent.observer(trainer.markets, trainer.rules.fill)
        rows = [ids[0] for ids in agent.policy.actions.token_ids]
        known: dict[object, Categorical] = {}

        def decision(raw: dict[str, np.ndarray]) -> Categorical:
            (seen,) = observer.observe(raw)
            if seen not in known:
                logits = agent.policy.model(torch.tensor([agent.prompts.build(seen).token_ids])).logits[0, -1, rows]
                known[seen] = Categorical(logits=logits[torch.tensor(seen.legal)])
            return known[seen]

        log_probs, entropy = [], []
        for actions, seen in zip(sequences.actions, sequences.seen, strict=True):
            # Among the legal actions, where the illegal ones have no place.
            places = [raw["legal"][0, :a].sum() for a, raw in zip(actions, seen, strict=True)]
            log_probs += [decision(raw).log_prob(torch.tensor(place)) for place, raw in zip(places, seen, strict=True)]
            entropy += [decision(raw).entropy() for raw in seen]
        shape = sequences.actions.shape
        return torch.stack(log_probs).reshape(shape), torch.stack(entropy).reshape(shape)

    return evaluate


@pytest.fixture(scope="session")
def loss_gradient() -> Callable[..., torch.Tensor]:
    """Flat gradient of the loss of samples, chunk by chunk as a training step has it; trained weights only."""

    def gradient(trainer: FlagTrainer, samples) -> torch.Tensor:
        trainer.model.zero_grad()
        for chunk in samples.chunks(trainer.agent.policy):
            trainer.compute_loss(trainer.model, chunk).backward()
        gradients = [p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]
        trainer.model.zero_grad()
        return torch.cat(gradients)

    return gradient
