"""Small markets and a run over them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flag_trl.accounts import AllIn
from flag_trl.data import DatedText, MarketData
from flag_trl.live import Exchange, Journal, LiveSettings
from flag_trl.live.events import FeedEvent

if find_spec("nautilus_trader") is None:
    pytest.skip("live runs need the extra `live`", allow_module_level=True)

from flag_trl.live.feed import ReplayFeed
from flag_trl.live.run import LiveRun, Outcome, described

FINE = Exchange(price_digits=8, money_digits=8)


class Listed:
    """A feed that gives what it was given."""

    def __init__(self, moments: list[list[FeedEvent]]) -> None:
        self._moments = moments

    def moments(self) -> Iterator[list[FeedEvent]]:
        return iter(self._moments)


class Game:
    """One run with its journal."""

    def __init__(
        self, policy: Any, markets: dict[str, MarketData], folder: Path, first: int, settings: LiveSettings, live: bool
    ):
        some = next(iter(markets.values()))
        self.settings, self.policy = settings, policy
        self.feed = ReplayFeed.of_period(markets, some.dates[first], some.dates[-1], settings.fill)
        history, until = (dict(markets), None) if live else (self.feed.history(), self.feed.last_bar())
        self.journal = Journal(folder / "journal.sqlite")
        self.journal.begin(described(settings, history, self.feed.context()))
        self.run = LiveRun(policy, settings, history, self.journal, self.feed.context(), until)

    def play(self, feed: Any = None, **how: Any) -> Outcome:
        return self.run.play(feed or self.feed, **how)

    def column(self, table: str, column: str) -> np.ndarray:
        return np.array([row[column] for row in self.journal.rows(table)])

    def notices(self, kind: str | None = None) -> list[str]:
        rows = self.journal.rows("notices")
        return [
            row["text"] if kind else f"{row['kind']}: {row['text']}" for row in rows if kind in (None, row["kind"])
        ]

    def close(self) -> None:
        self.run.close()
        self.journal.close()


@pytest.fixture
def game(tmp_path) -> Iterator[Callable[..., Game]]:
    """Build a run; `settings` are those of `LiveSettings`, at an exchange that rounds finely.

    It plays the markets from bar `first` on; where it is `live`, they are what is known before.
    """
    games: list[Game] = []

    def build(
        policy: Any,
        markets: dict[str, MarketData],
        first: int = 30,
        name: str = "run",
        live: bool = False,
        **settings: Any,
    ) -> Game:
        given = {"scheme": AllIn(), "fill": "same_close", "exchange": FINE, **settings}
        games.append(Game(policy, markets, tmp_path / name, first, LiveSettings(**given), live))
        return games[-1]

    yield build
    for one in games:
        one.close()


@pytest.fixture(scope="session")
def noisy() -> Callable[..., MarketData]:
    """A walk with opens, highs, lows, volumes, and a text or two a day at any time of it."""

    def build(symbol: str = "AAA", n: int = 60, seed: int = 0, texts: bool = True) -> MarketData:
        random = np.random.default_rng([seed, *symbol.encode()])
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, n)))
        open_ = close * np.exp(random.normal(0, 0.005, n))
        high, low = np.maximum(open_, close) * 1.01, np.minimum(open_, close) * 0.99
        dates = np.busday_offset("2020-01-01", np.arange(n), roll="forward")
        items = []
        for bar in range(n * texts):
            for number in range(random.integers(0, 3)):
                moment = dates[bar].astype("datetime64[s]") + random.integers(0, 86_400)
                items.append(DatedText("news", f"{symbol} item {bar} {number} of the day rose.", moment))
        volume = random.integers(1_000, 9_000, n).astype(float)
        market = MarketData(symbol, dates, close, open=open_, high=high, low=low, volume=volume)
        return replace(market, texts=tuple(items))

    return build


def yesterday() -> dict[str, MarketData]:
    """What is known before a day of minutes: the last daily close, as a bar of a minute."""
    closed = np.array(["2024-06-28T16:00:00"], dtype="datetime64[s]")
    return {"AAA": MarketData("AAA", closed, np.array([100.0]), periods_per_year=252 * 390)}


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """A journal to read."""
    with Journal(path, read_only=True) as journal:
        yield journal
