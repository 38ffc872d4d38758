"""Portfolios walk forward without looking ahead, pay for what they trade, and are skfolio's where they say so."""

import numpy as np
import pandas as pd
import pytest
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk

from eval.tasks import portfolio
from flag_trl.data import Period
from tests.eval.policies import Reader

SYMBOLS = ("MSFT", "JNJ", "XOM", "KO")


@pytest.fixture(scope="module")
def closes() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2020-01-01", periods=330).to_numpy().astype("datetime64[D]")
    return pd.DataFrame(100 * np.exp(np.cumsum(rng.normal(0, 0.01, (330, 3)), 0)), index=days, columns=["A", "B", "C"])


def test_minimum_variance_is_skfolios_on_the_days_known_and_the_rest_is_compared(evaluation) -> None:
    given = evaluation(SYMBOLS, policies={"trained": Reader(), "untrained": Reader()})
    result = portfolio.run(given)
    weights = result.tables["weights"].query("portfolio == 'minimum variance'")
    prices = portfolio.aligned(given, list(SYMBOLS))
    day = weights["date"].iloc[0]
    assert np.datetime64(day, "D") == np.datetime64("2020-10-01")
    # The return of the day of the decision itself is purged.
    known = prices.pct_change().iloc[1:]
    known = known.loc[: np.datetime64("2020-09-30")].iloc[-252:]
    direct = MeanRisk(risk_measure=RiskMeasure.VARIANCE).fit(known).weights_
    np.testing.assert_allclose(weights[weights["date"] == day]["weight"], direct, atol=1e-6)
    names = set(result.tables["measures"]["portfolio"])
    assert names >= {*portfolio.BASELINES, "trained, long-only", "untrained, views", "trained, long-short"}
    same = result.figures["periods"]["paper_window"]["comparisons"]["long-only less untrained, long-only"]
    assert same["difference"] == same["low"] == same["high"] == 0


def test_buy_and_hold_of_one_asset_is_its_price_and_costs_are_what_was_traded(closes) -> None:
    blocks = [
        portfolio.Block(np.arange(250), 252, np.arange(252, 290)),
        portfolio.Block(np.arange(250), 290, np.arange(290, 329)),
    ]
    held = np.array([[1.0, 0, 0], [1.0, 0, 0]])
    free, turnover = portfolio.walk(closes, blocks, held, 0.0)
    assert (1 + free).prod() == pytest.approx(closes["A"].iloc[-1] / closes["A"].iloc[252])
    assert turnover == pytest.approx(100 * 1 / 77 * 252)
    costly, _ = portfolio.walk(closes, blocks, held, 10.0)
    assert costly.iloc[0] == pytest.approx(free.iloc[0] - 0.001)
    # Paid for once; what was paid is then missing from the cash.
    np.testing.assert_allclose(costly.iloc[1:], free.iloc[1:], rtol=2e-3)


def test_weights_follow_scores_and_equal_scores_are_equal_weights() -> None:
    found = portfolio.policy_weights(np.array([2.0, 0.0, -2.0]))
    assert found["long-only"].tolist() == [1, 0, 0] and found["long-short"].tolist() == [0.5, 0, -0.5]
    even = portfolio.policy_weights(np.zeros(4))
    assert even["long-only"].tolist() == [0.25] * 4 and not even["long-short"].any()


def test_later_prices_change_no_earlier_weight(evaluation) -> None:
    given = evaluation(SYMBOLS, policies={"trained": Reader()})
    prices = portfolio.aligned(given, list(SYMBOLS))
    (period,) = given.periods
    blocks = portfolio.blocks_of(prices, period, given)
    day = prices.index[blocks[2].decided]
    bent = prices.copy()
    bent.loc[bent.index > day] *= np.linspace(1, 2, int((bent.index > day).sum()))[:, None]
    one, other = (portfolio._baseline_weights(p, blocks[:3], given) for p in (prices, bent))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_too_few_assets_or_days_are_named(evaluation) -> None:
    assert "Not run: 1 asset" in portfolio.run(evaluation(policies={"trained": Reader()})).words[0]
    early = [Period("early", "1990-03-01", "1990-06-01")]
    assert "not run" in portfolio.run(evaluation(SYMBOLS, policies={"trained": Reader()}, periods=early)).words[0]
