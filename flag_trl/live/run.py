"""A live run: a feed, an engine and a strategy, moment by moment, with a journal behind."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

from nautilus_trader.model.data import Bar, BarType, CustomData, DataType, InstrumentStatus, QuoteTick
from nautilus_trader.model.enums import MarketStatusAction
from nautilus_trader.model.objects import Quantity

from flag_trl.agent import Policy
from flag_trl.data import MarketData
from flag_trl.live.events import SECOND, ClockTick, FeedEvent, FeedNotice, Halt, MarketEvent, NewsItem, PriceBar, Quote
from flag_trl.live.exchange import build_engine, engine_equity
from flag_trl.live.feed import Feed, FeedError
from flag_trl.live.gate import Gate
from flag_trl.live.journal import Journal
from flag_trl.live.settings import LiveSettings
from flag_trl.live.strategy import MESSAGES, Command, Message, PolicyStrategy
from flag_trl.live.tape import head_of, history_rows

AGREE = 1e-6
"""Our books and the engine's own account may differ by this share of the capital, for rounded money."""


class StopSwitch:
    """Asked for by a signal or by `stop`; looked at between two moments."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.why = ""

    def stop(self, why: str) -> None:
        """End the run at the next moment."""
        self.why = self.why or why
        self._event.set()

    @property
    def set(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but not through a stop; returns whether there was one."""
        return self._event.wait(seconds)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within this context SIGTERM and SIGINT stop the run in order; a second one at once."""

        def handler(number: int, frame: FrameType | None) -> None:
            if self.set:
                raise KeyboardInterrupt
            self.stop(f"signal {signal.Signals(number).name}")

        before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)


@dataclass
class Pace:
    """How fast simulated time runs: `speed` seconds of it in one; None as fast as it goes."""

    speed: float | None = None

    def __post_init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def wait(self, ts: int, switch: StopSwitch) -> None:
        """Sleep until the moment has come."""
        if self.speed is None:
            return
        if self._began is None:
            self._began = time.monotonic(), ts
        wall, first = self._began
        left = wall + (ts - first) / SECOND / self.speed - time.monotonic()
        if left > 0:
            switch.wait(left)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    how : str
        ``ended`` with its feed, or ``stopped`` with the reason.
    decisions : int
        Asked of the policy by this process.
    asked_s, engine_s, total_s : float
        In the policy, in the rest of the run without pacing, and altogether.
    equity : float
    """

    how: str
    decisions: int
    asked_s: float
    engine_s: float
    total_s: float
    equity: float


def described(
    settings: LiveSettings, history: Mapping[str, MarketData], context: Mapping[str, list[str]]
) -> dict[str, Any]:
    """A run as its journal names it: all that another would have to have alike, and that a replay needs."""
    scheme = settings.scheme
    plain = {key: value for key, value in asdict(settings).items() if key != "scheme"}
    return {
        **plain,
        "scheme": {"name": scheme.name, "actions": scheme.actions, "grid": getattr(scheme, "grid", None)},
        "symbols": sorted(context),
        "context": dict(context),
        "markets": {symbol: head_of(market) for symbol, market in history.items()},
    }


