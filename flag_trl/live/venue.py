"""Bars from a venue as a feed, with news from a file beside them."""

import multiprocessing
import queue
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flag_trl.live.events import SECOND, FeedEvent, FeedNotice, Halt, NewsItem, PriceBar
from flag_trl.live.feed import FeedError, moments_of
from flag_trl.live.news_file import NewsFile

ADAPTERS = "nautilus_trader.adapters."
SECRET = re.compile(r"key|secret|passw|passphrase|token|credential|mnemonic", re.IGNORECASE)
WITH_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
GRACE_S = 1.0
"""Seconds in which the bars of one close are waited for."""


class VenueError(FeedError):
    """A venue that is not configured as it must be, or that has gone."""


@dataclass(frozen=True)
class Venue:
    """Which adapter gives the bars of which instruments.

    Attributes
    ----------
    client : str
        The name by which the adapter's instruments know it, such as ``BINANCE``.
    config, factory : str
        ``module:class`` of the adapter's data client configuration and factory.
    instruments : mapping of str to str
        Symbol to the adapter's instrument id.
    bar : str
        Step of the bars as NautilusTrader writes it, such as ``1-MINUTE-LAST-EXTERNAL``.
    settings : mapping
        Of the configuration, without keys: adapters read those from the environment.
    zone : str
        Time zone of the exchange's calendar.
    halts : bool
        Whether to ask the adapter for halts; not every one has them.
    news : str, optional
        File to which somebody's collector adds news; see `NewsFile`.
    silent_after_s : float, optional
        Seconds without a bar after which a notice says so; by default three bars.
    foreign_adapter : bool
        Whether classes may come from elsewhere than NautilusTrader, which runs that code.

    Raises
    ------
    VenueError
        Naming what is wrong and what to give instead.
    """

    client: str
    config: str
    factory: str
    instruments: Mapping[str, str]
    bar: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    zone: str = "UTC"
    halts: bool = False
    news: str | None = None
    silent_after_s: float | None = None
    foreign_adapter: bool = False

    def __post_init__(self) -> None:
        secret = [name for name in _secrets("settings", self.settings)]
        if secret:
            raise VenueError(
                f"venue: {', '.join(secret)} stands in a file; take it out, and set the environment "
                "variable that the adapter reads"
            )
        for name in ("config", "factory"):
            path = getattr(self, name)
            if path.count(":") != 1:
                raise VenueError(f"venue, {name}: {path!r}; give module:class")
            if not path.startswith(ADAPTERS) and not self.foreign_adapter:
                raise VenueError(
                    f"venue, {name}: {path} is not one of {ADAPTERS}*; --foreign_adapter true runs other code"
                )
        if not self.instruments:
            raise VenueError("venue, instruments: none; give each symbol its instrument id, BTCUSDT: BTCUSDT.BINANCE")
        if self.news is not None and not Path(self.news).is_file():
            raise VenueError(f"venue, news: no file at {self.news}; make one, to which your collector adds lines")
        self.step_s  # noqa: B018

    @classmethod
    def from_recipe(cls, said: Mapping[str, Any], foreign_adapter: bool = False) -> "Venue":
        """Of a recipe's `venue`; whether other code may run is not the recipe's to say."""
        known = set(cls.__dataclass_fields__) - {"foreign_adapter"}
        unknown, missing = (
            sorted(set(said) - known),
            sorted({"client", "config", "factory", "instruments", "bar"} - set(said)),
        )
        if unknown or missing:
            told = [f"unknown: {', '.join(unknown)}"] * bool(unknown) + [f"missing: {', '.join(missing)}"] * bool(
                missing
            )
            raise VenueError(f"venue: {'; '.join(told)}; there are {', '.join(sorted(known))}")
        return cls(**said, foreign_adapter=foreign_adapter)

    @property
    def step_s(self) -> int:
        """Seconds of a bar."""
        found = re.fullmatch(r"(\d+)-([A-Z]+)-[A-Z]+-(?:EXTERNAL|INTERNAL)", self.bar)
        if not found or found[2] not in UNITS:
            raise VenueError(f"venue, bar: {self.bar!r}; give one such as 1-MINUTE-LAST-EXTERNAL")
        return int(found[1]) * UNITS[found[2]]

    def local(self, ts: int) -> int:
        """A moment of the world's clock on the exchange's own."""
        seconds, rest = divmod(ts, SECOND)
        offset = datetime.fromtimestamp(seconds, ZoneInfo(self.zone)).utcoffset()
        assert offset is not None
        return (seconds + int(offset.total_seconds())) * SECOND + rest


