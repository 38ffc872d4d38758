"""A trainer on a tiny model, in a line."""

from collections.abc import Callable

import pytest

from flag_trl.agent import Agent
from flag_trl.data import Period, episode_dataset
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.policy import Tuning
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
        observation: ObservationConfig = ObservationConfig(past_returns=2, momentum_bars=0, volatility_bars=0),
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
        return FlagTrainer(
            Agent(tiny_policy(tuning, layers=layers, value_head=value_head, family=family), observation),
            FlagConfig(**{**defaults, **options}),
            markets,
            rules or TradingRules(),
            episode_dataset(markets, train, length=length),
            episode_dataset(markets, validation, length=5) if validate else None,
            callbacks,
        )

    return build
