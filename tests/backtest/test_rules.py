"""Rule strategies under every position scheme."""

import numpy as np
import pytest

from flag_trl.accounts import AllIn, Signed, Target
from flag_trl.backtest import RandomLegal, always_cash, buy_and_hold, measures, run_backtest
from flag_trl.data import MarketData, Period, load_market
from flag_trl.envs import TradingRules
from flag_trl.observations import Observation

SCHEMES = [AllIn(), Signed(), Target(), Target((-1.0, 0.0, 1.0))]
PAPER_WINDOW = Period("paper_window", "2020-10-01", "2021-05-05")


@pytest.fixture(scope="module")
def sample():
    pytest.importorskip("skfolio", reason="the bundled prices come with the extra `eval`")
    return {"MSFT": load_market("sample", "MSFT")}


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: f"{s.name}{len(s.actions)}")
def test_buy_and_hold_is_the_papers_row_under_every_scheme(scheme, sample) -> None:
    rules = TradingRules(scheme=scheme, fill="same_close")
    (ledger,) = run_backtest(buy_and_hold(scheme), sample, [PAPER_WINDOW], rules)
    found = measures(ledger)
    table = [found["investorbench"][key] for key in ("CR", "SR", "AV", "MDD")]
    np.testing.assert_allclose(table, [15.340, 1.039, 24.981, 9.428], atol=0.002)
    assert found["standard"]["CR"] == pytest.approx(100 * (np.exp(found["investorbench"]["CR"] / 100) - 1))
    assert len(ledger.trades) == 1 and found["standard"]["exposure"] == pytest.approx(100)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: f"{s.name}{len(s.actions)}")
def test_cash_never_trades_and_what_it_lacks_is_none(scheme, sample) -> None:
    (ledger,) = run_backtest(
        always_cash(scheme), sample, [PAPER_WINDOW], TradingRules(scheme=scheme, fill="same_close")
    )
    found = measures(ledger)
    assert ledger.trades.empty and found["standard"]["CR"] == 0
    undefined = [
        found["investorbench"]["SR"],
        *(found["standard"][k] for k in ("SR", "win_rate_days", "win_rate_trades")),
    ]
    assert undefined == [None] * 4


def test_random_takes_each_legal_action_equally_often_and_no_other() -> None:
    flat = [Observation("", "", (False, True, True))] * 4000
    actions = RandomLegal(0).decide(flat).actions
    counts = np.bincount(actions, minlength=3)
    assert counts[0] == 0 and abs(counts[1] - 2000) < 5 * np.sqrt(1000)


def test_the_benchmarks_measures_are_left_out_where_orders_fill_at_the_next_open() -> None:
    close = 100 + np.arange(30.0)
    market = MarketData("AAA", np.datetime64("2020-01-01") + np.arange(30), close, open=close)
    period = Period("p", "2020-01-05", "2020-01-30")
    (ledger,) = run_backtest(buy_and_hold(AllIn()), {"AAA": market}, [period], TradingRules(fill="next_open"))
    found = measures(ledger)
    assert set(found["investorbench"].values()) == {None} and found["standard"]["CR"] > 0


def test_a_position_closed_on_the_last_bar_counts_with_the_weight_it_had() -> None:
    close = 100 + np.arange(30.0)
    market = MarketData("AAA", np.datetime64("2020-01-01") + np.arange(30), close)
    scheme = Target((0.0, 0.25))
    rules = TradingRules(scheme=scheme, fill="same_close", close_at_end=True)
    (ledger,) = run_backtest(buy_and_hold(scheme), {"AAA": market}, [Period("p", "2020-01-05", "2020-01-30")], rules)
    assert measures(ledger)["standard"]["exposure"] == pytest.approx(25, abs=0.5)
