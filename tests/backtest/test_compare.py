"""Figures, table and words: what is said is what was measured, the disappointing included."""

import json

import numpy as np
import pytest
from rich.console import Console

from flag_trl.accounts import Costs
from flag_trl.backtest import (
    RandomLegal,
    compare,
    draw,
    in_words,
    learning_in_words,
    run_backtest,
    run_baselines,
    table,
)
from flag_trl.data import MarketData, Period
from flag_trl.envs import TradingRules

RULES = TradingRules(costs=Costs(commission_bps=5))
DATES = np.datetime64("2020-01-01") + np.arange(80)
PERIOD = Period("test", DATES[30], DATES[-1])


@pytest.fixture(scope="module")
def compared():
    random = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(random.normal(0.002, 0.02, 80)))
    market = MarketData("AAA", DATES, close, open=close)
    (ledger,) = run_backtest(RandomLegal(7), {"AAA": market}, [PERIOD], RULES)
    fixed, draws = run_baselines("AAA", market, PERIOD, RULES, draws=20)
    return ledger, fixed, draws, compare({"trained": ledger, **fixed}, draws)


def test_every_policy_has_its_figures_and_json_holds_them(compared) -> None:
    *_, figures = compared
    assert set(figures) == {"trained", "buy_and_hold", "cash", "random"}
    for found in json.loads(json.dumps(figures, allow_nan=False)).values():
        assert {"CR", "SR", "AV", "MDD"} <= set(found["investorbench"])
        assert {"CR", "SR", "AV", "MDD", "win_rate_days", "win_rate_trades"} <= set(found["standard"])
    assert figures["cash"]["standard"]["SR"] is None


def test_random_is_the_mean_of_its_draws(compared) -> None:
    _, _, draws, figures = compared
    returns = [ledger.equity["equity"].iloc[-1] / ledger.equity["equity"].iloc[0] - 1 for ledger in draws]
    assert figures["random"]["standard"]["CR"] == pytest.approx(100 * np.mean(returns))


def test_buy_and_hold_differs_from_itself_by_nothing(compared) -> None:
    assert compared[-1]["buy_and_hold"]["interval"]["SR_minus_buy_and_hold"] == [0.0, 0.0, 0.0]


def test_the_table_has_a_row_a_policy(compared) -> None:
    console = Console(width=110, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table("AAA", compared[-1]))
    lines = console.export_text().splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == ["trained", "buy and hold", "cash", "random"]


def with_difference(figures, low: float, high: float):
    interval = {"SR": [0, 1], "SR_minus_buy_and_hold": [(low + high) / 2, low, high]}
    return {**figures, "trained": {**figures["trained"], "interval": interval}}


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-1, 1, "cannot tell the two apart"),
        (-2, -1, "worse than Buy & Hold"),
        (1, 2, "it did better, in this one period"),
    ],
)
def test_words_say_on_which_side_of_zero_the_interval_lies(low, high, says, compared) -> None:
    assert says in in_words(compared[0], with_difference(compared[-1], low, high))


@pytest.mark.parametrize(
    ("name", "says"), [("buy_and_hold", "always long by another name"), ("cash", "always in cash")]
)
def test_a_policy_that_is_one_position_is_called_by_its_name(name, says, compared) -> None:
    _, fixed, _, figures = compared
    assert says in in_words(fixed[name], figures, name)


def history(earned: list[float], held: list[float]) -> list[dict[str, float]]:
    return [{"log_return": own, "buy_and_hold": other} for own, other in zip(earned, held, strict=True)]


def test_a_return_that_only_follows_the_market_is_no_learning() -> None:
    market = [0.01 * i for i in range(12)]
    noise = [0.001 * (i % 2) for i in range(12)]
    text, figures = learning_in_words(history([m + n for m, n in zip(market, noise, strict=True)], market))
    assert figures["as_earned"]["difference"][1] > 0
    assert "No rise can be claimed" in text


@pytest.mark.parametrize(("slope", "says"), [(0.01, "the return rose."), (-0.01, "the return fell.")])
def test_a_change_against_the_market_is_said_with_its_interval_and_its_confound(slope, says) -> None:
    random = np.random.default_rng(0)
    text, figures = learning_in_words(history([slope * i + random.normal(0, 0.001) for i in range(12)], [0.0] * 12))
    difference, low, high = figures["less_buy_and_hold"]["difference"]
    assert low < difference < high and says in text and "not yet skill" in text


def test_too_few_updates_have_no_interval_and_claim_nothing() -> None:
    text, figures = learning_in_words(history([0.1, 0.2], [0.0, 0.0]))
    assert figures["as_earned"]["difference"][1:] == [None, None] and "No rise can be claimed" in text


def test_a_ruined_account_is_reported_and_not_a_crash() -> None:
    from flag_trl.accounts import Signed

    close = 100 * np.ones(30)
    close[10:] = 300 + np.arange(20)
    market = MarketData("AAA", np.datetime64("2020-01-01") + np.arange(30), close)
    rules, period = TradingRules(scheme=Signed(), fill="same_close"), Period("p", "2020-01-02", "2020-01-30")

    class AlwaysShort(RandomLegal):
        def decide(self, observations, uniforms=None):
            return super().decide(observations, np.zeros(len(observations)))

    (ledger,) = run_backtest(AlwaysShort(), {"AAA": market}, [period], rules)
    fixed, draws = run_baselines("AAA", market, period, rules, draws=5)
    figures = compare({"trained": ledger, **fixed}, draws)
    assert figures["trained"]["standard"]["CR"] < -100 and figures["trained"]["standard"]["SR"] is None
    assert "ended at -" in in_words(ledger, figures)


def test_the_picture_is_written(compared, tmp_path) -> None:
    ledger, fixed, _, _ = compared
    draw({"trained": ledger, **fixed}, "trained", tmp_path / "new" / "picture.png", "caption")
    assert (tmp_path / "new" / "picture.png").read_bytes().startswith(b"\x89PNG")
