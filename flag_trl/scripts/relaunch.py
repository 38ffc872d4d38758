"""`flag-trl train --accelerate NAME`: the line of `accelerate launch` that it stands for, printed and run."""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flag_trl.scripts.bundled import bundled

FOLDER = "accelerate_configs"


@dataclass
class LaunchArguments:
    """How a training is started."""

    accelerate: str | None = field(
        default=None,
        metadata={
            "help": "Start it by `accelerate launch` with this configuration: a file, or the name of one of "
            f"{FOLDER}/ such as zero2. The line is printed first. On the command line alone."
        },
    )


def main(argv: Sequence[str]) -> None:
    """Train in this process, or as ``--accelerate`` says."""
    relaunch(argv)
    from flag_trl.scripts import train

    train.main(argv)


def relaunch(arguments: Sequence[str]) -> None:
    """Become ``accelerate launch`` where the arguments ask for it; else return.

    Raises
    ------
    SystemExit
        If there is no such configuration.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--accelerate")
    asked, others = parser.parse_known_args(list(arguments))
    if asked.accelerate is None:
        return
    line = ["launch", "--config_file", str(_configuration(asked.accelerate)), "-m", "flag_trl.scripts.train", *others]
    print(shlex.join(["accelerate", *line]), file=sys.stderr, flush=True)
    words = [sys.executable, "-m", "accelerate.commands.accelerate_cli", *line]
    if os.name == "nt":
        # There the shell would not wait for what this process becomes.
        raise SystemExit(subprocess.run(words).returncode)
    os.execv(sys.executable, words)


def _configuration(name: str) -> Path:
    file = Path(name) if name.endswith((".yaml", ".yml", ".json")) else bundled(f"{FOLDER}/{name}.yaml")
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in bundled(FOLDER).glob("*.yaml")))
        raise SystemExit(f"--accelerate: there is no {name}; name a file, or one of {known}")
    return file
