"""A trained policy on a trading engine, one bar at a time.

Here is what reads a run; `flag_trl.live.run` has the engine, `flag_trl.live.replay` decides again.
"""

from flag_trl.live.journal import JOURNAL_FILE, Journal, JournalError, journal_path, writer_of
from flag_trl.live.settings import Exchange, Limits, LiveSettings, Orders
from flag_trl.live.summary import Summary, summary

__all__ = [
    "JOURNAL_FILE",
    "Exchange",
    "Journal",
    "JournalError",
    "Limits",
    "LiveSettings",
    "Orders",
    "Summary",
    "journal_path",
    "summary",
    "writer_of",
]