class LiveRun:
    """One policy on one feed.

    Parameters
    ----------
    policy : Policy
    settings : LiveSettings
    history : mapping of str to MarketData
        What is known of each market before the run, of those beside the traded ones too.
    journal : Journal
        Begun; where it holds a part of the run already, that part is played again and must come out equal.
    context : mapping of str to list of str
        By traded symbol, the markets beside it.
    until : int, optional
        Moment of the feed's last bar.
    """

    def __init__(
        self,
        policy: Policy,
        settings: LiveSettings,
        history: Mapping[str, MarketData],
        journal: Journal,
        context: Mapping[str, list[str]],
        until: int | None = None,
    ) -> None:
        self.settings, self.journal = settings, journal
        self._gate = Gate(
            {name: float(market.close[-1]) for name, market in history.items()}, settings.limits.max_jump
        )
        self.engine, self.instruments, self._liquidity = build_engine(sorted(history), settings)
        self._bar_types = {
            symbol: BarType.from_str(f"{instrument.id}-{_step(history[symbol])}-LAST-EXTERNAL")
            for symbol, instrument in self.instruments.items()
        }
        self._traded = {symbol: self.instruments[symbol] for symbol in sorted(context)}
        self.strategy = PolicyStrategy(
            policy,
            settings,
            self._traded,
            history,
            context,
            self._bar_types,
            journal,
            until,
            self._gate.distrusted,
        )
        self.engine.add_strategy(self.strategy)
        # Makes the source of news known to the engine.
        self.engine.add_data([CustomData(DataType(Message), Message(0, None))], client_id=MESSAGES)
        self.engine.clear_data()
        self._engine_s = 0.0
        self._played = self._last_total = 0
        known = history_rows(history)
        self._now = max(row["ts"] for row in known["bars"])
        journal.put_history(known)
        self._inputs = list(journal.rows("inputs"))

    def play(
        self,
        feed: Feed,
        pace: Pace | None = None,
        switch: StopSwitch | None = None,
        on_moment: Callable[[int], None] = lambda ts: None,
    ) -> Outcome:
        """Play a feed to its end, or until somebody stops it."""
        pace, switch, began = pace or Pace(), switch or StopSwitch(), time.perf_counter()
        resumed = False
        self._repeat_inputs()
        try:
            for moment in feed.moments():
                ts = moment[0].ts
                if self.journal.repeated:
                    if not resumed and self._stopped_by_hand():
                        self._command("resume", "the run goes on")
                    resumed = True
                    pace.wait(ts, switch)
                if switch.set:
                    break
                self._moment(moment)
                self._played += 1
                on_moment(ts)
                self._repeat_inputs()
        except FeedError as error:
            switch.stop(f"the feed has ended: {error}")
        strategy, how = self.strategy, "ended"
        if switch.set and not self.journal.repeated:
            how = f"stopped before it had caught up: {switch.why}"
        else:
            if switch.set and strategy.stopped is None:
                self._command("stop", switch.why)
            if strategy.stopped is not None:
                how = f"stopped: {strategy.stopped}"
            if switch.why not in ("", strategy.stopped):
                how = f"{how}; then {switch.why}"
        total = time.perf_counter() - began
        return Outcome(
            how, strategy.deciding.decisions, strategy.deciding.asked_s, self._engine_s, total, strategy.books.total
        )

    def close(self) -> None:
        """Let go of the engine."""
        self.engine.dispose()

    def _moment(self, events: list[FeedEvent]) -> None:
        """Everything of one moment through the engine, then the account, then into the journal."""
        sound: list[Any] = []
        marked = False
        for event in events:
            if isinstance(event, FeedNotice):
                self._notice(event.kind, "", event.text)
                continue
            why = self._gate.refusal(event)
            if why is not None:
                self._notice("refused", getattr(event, "symbol", ""), f"{type(event).__name__}: {why}")
                continue
            if isinstance(event, NewsItem):
                self.journal.append("news", vars(event))
            marked |= isinstance(event, PriceBar) and event.symbol in self._traded
            sound += self._translated(event)
        fills = self.strategy.fills
        self._through_engine(sound)
        if marked:
            self._total(events[0].ts)
        else:
            self._total_closed(fills)
        self.journal.commit()

    def _through_engine(self, data: list[Any]) -> None:
        if not data:
            return
        began, asked = time.perf_counter(), self.strategy.deciding.asked_s
        self.engine.add_data(data, client_id=MESSAGES, validate=False, sort=False)
        self.engine.run(streaming=True)
        self.engine.clear_data()
        self._now = max(self._now, data[0].ts_init)
        self._engine_s += time.perf_counter() - began - (self.strategy.deciding.asked_s - asked)

    def _translated(self, event: MarketEvent) -> list[Any]:
        """As the engine's own data."""
        if isinstance(event, NewsItem):
            return [CustomData(DataType(Message), Message(event.ts, event))]
        if isinstance(event, ClockTick):
            return [CustomData(DataType(Message), Message(event.ts, None))]
        instrument = self.instruments[event.symbol]
        if isinstance(event, Halt):
            action = MarketStatusAction.HALT if event.halted else MarketStatusAction.TRADING
            return [InstrumentStatus(instrument.id, action, event.ts, event.ts)]
        if isinstance(event, Quote):
            return [self._quote(event)]
        prices = [event.open, event.high, event.low]
        made = [instrument.make_price(event.close if price is None else price) for price in prices]
        close = instrument.make_price(event.close)
        high, low = max(made[0], made[1], close), min(made[0], made[2], close)
        volume = Quantity(event.volume or 0.0, 6)
        return [Bar(self._bar_types[event.symbol], made[0], high, low, close, volume, event.ts, event.ts)]

    def _quote(self, quote: Quote) -> QuoteTick:
        """The price, and what can be had at it; where the exchange has no market, nothing."""
        instrument = self.instruments[quote.symbol]
        price = instrument.make_price(quote.price)
        size = Quantity(self._liquidity.quoted(quote.symbol, quote.ts, quote.size), 0)
        return QuoteTick(instrument.id, price, price, size, size, quote.ts, quote.ts)

    def _total(self, ts: int) -> None:
        """The account as a whole, in our books and in the engine's own, which must agree."""
        strategy, self._last_total = self.strategy, ts
        strategy.marked(ts)
        books = strategy.books
        prices = {symbol: books.price(symbol) for symbol in self._traded}
        engines = engine_equity(self.engine, self._traded, prices)
        row = {"ts": ts, "cash": float(books.state.cash.sum()), "equity": books.total, "engine_equity": engines}
        self.journal.put("totals", {**row, "headroom": json.dumps(strategy.guard.headroom)})
        rounded = (1 + strategy.fills) * 10.0**-self.settings.exchange.money_digits
        allowed = AGREE * self.settings.capital + rounded
        if abs(engines - books.total) > allowed and strategy.stopped is None:
            strategy.stop_trading(f"our books say {books.total:.4f}, the engine's account {engines:.4f}")

    def _total_closed(self, fills_before: int) -> None:
        """The account after orders that closed what a stopped run held, a nanosecond on: there no bar closes."""
        if self.strategy.stopped is not None and self.strategy.fills > fills_before:
            self._total(max(self._now, self._last_total) + 1)

    def _notice(self, kind: str, symbol: str, text: str) -> None:
        self.journal.append("notices", {"ts": self._now, "kind": kind, "symbol": symbol, "text": text})

    # The operator.

    def _command(self, what: str, why: str) -> None:
        """A word of the operator, kept before it is obeyed so that a run that goes on obeys it again."""
        self.journal.append("inputs", {"ts": self._now, "played": self._played, "what": what, "why": why})
        self.journal.commit()
        self._obey(what, why)

    def _obey(self, what: str, why: str) -> None:
        ts, fills = self._now, self.strategy.fills
        self._through_engine([CustomData(DataType(Message), Message(ts, Command(what, why)))])
        self._total_closed(fills)
        self.journal.commit()

    def _repeat_inputs(self) -> None:
        """What the operator wanted at this point of the run when it was played before."""
        while self._inputs and self._inputs[0]["played"] == self._played:
            row = self._inputs.pop(0)
            self.journal.append("inputs", {key: row[key] for key in ("ts", "played", "what", "why")})
            self._obey(row["what"], row["why"])

    def _stopped_by_hand(self) -> bool:
        """Whether what stopped the run was the operator, last and before any limit."""
        last = list(self.journal.rows("inputs"))[-1:]
        return bool(last) and last[0]["what"] == "stop" and last[0]["why"] == self.strategy.stopped


def _step(market: MarketData) -> str:
    return "1-MINUTE" if market.intraday else "1-DAY"
