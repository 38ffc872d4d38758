"""Stop a live run in order: open orders are cancelled, positions flattened or held as its recipe says.

flag-trl stop outputs/msft
"""

import argparse
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from flag_trl.live import journal_path, writer_of

DESCRIPTION = """Sends SIGTERM to the process that writes the journal and waits until it has ended. The journal
says what it did; `--resume true` goes on from there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Stop; 1 where nothing runs, 2 where it does not end in time."""
    parser = argparse.ArgumentParser(prog="flag-trl stop", description=DESCRIPTION)
    parser.add_argument("journal", type=Path, help="journal of a run, or its output folder")
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="how long to wait for its end")
    args = parser.parse_args(argv)
    path = journal_path(args.journal)
    writer = writer_of(path)
    if writer is None:
        print(f"nothing runs on {path}")
        return 1
    os.kill(writer, signal.SIGTERM)
    until = time.monotonic() + args.wait
    while writer_of(path) == writer:
        if time.monotonic() > until:
            print(f"process {writer} has not ended after {args.wait:g} s; a second SIGTERM ends it at once")
            return 2
        time.sleep(0.1)
    print(f"process {writer} has ended; {path} says what it did")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
