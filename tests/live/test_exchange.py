"""What the simulated exchange does to orders: time, liquidity, rejections, limits on prices."""

from dataclasses import replace

import numpy as np
import pytest

from flag_trl.accounts import AllIn, Costs, Signed
from flag_trl.data import DatedText, MarketData
from flag_trl.live import Exchange, LiveSettings, Orders
from tests.live.policies import Fixed, Moody

SELL, HOLD, BUY = range(3)
DAY_NS = 86_400_000_000_000


def bars(close, **columns) -> MarketData:
    dates = np.datetime64("2020-01-01") + np.arange(len(close))
    return MarketData("AAA", dates, np.array(close, float), **{k: np.array(v, float) for k, v in columns.items()})


def test_with_latency_an_order_meets_the_next_price(game):
    market = bars([100, 100, 110, 120])
    slow = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, exchange=Exchange(latency_ms=1.0))
    slow.play()
    assert slow.column("fills", "price").tolist() == [110.0]
    # Sized by the price that was known, so it costs more than there is, and that is said.
    assert slow.column("accounts", "cash").tolist() == [100_000.0, 0.0 - 10_000.0, -10_000.0][:3]
    assert "10,000.00 more than there was" in slow.notices("overdrawn")[0]
    at_once = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, name="at once")
    at_once.play()
    assert at_once.column("fills", "price").tolist() == [100.0]


def test_decided_in_the_evening_and_filled_at_the_open_that_comes_before_the_close(game):
    market = bars([100, 100, 120], open=[100, 99, 104], high=[101, 101, 121], low=[99, 98, 103], volume=[9e9] * 3)
    played = game(Fixed([BUY]), {"AAA": market}, 1, fill="next_open")
    played.play()
    (fill,) = played.journal.rows("fills")
    assert fill["price"] == 104.0 and fill["quantity"] == 961
    assert fill["ts"] == played.column("accounts", "ts")[-1] - 6.5 * 3600 * 1e9


def test_an_order_beyond_the_volume_is_filled_in_part_and_the_rest_is_cancelled(game):
    market = bars([100] * 5, volume=[2_000] * 5)
    orders, exchange = Orders(time_in_force="ioc"), Exchange(participation=0.1)
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, orders=orders, exchange=exchange)
    played.play()
    assert played.column("fills", "quantity").tolist() == [200.0]
    assert played.column("order_events", "what").tolist()[-1] == "canceled"
    assert played.column("accounts", "units").tolist() == [0.0, 200.0, 200.0, 200.0]


def test_where_hardly_anything_was_traded_nothing_can_be_had(game):
    market = bars([100] * 4, volume=[5] * 4)
    played = game(Fixed([BUY]), {"AAA": market}, 1, exchange=Exchange(participation=0.1))
    played.play()
    assert played.column("fills", "id").tolist() == []
    assert "no market" in played.notices("rejected")[0]


def test_a_bars_volume_is_spread_over_its_prices(game):
    market = bars([100] * 4, open=[100] * 4, high=[100] * 4, low=[100] * 4, volume=[4_000] * 4)
    played = game(Fixed([BUY, HOLD]), {"AAA": market}, 1, fill="next_open", exchange=Exchange(participation=0.1))
    played.play()
    assert played.column("fills", "quantity").tolist() == [100.0]


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
def test_an_exchange_without_a_market_fills_nothing(game, fill):
    columns = {name: [100] * 6 for name in ("open", "high", "low")}
    settings = {"fill": fill, "exchange": Exchange(reject_rate=1.0), "costs": Costs(slippage_bps=50)}
    for kind in (Orders(), Orders("limit", limit_bps=-1)):
        played = game(Fixed([BUY]), {"AAA": bars([100] * 6, **columns)}, 1, name=kind.kind, orders=kind, **settings)
        played.play()
        assert played.column("fills", "id").tolist() == [] and len(played.column("orders", "id")) > 2


