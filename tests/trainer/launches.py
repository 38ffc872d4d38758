"""Real launches for tests: a small recipe, and processes that end with their test, whatever happens."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import REPOSITORY

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
BIN = Path(sys.executable).parent
CONFIGS = REPOSITORY / "accelerate_configs"


def accelerate(config: Path) -> list[str]:
    """How a command line begins that launches by a configuration."""
    return [str(BIN / "accelerate"), "launch", "--config_file", str(config)]


def start(folder: Path, words: Sequence[str], **told: str) -> subprocess.Popen[str]:
    """A launch in a group of processes of its own, what it says to be read."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **told}
    # DeepSpeed builds with ninja, which it looks for there.
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    return subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """What it said to its end; one that does not end in time is stopped, and fails."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        out, err = stop(process)
        raise AssertionError(f"{process.args} had not ended after {seconds} s:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Ask a launcher to end its processes, which are in groups of their own; then kill it."""
    process.terminate()
    try:
        return process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()


@contextmanager
def started(folder: Path, words: Sequence[str], **told: str) -> Iterator[subprocess.Popen[str]]:
    """A launch that does not outlive its context."""
    process = start(folder, words, **told)
    try:
        yield process
    finally:
        if process.poll() is None:
            stop(process)


def run(folder: Path, words: Sequence[str], seconds: float = 240, **told: str) -> subprocess.CompletedProcess[str]:
    """Start, and wait for the end."""
    with started(folder, words, **told) as process:
        return end(process, seconds)


def free_port() -> int:
    """A port of this machine that nobody listens to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
