"""Whatever ends a training, what it goes on from is whole, and ends in the same weights."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from flag_trl.trainer import interruption, keeping, last_whole
from flag_trl.trainer.checkpoints import SEAL, flaw
from tests.trainer.fault_driver import POINTS

RECIPE = """
data: {folder}/data
symbols: [AAA]
train_period: [2019-06-03, 2020-03-10]
scheme: signed
fill: same_close
model_name_or_path: {folder}/model
use_cpu: true
episode_length: 12
num_trainable_layers: 2
past_returns: 2
indicators: [volatility20]
loss_type: ppo
baseline: value
num_ppo_epochs: 2
kl_coef: 0.05
per_device_train_batch_size: 1
num_generations: 2
max_steps: 6
learning_rate: 0.001
save_strategy: steps
save_steps: 1
save_total_limit: 2
"""
DRIVER = Path(__file__).with_name("fault_driver.py")


@pytest.fixture(scope="module")
def recipe(market_folder: Path, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("faults") / "recipe.yaml"
    file.write_text(RECIPE.format(folder=market_folder))
    return file


def driven(recipe: Path, folder: Path, *points: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    run = subprocess.run(
        [sys.executable, str(DRIVER), str(recipe), str(folder), *points],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.timeout(600)
def test_a_run_killed_at_a_named_point_ends_in_the_weights_of_one_that_nobody_disturbed(recipe, tmp_path) -> None:
    assert driven(recipe, tmp_path, *POINTS) == [f"{point}: ended -9, again 0, same" for point in POINTS]


@pytest.mark.timeout(600)
def test_a_run_killed_at_any_moment_does_too(recipe, tmp_path) -> None:
    shares = np.random.default_rng(0).uniform(0.05, 0.95, 60)
    killed, drawn = 0, 0
    # A run that ended before its moment came was not disturbed: others are drawn for those.
    while killed < 20:
        moments = [f"{share:.3f}" for share in shares[drawn : drawn + 20 - killed]]
        drawn += len(moments)
        assert moments, "the runs end before they can be killed"
        lines = driven(recipe, tmp_path / str(drawn), *moments)
        assert len(lines) == len(moments) and all(line.endswith(", again 0, same") for line in lines), lines
        killed += sum("ended -9" in line for line in lines)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Read what a process says until it says these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"it ended without saying {words}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_a_checkpoint_from_which_the_run_goes_on(number, recipe, tmp_path) -> None:
    words = ["-m", "flag_trl.scripts.train", "--config", str(recipe), "--save_strategy", "no", "--max_steps", "400"]
    words += ["--output_dir", str(tmp_path / "run"), "--trunk_cache_dir", "none"]
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
    read_until(process, "step 3/")
    process.send_signal(number)
    rest = process.communicate()[1]
    assert process.wait() == 128 + number
    assert "a checkpoint is saved after this update" in rest and "--resume_from_checkpoint auto" in rest
    last, notes = last_whole(tmp_path / "run")
    assert last is not None and not notes and not (tmp_path / "run" / "agent.json").exists()
    step = int(last.name.split("-")[1])
    words[words.index("400")] = str(step + 1)
    again = subprocess.run(
        [sys.executable, *words, "--resume_from_checkpoint", "auto"], capture_output=True, text=True
    )
    assert again.returncode == 0 and f"going on from {last}" in again.stderr, again.stderr
    assert json.loads((tmp_path / "run" / "trainer_state.json").read_text())["global_step"] == step + 1
    assert (tmp_path / "run" / "agent.json").exists()


def test_the_same_signal_again_ends_it_at_once_and_what_a_launcher_hands_on_does_not(monkeypatch) -> None:
    noted = interruption.Interruption(Accelerator(cpu=True))
    before = signal.getsignal(signal.SIGINT)
    with noted.heeded():
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        monkeypatch.setattr(interruption, "PATIENCE_S", 0.0)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def trained(make_trainer, steps: int = 2, **options: object):
    trainer = make_trainer(max_steps=steps, save_strategy="steps", save_steps=1, **options)
    trainer.train()
    return trainer


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped", "unsealed"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(damage, make_trainer) -> None:
    output = Path(str(trained(make_trainer).args.output_dir))
    file = output / "checkpoint-2" / "policy.safetensors"
    if damage == "cut":
        os.truncate(file, 100)
    elif damage == "gone":
        file.unlink()
    elif damage == "flipped":
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(content)
    else:
        (output / "checkpoint-2" / SEAL).unlink()
    last, notes = last_whole(output)
    assert last == output / "checkpoint-1" and len(notes) == 1 and "checkpoint-2 is not used" in notes[0]
    with pytest.raises(ValueError, match="checkpoint-2 cannot be resumed from: "):
        make_trainer(max_steps=3).train(resume_from_checkpoint=str(output / "checkpoint-2"))
    resumed = make_trainer(max_steps=3)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 3


def test_a_full_disk_is_named_and_the_last_good_checkpoint_stays(make_trainer, monkeypatch) -> None:
    calls = [0]
    real = keeping.seal

    def full(checkpoint: Path) -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(checkpoint))
        real(checkpoint)

    monkeypatch.setattr(keeping, "seal", full)
    with pytest.raises(OSError, match=r"checkpoint-2 could not be written: .*No space left.*last good .*checkpoint-1"):
        trained(make_trainer, save_total_limit=1)


def test_a_run_killed_after_its_last_checkpoint_makes_no_update_more(make_trainer) -> None:
    options = {"lr_scheduler_type": "constant", "max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    trainer = make_trainer(**options)
    trainer.train()
    wanted = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    again = make_trainer(**options)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 2
    assert all(torch.equal(p, wanted[name]) for name, p in again.model.named_parameters())


def test_a_signal_during_the_last_update_changes_nothing(make_trainer, monkeypatch) -> None:
    trainer = make_trainer(max_steps=1)
    real = trainer.training_step

    def signalled(*args: object):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(trainer, "training_step", signalled)
    trainer.train()
    assert trainer.interrupted == 0 and trainer.state.global_step == 1


@pytest.mark.parametrize("name", ["optimizer.pt", "trainer_state.json"])
def test_a_full_disk_in_truth(name, make_trainer) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("there is no /dev/full here")
    trainer = make_trainer(max_steps=1, save_strategy="steps", save_steps=1)
    checkpoint = Path(str(trainer.args.output_dir)) / "checkpoint-1"
    real = trainer.save_model

    def onto_a_full_disk(folder: str, _internal_call: bool = False) -> None:
        real(folder, _internal_call)
        (checkpoint / name).symlink_to("/dev/full")

    trainer.save_model = onto_a_full_disk
    with pytest.raises(OSError, match=r"checkpoint-1 could not be written: .*(No space left|enforce fail).* is none"):
        trainer.train()
    assert flaw(checkpoint) == "it was not written to its end"


def test_a_folder_that_cannot_be_written_to_is_named_before_any_work(make_trainer, monkeypatch) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("there is no folder here that nobody may write to, not even root")
    trainer = make_trainer(output_dir="/proc/self/fd")
    monkeypatch.setattr("flag_trl.trainer.flag_trainer.fill_cache", lambda *_: pytest.fail("it began to work"))
    with pytest.raises(OSError, match="/proc/self/fd cannot be written to .*name another output_dir"):
        trainer.train()


def test_a_loss_that_is_no_number_stops_before_the_weights_take_it(make_trainer, monkeypatch) -> None:
    trainer = trained(make_trainer, steps=1)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    real = trainer.compute_loss
    monkeypatch.setattr(trainer, "compute_loss", lambda *a, **k: real(*a, **k) * float("nan"))
    with pytest.raises(FloatingPointError, match=r"the loss of update 2 is nan. The last good .*checkpoint-1"):
        trainer.args.max_steps = 2
        trainer.train(resume_from_checkpoint=True)
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())


def test_a_reward_that_is_no_number_is_named_with_its_day(make_trainer, monkeypatch) -> None:
    from flag_trl.trainer import collector

    real = collector.play

    def odd(*args, **kwargs):
        trajectory = real(*args, **kwargs)
        trajectory.rewards[1, 0] = np.nan
        return trajectory

    monkeypatch.setattr(collector, "play", odd)
    with pytest.raises(FloatingPointError, match=r"the reward log_return of AAA on \d{4}-\d\d-\d\d is nan"):
        make_trainer(max_steps=1).train()


def test_what_a_killed_run_left_under_a_checkpoint_s_name_does_not_stay_in_it(make_trainer) -> None:
    trainer = make_trainer(max_steps=1, save_strategy="steps", save_steps=1)
    left = Path(str(trainer.args.output_dir)) / "checkpoint-1"
    left.mkdir(parents=True)
    (left / "rollout-7-0.safetensors").write_bytes(b"left")
    trainer.train()
    assert flaw(left) is None and not (left / "rollout-7-0.safetensors").exists()
    shutil.rmtree(left)
