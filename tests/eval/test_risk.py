"""Volatility forecasts look at no later close, and are those of arch and of the literature."""

import numpy as np
import pytest
from arch import arch_model

from eval.baselines.volatility import FORECASTERS, ewma, garch, har, realised
from eval.tasks import risk
from tests.eval.policies import Reader


def test_realised_variance_is_that_of_the_days_ahead() -> None:
    close = np.exp(np.array([0.0, 0.01, 0.03, 0.0, 0.04]))
    assert realised(close, np.array([0, 2]), 2) == pytest.approx([(0.01**2 + 0.02**2) / 2, (0.03**2 + 0.04**2) / 2])


@pytest.mark.parametrize("name", FORECASTERS)
def test_no_forecast_looks_at_a_later_close(name: str, prices) -> None:
    close = prices["MSFT"].close[-900:].copy()
    fit, judged = np.arange(100, 700, 5), np.arange(720, 760)
    bent = close.copy()
    bent[761:] *= 1.5 ** np.arange(len(bent) - 761)
    one, other = (FORECASTERS[name](c, fit, judged, 5) for c in (close, bent))
    np.testing.assert_allclose(one, other, rtol=1e-12)
    assert one.shape == (40,) and (one > 0).all()


def test_garch_is_archs_on_the_same_call(prices) -> None:
    close = prices["MSFT"].close[-900:].copy()
    fit, judged = np.arange(100, 700), np.arange(720, 760)
    returns = 100 * np.diff(np.log(close))
    fitted = arch_model(returns, p=1, q=1).fit(last_obs=699, disp="off")
    direct = fitted.forecast(horizon=5, start=719, reindex=False).variance.to_numpy()[:40].mean(1) / 1e4
    np.testing.assert_allclose(garch(close, fit, judged, 5), direct, rtol=1e-4)


def test_ewma_and_har_have_their_closed_forms(prices) -> None:
    close = prices["MSFT"].close[-300:].copy()
    squared = np.diff(np.log(close)) ** 2
    weights = 0.06 * 0.94 ** np.arange(299)[::-1]
    direct = weights @ squared + 0.94**299 * squared[:20].mean()
    assert ewma(close, np.arange(1), np.array([299]), 5)[0] == pytest.approx(direct)
    # Constant volatility is forecast as it is.
    flat = np.exp(np.cumsum(np.tile([0.01, -0.01], 150)))
    assert har(flat, np.arange(30, 200), np.array([250]), 5)[0] == pytest.approx(1e-4, rel=1e-6)


def test_baselines_alone_are_scored_for_a_policy_without_states(evaluation) -> None:
    result = risk.run(evaluation(policies={"trained": Reader()}))
    scores = result.tables["scores"].set_index(["horizon", "forecaster"])
    assert set(scores.index) == {(h, name) for h in (5, 20) for name in FORECASTERS}
    assert (scores["qlike"] > 0).all() and scores.loc[(5, "EWMA"), "days"] == 149 - 5
    var = result.tables["value_at_risk"]
    assert set(var["rate"]) == {0.01, 0.05} and (var["periods"] == 144).all()
    assert "baselines alone" in result.words[0]
