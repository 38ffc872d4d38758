"""The standard convention against figures worked by hand and against skfolio's, and where it is undefined."""

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.metrics import max_drawdown, sample_deviation, sharpe_ratio, simple_returns, standard_measures

EQUITY = [100.0, 110.0, 99.0, 108.9]
"""Returns +10 %, -10 %, +10 %."""


def test_the_hand_worked_curve_gives_each_measure() -> None:
    measured = standard_measures(EQUITY, periods_per_year=252)
    deviation = sqrt(((0.1 - 1 / 30) ** 2 * 2 + (-0.1 - 1 / 30) ** 2) / 2)
    assert measured.CR == pytest.approx(8.9)
    assert measured.AV == pytest.approx(100 * deviation * sqrt(252))
    assert measured.SR == pytest.approx((1 / 30) / deviation * sqrt(252))
    assert measured.MDD == pytest.approx(10)
    assert measured.sortino == pytest.approx((1 / 30) / sqrt(0.01 / 3) * sqrt(252))
    assert measured.calmar == pytest.approx((1.089 ** (252 / 3) - 1) / 0.1)


def test_skfolio_finds_the_same_sharpe_sortino_and_drawdown() -> None:
    measures = pytest.importorskip("skfolio.measures", reason="skfolio is in the eval extra")
    returns = np.random.default_rng(3).normal(0.0005, 0.01, 500)
    equity = 1000 * np.cumprod(np.r_[1, 1 + returns])
    measured = standard_measures(equity, 252)
    mean = measures.mean(returns)
    assert measured.SR == pytest.approx(mean / measures.standard_deviation(returns) * sqrt(252))
    # skfolio's semi-deviation divides by n-1.
    downside = measures.semi_deviation(returns, min_acceptable_return=0) * sqrt(499 / 500)
    assert measured.sortino == pytest.approx(mean / downside * sqrt(252))
    # skfolio takes the peak from the first day's end on, so give it a flat first day.
    drawdown = measures.max_drawdown(measures.get_drawdowns(np.r_[0, returns], compounded=True))
    assert measured.MDD == pytest.approx(100 * drawdown)


def test_an_account_that_stays_in_cash_has_no_ratios_and_no_error() -> None:
    flat = standard_measures([100.0] * 10)
    assert (flat.CR, flat.AV, flat.MDD) == (0, 0, 0)
    assert isnan(flat.SR) and isnan(flat.sortino) and isnan(flat.calmar)


def test_a_curve_that_only_rises_has_a_sharpe_but_neither_sortino_nor_calmar() -> None:
    rising = standard_measures([100.0, 101.0, 103.0, 104.0])
    assert rising.SR > 0 and rising.MDD == 0
    assert isnan(rising.sortino) and isnan(rising.calmar)


def test_a_ruined_account_has_lost_everything_and_has_no_sharpe() -> None:
    ruined = standard_measures([100.0, 50.0, 0.0, 0.0])
    assert (ruined.CR, ruined.MDD) == (-100, 100)
    assert isnan(ruined.SR) and isnan(ruined.AV)
    assert isnan(standard_measures([100.0, 50.0, -10.0]).calmar)


def test_a_single_price_is_a_curve_without_returns() -> None:
    measured = standard_measures([100.0])
    assert (measured.CR, measured.MDD) == (0, 0)
    assert isnan(measured.SR) and isnan(measured.AV) and isnan(measured.sortino) and isnan(measured.calmar)


@pytest.mark.parametrize("equity", [[], [[1.0, 2.0]], [0.0, 1.0], [-5.0, 1.0]])
def test_what_is_no_equity_curve_is_refused(equity: list[float]) -> None:
    with pytest.raises(ValueError, match="equity must"):
        standard_measures(equity)


def test_the_floor_stands_in_for_a_smaller_deviation_only() -> None:
    returns = np.array([0.01, 0.02, 0.03])
    assert sharpe_ratio(returns, 252, std_floor=0.02) == pytest.approx(0.02 / 0.02 * sqrt(252))
    assert sharpe_ratio(returns, 252, std_floor=0.001) == sharpe_ratio(returns, 252)
    assert sharpe_ratio([0.01, 0.01], 252, std_floor=0.02) == pytest.approx(0.01 / 0.02 * sqrt(252))
    assert isnan(sharpe_ratio([0.01], 252, std_floor=0.02))


def test_a_constant_series_deviates_by_exactly_zero() -> None:
    constant = np.full(10, 0.1)
    constant[3] += 1e-17
    assert np.std(np.cumsum(constant)[1:] - np.cumsum(constant)[:-1]) > 0
    assert sample_deviation(np.diff(np.cumsum(constant))) == 0


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=30),
    st.floats(1.0, 1e6),
)
def test_the_measures_do_not_depend_on_the_money_at_the_start(returns: list[float], capital: float) -> None:
    curve = np.cumprod(np.r_[1.0, 1 + np.array(returns)])
    assert simple_returns(capital * curve) == pytest.approx(np.array(returns), abs=1e-12)
    assert max_drawdown(capital * curve) == pytest.approx(max_drawdown(curve), abs=1e-12)
    assert 0 <= max_drawdown(curve) < 1
