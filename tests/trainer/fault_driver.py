"""Train, get killed, go on: one process a run, forked from one that has only imported.

python tests/trainer/fault_driver.py RECIPE FOLDER POINT [POINT ...]

A point is a name of `POINTS`, or a number: the share of an undisturbed run's time after which the process is killed.
Prints one line a point: its name, how the first process ended, and whether the weights are those of a run that nobody
disturbed.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from flag_trl.policy import saved, trunk_cache
from flag_trl.scripts import train
from flag_trl.trainer import checkpoints, collector, keeping
from flag_trl.trainer.flag_trainer import FlagTrainer

WEIGHTS = "policy.safetensors"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(owner: Any, name: str, call: int, before: Callable[..., None] | None = None) -> None:
    """Replace a function by one that kills the process when it is called for the `call`-th time."""
    real, calls = getattr(owner, name), [0]

    def replaced(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            if before is not None:
                before(real, *args, **kwargs)
            die()
        return real(*args, **kwargs)

    setattr(owner, name, replaced)


def half_a_file(real: Callable[..., None], tensors: Any, file: Path, **kwargs: Any) -> None:
    real(tensors, file, **kwargs)
    os.truncate(file, file.stat().st_size // 2)


def half_a_cache_file(real: Callable[..., Any], source: Any, target: Any) -> None:
    os.truncate(source, os.stat(source).st_size // 2)
    real(source, target)


def one_file_less(real: Callable[..., None], folder: str, *args: Any, **kwargs: Any) -> None:
    oldest = min(Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (oldest / WEIGHTS).unlink()


POINTS: dict[str, Callable[[], None]] = {
    "model half written": lambda: at(saved, "save_file", 3, half_a_file),
    "model written, not renamed": lambda: at(saved.os, "replace", 5),
    "before the seal": lambda: at(keeping, "seal", 3),
    "seal written, not renamed": lambda: at(checkpoints.os, "replace", 9),
    "while older checkpoints go": lambda: at(keeping, "rotate_checkpoints", 3, one_file_less),
    "mid-rollout": lambda: at(collector, "play", 2),
    "mid-PPO-epoch": lambda: at(FlagTrainer, "compute_loss", 6),
    "cache half written": lambda: at(trunk_cache.os, "replace", 1, half_a_cache_file),
}


def run(words: list[str], log: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Train in a process of its own and return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            torch.set_num_threads(1)
            prepare()
            train.main(words)
            status = 0
    except BaseException:
        import traceback

        with log.open("a") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """Minus the signal that ended it, or its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    recipe, folder, points = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    log, cache = folder / "log.txt", folder / "cache"

    def words(name: str, place: Path = cache, resume: bool = False) -> list[str]:
        given = ["--config", recipe, "--output_dir", str(folder / name), "--trunk_cache_dir", str(place)]
        return [*given, "--resume_from_checkpoint", "auto"] if resume else given

    # The first run fills the cache; the second is the one that a disturbed run must equal.
    assert ended(run(words("first"), log)) == 0, log.read_text()
    began = time.monotonic()
    assert ended(run(words("undisturbed"), log)) == 0, log.read_text()
    took = time.monotonic() - began
    wanted = (folder / "undisturbed" / WEIGHTS).read_bytes()
    for point in points:
        name = point.replace(" ", "-")
        own = folder / f"cache-{name}" if point.startswith("cache") else cache
        if point in POINTS:
            first = ended(run(words(name, own), log, POINTS[point]))
        else:
            child = run(words(name, own), log)
            time.sleep(float(point) * took)
            os.kill(child, signal.SIGKILL)
            first = ended(child)
        again = ended(run(words(name, own, resume=True), log)) if first else 0
        if own != cache:
            assert ended(run(words(f"{name}-undisturbed", own), log)) == 0
            wanted_here = (folder / f"{name}-undisturbed" / WEIGHTS).read_bytes()
        else:
            wanted_here = wanted
        same = again == 0 and (folder / name / WEIGHTS).read_bytes() == wanted_here
        print(f"{point}: ended {first}, again {again}, {'same' if same else 'DIFFERENT'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
