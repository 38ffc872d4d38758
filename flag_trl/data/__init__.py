"""Market data: what is known of a symbol, and when."""

from flag_trl.data.altered import COMPANY, Alteration, altered, anonymised, mirrored, name_stand_in, redated, renamed
from flag_trl.data.coverage import Coverage, TextCoverage, coverage
from flag_trl.data.dates import DateLike, as_day
from flag_trl.data.download import download
from flag_trl.data.episodes import Window, episode_dataset, period_window
from flag_trl.data.errors import DataError
from flag_trl.data.events import Event, read_events
from flag_trl.data.market import MarketData
from flag_trl.data.readers import TextKnown, load_market, sample_symbols
from flag_trl.data.splits import Period, check_disjoint, chronological, decision_bars
from flag_trl.data.texts import FILINGS, DatedText
from flag_trl.data.view import MarketView

__all__ = [
    "COMPANY",
    "FILINGS",
    "Alteration",
    "Coverage",
    "DataError",
    "DateLike",
    "DatedText",
    "Event",
    "MarketData",
    "MarketView",
    "Period",
    "TextCoverage",
    "TextKnown",
    "Window",
    "altered",
    "anonymised",
    "as_day",
    "check_disjoint",
    "chronological",
    "coverage",
    "decision_bars",
    "download",
    "episode_dataset",
    "load_market",
    "mirrored",
    "name_stand_in",
    "period_window",
    "read_events",
    "redated",
    "renamed",
    "sample_symbols",
]
