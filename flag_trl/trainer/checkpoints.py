"""Checkpoints that count once they are whole.

A checkpoint is sealed by the last file that is written: the digests of all others. One without a seal was cut short by
whatever ended its process, one whose files do not match was damaged since; neither is gone on from.
"""

import json
import os
import re
from pathlib import Path

from flag_trl.agent import file_digest

SEAL = "complete.json"
DIGEST_BYTES = 16


def seal(checkpoint: Path) -> None:
    """Write the digests of all files in a checkpoint, whole or not at all."""
    digests = {str(file.relative_to(checkpoint)): file_digest(file, DIGEST_BYTES) for file in _files(checkpoint)}
    partial = checkpoint / f"{SEAL}.partial"
    partial.write_text(json.dumps(digests, indent=1) + "\n")
    os.replace(partial, checkpoint / SEAL)


def flaw(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint; None if it is whole."""
    if not checkpoint.is_dir():
        return "it is not there"
    if not (checkpoint / SEAL).is_file():
        return "it was not written to its end"
    try:
        digests = json.loads((checkpoint / SEAL).read_text())
    except ValueError:
        return f"{SEAL} cannot be read"
    for name, digest in digests.items():
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if file_digest(checkpoint / name, DIGEST_BYTES) != digest:
            return f"{name} has changed since"
    return None


def last_whole(output: Path) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint of a run's output folder, and what is said of those newer than it."""
    numbered = [(int(found[1]), path) for path in output.glob("checkpoint-*") if (found := _name(path))]
    notes: list[str] = []
    for _, path in sorted(numbered, reverse=True):
        wrong = flaw(path)
        if wrong is None:
            return path, notes
        notes.append(f"{path} is not used: {wrong}")
    return None, notes


def check_writable(output: Path) -> None:
    """Raise OSError, before any work, where nothing can be written."""
    probe = output / f".probe-{os.getpid()}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OSError(f"{output} cannot be written to ({error.strerror}); name another output_dir") from error


def _name(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"checkpoint-(\d+)", path.name)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(SEAL))