def test_news_of_another_symbol_does_not_hurry_an_order(game):
    market = bars([100, 100, 110, 120])
    noon = np.datetime64("2020-01-02T18:00:00")
    other = replace(market, symbol="BBB", texts=(DatedText("news", "BBB rose.", noon),))
    for name, texts in (("with", other.texts), ("without", ())):
        markets = {"AAA": market, "BBB": replace(other, texts=texts)}
        played = game(Fixed([BUY, HOLD]), markets, 1, name=name, exchange=Exchange(latency_ms=1.0))
        played.play()
        assert played.column("fills", "price").tolist() == [110.0, 110.0]


def test_a_limit_order_that_pays_more_than_the_last_price_buys_with_all_cash(game):
    played = game(Fixed([BUY, HOLD]), {"AAA": bars([100] * 4)}, 1, orders=Orders("limit", limit_bps=20))
    played.play()
    assert played.column("fills", "quantity").tolist() == [1000.0] and played.notices() == []


def test_a_hundred_and_twenty_symbols_trade_at_one_close(game):
    markets = {f"S{n:03}": replace(bars([100] * 4), symbol=f"S{n:03}") for n in range(120)}
    played = game(Fixed([BUY, HOLD]), markets, 1, capital=1_200_000.0)
    played.play()
    assert len(played.column("fills", "id")) == 120 and played.notices() == []


def test_rejections_are_drawn_by_moment_and_leave_the_account_as_it_was(game, noisy):
    market = noisy("AAA", n=90, texts=False)
    played = game(Moody(), {"AAA": market}, 10, exchange=Exchange(reject_rate=0.3, price_digits=8, money_digits=8))
    played.play()
    orders, fills = played.column("orders", "id"), played.column("fills", "id")
    rejected = [row["id"] for row in played.journal.rows("order_events") if row["what"] == "rejected"]
    assert 0.1 < len(rejected) / len(orders) < 0.5
    assert set(rejected) | set(fills) == set(orders) and not set(rejected) & set(fills)
    np.testing.assert_allclose(played.column("totals", "engine_equity"), played.column("totals", "equity"), rtol=1e-9)
    again = game(Moody(), {"AAA": market}, 10, name="again", exchange=played.settings.exchange)
    again.play()
    assert again.journal.digest() == played.journal.digest()


def test_a_limit_order_fills_at_its_price_or_better_and_is_cancelled_when_the_bar_closes(game):
    low = [100, 100, 99.4, 99.9, 99.9]
    market = bars([100] * 5, open=[100] * 5, high=[100] * 5, low=low, volume=[1e6] * 5)
    waits = Orders("limit", limit_bps=-50)
    played = game(Fixed([BUY, BUY, HOLD]), {"AAA": market}, 1, orders=waits)
    played.play()
    (fill,) = played.journal.rows("fills")
    assert fill["price"] == 99.5
    unlucky = game(Fixed([BUY, BUY, HOLD]), {"AAA": bars([100] * 5)}, 1, name="unlucky", orders=waits)
    unlucky.play()
    assert unlucky.column("fills", "id").tolist() == []
    assert unlucky.column("order_events", "what").tolist() == ["accepted", "canceled"] * 2


def test_a_cash_account_is_for_those_who_never_sell_short(game, noisy):
    from nautilus_trader.model.enums import AccountType

    from flag_trl.live.exchange import VENUE

    kinds = []
    for scheme in (AllIn(), Signed()):
        played = game(Moody(), {"AAA": noisy("AAA", n=32)}, name=scheme.name, scheme=scheme)
        played.play()
        kinds.append(played.run.engine.portfolio.account(VENUE).type)
    assert kinds == [AccountType.CASH, AccountType.MARGIN]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lot_size": 0.5}, "lot_size: 0.5"),
        ({"costs": Costs(borrow_rate=0.1)}, "borrow_rate"),
        ({"decide_every": 0}, "decide_every"),
        ({"capital": 0.0}, "capital"),
        ({"fill": "tomorrow"}, "choose one of next_open, same_close"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LiveSettings(**settings)
