"""Bars from a venue: a NautilusTrader data adapter in a process of its own, read through a queue.

A process of its own, since an engine that simulates and one that is connected do not share a clock, and since an
adapter that dies must not take the account along.
"""

import json
import multiprocessing
import queue
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from flag_trl.live.events import SECOND, Happening, PriceBar
from flag_trl.live.feed import FeedError, moments_of

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


@dataclass(frozen=True)
class VenueFeed:
    """A venue's bars as moments, those of one close together."""

    venue: Venue
    stopped: Callable[[], bool]
    grace_s: float = GRACE_S

    def moments(self) -> Iterator[list[Happening]]:
        """Until somebody stops; VenueError where the adapter's process has ended by itself."""
        context = multiprocessing.get_context("spawn")
        bars: Any = context.Queue()
        child = context.Process(target=serve, args=(self.venue, bars), daemon=True)
        child.start()
        try:
            together: list[PriceBar] = []
            while not self.stopped():
                bar = _next(bars, self.grace_s)
                if isinstance(bar, str):
                    raise VenueError(f"{self.venue.client}: {bar}")
                if together and (bar is None or bar.ts != together[0].ts):
                    yield from moments_of(together)
                    together = []
                if bar is not None:
                    together.append(bar)
                elif not child.is_alive():
                    raise VenueError(f"{self.venue.client}: the adapter's process has ended ({child.exitcode})")
        finally:
            child.terminate()
            child.join(timeout=10)


def _next(bars: Any, grace_s: float) -> PriceBar | str | None:
    try:
        found: PriceBar | str = bars.get(timeout=grace_s)
    except queue.Empty:
        return None
    return found


def serve(venue: Venue, bars: Any) -> None:
    """Run the adapter and put its bars into a queue; of what goes wrong, a line. The other process's whole work."""
    try:
        _node(venue, bars).run()
    except Exception as error:
        bars.put(f"{type(error).__name__}: {error}")


def _node(venue: Venue, bars: Any) -> Any:
    from nautilus_trader.common.config import LoggingConfig
    from nautilus_trader.config import LiveDataClientConfig, TradingNodeConfig
    from nautilus_trader.live.factories import LiveDataClientFactory
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.model.data import BarType
    from nautilus_trader.trading.strategy import Strategy

    step = venue.step_s * SECOND
    symbols = {f"{instrument}-{venue.bar}": symbol for symbol, instrument in venue.instruments.items()}

    class Forwarder(Strategy):
        def on_start(self) -> None:
            for kind in symbols:
                self.subscribe_bars(BarType.from_str(kind))

        def on_bar(self, bar: Any) -> None:
            prices = {name: getattr(bar, name).as_double() for name in ("open", "high", "low", "close", "volume")}
            closed = venue.local(bar.ts_event)
            bars.put(PriceBar(symbols[str(bar.bar_type)], closed, **prices, opened=closed - step + SECOND // 1000))

    config = TradingNodeConfig(
        trader_id="FLAG-TRL-001",
        logging=LoggingConfig(log_level="ERROR"),
        data_clients={
            venue.client: _named(venue.config, LiveDataClientConfig).parse(json.dumps(dict(venue.settings)))
        },
    )
    node = TradingNode(config=config)
    node.add_data_client_factory(venue.client, _named(venue.factory, LiveDataClientFactory))
    node.trader.add_strategy(Forwarder())
    node.build()
    return node


def _named(path: str, kind: type) -> Any:
    """A class by its path, if it is of the kind that is needed there."""
    module, name = path.split(":")
    found = getattr(import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise VenueError(f"{path} is no {kind.__name__}")
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
