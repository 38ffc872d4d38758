"""Live runs beside one another: Sharpe ratios and win rates with intervals, and the difference to Buy & Hold.

python -m benchmarks.live_table outputs/live-trained outputs/live-untrained outputs/live-hold

Each argument is the output folder of a `flag-trl simulate` over the same bars at the same exchange, which is checked;
the last is what the others are compared with. Prints a Markdown table.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import command_line, write_json
from flag_trl.live import JOURNAL_FILE, Journal, summary
from flag_trl.live.summary import marks
from flag_trl.metrics import sharpe_difference, simple_returns

ALIKE = ("symbols", "markets", "fill", "costs", "capital", "lot_size", "orders", "exchange", "limits", "days", "data")
HEADER = (
    "| | CR % | Sharpe | less the last | AV % | MDD % | bars won % | exposure % | turnover % | fills | commission |"
)


def row(folder: Path, benchmark: np.ndarray | None) -> tuple[str, dict[str, Any], np.ndarray]:
    """A line of the table, its figures, and the run's returns."""
    with Journal(folder / JOURNAL_FILE, read_only=True) as journal:
        found = summary(journal)
        returns = simple_returns(marks(journal)[1])
        years = next(iter(journal.setting("markets").values()))["periods_per_year"]
    less = "–"
    figures: dict[str, Any] = {"summary": vars(found)}
    if benchmark is not None:
        difference, low, high = sharpe_difference(returns, benchmark, years).interval
        figures["less"] = [difference, low, high]
        less = f"{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
    (won_low, won_high), sharpe = found.win_rate_interval, found.sharpe_interval
    line = (
        f"| {folder.name} | {found.cumulative:.2f} | {found.sharpe:.2f} [{sharpe[0]:.2f}, {sharpe[1]:.2f}] | {less} "
        f"| {found.volatility:.2f} | {found.drawdown:.2f} | {found.win_rate:.1f} [{won_low:.1f}, {won_high:.1f}] | "
        f"{found.exposure:.0f} | {found.turnover:.0f} | {found.fills} | {found.commission:,.0f} |"
    )
    return line, figures, returns


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = command_line("live_table", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="output folder of a live run")
    args = parser.parse_args(argv)
    said = []
    for folder in args.folders:
        with Journal(folder / JOURNAL_FILE, read_only=True) as journal:
            said.append({name: journal.setting(name) for name in ALIKE})
    for folder, settings in zip(args.folders, said, strict=True):
        other = [name for name in ALIKE if settings[name] != said[0][name]]
        if other:
            raise SystemExit(f"{folder} differs from {args.folders[0]} in {', '.join(other)}: no comparison")
    *_, benchmark = row(args.folders[-1], None)
    found = {}
    print(HEADER)
    print("| --- |" + " ---: |" * 10)
    for folder in args.folders:
        line, found[folder.name], _ = row(folder, None if folder == args.folders[-1] else benchmark)
        print(line)
    write_json(args.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
