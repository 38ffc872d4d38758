"""A trained policy on a trading engine, one bar at a time; `flag_trl.live.run` has the engine itself."""

from flag_trl.live.journal import JOURNAL_FILE, Journal, JournalError, writer_of
from flag_trl.live.replay import Replayed, replay
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
    "Replayed",
    "Summary",
    "replay",
    "summary",
    "writer_of",
]
