"""The policy as a NautilusTrader strategy: bars and news in, target positions out, everything into the journal."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nautilus_trader.core.data import Data
from nautilus_trader.model.data import Bar, BarType, DataType, InstrumentStatus, QuoteTick
from nautilus_trader.model.enums import MarketStatusAction, OrderSide, TimeInForce
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from nautilus_trader.model.identifiers import ClientId, ClientOrderId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Quantity
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from flag_trl.agent import Policy
from flag_trl.data import MarketData
from flag_trl.live.books import Books
from flag_trl.live.deciding import Deciding
from flag_trl.live.events import SECOND, NewsItem, PriceBar, day_of
from flag_trl.live.guard import Guard, TargetPosition
from flag_trl.live.journal import Journal
from flag_trl.live.settings import LiveSettings
from flag_trl.live.tape import Tape

MESSAGES = ClientId("MESSAGES")
"""The source of what is neither price nor order: news, ticks, and what the operator wants."""


class Message(Data):
    """A `NewsItem`, or a word of the operator, on its way through the engine."""

    def __init__(self, ts: int, content: "NewsItem | Command | None") -> None:
        self.content = content
        self._ts = ts

    @property
    def ts_event(self) -> int:
        """When it became known."""
        return self._ts

    @property
    def ts_init(self) -> int:
        """The same: the engine learns it at once."""
        return self._ts


@dataclass(frozen=True)
class Command:
    """``stop`` or ``resume``, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Pending:
    """A decision whose order has not been sent yet."""

    weight: float
    decided_from: int


