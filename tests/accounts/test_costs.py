"""Costs are fractions of a notional, and refuse what is not a cost."""

import pytest

from flag_trl.accounts import Costs


def test_a_buy_pays_slippage_then_commission_on_the_slipped_price():
    costs = Costs(commission_bps=100, slippage_bps=200)
    assert costs.buy == pytest.approx(1.02 * 1.01 - 1)
    assert costs.sell == pytest.approx(1 - 0.98 * 0.99)


def test_trading_is_free_by_default():
    assert (Costs().buy, Costs().sell, Costs().borrow_rate) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", ["commission_bps", "slippage_bps", "borrow_rate"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_cost_that_is_negative_or_not_finite_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Costs(**{name: value})


def test_costs_that_reach_the_price_are_refused():
    with pytest.raises(ValueError, match="basis points"):
        Costs(commission_bps=6000, slippage_bps=6000)
