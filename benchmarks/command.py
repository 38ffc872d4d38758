"""What the benchmarks' command lines have in common."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODEL = "models/SmolLM2-135M-Instruct"


def command_line(name: str, description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """A parser for ``python -m benchmarks.<name>`` whose help keeps the lines as they are written, with ``--json``."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all figures and the machine")
    return parser


def model_folder(text: str) -> str:
    """The type of a ``--model`` argument: a folder that is there."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"no model folder at {text}; `make model` makes the default one, {MODEL}")
    return text


def add_model(parser: argparse.ArgumentParser) -> None:
    """Give a parser the ``--model`` option."""
    parser.add_argument(
        "--model", type=model_folder, default=MODEL, help=f"folder of the base model (default {MODEL})"
    )


def write_json(file: Path | None, figures: Mapping[str, Any]) -> None:
    """Write figures where a file is asked for; its folder is made."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(figures, indent=1) + "\n")
