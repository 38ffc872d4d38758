"""Watch a live run, or look at one that has ended: a page on this machine, one file, or the terminal.

flag-trl watch outputs/msft
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from flag_trl.live import journal_path
from flag_trl.scripts.progress import report_console

DESCRIPTION = """Serves a page of the run to this machine; it moves as the journal grows, and nothing can be changed
from it. On any other address than a loopback one, who reads needs the token that is printed with the address."""


def main(argv: Sequence[str] | None = None) -> int:
    """Watch until interrupted, or write what there is."""
    from flag_trl.live import Journal, JournalError
    from flag_trl.live.watching import watch_terminal, write_report

    args = _parser().parse_args(argv)
    path, console = journal_path(args.journal), report_console()
    try:
        with Journal(path, read_only=True) as journal:
            # Whether a run has begun in it.
            journal.setting("version")
            if args.report is not None:
                write_report(journal, args.report)
                console.print(f"{args.report}: the run as its journal has it now", highlight=False)
                return 0
        if args.terminal or args.once:
            watch_terminal(path, console, args.once)
            return 0
    except JournalError as error:
        raise SystemExit(f"flag-trl watch: {error}") from error
    return _serve(path, args.host, args.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flag-trl watch", description=DESCRIPTION)
    parser.add_argument("journal", type=Path, help="journal of a run, or its output folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="0 for any that is free (default: %(default)s)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write one file that needs nothing beside it"
    )
    instead.add_argument("--terminal", action="store_true", help="show it here, in short, until the run has ended")
    instead.add_argument("--once", action="store_true", help="print it here once")
    return parser


def _serve(path: Path, host: str, port: int) -> int:
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise SystemExit(
            "the page needs starlette and uvicorn: pip install 'flag-trl[live]'; --terminal needs neither"
        )
    from flag_trl.live.watching.server import WatchServer

    try:
        server = WatchServer(path, host, port)
    except (OSError, OverflowError) as error:
        raise SystemExit(f"flag-trl watch: {host}, port {port}: {error}; give another --host or --port") from error
    # Not to be wrapped: it is an address.
    print(f"{server.url}  (Ctrl-C ends)", flush=True)
    server.serve_page()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
