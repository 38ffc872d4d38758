"""A venue on this machine: a NautilusTrader data adapter that reads bars and statuses from a socket on loopback."""

import asyncio
import json
import socketserver
import threading
import time
from typing import Any

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import LiveDataClientConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType, InstrumentStatus
from nautilus_trader.model.enums import MarketStatusAction
from nautilus_trader.model.identifiers import ClientId, InstrumentId, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Price, Quantity


class LocalConfig(LiveDataClientConfig, frozen=True):
    """Where the bars come from."""

    port: int = 0


class LocalClient(LiveMarketDataClient):
    """Connects when bars are asked for, and gives each line of the socket as one, or as a status."""

    def __init__(self, loop: Any, name: str, port: int, msgbus: Any, cache: Any, clock: Any) -> None:
        provider = InstrumentProvider()
        super().__init__(loop, ClientId(name), Venue(name), msgbus, cache, clock, provider)
        self._port = port

    async def _connect(self) -> None:
        instrument = InstrumentId.from_str(f"AAA.{self.id}")
        equity = Equity(instrument, instrument.symbol, USD, 2, Price(0.01, 2), Quantity.from_int(1), 0, 0)
        self._handle_data(equity)

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_bars(self, command: Any) -> None:
        self.create_task(self._read(command.bar_type))

    async def _subscribe_instrument_status(self, command: Any) -> None:
        pass

    async def _read(self, kind: BarType) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while line := await reader.readline():
            ts, *prices, volume = json.loads(line)
            if not prices:
                action = MarketStatusAction[volume]
                self._handle_data(InstrumentStatus(kind.instrument_id, action, ts, time.time_ns()))
                continue
            self._handle_data(Bar(kind, *(Price(p, 2) for p in prices), Quantity(volume, 0), ts, time.time_ns()))
        writer.close()


class LocalFactory(LiveDataClientFactory):
    """Makes the client."""

    @staticmethod
    def create(loop: Any, name: str, config: LocalConfig, msgbus: Any, cache: Any, clock: Any) -> LocalClient:
        return LocalClient(loop, name, config.port, msgbus, cache, clock)


class Server:
    """Sends lines to whoever connects, then keeps quiet."""

    def __init__(self, lines: list[str]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in lines:
                    self.wfile.write(line.encode() + b"\n")
                self.wfile.flush()
                closed.wait()

        closed = self._closed = threading.Event()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
