"""Chunks and minibatches add up to the whole, and samples come back from disk as they were."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from flag_trl.accounts import Signed
from flag_trl.data import Window
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.trainer import FlagTrainer
from flag_trl.trainer.samples import Samples

WINDOWS = [Window("AAA", 10, 5), Window("AAA", 20, 5)]
KINDS = [
    {"baseline": "rloo", "kl_coef": 0.1, "entropy_coef": 0.1},
    {"baseline": "exact", "kl_coef": 0.1, "entropy_coef": 0.1},
    {"baseline": "value", "loss_type": "ppo"},
    {"baseline": "rloo", "observation": ObservationConfig(numbers="both", soft_bars=3)},
]


def gradient(trainer: FlagTrainer, parts: Iterable[Samples]) -> torch.Tensor:
    """That of the sum of the parts' losses."""
    trainer.model.zero_grad()
    for samples in parts:
        for inputs in samples.chunks(trainer.agent.policy):
            trainer.compute_loss(trainer.model, inputs).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


def collected(make_trainer, **options: object) -> tuple[FlagTrainer, Samples]:
    trainer = make_trainer(rules=TradingRules(scheme=Signed()), value_head=True, **options)
    return trainer, trainer._collector.collect(WINDOWS, visit=0)[0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["baseline"] + "-soft" * ("observation" in kind))
@pytest.mark.parametrize("tokens", [1, 200])
def test_gradients_of_chunks_add_up_to_that_of_the_whole(tokens, kind, make_trainer) -> None:
    one, samples = collected(make_trainer, **kind)
    whole = gradient(one, [samples])
    assert whole.abs().max() > 1e-4
    many, _ = collected(make_trainer, forward_batch_tokens=tokens, **kind)
    assert len(list(samples.chunks(many.agent.policy))) > 1
    torch.testing.assert_close(gradient(many, [samples]), whole, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["baseline"] + "-soft" * ("observation" in kind))
def test_the_mean_of_the_minibatches_gradients_is_that_of_the_whole(kind, make_trainer) -> None:
    trainer, samples = collected(make_trainer, **kind)
    parts = [samples.minibatch(part, 3, key=(7,)) for part in range(3)]
    assert all(0 < len(part.states.prompts) < len(samples.states.prompts) for part in parts)
    torch.testing.assert_close(gradient(trainer, parts) / 3, gradient(trainer, [samples]), atol=1e-6, rtol=1e-4)


def test_minibatches_deal_whole_days_once_each_and_anew_for_another_key(make_trainer) -> None:
    _, samples = collected(make_trainer)
    parts = [samples.minibatch(part, 3, key=(1, 2)) for part in range(3)]
    dealt = Counter(prompt for part in parts for prompt in part.states.prompts)
    assert dealt == Counter(samples.states.prompts)
    days = [{prompt.segments[:-1] for prompt in part.states.prompts} for part in parts]
    assert not days[0] & days[1] and not days[1] & days[2] and not days[0] & days[2]
    assert sum(len(part.states.index) for part in parts) == len(samples.states.index)
    assert samples.minibatch(0, 3, key=(1, 2)).states.prompts == parts[0].states.prompts
    assert any(samples.minibatch(0, 3, key=(k,)).states.prompts != parts[0].states.prompts for k in range(5))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["baseline"] + "-soft" * ("observation" in kind))
def test_samples_come_back_from_disk_as_they_were(kind, make_trainer, tmp_path) -> None:
    _, samples = collected(make_trainer, **kind)
    samples.save(tmp_path / "rollout.safetensors", left=True)
    back, left = Samples.load(tmp_path / "rollout.safetensors")
    assert left
    assert back.states.prompts == samples.states.prompts
    assert np.array_equal(back.states.index, samples.states.index)
    assert back.denominator == samples.denominator
    assert back.values.keys() == samples.values.keys()
    for name, values in samples.values.items():
        assert back.values[name].dtype == values.dtype and np.array_equal(back.values[name], values), name
    assert (back.reference is None) == (samples.reference is None)
    assert samples.reference is None or np.array_equal(back.reference, samples.reference)
