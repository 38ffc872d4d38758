"""What a launch asked for, and what really runs: where they differ the run stops."""

import os
from collections.abc import Mapping
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn

REMEDIES = {
    "FSDP": "on a CPU it has no FSDP: use accelerate_configs/zero2.yaml with use_cpu in the recipe, or a GPU",
    "DeepSpeed": "give --use_cpu true in the recipe rather than on the launcher, and install flag-trl[deepspeed]",
}


def check_launch(accelerator: Accelerator, asked: Mapping[str, str] = os.environ) -> None:
    """Compare what runs with what ``accelerate launch`` or ``torchrun`` wrote into the environment.

    Accelerate falls back to plain data parallelism, or to one process, without a word.

    Raises
    ------
    ValueError
        Naming both, and the remedy.
    """
    kind, processes = accelerator.distributed_type, accelerator.num_processes
    for variable, name, wanted in (
        ("ACCELERATE_USE_FSDP", "FSDP", DistributedType.FSDP),
        ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed", DistributedType.DEEPSPEED),
    ):
        if asked.get(variable, "false").lower() in ("true", "1", "yes") and kind != wanted:
            raise ValueError(
                f"the launch asked for {name}, and accelerate runs {kind.value} with {processes} processes instead; "
                f"{REMEDIES[name]}"
            )
    stage, wanted_stage = zero_stage(accelerator), asked.get("ACCELERATE_DEEPSPEED_ZERO_STAGE")
    if stage is not None and wanted_stage is not None and int(wanted_stage) != stage:
        raise ValueError(
            f"the launch asked for ZeRO-{wanted_stage}, and DeepSpeed runs ZeRO-{stage}; give the stage in one place"
        )
    if int(asked.get("WORLD_SIZE", processes)) != processes:
        raise ValueError(
            f"the launch started {asked['WORLD_SIZE']} processes, and accelerate counts {processes}: each would train "
            "by itself. Give use_cpu in the recipe where there is no GPU, and launch with torchrun"
        )


def zero_stage(accelerator: Accelerator) -> int | None:
    """DeepSpeed's stage; None without DeepSpeed."""
    plugin: Any = accelerator.state.deepspeed_plugin
    return None if plugin is None else int(plugin.zero_stage)


def launch_in_words(accelerator: Accelerator, policy: nn.Module) -> str:
    """Distribution, processes and trained weights of a run, in a line."""
    weights = sum(p.numel() for p in policy.parameters())
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    stage = zero_stage(accelerator)
    kind = accelerator.distributed_type.value if stage is None else f"DEEPSPEED, ZeRO-{stage}"
    count = accelerator.num_processes
    processes = "1 process" if count == 1 else f"{count} processes"
    return f"distributed: {kind}; {processes}; {trained / 1e6:.1f} of {weights / 1e6:.1f} million weights train"
