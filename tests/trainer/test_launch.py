"""Real launches of several processes run what was asked for, and train as one process does; else they stop."""

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from accelerate.utils import DistributedType
from safetensors import safe_open
from safetensors.torch import load_file
from torch.utils.file_baton import FileBaton

from flag_trl.agent import Agent
from flag_trl.trainer.launch import (
    check_builds,
    check_launch,
    check_resume,
    check_shards,
    local_processes,
    note_launch,
)
from tests.trainer.launches import BIN, CONFIGS, RECIPE, accelerate, end, free_port, run, started

VALUE = ["--baseline", "value", "--loss_type", "ppo", "--num_ppo_epochs", "2"]
# A rollout of two updates, and a checkpoint between them.
MID_ROLLOUT = ["--num_mini_batches", "2", "--num_ppo_epochs", "1", "--max_steps", "5"]
CASES = {
    "top": [],
    "lora": ["--tuning", "lora"],
    "full": ["--tuning", "full"],
    "exact": ["--baseline", "exact"],
    "value": VALUE,
    "soft": ["--numbers", "soft"],
    "chunks": ["--forward_batch_tokens", "300", "--gradient_accumulation_steps", "2"],
    # Some of a batch's frozen states are kept, others have to be computed with it.
    "partly cached": ["--trunk_cache_memory_gb", "0.0001", "--forward_batch_tokens", "300"],
}
BEST = ["--validation_period", "2020-03-11", "2020-05-29", "--validation_length", "12", "--eval_strategy", "steps"]
CASES["best"] = [*BEST, "--eval_steps", "1", "--save_strategy", "steps", "--save_steps", "1"]
CASES["best"] += ["--load_best_model_at_end", "true", "--tuning", "lora"]
SAVING = ["--train_period", "2019-06-03", "2019-08-20", "--save_strategy", "steps"]
SAVED = {
    "saved": [*SAVING, "--max_steps", "4", "--save_steps", "2"],
    "mid rollout": [*SAVING, *VALUE, *MID_ROLLOUT, "--save_steps", "3"],
}
RESUMED = {"saved": "checkpoint-2", "mid rollout": "checkpoint-3"}
LAUNCHES: dict[str, tuple[str, int | None, Sequence[str]]] = {
    # Distributed type, ZeRO stage, and which trainings.
    "multi_cpu": ("MULTI_CPU", None, ["top", "lora", "full", "exact", "value", "soft", "chunks", "best"]),
    "zero1": ("DEEPSPEED", 1, ["top", "chunks"]),
    "zero2": ("DEEPSPEED", 2, ["top", "lora", "full", "value", "chunks"]),
    "zero3": ("DEEPSPEED", 3, list(CASES)),
}


@pytest.fixture(scope="module")
def folder(market_folder: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("launch")
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=market_folder))
    return folder


