"""NautilusTrader's simulated exchange, set up as a recipe says."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from hashlib import blake2b

from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import FillModel, LatencyModel, MakerTakerFeeModel
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.enums import AccountType, BookType, CurrencyType, LiquiditySide, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import Equity, Instrument
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.model.orders import Order

from flag_trl.live.settings import Exchange, LiveSettings

VENUE = Venue("SIM")
DEEP = 10**12
"""Units that are always to be had."""


class Liquidity(FillModel):
    """What of an order is filled, and at which price.

    A buy fills ``slippage`` above the price at which the market stands, a sale as much below, as in training, and no
    more than a share of the bar's volume. At moments drawn for it the exchange has no market at all.
    """

    def __init__(self, slippage: float, exchange: Exchange) -> None:
        super().__init__()
        self._slippage = slippage
        self._exchange = exchange
        self._sizes: dict[str, float] = {}
        self._moments: dict[str, int] = {}

    def quoted(self, symbol: str, ts: int, size: float | None) -> bool:
        """Take in a price; returns whether the exchange has a market at this moment."""
        share = self._exchange.participation
        self._sizes[symbol] = size * share if share and size else DEEP
        self._moments[symbol] = ts
        return self._open(symbol)

    def get_orderbook_for_fill_simulation(
        self, instrument: Instrument, order: Order, best_bid: Price, best_ask: Price
    ) -> OrderBook | None:
        """The book that an order meets; one that waits is the engine's own matter: it fills at its price."""
        if order.liquidity_side == LiquiditySide.MAKER:
            return None
        symbol = instrument.id.symbol.value
        book = OrderBook(instrument_id=instrument.id, book_type=BookType.L2_MBP)
        if not self._open(symbol):
            return book
        size = Quantity(int(self._sizes[symbol]), 0)
        for number, (side, price) in enumerate(
            (
                (OrderSide.BUY, best_bid.as_double() * (1.0 - self._slippage)),
                (OrderSide.SELL, best_ask.as_double() * (1.0 + self._slippage)),
            ),
            1,
        ):
            book.add(BookOrder(side=side, price=instrument.make_price(price), size=size, order_id=number), 0, 0)
        return book

    def _open(self, symbol: str) -> bool:
        rate = self._exchange.reject_rate
        if not rate:
            return True
        content = f"{self._exchange.seed} {symbol} {self._moments[symbol]}".encode()
        return int.from_bytes(blake2b(content, digest_size=8).digest()) / 2**64 >= rate


def build_engine(
    symbols: Sequence[str], settings: LiveSettings
) -> tuple[BacktestEngine, dict[str, Instrument], Liquidity]:
    """An engine with one exchange, one account and an instrument for each symbol.

    An account that never sells short is a cash account, which refuses to; others are margin accounts without leverage.
    """
    exchange = settings.exchange
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("FLAG-TRL"), logging=LoggingConfig(bypass_logging=True), run_analysis=False
        )
    )
    money = currency(exchange.money_digits)
    shorts = min(settings.scheme.positions) < 0
    liquidity = Liquidity(settings.costs.slippage, exchange)
    latency = round(exchange.latency_ms * 1e6)
    # An order may meet a higher price than it was sized by. The engine would end over it; the books tell of it. The
    # register is the whole process's, and takes a name once.
    with suppress(KeyError):
        AccountFactory.register_cash_borrowing(VENUE.value)
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN if shorts else AccountType.CASH,
        base_currency=money,
        starting_balances=[Money(settings.capital, money)],
        default_leverage=Decimal(1),
        fill_model=liquidity,
        fee_model=MakerTakerFeeModel(),
        latency_model=LatencyModel(base_latency_nanos=latency) if latency else None,
        bar_execution=False,
    )
    instruments = {symbol: _equity(symbol, settings, money) for symbol in symbols}
    for instrument in instruments.values():
        engine.add_instrument(instrument)
    return engine, instruments, liquidity


def currency(digits: int) -> Currency:
    """Dollars with so many decimals."""
    if digits == USD.precision:
        return USD
    return Currency(f"USD{digits}", digits, 0, f"United States dollar, {digits} decimals", CurrencyType.FIAT)


def _equity(symbol: str, settings: LiveSettings, money: Currency) -> Equity:
    digits = settings.exchange.price_digits
    fee = Decimal(repr(settings.costs.commission))
    return Equity(
        instrument_id=InstrumentId(Symbol(symbol), VENUE),
        raw_symbol=Symbol(symbol),
        currency=money,
        price_precision=digits,
        price_increment=Price(10.0**-digits, digits),
        lot_size=Quantity.from_int(int(settings.lot_size)),
        maker_fee=fee,
        taker_fee=fee,
        ts_event=0,
        ts_init=0,
    )


def engine_equity(engine: BacktestEngine, instruments: Mapping[str, Instrument], prices: Mapping[str, float]) -> float:
    """What the engine's own account is worth at these prices, kept by NautilusTrader and independent of ours."""
    portfolio = engine.portfolio
    account = portfolio.account(VENUE)
    total = float(account.balance_total(account.base_currency))
    for symbol, instrument in instruments.items():
        position = float(portfolio.net_position(instrument.id))
        if position:
            if account.type == AccountType.CASH:
                total += position * prices[symbol]
            else:
                total += float(
                    portfolio.unrealized_pnl(instrument.id, Price(prices[symbol], instrument.price_precision))
                )
    return total
