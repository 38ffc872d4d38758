"""NautilusTrader's simulated exchange, set up as a recipe says."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import FillModel, MakerTakerFeeModel
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.enums import AccountType, BookType, CurrencyType, LiquiditySide, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import Equity, Instrument
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.model.orders import Order

from flag_trl.live.asking import keyed_uniform
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
        self._sizes: dict[str, int] = {}

    def quoted(self, symbol: str, ts: int, size: float | None) -> int:
        """Take in a price; returns the units that can be had at it, 0 where the exchange has no market."""
        share = self._exchange.participation
        units = int(size * share) if share and size is not None else DEEP
        drawn = keyed_uniform(self._exchange.seed, symbol, ts)
        self._sizes[symbol] = units if drawn >= self._exchange.reject_rate else 0
        return self._sizes[symbol]

    def get_orderbook_for_fill_simulation(
        self, instrument: Instrument, order: Order, best_bid: Price, best_ask: Price
    ) -> OrderBook | None:
        """The book that an order meets; one that waits is the engine's own matter: it fills at its price."""
        if order.liquidity_side == LiquiditySide.MAKER:
            return None
        symbol = instrument.id.symbol.value
        book = OrderBook(instrument_id=instrument.id, book_type=BookType.L2_MBP)
        size = Quantity(self._sizes[symbol], 0)
        if not self._sizes[symbol]:
            # Nor is there anything in the engine's own book, to which it turns then: the order is rejected.
            return book
        for number, (side, price) in enumerate(
            (
                (OrderSide.BUY, best_bid.as_double() * (1.0 - self._slippage)),
                (OrderSide.SELL, best_ask.as_double() * (1.0 + self._slippage)),
            ),
            1,
        ):
            book.add(BookOrder(side=side, price=instrument.make_price(price), size=size, order_id=number), 0, 0)
        return book


def build_engine(
    symbols: Sequence[str], settings: LiveSettings
) -> tuple[BacktestEngine, dict[str, Instrument], Liquidity]:
    """An engine with one exchange, one account and an instrument for each symbol.

    An account that never sells short is a cash account, which refuses to; others are margin accounts without leverage.
    """
    exchange = settings.exchange
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("FLAG-TRL"),
            logging=LoggingConfig(bypass_logging=True),
            # Limits are this package's own; the engine's would count waiting orders' prices and orders a second.
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    money = currency(exchange.money_digits)
    shorts = min(settings.scheme.positions) < 0
    liquidity = Liquidity(settings.costs.slippage, exchange)
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