def drive(folder: Path, launcher: Sequence[str], kind: str, batch: int, cases: Sequence[str]) -> str:
    """Train all cases in one launch, those with checkpoints twice: through, and from the checkpoint on."""
    size = ["--per_device_train_batch_size", str(batch)]
    asked: dict[str, tuple[list[str], str | None]] = {
        f"{kind} {name}": ([*CASES[name], *size], None) for name in cases
    }
    for name, options in SAVED.items():
        own = [*options, *size, "--trunk_cache_dir", f"{kind} states"]
        asked[f"{kind} {name}"] = (own, None)
        asked[f"{kind} {name} resumed"] = (own, f"{kind} {name}/{RESUMED[name]}")
    driver = str(Path(__file__).with_name("launch_driver.py"))
    ran = run(folder, [*launcher, driver, json.dumps(asked)], seconds=400)
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def facts(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    files = sorted((folder / name).glob("*.safetensors"))
    assert files
    return {key: tensor for file in files for key, tensor in load_file(file).items()}


def saved_weights(folder: Path, trained: bool) -> torch.Tensor:
    """All that trained, but for the random half of adapters, of an agent as another person loads it."""
    policy = Agent.from_pretrained(folder, trained=trained).policy
    parts = [p.detach().flatten() for name, p in policy.named_parameters() if p.requires_grad and "lora_A" not in name]
    return torch.cat(parts)


@pytest.fixture(scope="module")
def one(folder) -> Path:
    """The folder, with what one process made of every case."""
    said = drive(folder, [sys.executable], "one", 2, list(CASES))
    assert "distributed: NO; 1 process; 15,488 of 42,752 weights train;" in said
    return folder


@pytest.fixture(scope="module", params=LAUNCHES)
def launched(request, one) -> str:
    """A kind of launch of two processes, its trainings done."""
    kind: str = request.param
    config = CONFIGS / f"{kind}.yaml"
    if LAUNCHES[kind][1] is not None:
        pytest.importorskip("deepspeed", reason="ZeRO comes with the extra `deepspeed`")
    if kind == "zero3":
        config = really_sharded(one, config)
    drive(one, accelerate(config), kind, 1, LAUNCHES[kind][2])
    return kind


def really_sharded(folder: Path, config: Path) -> Path:
    """As the configuration, but for the size below which DeepSpeed leaves weights whole: all of a tiny model's are."""
    stated = yaml.safe_load(config.read_text())
    zero = {
        "stage": stated["deepspeed_config"].pop("zero_stage"),
        "stage3_gather_16bit_weights_on_model_save": stated["deepspeed_config"].pop("zero3_save_16bit_model"),
        "stage3_param_persistence_threshold": 0,
        "stage3_model_persistence_threshold": 0,
    }
    names = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    (folder / "zero3.json").write_text(json.dumps({"zero_optimization": zero, **dict.fromkeys(names, "auto")}))
    init = stated["deepspeed_config"]["zero3_init_flag"]
    stated["deepspeed_config"] = {"deepspeed_config_file": str(folder / "zero3.json"), "zero3_init_flag": init}
    del stated["mixed_precision"]
    (folder / "zero3.yaml").write_text(yaml.safe_dump(stated))
    return folder / "zero3.yaml"


@pytest.mark.timeout(900)
def test_two_processes_run_what_was_asked_for_and_train_as_one_does(launched, one) -> None:
    kind, stage, cases = LAUNCHES[launched]
    for case in cases:
        alone, together = facts(one, f"one {case}"), facts(one, f"{launched} {case}")
        assert (alone["distributed_type"], alone["processes"]) == ("NO", 1)
        assert (together["distributed_type"], together["zero_stage"], together["processes"]) == (kind, stage, 2), case
        assert together["in_shards"] is (stage == 3)
        assert (together["weights_held_between_steps"] == 0) is (stage == 3)
        assert together["frozen_unmoved"] and alone["frozen_unmoved"]
        assert together["losses"] == pytest.approx(alone["losses"], abs=1e-5), case
        assert len(set(alone["losses"])) == 3
        began, saved, expected = (
            saved_weights(one / name, trained)
            for name, trained in ((f"one {case}", False), (f"{launched} {case}", True), (f"one {case}", True))
        )
        # Where a gradient is nearly nothing, Adam's first steps go either way: a few weights of many.
        moved = torch.linalg.vector_norm(expected - began)
        assert moved > 0 and torch.linalg.vector_norm(saved - expected) < 0.05 * moved, case


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", SAVED)
def test_resumed_on_as_many_processes_a_run_ends_with_the_same_bits(case, launched, one) -> None:
    through, resumed = (facts(one, f"{launched} {case}{how}")["losses"] for how in ("", " resumed"))
    assert through == resumed
    expected, found = weights(one, f"{launched} {case}"), weights(one, f"{launched} {case} resumed")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.timeout(900)
def test_processes_of_one_machine_compute_the_frozen_states_once(launched, one) -> None:
    files = sorted((one / f"{launched} states").rglob("*.safetensors"))
    kept = Counter(key for file in files for key in safe_open(file, framework="pt").keys())
    alone = sorted((one / "one states").rglob("*.safetensors"))
    assert kept.keys() == {key for file in alone for key in safe_open(file, framework="pt").keys()}
    # What every prompt begins with, and the day on which the two parts meet.
    assert len(kept) > 50 and kept.total() - len(kept) <= 8


@pytest.mark.timeout(900)
def test_resumed_on_another_number_of_processes_a_run_goes_on_as_it_would_have(one) -> None:
    """Two processes with a window each stop after the second update, one process with two windows goes on."""
    saved = "multi_cpu saved"
    if not (one / saved).is_dir():
        drive(one, accelerate(CONFIGS / "multi_cpu.yaml"), "multi_cpu", 1, [])
    size, states = ["--per_device_train_batch_size", "2"], ["--trunk_cache_dir", "one states"]
    cases = {"elsewhere": ([*SAVED["saved"], *size, *states], f"{saved}/checkpoint-2")}
    driver = str(Path(__file__).with_name("launch_driver.py"))
    ran = run(one, [sys.executable, driver, json.dumps(cases)])
    assert ran.returncode == 0, ran.stderr
    assert facts(one, "elsewhere")["processes"] == 1
    assert facts(one, "elsewhere")["losses"] == pytest.approx(facts(one, "one saved")["losses"], abs=1e-5)


@pytest.mark.parametrize(
    ("wrote", "runs", "reuses", "says"),
    [
        (
            (2, 3),
            (1, None),
            False,
            "written by 2 processes under ZeRO-3, and 1 process cannot go on from it: DeepSpeed",
        ),
        ((4, 2), (2, 2), False, "4 processes under ZeRO-2, and 2 processes under ZeRO-2 cannot .* a process"),
        ((2, 2), (2, 3), False, "under ZeRO-2, and 2 processes under ZeRO-3 cannot"),
        ((2, None), (1, None), True, "a rollout that is still in use belongs to its processes"),
        ((2, None), (1, None), False, None),
        ((2, None), (2, None), True, None),
    ],
)
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused(wrote, runs, reuses, says, tmp_path) -> None:
    note_launch(state(DistributedType.NO, *wrote), tmp_path, windows=4)
    if says is None:
        check_resume(state(DistributedType.NO, *runs), tmp_path, 4, reuses)
        return
    with pytest.raises(ValueError, match=says):
        check_resume(state(DistributedType.NO, *runs), tmp_path, 4, reuses)


def test_updates_of_another_size_and_a_checkpoint_that_says_nothing_are_refused(tmp_path) -> None:
    runs = state(DistributedType.NO, 1)
    with pytest.raises(ValueError, match="does not say how its run was launched; begin|an earlier version wrote it"):
        check_resume(runs, tmp_path, 4, False)
    note_launch(runs, tmp_path, windows=4)
    with pytest.raises(ValueError, match="4 windows an update, this one has 2: set per_device_.* to 4"):
        check_resume(runs, tmp_path, 2, False)


def test_processes_of_this_machine_are_counted_as_the_launcher_tells() -> None:
    assert local_processes(8, {"LOCAL_WORLD_SIZE": "4"}) == local_processes(8, {"LOCAL_SIZE": "4"}) == 4
    assert local_processes(2, {"LOCAL_WORLD_SIZE": "4"}) == 2 and local_processes(8, {}) == 1


@pytest.mark.timeout(900)
def test_two_machines_train_as_one_process_does(one) -> None:
    """Two launches of a process each, which meet at an address; it is this machine's own."""
    pytest.importorskip("deepspeed", reason="ZeRO comes with the extra `deepspeed`")
    train = ["-m", "flag_trl.scripts.train", "--config", "recipe.yaml", "--output_dir", "machines"]
    size = ["--per_device_train_batch_size", "1"]
    meet = ["--num_machines", "2", "--num_processes", "2", "--main_process_ip", "127.0.0.1"]
    port = ["--main_process_port", str(free_port())]
    launch = [*accelerate(CONFIGS / "multi_node.yaml"), *meet, *port]
    with (
        started(one, [*launch, "--machine_rank", "0", *train, *size]) as first,
        started(one, [*launch, "--machine_rank", "1", *train, *size]) as second,
    ):
        said = [end(machine, 240) for machine in (first, second)]
    assert [machine.returncode for machine in said] == [0, 0], said
    assert "distributed: DEEPSPEED, ZeRO-2; 2 processes;" in said[0].stderr
    history = json.loads((one / "machines" / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert losses == pytest.approx(facts(one, "one top")["losses"], abs=1e-5)


def test_the_command_prints_the_line_of_accelerate_that_it_runs(folder) -> None:
    words = ["train", "--config", "recipe.yaml", "--output_dir", "by name", "--max_steps", "1", "--accelerate", "cpu"]
    ran = run(folder, [str(BIN / "flag-trl"), *words])
    assert ran.returncode == 0, ran.stderr
    line, *rest = ran.stderr.splitlines()
    # The configuration is the checkout's, which is not the folder it is run from.
    assert line.startswith(f"accelerate launch --config_file {CONFIGS}/cpu.yaml -m flag_trl.scripts.train --config")
    assert line.endswith("--output_dir 'by name' --max_steps 1")
    assert any("distributed: NO; 1 process;" in said for said in rest)
    assert (folder / "by name" / "policy.safetensors").is_file()


def test_a_launch_that_does_not_exist_is_answered_with_those_that_do(folder) -> None:
    ran = run(folder, [str(BIN / "flag-trl"), "train", "--config", "recipe.yaml", "--accelerate", "zero4"])
    assert ran.returncode == 1
    known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
    assert ran.stderr.strip() == f"--accelerate: there is no zero4; name a file, or one of {known}"


def test_fsdp_on_a_cpu_which_would_be_plain_data_parallelism_is_refused_by_name(folder) -> None:
    train = ["-m", "flag_trl.scripts.train", "--config", "recipe.yaml", "--output_dir", "fsdp"]
    asked = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    ran = run(folder, [str(BIN / "torchrun"), "--nproc_per_node", "2", *train], **asked)
    assert ran.returncode != 0
    assert "the launch asked for FSDP, and accelerate runs MULTI_CPU with 2 processes instead" in ran.stderr


def test_a_build_that_was_killed_is_named_and_one_under_way_is_waited_for(tmp_path) -> None:
    lock = tmp_path / "deepspeed_shm_comm" / "lock"
    asked = {"ACCELERATE_USE_DEEPSPEED": "true", "TORCH_EXTENSIONS_DIR": str(tmp_path)}
    check_builds(asked)
    lock.parent.mkdir()
    baton = FileBaton(str(lock))
    assert baton.try_acquire()
    check_builds(asked)
    # What is left when its process is killed: the file, which nobody holds.
    os.close(baton.fd)
    with pytest.raises(ValueError, match=f"{lock} says .* no process here does: .* Remove that file and launch again"):
        check_builds(asked)
    check_builds({**asked, "ACCELERATE_USE_DEEPSPEED": "false"})
    elsewhere = {**asked, "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    check_builds(elsewhere)
    check_builds({"TORCH_EXTENSIONS_DIR": str(tmp_path)})


def test_a_launch_that_would_wait_for_ever_ends_and_names_the_file(folder, tmp_path) -> None:
    pytest.importorskip("deepspeed", reason="ZeRO comes with the extra `deepspeed`")
    (tmp_path / "deepspeed_shm_comm").mkdir()
    (tmp_path / "deepspeed_shm_comm" / "lock").touch()
    train = ["-m", "flag_trl.scripts.train", "--config", "recipe.yaml", "--output_dir", "waits"]
    launch = [*accelerate(CONFIGS / "zero2.yaml"), *train]
    ran = run(folder, launch, TORCH_EXTENSIONS_DIR=str(tmp_path))
    assert ran.returncode != 0 and f"{tmp_path}/deepspeed_shm_comm/lock says" in ran.stderr


def state(kind: DistributedType, processes: int = 2, stage: int | None = None) -> SimpleNamespace:
    plugin = None if stage is None else SimpleNamespace(zero_stage=stage)
    inner = SimpleNamespace(deepspeed_plugin=plugin)
    return SimpleNamespace(distributed_type=kind, num_processes=processes, state=inner)


@pytest.mark.parametrize(
    ("runs", "asked", "says"),
    [
        (state(DistributedType.MULTI_CPU), {"ACCELERATE_USE_DEEPSPEED": "true"}, "asked for DeepSpeed, .*MULTI_CPU"),
        (state(DistributedType.NO, 1), {"WORLD_SIZE": "2"}, "started 2 processes, and accelerate counts 1"),
        (
            state(DistributedType.DEEPSPEED, 2, 2),
            {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"},
            "asked for ZeRO-3, and DeepSpeed runs ZeRO-2",
        ),
    ],
)
def test_what_runs_instead_of_what_was_asked_for_is_named(runs, asked, says) -> None:
    with pytest.raises(ValueError, match=says):
        check_launch(runs, asked)
    check_launch(runs, {})


def test_what_zero_3_cannot_train_is_refused_by_name() -> None:
    whole, shard = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    shard.weight.ds_id = 0
    for stage, bars, model, says in (
        (3, 20, whole, "chart_bars is 20, and under ZeRO-3"),
        (3, 0, shard, "the weights are in shards already"),
    ):
        with pytest.raises(ValueError, match=says):
            check_shards(state(DistributedType.DEEPSPEED, 2, stage), bars, model)
    check_shards(state(DistributedType.DEEPSPEED, 2, 3), 0, whole)
    check_shards(state(DistributedType.DEEPSPEED, 2, 2), 20, whole)
