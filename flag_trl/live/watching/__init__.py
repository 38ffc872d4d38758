"""Watching a run from its journal: a page that moves, a report that stays, and the terminal."""

from flag_trl.live.watching.page import write_report
from flag_trl.live.watching.snapshot import snapshot
from flag_trl.live.watching.source import Source
from flag_trl.live.watching.terminal import watch_terminal

__all__ = ["Source", "snapshot", "watch_terminal", "write_report"]
