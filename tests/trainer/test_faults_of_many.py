"""Several processes end together, whatever happens to one of them, and what they go on from is whole."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flag_trl.trainer import last_whole
from tests.trainer.launches import CONFIGS, RECIPE, accelerate, start

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are told apart by Linux's /proc"),
    pytest.mark.timeout(300),
]
STEPS = ["--max_steps", "4000", "--save_strategy", "steps", "--save_steps", "2", "--save_total_limit", "2"]
A_MINUTE = 60
MARK = "FLAG_TRL_TEST"


class Launch:
    """A training of two processes under way."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.output = folder / "run"
        words = ["-m", "flag_trl.scripts.train", "--config", "recipe.yaml", "--output_dir", "run", *more]
        launch = [*accelerate(CONFIGS / "multi_cpu.yaml"), *words, "--per_device_train_batch_size", "1"]
        self.process = start(folder, launch, **{MARK: str(self.output)})

    def read_until(self, words: str) -> None:
        """Read what it says until it says these words."""
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if words in line:
                return
        pytest.fail(f"it ended without saying {words}: {''.join(said)}")

    def rank(self, number: int) -> int:
        """Process id of one of the two."""
        (found,) = self.running(f"RANK={number}")
        return found

    def running(self, *told: str) -> list[int]:
        """Those of its processes that were told this, the launcher among them."""
        wanted = {word.encode() for word in (f"{MARK}={self.output}", *told)}
        environments = {int(file.parent.name): read(file) for file in Path("/proc").glob("[0-9]*/environ")}
        return [number for number, environment in environments.items() if wanted <= set(environment.split(b"\0"))]

    def signal(self, number: int) -> None:
        """Tell all of its processes."""
        for process in self.running():
            os.kill(process, number)

    def end(self) -> str:
        """What it says to its end, which comes within a minute."""
        return self.process.communicate(timeout=A_MINUTE)[1]


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        # It has ended since.
        return b""


@pytest.fixture
def folder(market_folder: Path, tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(folder=market_folder))
    return tmp_path


@pytest.fixture
def launch(folder) -> Iterator[Launch]:
    begun = Launch(folder, *STEPS)
    begun.read_until("step 5/")
    yield begun
    begun.signal(signal.SIGKILL)


def test_a_process_that_dies_ends_the_whole_job(launch) -> None:
    os.kill(launch.rank(1), signal.SIGKILL)
    said = launch.end()
    assert launch.process.returncode not in (0, None)
    assert "exitcode  : -9" in said and "rank      : 1" in said
    assert not launch.running()
    last, _ = last_whole(launch.output)
    assert last is not None


def test_one_that_cannot_write_ends_it_and_says_so(launch) -> None:
    """A limit on what the first process may write stands for a disk that is full for it alone."""
    import resource

    resource.prlimit(launch.rank(0), resource.RLIMIT_FSIZE, (2000, 2000))
    said = launch.end()
    assert launch.process.returncode not in (0, None)
    assert "could not be written" in said and "The last good checkpoint is run/checkpoint-" in said
    last, _ = last_whole(launch.output)
    assert last is not None and str(last.name) in said


@pytest.mark.parametrize("to_all", [False, True], ids=["the launcher is told", "all are told, as a terminal does"])
def test_a_signal_to_the_launcher_saves_a_checkpoint_from_which_the_run_goes_on(to_all, launch, folder) -> None:
    if to_all:
        launch.signal(signal.SIGINT)
    else:
        launch.process.send_signal(signal.SIGTERM)
    said = launch.end()
    assert "a checkpoint is saved after this update" in said and "--resume_from_checkpoint auto" in said
    last, notes = last_whole(launch.output)
    assert last is not None and not notes
    step = int(last.name.split("-")[1])
    again = Launch(folder, *STEPS[2:], "--max_steps", str(step + 1), "--resume_from_checkpoint", "auto")
    said = again.end()
    assert again.process.returncode == 0 and f"going on from run/{last.name}" in said, said
    assert json.loads((launch.output / "trainer_state.json").read_text())["global_step"] == step + 1


def test_the_first_process_alone_says_anything_and_writes_the_agent(folder) -> None:
    launch = Launch(folder, "--max_steps", "2", "--save_strategy", "steps", "--save_steps", "1")
    said = launch.end()
    assert launch.process.returncode == 0, said
    assert said.count("distributed: ") == said.count("step 1/2") == said.count("step 2/2") == 1
    trials = (launch.output / "trials.jsonl").read_text().splitlines()
    assert len(trials) == 1 and not list(launch.output.rglob("*.partial"))
