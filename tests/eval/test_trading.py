"""Trading is compared with what anything else would have earned, paired by day and after costs."""

import numpy as np
import pytest

from eval.baselines.rules import RULES, Follower
from eval.tasks import trading
from flag_trl.accounts import AllIn, Signed, Target
from flag_trl.backtest import run_backtest
from flag_trl.data import Period
from flag_trl.envs import TradingRules
from tests.eval.policies import AlwaysLong, Reader


def test_buy_and_hold_is_the_papers_row(evaluation) -> None:
    rules = TradingRules(scheme=Signed(), fill="same_close")
    result = trading.run(evaluation(policies={"trained": Reader()}, rules=rules, sampled=0, random_draws=0))
    rows = result.tables["measures"].set_index(["strategy", "cost_bps"]).loc[("buy_and_hold", 0.0)]
    table = [rows[f"investorbench_{key}"] for key in ("CR", "SR", "AV", "MDD")]
    np.testing.assert_allclose(table, [15.340, 1.039, 24.981, 9.428], atol=0.002)


def test_always_long_is_called_by_its_name_and_gains_nothing_over_its_own_exposure(evaluation) -> None:
    result = trading.run(evaluation(policies={"trained": AlwaysLong(), "untrained": Reader()}))
    period = result.figures["periods"]["paper_window"]
    assert period["one_position"]["trained"] == "always long" and period["one_action"] == "buy"
    assert "always long by another name" in " ".join(result.words)
    over = period["over_constant_exposure"]
    assert abs(over["difference"]) < 0.1 and over["low"] <= 0.05
    assert period["transfer_gain"]["less"] == "untrained"


def test_costs_are_paid_and_draws_stand_beside_the_greedy_run(evaluation) -> None:
    result = trading.run(evaluation(("MSFT", "JNJ"), policies={"trained": Reader()}))
    period = result.figures["periods"]["paper_window"]
    ratios = {row["cost_bps"]: row["SR"] for row in period["after_costs"]}
    assert ratios[0.0] > ratios[5.0] > ratios[20.0]
    assert period["sampled"]["trained"]["runs"] == 2 and period["sampled"]["trained"]["deviation_over_draws"] > 0
    assert 0 <= period["random"]["percentile"] <= 100 and period["random"]["draws"] == 30
    strategies = set(result.tables["measures"]["strategy"])
    assert strategies == {"trained", "buy_and_hold", "cash", *RULES}
    assert set(result.tables["measures"]["symbol"]) == {"MSFT", "JNJ", trading.POOL}


@pytest.mark.parametrize("name", RULES)
def test_no_rule_looks_at_a_later_close(name: str, prices) -> None:
    close = prices["MSFT"].close[-600:].copy()
    early = RULES[name](close[:500].copy())
    np.testing.assert_array_equal(np.nan_to_num(early), np.nan_to_num(RULES[name](close)[:500]))
    assert set(np.unique(np.nan_to_num(early))) <= {-1.0, 0.0, 1.0} and len(np.unique(early)) > 1


@pytest.mark.parametrize("scheme", [AllIn(), Signed(), Target()], ids=lambda s: s.name)
def test_a_rules_positions_are_its_signals_as_far_as_the_scheme_lets_it(scheme, prices) -> None:
    rules, period = TradingRules(scheme=scheme, fill="same_close"), Period("p", "2019-01-02", "2020-12-31")
    (ledger,) = run_backtest(Follower(RULES["sma_crossover"], scheme), {"MSFT": prices["MSFT"]}, [period], rules)
    first, stop = prices["MSFT"].index_range(period.start, period.end)
    wanted = RULES["sma_crossover"](prices["MSFT"].close)[first : stop - 1]
    if -1 not in scheme.positions:
        wanted = np.maximum(wanted, 0)
    np.testing.assert_array_equal(ledger.equity["position"].to_numpy()[1:], wanted)