@dataclass
class VenueFeed:
    """What a venue tells: the bars of one close together, with what else happened up to it.

    A bar is played when it has closed. A halt holds from the last close on, before the prices of the bar that is then
    under way; that it has ended, and news, wait for that bar and stand at their own moments within it.

    Attributes
    ----------
    venue : Venue
    stopped : callable
        Whether somebody has ended the run.
    kept : sequence of FeedEvent
        What an interrupted run was told already.
    grace_s : float
        Seconds in which the bars of one close are waited for.
    now : callable
        Nanoseconds of the world's clock.
    """

    venue: Venue
    stopped: Callable[[], bool]
    kept: Sequence[FeedEvent] = ()
    grace_s: float = GRACE_S
    now: Callable[[], int] = time.time_ns

    def __post_init__(self) -> None:
        venue = self.venue
        self._silent_after = 3.0 * venue.step_s if venue.silent_after_s is None else venue.silent_after_s
        given = [event for event in self.kept if isinstance(event, NewsItem)]
        self._news = None if venue.news is None else NewsFile(Path(venue.news), venue.instruments, given)
        # The last close that was told, and the last of which a bar has come.
        self._closed = self._latest = max((event.ts for event in self.kept), default=0)
        self._coming: list[FeedEvent] = []
        self._halts: list[Halt] = []
        self._heard: dict[str, float] = {}

    def batches(self) -> Iterator[list[list[FeedEvent]]]:
        """The moments of a close, close by close, until somebody stops; VenueError where the adapter has ended."""
        from flag_trl.live.adapter import serve

        context = multiprocessing.get_context("spawn")
        told: Any = context.Queue()
        child = context.Process(target=serve, args=(self.venue, told), daemon=True)
        child.start()
        try:
            yield from self.follow(told, child)
        finally:
            child.terminate()
            child.join(timeout=10)

    def follow(self, told: Any, child: Any) -> Iterator[list[list[FeedEvent]]]:
        """`batches` of what a process puts into a queue."""
        together: list[PriceBar] = []
        self._heard = dict.fromkeys(self.venue.instruments, time.monotonic())
        halted = {event.symbol: event.halted for event in self.kept if isinstance(event, Halt)}
        for symbol in [name for name, still in halted.items() if still]:
            yield [[FeedNotice("still halted", f"{symbol}, until {self.venue.client} says that it trades again")]]
        while not self.stopped():
            event = _next(told, self.grace_s)
            if isinstance(event, str):
                raise VenueError(f"{self.venue.client}: {event}")
            self._take(event)
            notices = [*self._read_news(), *self._silences()]
            if notices:
                yield [[notice] for notice in notices]
            bar = event if isinstance(event, PriceBar) else None
            if together and (event is None or bar is not None and bar.ts != together[0].ts):
                yield self._closing(together)
                together = []
            if self._halts and self._closed and not together:
                yield [[replace(halt, ts=self._closed + 2)] for halt in self._halts]
                self._halts = []
            if bar is not None:
                together.append(bar)
            elif event is None and not child.is_alive():
                raise VenueError(f"{self.venue.client}: the adapter's process has ended ({child.exitcode})")

    def _take(self, event: PriceBar | Halt | None) -> None:
        """Take in what the adapter has told."""
        if isinstance(event, PriceBar):
            self._latest = max(self._latest, event.ts)
            self._heard[event.symbol] = time.monotonic()
        elif event is not None and event.halted:
            # What ended an earlier one, and has not been told yet, is no longer true.
            self._coming = [other for other in self._coming if not _is_halt(other, event.symbol)]
            self._halts.append(event)
        elif event is not None:
            self._coming.append(replace(event, ts=max(event.ts, self._latest + 2)))

    def _read_news(self) -> Iterator[FeedEvent]:
        """Take in what was added to the news file, as known from now on, which is after the last close."""
        if self._news is None:
            return
        for found in self._news.read(max(self.venue.local(self.now()), self._latest + 2)):
            if isinstance(found, NewsItem):
                self._coming.append(found)
            else:
                yield found

    def _silences(self) -> Iterator[FeedEvent]:
        """Symbols of which no bar has come for long, each once until one comes."""
        now = time.monotonic()
        for symbol in [name for name, heard in self._heard.items() if now - heard > self._silent_after]:
            del self._heard[symbol]
            yield FeedNotice("silent", f"no bar of {symbol} from {self.venue.client} for {self._silent_after:g} s")

    def _closing(self, bars: Sequence[PriceBar]) -> list[list[FeedEvent]]:
        """Bars of one close, with what happened up to it; what came later waits for the next, as in training."""
        closed = bars[0].ts
        # Bars that come again, or late, are told and refused; the clock does not go back for them.
        self._closed = max(self._closed, closed)
        beside = [event for event in self._coming if event.ts <= closed]
        self._coming = [event for event in self._coming if event.ts > closed]
        return list(moments_of(bars, beside))


def _is_halt(event: FeedEvent, symbol: str) -> bool:
    return isinstance(event, Halt) and event.symbol == symbol


def _next(told: Any, grace_s: float) -> PriceBar | Halt | str | None:
    try:
        found: PriceBar | Halt | str = told.get(timeout=grace_s)
    except queue.Empty:
        return None
    return found


def _secrets(name: str, value: Any) -> Iterator[str]:
    """Names under which something stands that looks like a key, or an address with one in it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if SECRET.search(str(key)) and inner is not None:
                yield f"{name}.{key}"
            else:
                yield from _secrets(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(f"{name}.{number}", inner)
    elif isinstance(value, str) and WITH_PASSWORD.search(value):
        yield name
