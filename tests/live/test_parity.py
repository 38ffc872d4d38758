"""The engine and the training environment are one market: same decisions, same prices, same equity."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.live_parity import Once
from flag_trl.accounts import AllIn, Costs, Signed, Target
from flag_trl.agent import Agent
from flag_trl.backtest import run_backtest
from flag_trl.data import MarketData, Period, load_market
from flag_trl.envs import TradingRules
from flag_trl.live import Exchange
from flag_trl.observations import ObservationConfig
from flag_trl.policy import LLMPolicy
from tests.conftest import REPOSITORY
from tests.live.policies import EVERYTHING, Moody

STOCKNET = REPOSITORY.parent / "shared" / "data" / "stocknet"
RELATIVE = 1e-6
FREE = Costs()


def both(game, agent, markets: dict[str, MarketData], first: int, scheme, fill, costs=FREE, **exchange):
    """Equity by the environment and by the engine, ours and its own; the ledgers, and the engine's run."""
    policy = Once(agent)
    capital = 100_000.0
    fine = Exchange(price_digits=8, money_digits=8, **exchange)
    settings = {"scheme": scheme, "fill": fill, "costs": costs, "capital": capital * len(markets), "exchange": fine}
    played = game(policy, markets, first, **settings)
    played.play()
    assert played.notices() == []
    policy.closed = True
    some = next(iter(markets.values()))
    period = Period("same", some.dates[first], some.dates[-1])
    rules = TradingRules(scheme=scheme, fill=fill, costs=costs, initial_capital=capital, lot_size=1.0)
    ledgers = run_backtest(policy, markets, [period], rules)
    environment = sum(ledger.equity["equity"].to_numpy() for ledger in ledgers)
    return environment, played.column("totals", "equity"), played.column("totals", "engine_equity"), ledgers, played


def of_period(market: MarketData, start: str, end: str) -> tuple[MarketData, int]:
    """A market that ends with a period, and the period's first bar."""
    first, stop = market.index_range(start, end)
    columns = {name: getattr(market, name) for name in ("open", "high", "low", "volume")}
    cut = {name: None if values is None else values[:stop] for name, values in columns.items()}
    return replace(market, dates=market.dates[:stop], close=market.close[:stop], **cut), first


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
@pytest.mark.parametrize("costs", [Costs(), Costs(commission_bps=5, slippage_bps=3)], ids=["free", "costly"])
@pytest.mark.parametrize(
    "scheme", [AllIn(), Signed(), Target((-0.5, 0.0, 0.5, 1.0))], ids=["all_in", "signed", "target"]
)
def test_the_engines_equity_is_the_environments_and_so_is_every_observation(game, noisy, scheme, fill, costs):
    markets = {symbol: noisy(symbol) for symbol in ("BBB", "AAA")}
    environment, ours, engines, ledgers, played = both(game, Moody(EVERYTHING), markets, 30, scheme, fill, costs)
    assert len(played.column("fills", "price")) > 20
    np.testing.assert_allclose(ours, environment, rtol=RELATIVE)
    np.testing.assert_allclose(engines, environment, rtol=RELATIVE)


@pytest.mark.parametrize("scheme", [AllIn(), Signed()], ids=["all_in", "signed"])
@pytest.mark.real_model
def test_smollm2_earns_the_same_on_msft_at_the_close(game, real_model, scheme):
    # A quarter; `benchmarks.live_parity` plays all of 2020 to 2022.
    market, first = of_period(load_market("sample", "MSFT"), "2020-02-03", "2020-04-30")
    agent = Agent(LLMPolicy.from_pretrained(real_model), ObservationConfig(past_returns=2, indicators=[]))
    environment, ours, engines, ledgers, _ = both(game, agent, {"MSFT": market}, first, scheme, "same_close")
    assert len(ours) == 62 and len(ledgers[0].trades) > 5
    np.testing.assert_allclose(ours, environment, rtol=RELATIVE)
    np.testing.assert_allclose(engines, environment, rtol=RELATIVE)


@pytest.mark.skipif(not STOCKNET.is_dir(), reason="StockNet's data are not there")
@pytest.mark.real_model
def test_smollm2_earns_the_same_on_stocknet_at_the_open(game, real_model):
    shown = ObservationConfig(past_returns=2, indicators=[], news_items=1, news_budget=20)
    agent = Agent(LLMPolicy.from_pretrained(real_model), shown)
    markets, first = {}, 0
    for symbol in ("MSFT", "T"):
        markets[symbol], first = of_period(load_market(str(STOCKNET), symbol), "2015-11-02", "2015-12-31")
    environment, ours, engines, ledgers, _ = both(game, agent, markets, first, Signed(), "next_open")
    assert sum(len(ledger.trades) for ledger in ledgers) > 10
    np.testing.assert_allclose(ours, environment, rtol=RELATIVE)
    np.testing.assert_allclose(engines, environment, rtol=RELATIVE)


def test_what_an_exchange_costs_is_explained_fill_by_fill(game, noisy):
    """An exchange of cents, with fees and slippage: every line of the difference to a free market has a name."""
    market, costs = noisy("AAA", texts=False), Costs(commission_bps=5, slippage_bps=3)
    cents = Exchange(price_digits=2, money_digits=2)
    played = game(Moody(), {"AAA": market}, 30, scheme=Signed(), costs=costs, exchange=cents)
    played.play()
    orders = {row["id"]: row for row in played.journal.rows("orders")}
    closes = dict(zip(played.column("accounts", "ts"), played.column("accounts", "price"), strict=True))
    lines = []
    for row in played.journal.rows("fills", order="ts"):
        sign = 1 if row["side"] == "buy" else -1
        reference = closes[orders[row["id"]]["ts"] - 1]
        slipped = row["quantity"] * sign * (row["price"] - reference)
        # Slippage to the cent of the price, commission to the cent.
        assert slipped == pytest.approx(
            row["quantity"] * reference * costs.slippage, abs=0.005 * row["quantity"] + 1e-6
        )
        assert row["commission"] == pytest.approx(row["quantity"] * row["price"] * costs.commission, abs=0.0051)
        lines.append((row["ts"], slipped, row["commission"]))
    assert len(lines) > 10
    units, prices = played.column("accounts", "units"), played.column("accounts", "price")
    free = np.concatenate([[0.0], np.cumsum(units[1:] * np.diff(prices))])
    paid = [sum(slip + fee for ts, slip, fee in lines if ts <= now) for now in played.column("accounts", "ts")]
    np.testing.assert_allclose(played.column("totals", "equity"), 100_000.0 + free - paid, rtol=1e-12)
    np.testing.assert_allclose(
        played.column("totals", "engine_equity"), 100_000.0 + free - paid, atol=0.01 * len(lines)
    )
