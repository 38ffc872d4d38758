"""Options that mean nothing are refused, and the docstring says what ``--help`` says."""

import dataclasses

import pytest
import torch
from transformers import TrainingArguments

from flag_trl.trainer import FlagConfig


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"baseline": "mean"}, "baseline is 'mean'; choose one of rloo, batch_mean, value, exact, none"),
        ({"loss_type": "a2c"}, "loss_type is 'a2c'; choose one of reinforce, ppo"),
        ({"share": "all"}, "share is 'all'; choose one of prefixes, states, none"),
        ({"trunk_cache_dtype": "int8"}, "trunk_cache_dtype is 'int8'"),
        ({"num_generations": 1, "baseline": "batch_mean"}, "batch_mean needs at least 2"),
        ({"num_generations": 0, "baseline": "exact"}, "exact needs at least 1"),
        ({"num_ppo_epochs": 2}, "which REINFORCE cannot.*Set loss_type: ppo"),
        ({"num_mini_batches": 2}, "which REINFORCE cannot"),
        ({"target_kl": 0.1}, "which REINFORCE cannot"),
        ({"target_kl": 0.0, "loss_type": "ppo"}, "target_kl is 0.0; it must be above 0"),
        ({"num_ppo_epochs": 0, "loss_type": "ppo"}, "num_ppo_epochs is 0"),
        ({"cliprange": 0.0}, "cliprange is 0.0; it must be above 0"),
        ({"lam": 1.1}, r"lam is 1.1; it must lie in \[0, 1\]"),
        ({"baseline": "exact", "loss_type": "ppo"}, "no sampled actions whose ratio could be clipped"),
        ({"num_generations": 1}, "rloo needs at least 2"),
        ({"gamma": 1.5}, r"gamma is 1.5; it must lie in \(0, 1\]"),
        ({"forward_batch_tokens": 0}, "forward_batch_tokens is 0"),
        ({"remove_unused_columns": True}, "columns name windows"),
        ({"push_to_hub": True, "hub_strategy": "checkpoint"}, "hub_strategy is checkpoint; .*pickles"),
    ],
)
def test_an_option_that_means_nothing_is_refused(options, says, tmp_path) -> None:
    with pytest.raises(ValueError, match=says):
        FlagConfig(str(tmp_path), use_cpu=True, **options)


def test_precision_is_single_without_a_gpu(tmp_path) -> None:
    assert FlagConfig(str(tmp_path)).bf16 == torch.cuda.is_available()
    assert not FlagConfig(str(tmp_path), use_cpu=True).bf16


def test_every_own_option_is_in_the_docstring_as_in_its_help() -> None:
    documented = " ".join(FlagConfig.__doc__.split()).replace("`", "").replace('"', "")
    own = set(FlagConfig.__annotations__) - set(TrainingArguments.__dataclass_fields__)
    assert {"num_generations", "scale_advantages", "forward_batch_tokens"} <= own
    for field in dataclasses.fields(FlagConfig):
        if field.name in own:
            assert field.metadata["help"].replace("`", "") in documented, field.name
