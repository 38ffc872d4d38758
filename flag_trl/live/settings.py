"""What a live run is told: how it trades, what its exchange is like, and where it must stop."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from flag_trl.accounts import AllIn, Costs, PositionScheme

OrderKind = Literal["market", "limit"]
TimeInForce = Literal["day", "gtc", "ioc", "fok"]
AtStop = Literal["flatten", "hold"]
FillAt = Literal["next_open", "same_close"]


@dataclass(frozen=True)
class Orders:
    """How a target position becomes an order.

    Attributes
    ----------
    kind : {"market", "limit"}
    limit_bps : float
        How far beyond the last price a limit order may pay, in basis points of it; below zero it waits for a better
        price.
    time_in_force : {"day", "gtc", "ioc", "fok"}
        What is open is cancelled when the symbol's next bar closes, whatever this says: ``day`` and ``gtc`` are alike.
    """

    kind: OrderKind = "market"
    limit_bps: float = 0.0
    time_in_force: TimeInForce = "day"

    def __post_init__(self) -> None:
        _one_of("orders, kind", self.kind, get_args(OrderKind))
        _one_of("orders, time_in_force", self.time_in_force, get_args(TimeInForce))
        if not abs(self.limit_bps) < 10_000:
            raise ValueError(f"orders, limit_bps: {self.limit_bps} is no distance from a price; give basis points")


@dataclass(frozen=True)
class Exchange:
    """The simulated exchange, apart from commission and slippage.

    Attributes
    ----------
    latency_ms : float
        From the sending of an order to its arrival. Above zero, an order meets the symbol's first price after that.
    participation : float
        Share of the volume at a price that a market order may take; what is beyond it is cancelled. A bar's volume
        is spread evenly over its prices. 0 for no bound, and none holds where there is no volume, nor for limit
        orders that wait.
    reject_rate : float
        Share of moments at which the exchange has no market and rejects orders; drawn by the seed, symbol and moment.
    price_digits, money_digits : int
        Decimals of prices and of account balances.
    seed : int
    """

    latency_ms: float = 0.0
    participation: float = 0.0
    reject_rate: float = 0.0
    price_digits: int = 4
    money_digits: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        _within("exchange, latency_ms", self.latency_ms, 0.0, 86_400_000.0)
        _within("exchange, participation", self.participation, 0.0, 1.0)
        _within("exchange, reject_rate", self.reject_rate, 0.0, 1.0)
        for name in ("price_digits", "money_digits"):
            _within(f"exchange, {name}", getattr(self, name), 0, 12)


@dataclass(frozen=True)
class Limits:
    """What is checked before every order, outside the model; fractions of equity unless said otherwise.

    Orders that only make a position smaller pass all of them but those on the data.

    Attributes
    ----------
    max_position : float
        Size of one symbol's position, of that symbol's part of the equity.
    max_order : float
        Size of one order, likewise; from short to long is 2, and more where the short has grown.
    max_turnover : float
        Bought and sold in a day, of the whole account.
    max_loss : float
        Loss since the day before, from which on nothing is added that day.
    max_drawdown : float
        Fall from the highest equity at which the run stops.
    max_jump : float
        Change of a price from one bar to the next that is not believed.
    max_age_s : float
        Seconds between the bar that a decision was made from and its order.
    answer_within_s : float
        Seconds that the policy has; later its answer does not count. 0 waits.
    max_failures : int
        Times in a row that the policy may fail, by an answer that is none or by an error, before the run stops. Late
        answers do not count.
    at_stop : {"flatten", "hold"}
        What becomes of positions when the run is stopped; open orders are cancelled.
    """

    max_position: float = 1.0
    max_order: float = 3.0
    max_turnover: float = math.inf
    max_loss: float = 1.0
    max_drawdown: float = 1.0
    max_jump: float = 0.5
    max_age_s: float = 5 * 86_400.0
    answer_within_s: float = 0.0
    max_failures: int = 3
    at_stop: AtStop = "hold"

    def __post_init__(self) -> None:
        _one_of("limits, at_stop", self.at_stop, get_args(AtStop))
        for limit in fields(self):
            value = getattr(self, limit.name)
            if limit.name != "at_stop" and not value >= 0:
                raise ValueError(f"limits, {limit.name}: {value}; give a number that is not negative")
        if self.max_failures < 1:
            raise ValueError("limits, max_failures: 0; give 1 to stop at the first")


@dataclass(frozen=True)
class LiveSettings:
    """A live run.

    Attributes
    ----------
    scheme : PositionScheme
        As in the policy's training.
    fill : {"next_open", "same_close"}
        Whether orders are sent with the first price after the decision's evening, or at once.
    costs : Costs
        What the exchange charges and orders are sized by; a borrowing fee is not charged by it.
    capital : float
        Money at the start, an equal part for each symbol.
    lot_size : float
        Units of a lot, a whole number.
    decide_every : int
        Bars from one decision on a symbol to the next: 1 each bar, 5 each week of daily bars.
    sampled : bool
        Whether actions are drawn; otherwise the likeliest is taken.
    seed : int
        Of the draws.
    orders, exchange, limits
    """

    scheme: PositionScheme = AllIn()
    fill: FillAt = "next_open"
    costs: Costs = Costs()
    capital: float = 100_000.0
    lot_size: float = 1.0
    decide_every: int = 1
    sampled: bool = False
    seed: int = 0
    orders: Orders = field(default_factory=Orders)
    exchange: Exchange = field(default_factory=Exchange)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        _one_of("fill", self.fill, get_args(FillAt))
        if self.lot_size < 1 or self.lot_size != int(self.lot_size):
            raise ValueError(
                f"lot_size: {self.lot_size}; the exchange trades whole units, so give 1, or the units of a larger lot"
            )
        if self.decide_every < 1:
            raise ValueError(f"decide_every: {self.decide_every}; give 1 for each bar")
        if self.costs.borrow_rate:
            raise ValueError("borrow_rate: the simulated exchange lends at no fee; give 0")
        if not 0.0 < self.capital < math.inf:
            raise ValueError(f"capital: {self.capital}; give a positive amount of money")


def _one_of(what: str, given: object, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise ValueError(f"{what}: {given!r}; choose one of {', '.join(allowed)}")


def _within(what: str, given: float, low: float, high: float) -> None:
    if not low <= given <= high:
        raise ValueError(f"{what}: {given}; give a number from {low:g} to {high:g}")
