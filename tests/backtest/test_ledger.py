"""The books of a backtest, against the environment's accounts and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.accounts import AllIn, Costs, Signed, Target
from flag_trl.backtest import RandomLegal, run_backtest
from flag_trl.backtest.ledger import CashBook
from flag_trl.data import MarketData, Period
from flag_trl.envs import TradingRules

DATES = np.datetime64("2020-01-01") + np.arange(40)
PERIOD = Period("all", DATES[0], DATES[-1])


def market(seed: int) -> MarketData:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.03, 40)))
    return MarketData("AAA", DATES, close, open=close * np.exp(random.normal(0, 0.01, 40)))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([AllIn(), Signed(), Target()]),
    st.sampled_from(["next_open", "same_close"]),
    st.booleans(),
)
def test_cash_kept_from_the_fills_alone_gives_the_accounts_equity(seed, scheme, fill, close_at_end) -> None:
    costs = Costs(commission_bps=10, slippage_bps=5)
    rules = TradingRules(scheme=scheme, fill=fill, costs=costs, close_at_end=close_at_end)
    (ledger,) = run_backtest(RandomLegal(seed), {"AAA": market(seed)}, [PERIOD], rules)
    book = CashBook(rules.initial_capital, costs.commission)
    for trade in ledger.trades.itertuples():
        book.fill(trade.units if trade.side == "buy" else -trade.units, trade.price)
    last = ledger.equity.iloc[-1]
    assert book.cash + book.units * last["close"] == pytest.approx(last["equity"], rel=1e-9)


def test_a_round_trip_a_short_and_a_reversal_by_hand() -> None:
    book = CashBook(1000.0, commission=0.01)
    assert np.isnan(book.fill(5.0, 100.0))
    assert book.cash == pytest.approx(1000 - 500 - 5)
    # Reversal: the five units are sold, then three are sold short.
    ended = book.fill(-8.0, 120.0)
    assert ended == pytest.approx((495 + 600 - 6) / 1000 - 1)
    assert book.cash == pytest.approx(1089 + 360 - 3.6) and book.units == -3
    assert book.fill(3.0, 100.0) == pytest.approx((1445.4 - 300 - 3) / 1089 - 1)
    assert book.units == 0


def test_a_position_that_grows_and_shrinks_is_one_trade() -> None:
    book = CashBook(1000.0, commission=0.0)
    assert np.isnan([book.fill(2.0, 100.0), book.fill(1.0, 110.0), book.fill(-1.0, 90.0)]).all()
    assert book.fill(-2.0, 120.0) == pytest.approx((1000 - 200 - 110 + 90 + 240) / 1000 - 1)


@pytest.mark.parametrize(("fill", "day"), [("same_close", 0), ("next_open", 1)])
def test_a_fill_is_dated_by_the_day_it_happens(fill: str, day: int) -> None:
    class BuyAtOnce(RandomLegal):
        def decide(self, observations, uniforms=None):
            return super().decide(observations, np.full(len(observations), 0.999))

    (ledger,) = run_backtest(BuyAtOnce(), {"AAA": market(0)}, [PERIOD], TradingRules(fill=fill))
    first = ledger.trades.iloc[0]
    assert first["side"] == "buy" and first["date"].to_numpy() == DATES[day]
    price = market(0).close[0] if fill == "same_close" else market(0).open[1]
    assert first["price"] == pytest.approx(price)


def test_a_ruined_account_keeps_its_debt_and_acts_no_more() -> None:
    close = np.array([100.0, 101, 99, 250, 260, 270])
    ruinous = MarketData("AAA", DATES[:6], close)

    class AlwaysShort(RandomLegal):
        def decide(self, observations, uniforms=None):
            return super().decide(observations, np.zeros(len(observations)))

    rules = TradingRules(scheme=Signed(), fill="same_close")
    (ledger,) = run_backtest(AlwaysShort(), {"AAA": ruinous}, [Period("p", DATES[0], DATES[5])], rules)
    after = ledger.equity.iloc[3:]
    assert len(ledger.equity) == 6 and after["equity"].nunique() == 1 and after["equity"].iloc[0] <= 0
    assert ledger.equity["action"].tolist() == ["", "sell", "sell", "sell", "", ""]


def test_files_hold_what_the_ledger_holds(tmp_path) -> None:
    import pandas as pd

    (ledger,) = run_backtest(RandomLegal(), {"AAA": market(0)}, [PERIOD], TradingRules())
    ledger.save(tmp_path / "new" / "folder")
    for name, frame in (("equity", ledger.equity), ("trades", ledger.trades)):
        back = pd.read_parquet(tmp_path / "new" / "folder" / f"{name}.parquet")
        assert list(back.columns) == list(frame.columns) and len(back) == len(frame)
        np.testing.assert_array_equal(back.iloc[:, 2].to_numpy(), frame.iloc[:, 2].to_numpy())
