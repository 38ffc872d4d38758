"""One run through the trading engine, for the benchmarks that need some."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from flag_trl.data import MarketData
from flag_trl.live import Journal, LiveSettings
from flag_trl.live.feed import ReplayFeed
from flag_trl.live.run import LiveRun, Outcome, described


@contextmanager
def played(
    policy: Any,
    markets: Mapping[str, MarketData],
    settings: LiveSettings,
    days: tuple[np.datetime64, np.datetime64],
    folder: Path,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[Outcome, Journal]]:
    """Play a period at full speed; how it ended, and its journal."""
    feed = ReplayFeed.of_period(markets, *days, settings.fill)
    history, until = feed.history(), feed.last_bar()
    first = int(days[0].astype("datetime64[ns]").astype(np.int64))
    with Journal(folder / "journal.sqlite") as journal:
        journal.begin(described(settings, history, feed.context()))
        run = LiveRun(policy, settings, history, journal, feed.context(), until)
        try:
            yield run.play(feed, on_moment=lambda ts: tell(min(ts, until) - first, until - first)), journal
        finally:
            run.close()
