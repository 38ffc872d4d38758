"""A trade meets its target exactly after its own costs, and loses no money but those."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flag_trl.accounts import AccountState, Costs, charge_borrow, rebalance


def account(cash: float, units: float) -> AccountState:
    state = AccountState.open(1, 1000.0)
    state.cash, state.units = np.array([cash]), np.array([units])
    return state


def trade(state: AccountState, price: float, target: float, costs: Costs):
    return rebalance(state, np.array([price]), np.array([target]), costs)


@settings(deadline=None, max_examples=200)
@given(
    weight=st.floats(-1, 1),
    target=st.floats(-1, 1),
    price=st.floats(0.01, 1e4),
    commission=st.floats(0, 500),
    slippage=st.floats(0, 500),
)
def test_the_weight_after_costs_is_the_target_and_the_equity_lost_is_the_cost(
    weight, target, price, commission, slippage
):
    costs = Costs(commission_bps=commission, slippage_bps=slippage)
    state = account(cash=(1 - weight) * 1000, units=weight * 1000 / price)
    at = np.array([price])
    before = state.equity(at)[0]
    fills = trade(state, price, target, costs)
    after = state.equity(at)[0]
    assert state.weight(at)[0] == pytest.approx(target, abs=1e-9)
    assert before - after == pytest.approx(fills.cost[0], abs=1e-8)
    assert fills.cost[0] >= 0
    if fills.units[0]:
        paid = fills.units[0] * fills.price[0] + abs(fills.units[0]) * fills.price[0] * commission * 1e-4
        assert paid == pytest.approx((1 - weight) * 1000 - state.cash[0], abs=1e-8)


@settings(deadline=None, max_examples=200)
@given(units=st.floats(-50, 50), price=st.floats(0.01, 1e4), bps=st.floats(0, 500))
def test_a_target_of_zero_leaves_no_unit_and_a_target_of_one_no_cash(units, price, bps):
    costs = Costs(commission_bps=bps, slippage_bps=bps)
    cash = 1000.0 + 2 * abs(units) * price
    flat, full = account(cash, units), account(cash, units)
    trade(flat, price, 0.0, costs)
    trade(full, price, 1.0, costs)
    assert flat.units[0] == 0.0
    assert full.cash[0] == 0.0 and full.units[0] > 0


@settings(deadline=None, max_examples=300)
@given(
    lots=st.integers(-30, 30),
    target=st.sampled_from([-1.0, -0.5, 0.0, 0.3, 1.0]),
    price=st.floats(0.5, 40.0),
    bps=st.floats(0, 300),
    lot_size=st.sampled_from([1.0, 0.1, 10.0]),
)
@example(lots=0, target=0.3, price=1.0, bps=3e-05, lot_size=0.1)
def test_in_lots_an_account_holds_whole_ones_and_never_more_than_its_target(lots, target, price, bps, lot_size):
    costs = Costs(commission_bps=bps)
    state = account(cash=1000.0 - lots * lot_size * price, units=lots * lot_size)
    fraction = account(cash=1000.0 - lots * lot_size * price, units=lots * lot_size)
    rebalance(fraction, np.array([price]), np.array([target]), costs)
    fills = rebalance(state, np.array([price]), np.array([target]), costs, lot_size)
    held = state.units[0] / lot_size
    assert held == pytest.approx(round(held), abs=1e-9)
    # So much is held to be a rounding error.
    slack = 1e-9 * max(abs(fraction.units[0]), lot_size) * (1 + 1e-6)
    assert abs(state.units[0]) <= abs(fraction.units[0]) + slack
    assert abs(fraction.units[0] - state.units[0]) < lot_size * (1 + 1e-6)
    assert state.equity(np.array([price]))[0] == pytest.approx(1000.0 - fills.cost[0], abs=1e-8)
    assert state.cash[0] >= -slack * price * (1 + costs.buy) or target < 1.0


def test_a_whole_position_that_stays_the_target_is_not_sold_to_a_rounding_error():
    state = account(cash=0.0, units=3.0)
    price = 0.1 + 0.2
    fills = rebalance(state, np.array([price]), np.array([1.0]), Costs(), lot_size=1.0)
    assert state.units[0] == 3.0 and fills.units[0] == 0.0


def test_a_buy_fills_above_and_a_sell_below_the_reference_price():
    costs = Costs(slippage_bps=100)
    state = account(1000.0, 0.0)
    bought = trade(state, 50.0, 1.0, costs)
    sold = trade(state, 50.0, 0.0, costs)
    assert (bought.price[0], sold.price[0]) == (50.5, 49.5)
    assert bought.units[0] == -sold.units[0] == pytest.approx(1000 / 50.5)


def test_no_target_means_no_trade():
    state = account(400.0, 6.0)
    fills = trade(state, 100.0, np.nan, Costs(commission_bps=50))
    assert (state.cash[0], state.units[0]) == (400.0, 6.0)
    assert fills.units[0] == fills.cost[0] == 0.0
    assert np.isnan(fills.price[0])


def test_meeting_a_target_twice_trades_once():
    state = account(1000.0, 0.0)
    trade(state, 37.0, 1.0, Costs(commission_bps=7))
    again = trade(state, 37.0, 1.0, Costs(commission_bps=7))
    assert again.units[0] == 0.0 and np.isnan(again.price[0])


def test_an_account_without_equity_can_only_close():
    for target in (-1.0, 0.5, 1.0):
        state = account(cash=2000.0, units=-10.0)
        trade(state, 300.0, target, Costs())
        assert (state.units[0], state.cash[0]) == (0.0, -1000.0)


def test_the_entry_is_the_equity_before_the_fill_that_opened_or_turned_the_position():
    costs = Costs(commission_bps=100)
    state = account(1000.0, 0.0)
    trade(state, 100.0, 0.5, costs)
    assert state.entry_equity[0] == 1000.0
    trade(state, 110.0, 0.9, costs)
    assert state.entry_equity[0] == 1000.0, "adding to a position does not open one"
    equity = state.equity(np.array([120.0]))[0]
    trade(state, 120.0, -1.0, costs)
    assert state.entry_equity[0] == equity


def test_borrowing_costs_a_bars_share_of_the_short_notional_and_nothing_when_long():
    state = AccountState.open(3, 1000.0)
    state.units = np.array([-10.0, 0.0, 10.0])
    fee = charge_borrow(state, np.full(3, 110.0), Costs(borrow_rate=0.252), 252)
    assert fee.tolist() == pytest.approx([1.1, 0.0, 0.0])
    assert state.cash.tolist() == pytest.approx([998.9, 1000.0, 1000.0])


def test_borrowing_is_charged_only_where_asked():
    state = AccountState.open(2, 1000.0)
    state.units = np.array([-10.0, -10.0])
    fee = charge_borrow(
        state, np.full(2, 110.0), Costs(borrow_rate=0.252), np.array([252, 252]), np.array([True, False])
    )
    assert fee.tolist() == pytest.approx([1.1, 0.0])


def test_all_in_leaves_no_cash_and_no_minus_zero_of_it() -> None:
    random = np.random.default_rng(0)
    state = AccountState.open(2000, 100_000.0)
    rebalance(state, 100 * np.exp(random.normal(0, 0.01, 2000)), np.ones(2000), Costs(commission_bps=10))
    assert not state.cash.any() and not np.signbit(state.cash).any()
