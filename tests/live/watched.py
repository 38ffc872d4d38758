"""A run written by hand, and its page served."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from flag_trl.live import Journal

if find_spec("uvicorn") is None or find_spec("starlette") is None:
    pytest.skip("the page needs starlette and uvicorn", allow_module_level=True)

from flag_trl.live.watching.server import WatchServer, watch_app

DAY = 86_400 * 10**9
FIRST = 1_577_980_800 * 10**9
"""2020-01-02, 16:00."""
CAPITAL = 100_000.0
HOSTILE = (
    '<img src=x onerror="document.title=\'taken\'"></script><script>document.title="taken"</script> & \x1b[31mred'
)


class Writer:
    """A run of two symbols, written by hand: AAA is bought at its first close, BBB is never traded."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.journal, self.day = Journal(path), 0
        self.units, self.cash = {"AAA": 0.0, "BBB": 0.0}, {"AAA": CAPITAL / 2, "BBB": CAPITAL / 2}
        given: dict[str, Any] = {
            "symbols": ["AAA", "BBB"],
            "scheme": {"name": "signed", "actions": ["sell", "hold", "buy"], "grid": None},
            "limits": {"max_position": 1.0, "max_turnover": math.inf, "max_drawdown": 0.2, "at_stop": "hold"},
            "policy": {"name": "untrained"},
            "capital": CAPITAL,
            **settings,
        }
        self.journal.begin(given)

    @property
    def now(self) -> int:
        return FIRST + self.day * DAY

    def bar(self, price: float, **decision: Any) -> None:
        """A day: both symbols are marked at a price, and AAA is decided on."""
        self.day += 1
        for symbol, units in self.units.items():
            equity = self.cash[symbol] + units * price
            row = {"price": price, "units": units, "cash": self.cash[symbol], "equity": equity, "since_entry": 0.0}
            self.journal.put("accounts", {"ts": self.now, "symbol": symbol, **row})
        self.total(self.worth(price))
        self.decide(**decision)
        self.journal.commit()

    def worth(self, price: float) -> float:
        return sum(self.cash[symbol] + units * price for symbol, units in self.units.items())

    def total(self, equity: float, drawdown: float = 0.05) -> None:
        headroom = json.dumps({"max_turnover": [0.1, math.inf], "max_drawdown": [drawdown, 0.2]})
        row = {"cash": sum(self.cash.values()), "equity": equity, "engine_equity": equity, "headroom": headroom}
        self.journal.put("totals", {"ts": self.now, **row})

    def decide(self, symbol: str = "AAA", news: str = "Nothing happened.", **changed: Any) -> None:
        row = {
            "ts": self.now + 1,
            "symbol": symbol,
            "bar": self.day,
            "observation": "00",
            "market_text": f"{symbol}. Returns, 0.1%: +{self.day}.\n{news}",
            "account_text": "Position: flat.",
            "account": "{}",
            "legal": "[true, true, false]",
            "uniform": None,
            "probabilities": "[0.25, 0.75, 0.0]",
            "action": 1,
            "status": "ok",
            "why": "",
            "took_s": 0.5,
            **changed,
        }
        self.journal.put("decisions", row)

    def order(self, name: str, quantity: int, filled: float, price: float, what: str = "", why: str = "") -> None:
        """An order for AAA, a fill of some of it, and how it ended."""
        row = {"id": name, "ts": self.now + 2, "symbol": "AAA", "side": "buy", "quantity": quantity}
        said = {"kind": "market", "price": None, "time_in_force": "day", "target": 1.0}
        self.journal.put("orders", {**row, **said})
        if filled:
            self.journal.append("fills", {**row, "quantity": filled, "price": price, "commission": 1.0})
            self.units["AAA"] += filled
            self.cash["AAA"] -= filled * price + 1.0
        if what:
            self.journal.append("order_events", {"id": name, "ts": self.now + 3, "what": what, "why": why})
        self.journal.commit()

    def notice(self, kind: str, text: str, symbol: str = "") -> None:
        self.journal.append("notices", {"ts": self.now + 4, "kind": kind, "symbol": symbol, "text": text})
        self.journal.commit()

    def end(self, how: str) -> None:
        self.journal.ended(how)
        self.journal.close()


def three_days(folder: Path) -> Writer:
    """400 units bought of 500 at 100, the price then 110."""
    writer = Writer(folder / "night-run" / "journal.sqlite")
    writer.bar(100.0)
    writer.order("AAA-1", 500, 400.0, 100.0, "canceled", "a new bar")
    writer.bar(105.0)
    writer.bar(110.0, news=HOSTILE)
    return writer


@contextmanager
def served(path: Path, token: str | None = None) -> Iterator[WatchServer]:
    server = WatchServer(path, port=0)
    if token is not None:
        server.config.app = watch_app(path, token, lambda: server.should_exit)
    thread = threading.Thread(target=server.serve_page)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    pause, left = threading.Event(), seconds
    while not condition():
        assert left > 0, "it did not come about"
        pause.wait(0.05)
        left -= 0.05
