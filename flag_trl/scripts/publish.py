"""Put a trained agent onto the Hub, with a card that says what it is worth.

flag-trl publish outputs/quickstart USER/NAME --base_model USER/BASE --evaluation outputs/eval-demo
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from flag_trl.agent import HUB_ERRORS
from flag_trl.hub import pack, publish

DESCRIPTION = """Uploads what another person needs to run the agent of a training run: its weights as safetensors,
what it is shown, its rules, how it was trained, and a card with its results and their intervals. Checkpoints, pickles
and your data stay here. The token is the one that `hf auth login` stored, or that of HF_TOKEN."""


def main(argv: Sequence[str] | None = None) -> None:
    """Pack, and upload unless only a look at it was asked for."""
    args = _parser().parse_args(argv)
    said = {
        "base_model": args.base_model,
        "evaluation": args.evaluation,
        "licence": args.license,
        "cutoff": args.cutoff,
    }
    try:
        if args.to is not None:
            pack(args.folder, args.to, args.repository, **said)
            print(f"{args.to}/ holds what would go up; README.md is the card")
        else:
            print(publish(args.folder, args.repository, private=args.private, **said))
    except (ValueError, FileExistsError) as error:
        raise SystemExit(f"flag-trl publish: {error}") from error
    except HUB_ERRORS as error:
        raise SystemExit(
            f"flag-trl publish: the Hub did not take it: {error}\nLog in with `hf auth login` or set HF_TOKEN to a "
            f"token that may write to {args.repository}"
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flag-trl publish", description=DESCRIPTION)
    parser.add_argument("folder", type=Path, help="output folder of a training run")
    parser.add_argument("repository", help="USER/NAME on the Hub; made if it is not there")
    parser.add_argument(
        "--base_model", metavar="USER/NAME", help="where others find the base model, if it was a folder"
    )
    parser.add_argument("--evaluation", type=Path, metavar="FOLDER", help="output folder of eval.run on this agent")
    parser.add_argument("--license", metavar="ID", help="the Hub's identifier, such as apache-2.0")
    parser.add_argument("--cutoff", metavar="DATE", help="last day that the base model may have read about")
    parser.add_argument("--private", action="store_true", default=None, help="make a new repository private")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write it to this new folder instead of uploading")
    return parser


if __name__ == "__main__":
    main()
