"""Real launches of several processes run what was asked for, and train as one process does; else they stop."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate.utils import DistributedType

from flag_trl.trainer.launch import check_launch

RECIPE = """
data: {folder}/data
symbols: [AAA]
train_period: [2019-06-03, 2020-03-10]
scheme: signed
fill: same_close
model_name_or_path: {folder}/model
use_cpu: true
bf16: false
episode_length: 12
num_trainable_layers: 2
past_returns: 2
indicators: [volatility20]
kl_coef: 0.05
num_generations: 2
max_steps: 3
learning_rate: 0.001
save_strategy: "no"
trunk_cache_dir: none
logging_steps: 1
"""
TRAIN = ["-m", "flag_trl.scripts.train", "--config", "recipe.yaml"]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def folder(market_folder: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("launch")
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=market_folder))
    return folder


def launch(folder: Path, name: str, *words: str, batch: int, options: tuple[str, ...] = ()) -> tuple[list[float], str]:
    """Losses of the three updates, and what was said."""
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    train = [*TRAIN, "--output_dir", name, "--per_device_train_batch_size", str(batch), *options]
    run = subprocess.run([*words, *train], cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    history = json.loads((folder / name / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry], run.stderr


TORCHRUN = (str(BIN / "torchrun"), "--nproc_per_node", "2")
DEEPSPEED = (str(BIN / "accelerate"), "launch", "--use_deepspeed", "--num_processes", "2", "--mixed_precision", "no")
VALUE = ("--baseline", "value", "--loss_type", "ppo")


@pytest.fixture(scope="module")
def plain(folder) -> list[float]:
    """Losses of one process."""
    losses, said = launch(folder, "one", sys.executable, batch=2)
    assert "distributed: NO; 1 process;" in said and len(set(losses)) == 3
    return losses


def test_two_processes_train_as_one_does(plain, folder) -> None:
    two, said = launch(folder, "two", *TORCHRUN, batch=1)
    assert "distributed: MULTI_CPU; 2 processes;" in said
    assert two == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("options", [("--tuning", "lora"), ("--baseline", "exact"), VALUE], ids=str)
def test_two_processes_train_as_one_does_by_every_estimator(options, folder) -> None:
    name = "-".join(options).replace("--", "")
    one, _ = launch(folder, f"one-{name}", sys.executable, batch=2, options=options)
    two, said = launch(folder, f"two-{name}", *TORCHRUN, batch=1, options=options)
    assert "distributed: MULTI_CPU; 2 processes;" in said
    assert two == pytest.approx(one, abs=1e-5) and len(set(one)) == 3


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.timeout(600)
def test_two_processes_under_zero_do_too(stage, plain, folder) -> None:
    pytest.importorskip("deepspeed", reason="ZeRO comes with the extra `deepspeed`")
    two, said = launch(folder, f"zero-{stage}", *DEEPSPEED, "--zero_stage", str(stage), batch=1)
    assert f"distributed: DEEPSPEED, ZeRO-{stage}; 2 processes;" in said
    assert two == pytest.approx(plain, abs=1e-5)


def test_fsdp_on_a_cpu_which_would_be_plain_data_parallelism_is_refused_by_name(folder) -> None:
    words = [str(BIN / "torchrun"), "--nproc_per_node", "2", *TRAIN, "--output_dir", "fsdp"]
    environment = {**os.environ, "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode != 0
    assert "the launch asked for FSDP, and accelerate runs MULTI_CPU with 2 processes instead" in run.stderr


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
