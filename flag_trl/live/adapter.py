"""A NautilusTrader data adapter at work, in a process of its own.

A process of its own, since an engine that simulates and one that is connected do not share a clock, and since an
adapter that dies must not take the account along.
"""

import json
from importlib import import_module
from typing import Any

from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.config import LiveDataClientConfig, TradingNodeConfig
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import MarketStatusAction
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from flag_trl.live.events import SECOND, Halt, PriceBar
from flag_trl.live.venue import Venue, VenueError

HALTED = {
    MarketStatusAction.HALT: True,
    MarketStatusAction.PAUSE: True,
    MarketStatusAction.SUSPEND: True,
    MarketStatusAction.NOT_AVAILABLE_FOR_TRADING: True,
    MarketStatusAction.TRADING: False,
}
"""What an instrument's status says of trading; others, such as those around an auction, say nothing of it."""


def serve(venue: Venue, told: Any) -> None:
    """Run the adapter and put what it says into a queue; of what goes wrong, a line. All that process does."""
    try:
        _node(venue, told).run()
    except Exception as error:
        told.put(f"{type(error).__name__}: {error}")


def _node(venue: Venue, told: Any) -> Any:
    step = venue.step_s * SECOND
    symbols = {instrument: symbol for symbol, instrument in venue.instruments.items()}

    class Forwarder(Strategy):
        def on_start(self) -> None:
            for instrument in symbols:
                self.subscribe_bars(BarType.from_str(f"{instrument}-{venue.bar}"))
                if venue.halts:
                    self.subscribe_instrument_status(InstrumentId.from_str(instrument))

        def on_bar(self, bar: Any) -> None:
            prices = {name: getattr(bar, name).as_double() for name in ("open", "high", "low", "close", "volume")}
            closed = venue.local(bar.ts_event)
            symbol = symbols[str(bar.bar_type.instrument_id)]
            told.put(PriceBar(symbol, closed, **prices, opened=closed - step + SECOND // 1000))

        def on_instrument_status(self, status: Any) -> None:
            halted = HALTED.get(status.action)
            if halted is not None:
                told.put(Halt(symbols[str(status.instrument_id)], venue.local(status.ts_event), halted))

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
