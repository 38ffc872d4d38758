"""It learns: where the next return is announced the policy comes to earn it, and where it is not it does not."""

import numpy as np
import pytest

from flag_trl.accounts import Signed
from flag_trl.data import DatedText, MarketData
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.policy import Tuning

MOVE, LENGTH, DAYS = 0.02, 8, 90
RULES = TradingRules(scheme=Signed(), fill="same_close")
READS_TEXT_ONLY = ObservationConfig(past_returns=0, indicators=(), news_items=1)


def announced_market(shuffled: bool) -> MarketData:
    """As many rises as falls of one size, each announced on the day before, or on a day picked at random."""
    random = np.random.default_rng(0)
    rises = random.permutation(np.arange(DAYS) % 2 == 0)
    close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(np.where(rises, MOVE, -MOVE))]))
    dates = np.datetime64("2020-01-01") + np.arange(DAYS + 1)
    told = random.permutation(rises) if shuffled else rises
    days = dates[:-1].astype("datetime64[s]")
    texts = [DatedText("news", "up" if up else "down", day) for day, up in zip(days, told, strict=True)]
    return MarketData("AAA", dates, close, texts=tuple(texts))


def optimum() -> float:
    """Log return of an episode that is long before each rise and short before each fall, half of its days each."""
    return LENGTH / 2 * (MOVE + np.log(2 - np.exp(-MOVE)))


@pytest.fixture
def share_of_optimum(make_trainer):
    """Train and give the mean episode return of the first and last updates as shares of the optimum."""

    def run(shuffled: bool) -> tuple[float, float]:
        trainer = make_trainer(
            tuning=Tuning("full"),
            layers=2,
            rules=RULES,
            market=announced_market(shuffled),
            length=LENGTH,
            observation=READS_TEXT_ONLY,
            validate=False,
            num_generations=8,
            per_device_train_batch_size=4,
            max_steps=120,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            entropy_coef=0.0,
        )
        trainer.train()
        returns = [row["episode_return"] for row in trainer.state.log_history if "episode_return" in row]
        assert len(returns) == 120
        return float(np.mean(returns[:10])) / optimum(), float(np.mean(returns[-20:])) / optimum()

    return run


def test_an_announced_return_is_earned_to_nine_tenths(share_of_optimum) -> None:
    first, last = share_of_optimum(shuffled=False)
    assert first < 0.5
    assert last >= 0.9


def test_a_shuffled_announcement_teaches_nothing(share_of_optimum) -> None:
    first, last = share_of_optimum(shuffled=True)
    assert abs(last) < 0.2 and last - first < 0.2