class PolicyStrategy(Strategy):
    """Trades what a policy decides.

    Parameters
    ----------
    policy : Policy
        An agent, or whatever else says what it is shown.
    settings : LiveSettings
    instruments : mapping of str to Instrument
        Those that are traded, by symbol.
    history : mapping of str to MarketData
        What is known of each market before the run, of those beside the traded ones too.
    context : mapping of str to sequence of str
        By traded symbol, the markets beside it.
    bar_types : mapping of str to BarType
        By symbol, of every market.
    journal : Journal
    until : int, optional
        Moment of the last bar, on which nothing is decided any more.
    distrusted : collection of str
        Symbols whose last price was not believed, as the feed's gate keeps them.
    """

    def __init__(
        self,
        policy: Policy,
        settings: LiveSettings,
        instruments: Mapping[str, Instrument],
        history: Mapping[str, MarketData],
        context: Mapping[str, Sequence[str]],
        bar_types: Mapping[str, BarType],
        journal: Journal,
        until: int | None = None,
        distrusted: Collection[str] = (),
    ) -> None:
        super().__init__(StrategyConfig(strategy_id="POLICY", order_id_tag="000"))
        self.settings = settings
        self.instruments = dict(sorted(instruments.items()))
        self.journal = journal
        self.books = Books(list(self.instruments), settings.capital, settings.scheme)
        self.guard = Guard(settings.limits, settings.capital)
        self.tapes = {symbol: Tape(market) for symbol, market in history.items()}
        self.stopped: str | None = None
        self.fills = 0
        self.deciding = Deciding(policy, settings, self.books, self.tapes, context, journal)
        self._bar_types, self._until = bar_types, until
        self._symbols = {kind: symbol for symbol, kind in bar_types.items()}
        self._since_decision = dict.fromkeys(self.instruments, settings.decide_every - 1)
        self._due: dict[str, int] = {}
        self._pending: dict[str, Pending] = {}
        self._halted: set[str] = set()
        self._distrusted = distrusted
        self._on_the_way: dict[str, tuple[Order, int]] = {}
        self._closing: set[str] = set()
        self._held_back: set[str] = set()
        self._order_number = 0

    # What comes in.

    def on_start(self) -> None:
        """Ask the engine for bars, prices and news."""
        for symbol, kind in self._bar_types.items():
            self.subscribe_bars(kind)
            if symbol in self.instruments:
                self.subscribe_quote_ticks(kind.instrument_id)
                self.subscribe_instrument_status(kind.instrument_id)
        self.subscribe_data(DataType(Message), client_id=MESSAGES)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """A price: what is on its way arrives, and decisions of the evening before become orders."""
        symbol = tick.instrument_id.symbol.value
        self.books.priced(symbol, (tick.bid_price.as_double() + tick.ask_price.as_double()) / 2)
        if symbol in self._halted:
            return
        if symbol in self._on_the_way and tick.ts_event >= self._on_the_way[symbol][1]:
            self.submit_order(self._on_the_way.pop(symbol)[0])
        self._flatten(symbol)
        pending = self._pending.pop(symbol, None)
        if pending is not None:
            self.guard.marked(day_of(tick.ts_event), self.books.total)
            self._order(symbol, pending)

    def on_instrument_status(self, data: InstrumentStatus) -> None:
        """A symbol is halted, or trades again."""
        symbol = data.instrument_id.symbol.value
        halted = data.action == MarketStatusAction.HALT
        (self._halted.add if halted else self._halted.discard)(symbol)
        if halted:
            self._cancel(symbol)
        self._notice("halt", symbol, "the exchange has halted it" if halted else "it trades again")

    def on_data(self, data: Message) -> None:
        """News, or a word of the operator."""
        if isinstance(data.content, NewsItem):
            self.tapes[data.content.symbol].add_news(data.content)
        elif isinstance(data.content, Command):
            if data.content.what == "stop":
                self.stop_trading(data.content.why)
            elif data.content.what == "resume" and self.stopped is not None:
                self.stopped = None
                self._notice("resume", "", data.content.why)

    def on_bar(self, bar: Bar) -> None:
        """A bar has closed: mark, cancel what is left of the bar before, and decide when all of its news is known."""
        symbol = self._symbols[bar.bar_type]
        prices = {name: getattr(bar, name).as_double() for name in ("open", "high", "low", "close", "volume")}
        taken = self.tapes[symbol].add_bar(PriceBar(symbol, bar.ts_event, **prices))
        self.journal.put("bars", {**vars(taken), "history": 0})
        if symbol not in self.instruments:
            return
        self.books.mark(symbol, taken.close)
        self.deciding.remember(symbol)
        self._write_account(symbol, taken)
        self._cancel(symbol)
        self._pending.pop(symbol, None)
        self._since_decision[symbol] += 1
        last = self._until is not None and taken.ts >= self._until
        if last or self.stopped is not None or self._since_decision[symbol] < self.settings.decide_every:
            return
        self._since_decision[symbol] = 0
        self._due[symbol] = taken.ts
        self._set_alert(self.tapes[symbol].decided_at(self.settings.fill == "next_open"))

    def _write_account(self, symbol: str, bar: PriceBar) -> None:
        books = self.books
        row = {"units": books.units(symbol), "cash": books.cash(symbol), "equity": books.equity(symbol)}
        row["since_entry"] = books.since_entry(symbol)
        self.journal.put("accounts", {"ts": bar.ts, "symbol": symbol, "price": bar.close, **row})

    def _set_alert(self, moment: int) -> None:
        """Wake up when all that a decision may use is known, once for all symbols."""
        alert = f"decide {moment}"
        if alert not in self.clock.timer_names:
            self.clock.set_time_alert_ns(alert, moment + 1, self._decide_due)

    # What is decided.

    def _decide_due(self, event: Any) -> None:
        due, self._due = dict(sorted(self._due.items())), {}
        due = {symbol: ts for symbol, ts in due.items() if not self._shut(symbol)}
        if not due or self.stopped is not None:
            return
        rows = self.deciding.decide(list(due), event.ts_event)
        for row in rows:
            weight = self.deciding.weight(row)
            if weight is not None:
                self._pending[row["symbol"]] = Pending(weight, due[row["symbol"]])
        for status, why in dict.fromkeys((row["status"], row["why"]) for row in rows if row["status"] != "ok"):
            self._notice(status, "", why)
        if self.deciding.failures >= self.settings.limits.max_failures:
            self.stop_trading(f"max_failures: the policy failed {self.deciding.failures} times in a row")
        if self.settings.fill == "same_close":
            for symbol in [name for name in due if name in self._pending]:
                self._order(symbol, self._pending.pop(symbol))

    # What is ordered.

    def _order(self, symbol: str, pending: Pending) -> None:
        """Send the order that leads to a target weight, as far as the limits allow."""
        books, settings = self.books, self.settings
        if self.stopped is not None or self._shut(symbol):
            return
        if self.under_way(symbol):
            self._notice("order under way", symbol, "the last order has not ended, so no other is sent")
            return
        held = books.units(symbol)
        wanted = books.wanted_units(symbol, pending.weight, settings.costs, settings.lot_size)
        age = (self.clock.timestamp_ns() - pending.decided_from) / SECOND
        target = TargetPosition(symbol, held, wanted, books.price(symbol), books.equity(symbol), age)
        allowed, why = self.guard.judge(target)
        if why is not None:
            self._notice("limit", symbol, why)
        self._trade(symbol, allowed - held, pending.weight)

    def _trade(self, symbol: str, units: float, target: float | None) -> None:
        """Send an order, kept before it leaves; without a target it closes what a stopped run holds."""
        if round(units) == 0:
            return
        order, now = self._order_for(symbol, round(units), closing=target is None), self.clock.timestamp_ns()
        row = {
            "id": order.client_order_id.value,
            "ts": now,
            "symbol": symbol,
            "side": "buy" if units > 0 else "sell",
            "quantity": abs(round(units)),
            "kind": "limit" if order.has_price else "market",
            "price": order.price.as_double() if order.has_price else None,
            "time_in_force": order.tif_string().lower(),
            "target": target,
        }
        self.journal.put("orders", row)
        self.journal.commit()
        self.guard.traded(units * self.books.price(symbol))
        latency = round(self.settings.exchange.latency_ms * 1e6)
        if target is None:
            self._closing.add(row["id"])
        if latency and target is not None:
            self._on_the_way[symbol] = order, now + latency
        else:
            self.submit_order(order)

    def _order_for(self, symbol: str, units: int, closing: bool) -> Order:
        """The engine's order. Closing ones are market orders, whatever the style."""
        instrument, style, held = self.instruments[symbol], self.settings.orders, self.books.units(symbol)
        self._order_number += 1
        force = TimeInForce.DAY if closing else TimeInForce[style.time_in_force.upper()]
        given = {
            "instrument_id": instrument.id,
            "order_side": OrderSide.BUY if units > 0 else OrderSide.SELL,
            "quantity": Quantity.from_int(abs(units)),
            "reduce_only": held * units < 0.0 and abs(units) <= abs(held),
            # The same order has the same name in a run that goes on, so that it is never a second one.
            "client_order_id": ClientOrderId(f"{symbol}-{self._order_number}"),
        }
        if style.kind == "limit" and not closing:
            beyond = (1 if units > 0 else -1) * style.limit_bps * 1e-4
            price = instrument.make_price(self.books.price(symbol) * (1.0 + beyond))
            return self.order_factory.limit(price=price, time_in_force=force, **given)
        if self.settings.exchange.participation and force != TimeInForce.FOK:
            # What a bounded exchange does not have is cancelled; the engine would fill it a tick worse.
            force = TimeInForce.IOC
        return self.order_factory.market(time_in_force=force, **given)

    def stop_trading(self, why: str) -> None:
        """Cancel what is open, flatten or hold, and decide nothing more."""
        if self.stopped is not None:
            return
        self.stopped = why
        self._pending.clear()
        self._due.clear()
        self._notice("stop", "", why)
        for symbol in self.instruments:
            self._cancel(symbol)
            self._flatten(symbol)

    def _cancel(self, symbol: str) -> None:
        """Cancel what is open of a symbol, and what has not arrived yet."""
        self.cancel_all_orders(self.instruments[symbol].id)
        if symbol in self._on_the_way:
            name = self._on_the_way.pop(symbol)[0].client_order_id.value
            row = {"id": name, "ts": self.clock.timestamp_ns(), "what": "canceled", "why": "before it arrived"}
            self.journal.append("order_events", row)

    def _flatten(self, symbol: str) -> None:
        """Close what a stopped run holds, if it is to; where that fails, at the symbol's next price again."""
        units = self.books.units(symbol)
        if self.stopped is None or self.settings.limits.at_stop != "flatten" or not units or self.under_way(symbol):
            return
        if not self._shut(symbol):
            self._trade(symbol, -units, None)
        elif symbol not in self._held_back:
            self._held_back.add(symbol)
            self._notice("still held", symbol, f"{units:g} units: it is halted, or its price is not believed")

    def _shut(self, symbol: str) -> bool:
        """Whether a symbol cannot be traded, or at no price that is known."""
        return symbol in self._halted or symbol in self._distrusted

    def under_way(self, symbol: str) -> bool:
        """Whether an order of a symbol has not ended yet."""
        instrument = self.instruments[symbol].id
        return bool(
            symbol in self._on_the_way
            or self.cache.orders_open(instrument_id=instrument)
            or self.cache.orders_inflight(instrument_id=instrument)
        )

    # What came of it.

    def on_order_event(self, event: OrderEvent) -> None:
        """Write down what has become of an order."""
        kinds = {
            OrderAccepted: "accepted",
            OrderCanceled: "canceled",
            OrderExpired: "expired",
            OrderRejected: "rejected",
            OrderDenied: "denied",
        }
        what = kinds.get(type(event))
        if what is None:
            return
        why = getattr(event, "reason", "")
        name = event.client_order_id.value
        self.journal.append("order_events", {"id": name, "ts": event.ts_event, "what": what, "why": str(why)})
        if what in ("rejected", "denied"):
            self._notice(what, event.instrument_id.symbol.value, f"{name}: {why}")
        elif what == "accepted" and self.stopped is not None:
            self.cancel_order(self.cache.order(event.client_order_id))
        elif what != "accepted" and name not in self._closing:
            self._flatten(event.instrument_id.symbol.value)

    def on_order_filled(self, event: OrderFilled) -> None:
        """Book a fill, or a part of one."""
        symbol, name = event.instrument_id.symbol.value, event.client_order_id.value
        quantity, price = event.last_qty.as_double(), event.last_px.as_double()
        commission = event.commission.as_double()
        buy = event.order_side == OrderSide.BUY
        row = {"ts": event.ts_event, "symbol": symbol, "side": "buy" if buy else "sell", "quantity": quantity}
        self.journal.append("fills", {"id": name, **row, "price": price, "commission": commission})
        self.fills += 1
        self.books.filled(symbol, quantity if buy else -quantity, price, commission)
        if buy and self.books.units(symbol) > 0 and self.books.cash(symbol) < -0.005 * self.settings.capital:
            overdrawn = -self.books.cash(symbol)
            self._notice("overdrawn", symbol, f"{name}: the price had moved on, {overdrawn:,.2f} more than there was")
        if name not in self._closing:
            self._flatten(symbol)

    def marked(self, ts: int) -> None:
        """The whole account at the end of a moment with bars, after which the run may have to stop."""
        self.guard.marked(day_of(ts), self.books.total)
        if self.guard.broken is not None and self.stopped is None:
            self.stop_trading(self.guard.broken)

    def _notice(self, kind: str, symbol: str, text: str) -> None:
        self.journal.append("notices", {"ts": self.clock.timestamp_ns(), "kind": kind, "symbol": symbol, "text": text})
