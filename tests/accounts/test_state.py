"""Accounts open with cash alone, and know their equity, weight, position and peak."""

import numpy as np
import pytest

from flag_trl.accounts import AccountState


def state_with(cash: list[float], units: list[float]) -> AccountState:
    state = AccountState.open(len(cash), 1000.0)
    state.cash, state.units = np.array(cash), np.array(units)
    return state


def test_an_account_opens_with_its_capital_in_cash():
    state = AccountState.open(2, 500.0)
    price = np.array([7.0, 9.0])
    assert state.equity(price).tolist() == [500.0, 500.0]
    assert state.weight(price).tolist() == [0.0, 0.0]
    assert state.position.tolist() == [0, 0]


@pytest.mark.parametrize("capital", [0.0, -1.0, float("nan"), float("inf")])
def test_an_account_does_not_open_without_money(capital):
    with pytest.raises(ValueError, match="capital"):
        AccountState.open(1, capital)


def test_equity_is_cash_plus_holdings_and_weight_their_share_of_it():
    state = state_with(cash=[50.0, 300.0], units=[5.0, -10.0])
    price = np.array([10.0, 10.0])
    assert state.equity(price).tolist() == [100.0, 200.0]
    assert state.weight(price).tolist() == [0.5, -0.5]


def test_the_position_is_the_sign_of_the_units():
    position = state_with(cash=[0.0, 0.0, 0.0], units=[-0.1, 0.0, 3.0]).position
    assert position.dtype == np.int8
    assert position.tolist() == [-1, 0, 1]


def test_a_flat_account_without_equity_weighs_nothing():
    assert state_with(cash=[0.0], units=[0.0]).weight(np.array([10.0])).tolist() == [0.0]


def test_the_peak_rises_with_the_mark_and_never_falls():
    state = state_with(cash=[0.0], units=[100.0])
    peaks = []
    for price in (9.0, 12.0, 11.0):
        state.mark(np.array([price]))
        peaks.append(float(state.peak_equity[0]))
    assert peaks == [1000.0, 1200.0, 1200.0]
