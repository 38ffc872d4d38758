"""What a launch asked for, and what really runs: where they differ the run stops."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn

from flag_trl.trainer.sharding import sharded

FILE = "launch.json"

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
        if _said(asked, variable) and kind != wanted:
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


def check_builds(asked: Mapping[str, str] = os.environ) -> None:
    """Look for what would keep DeepSpeed waiting for ever.

    It builds its C++ parts when they are first needed, one process at a time by a lock file, which a process that is
    killed meanwhile leaves behind. Looked for where Linux tells which files are open, and where all processes are
    on this machine: another's, or another container's, cannot be seen.

    Raises
    ------
    ValueError
        Naming the file that no process here holds, and the remedy.
    """
    alone = asked.get("WORLD_SIZE") == asked.get("LOCAL_WORLD_SIZE")
    if not _said(asked, "ACCELERATE_USE_DEEPSPEED") or not alone or not Path("/proc/self/fd").is_dir():
        return
    left = _unheld(asked)
    if left:
        # One may have been taken or given back during the look.
        time.sleep(1)
        left &= _unheld(asked)
    if left:
        raise ValueError(
            f"{min(left)} says that a part of DeepSpeed is being built, and no process here does: a launch that was "
            "killed left it behind, and every later one would wait for it for ever. Remove that file and launch "
            "again, unless another machine or container that shares the folder is building now"
        )


def _said(asked: Mapping[str, str], name: str) -> bool:
    return asked.get(name, "false").lower() in ("true", "1", "yes")


def _unheld(asked: Mapping[str, str]) -> set[Path]:
    """Lock files of this user's builds that no process has open, where PyTorch of this Python puts builds."""
    from torch.utils.cpp_extension import get_default_build_root

    own_folder = asked.get("TORCH_EXTENSIONS_DIR")
    this_python = f"py{sys.version_info.major}{sys.version_info.minor}*_*/*/lock"
    files = Path(own_folder).glob("*/lock") if own_folder else Path(get_default_build_root()).glob(this_python)
    locks = {file.resolve() for file in files if _own(file)}
    return {lock for lock in locks - _open_files() if lock.exists()} if locks else set()


def _own(file: Path) -> bool:
    # It may go meanwhile.
    with suppress(OSError):
        return file.is_file() and file.stat().st_uid == os.getuid()
    return False


def _open_files() -> set[Path]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        # One may be another user's, or end meanwhile.
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    found.add(descriptor.readlink())
    return found


def check_shards(accelerator: Accelerator, chart_bars: int, model: nn.Module) -> None:
    """Raise ValueError where ZeRO-3 cannot train what it is given, by name."""
    if zero_stage(accelerator) != 3:
        return
    if chart_bars:
        raise ValueError(
            f"chart_bars is {chart_bars}, and under ZeRO-3 what reads images would run on some processes and not on "
            "others; use accelerate_configs/zero2.yaml"
        )
    if sharded(model):
        raise ValueError(
            "the weights are in shards already, and the frozen layers' states are computed from whole ones; load the "
            "model with LLMPolicy.from_pretrained, which leaves the sharding to the training"
        )


def zero_stage(accelerator: Accelerator) -> int | None:
    """DeepSpeed's stage; None without DeepSpeed."""
    plugin: Any = accelerator.state.deepspeed_plugin
    return None if plugin is None else int(plugin.zero_stage)


def local_processes(world_size: int, told: Mapping[str, str] = os.environ) -> int:
    """Processes of this run on this machine, as its launcher told; 1 where it told nothing."""
    counts = (
        int(told[name]) for name in ("LOCAL_WORLD_SIZE", "LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE") if name in told
    )
    return min(world_size, next(counts, 1))


def note_launch(accelerator: Accelerator, checkpoint: Path, windows: int) -> None:
    """Write into a checkpoint how the run that makes it was launched, and how many windows an update has."""
    (checkpoint / FILE).write_text(json.dumps({**_facts(accelerator), "windows": windows}) + "\n")


def check_resume(accelerator: Accelerator, checkpoint: Path, windows: int, reuses_rollout: bool) -> None:
    """Compare what runs with the launch of the run that wrote a checkpoint.

    Parameters
    ----------
    accelerator : Accelerator
    checkpoint : Path
    windows : int
        Of an update.
    reuses_rollout : bool
        Whether the checkpoint stands between two uses of one rollout, whose parts belong to their processes.

    Raises
    ------
    ValueError
        Where the state of one launch cannot be gone on from by the other.
    """
    if not (checkpoint / FILE).is_file():
        raise ValueError(
            f"{checkpoint} does not say how its run was launched: an earlier version wrote it; begin anew"
        )
    wrote, runs = json.loads((checkpoint / FILE).read_text()), _facts(accelerator)
    before = wrote.pop("windows")
    if before != windows:
        raise ValueError(
            f"{checkpoint} was written by a run with {before} windows an update, this one has {windows}: set "
            f"per_device_train_batch_size x gradient_accumulation_steps x processes to {before}"
        )
    without_parts = wrote["zero_stage"] is None and runs["zero_stage"] is None
    if wrote == runs or (without_parts and not reuses_rollout):
        return
    why = (
        "a rollout that is still in use belongs to its processes"
        if without_parts
        else "DeepSpeed keeps the optimiser's state in parts, one a process"
    )
    raise ValueError(
        f"{checkpoint} was written by {_in_words(wrote)}, and {_in_words(runs)} cannot go on from it: {why}. Resume "
        "with the launch that wrote it"
    )


def _facts(accelerator: Accelerator) -> dict[str, Any]:
    return {"processes": accelerator.num_processes, "zero_stage": zero_stage(accelerator)}


def _in_words(facts: Mapping[str, Any]) -> str:
    processes = _processes(facts["processes"])
    return processes if facts["zero_stage"] is None else f"{processes} under ZeRO-{facts['zero_stage']}"


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def launch_in_words(accelerator: Accelerator, policy: nn.Module, tokens: int | None) -> str:
    """Distribution, processes, trained weights and tokens an update of a run, in a line."""
    weights = sum(p.numel() for p in policy.parameters())
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    stage = zero_stage(accelerator)
    kind = accelerator.distributed_type.value if stage is None else f"DEEPSPEED, ZeRO-{stage}"
    processes = _processes(accelerator.num_processes)
    shown = "tokens a step vary with the accounts" if tokens is None else f"at most {tokens:,} tokens a step"
    train = f"{_count(trained)} of {_count(weights)} weights train"
    return f"distributed: {kind}; {processes}; {train}; {shown}"


def _count(weights: int) -> str:
    return f"{weights / 1e6:.1f} million" if weights >= 10**5 else f"{weights:,}"
