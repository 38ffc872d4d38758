"""Options that mean nothing are refused, and the docstring says what ``--help`` says."""

import dataclasses

import pytest
import torch
from transformers import TrainingArguments

from flag_trl.trainer import FlagConfig


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"baseline": "mean"}, "baseline is 'mean'; choose rloo or none"),
        ({"num_generations": 1}, "rloo needs at least 2"),
        ({"gamma": 1.5}, r"gamma is 1.5; it must lie in \(0, 1\]"),
        ({"forward_batch_size": 0}, "forward_batch_size is 0"),
        ({"remove_unused_columns": True}, "columns name windows"),
        ({"push_to_hub": True}, "pickle.*by hand"),
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
    assert {"num_generations", "scale_advantages", "forward_batch_size"} <= own
    for field in dataclasses.fields(FlagConfig):
        if field.name in own:
            assert field.metadata["help"].replace("`", "") in documented, field.name
