"""Recompute every decision of a live run from its journal.

flag-trl replay outputs/msft
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from flag_trl.scripts.live_recipe import rebuilt_policy
from flag_trl.scripts.progress import progress_bar, report_console

DESCRIPTION = """Builds every observation again from the bars, news and accounts that the journal holds, asks the same
policy, and compares: hashes of the observations, draws and actions must be equal, probabilities to 1e-5."""


def main(argv: Sequence[str] | None = None) -> int:
    """Replay; 1 where anything differs."""
    from flag_trl.live import Journal, JournalError, journal_path
    from flag_trl.live.replay import replay

    parser = argparse.ArgumentParser(prog="flag-trl replay", description=DESCRIPTION)
    parser.add_argument("journal", type=Path, help="journal of a run, or its output folder")
    parser.add_argument("--policy", help="where the agent lies now, if it was moved")
    args = parser.parse_args(argv)
    try:
        with Journal(journal_path(args.journal), read_only=True) as journal:
            policy = rebuilt_policy(journal.setting("policy"), journal.setting("trading"), args.policy)
            with progress_bar("replay") as tell:
                found = replay(journal, policy, tell)
    except JournalError as error:
        raise SystemExit(f"flag-trl replay: {error}") from error
    report_console().print(found.in_words, highlight=False)
    return 1 if found.differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
