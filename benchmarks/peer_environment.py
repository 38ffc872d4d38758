"""An environment of their own for the peers that `benchmarks.bench_env` measures, made on first use."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.env_timing import Timing

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / ".venv-peers"

# As in the Makefile: this index only adds the CPU build of torch, about 200 MB instead of several GB, and where it
# cannot be reached pip takes what it finds elsewhere.
CPU_TORCH = "--no-deps --extra-index-url https://download.pytorch.org/whl/cpu --retries 1 --timeout 15".split()
MEASURING_LIMIT = 1200.0


class PeerError(Exception):
    """A peer that cannot be installed or does not run; the message says why."""


@dataclass(frozen=True)
class Peer:
    """A peer as published.

    Attributes
    ----------
    name : str
        Package name, by which `benchmarks.env_peers` knows it.
    version : str
    needs_torch : bool
        Whether torch has to be there first, so that it is the CPU build.
    """

    name: str
    version: str
    needs_torch: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def install(peer: Peer, console: Console, folder: Path = FOLDER) -> Path:
    """Install a peer into the peers' environment, unless it is there already.

    Returns
    -------
    Path
        The environment's Python.

    Raises
    ------
    PeerError
        With the last error of venv or pip.
    """
    python = folder / "bin" / "python"
    stamp = folder / f".{peer.name}-{peer.version}"
    if stamp.is_file() and python.is_file():
        return python
    began = time.monotonic()
    console.print(f"{peer}: installing into {folder.name}/ (once, takes minutes)")
    if not python.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], f"making {folder.name}/", console)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    torch = [f"torch=={version('torch').partition('+')[0]}"] if peer.needs_torch else []
    if torch:
        _run([*pip, *CPU_TORCH, *torch], "torch", console)
    _run([*pip, *torch, f"{peer.name}=={peer.version}"], str(peer), console)
    stamp.touch()
    console.print(f"{peer}: installed in {time.monotonic() - began:.0f} s")
    return python


def measure(peer: Peer, python: Path, timings: Sequence[Timing]) -> dict[str, Any]:
    """Time a peer in a process of its own; its progress goes to this one's stderr.

    Returns
    -------
    dict
        ``rows`` and ``versions``, as `benchmarks.env_peers` prints them.

    Raises
    ------
    PeerError
        If the peer raised, the process died, or it took longer than `MEASURING_LIMIT`.
    """
    command = [
        str(python),
        "-m",
        "benchmarks.env_peers",
        peer.name,
        json.dumps([asdict(timing) for timing in timings]),
    ]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    try:
        ran = subprocess.run(
            command, cwd=REPOSITORY, env=quiet, stdout=subprocess.PIPE, text=True, timeout=MEASURING_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"took longer than {MEASURING_LIMIT:.0f} s") from None
    try:
        # A peer may print of its own accord; the answer is the last line.
        answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise PeerError(f"ended with status {ran.returncode} and no figures") from None
    if "error" in answer:
        raise PeerError(answer["error"])
    return answer


def _run(command: Sequence[str], what: str, console: Console) -> None:
    """Run an installing command, its lines shown as they come; PeerError with its last error."""
    lines, said = [""], time.monotonic()
    with (
        console.status(what) as status,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        assert process.stdout is not None
        for line in filter(None, map(str.strip, process.stdout)):
            lines.append(line)
            if console.is_terminal:
                status.update(f"{what}: {line[:90]}", spinner="dots")
            elif time.monotonic() - said > 15.0:
                console.print(f"{what}: {line[:90]}", markup=False)
                said = time.monotonic()
    if process.returncode:
        errors = [line for line in lines if line.startswith("ERROR")]
        raise PeerError(f"{what} cannot be installed: {(errors or lines)[-1]}")
