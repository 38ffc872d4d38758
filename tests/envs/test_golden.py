"""Ledgers worked out by hand."""

import math

import numpy as np
import pytest

from flag_trl.accounts import AllIn, Costs, Signed, Target
from flag_trl.data import Window
from flag_trl.envs import TradingVectorEnv

SELL, HOLD, BUY = 0, 1, 2


def ledger(market, actions, **settings):
    """Play one account with 1000 in cash; every step's reward, info and observation."""
    env = TradingVectorEnv({market.symbol: market}, 1, initial_capital=1000.0, **settings)
    env.reset(options={"windows": [Window(market.symbol, 0, len(actions))]})
    rows = []
    for action in actions:
        observation, reward, _, _, info = env.step(np.array([action]))
        rows.append({key: values[0] for key, values in {**observation, **info, "reward": reward}.items()})
    return rows


def column(rows, name):
    return [row[name] for row in rows]


def test_all_in_at_the_same_close_without_costs(market_of):
    rows = ledger(market_of([100, 110, 99, 50, 60]), [BUY, HOLD, SELL, BUY], scheme=AllIn(), fill="same_close")
    # 10 units at 100; worth 1100, then 990; sold at 99, so that the fall to 50 passes by; 19.8 units at 50.
    assert column(rows, "equity") == pytest.approx([1100, 990, 990, 1188])
    assert column(rows, "units_traded") == pytest.approx([10, 0, -10, 19.8])
    assert column(rows, "fill_price") == pytest.approx([100, math.nan, 99, 50], nan_ok=True)
    assert column(rows, "weight") == [1, 1, 0, 1]
    assert column(rows, "held_position") == [1, 1, 0, 1]
    assert column(rows, "reward") == pytest.approx([math.log(1.1), math.log(0.9), 0, math.log(1.2)])
    assert column(rows, "return_since_entry") == pytest.approx([0.1, -0.01, 0, 0.2])
    assert column(rows, "drawdown") == pytest.approx([0, 0.1, 0.1, 0])
    assert column(rows, "bar") == [1, 2, 3, 4]
    assert column(rows, "date") == list(np.datetime64("2020-01-02") + np.arange(4))


def test_all_in_at_the_next_open_with_costs(market_of):
    market = market_of([100, 120, 90], open=[1, 110, 100])
    rows = ledger(market, [BUY, SELL], scheme=AllIn(), costs=Costs(commission_bps=200, slippage_bps=100))
    # Bought at 111.1 and 2 % on top: 1000 / 113.322 = 8.824412 units. Sold at 99 less 2 %: 97.02 each.
    units = 1000 / (110 * 1.01 * 1.02)
    assert column(rows, "units_traded") == pytest.approx([units, -units])
    assert column(rows, "fill_price") == pytest.approx([111.1, 99.0])
    assert column(rows, "cost") == pytest.approx([1000 - units * 110, units * (100 - 97.02)])
    assert column(rows, "equity") == pytest.approx([units * 120, units * 97.02])
    assert column(rows, "equity") == pytest.approx([1058.929422, 856.144438])


def test_signed_rebalances_a_short_to_the_whole_equity_at_each_fill(market_of):
    rows = ledger(market_of([100, 90, 99]), [SELL, SELL], scheme=Signed(), fill="same_close")
    # Short 10 at 100 gains 100. Then 1100 short at 90 is 12.22 units, of which 2.22 are new; 9 against each.
    assert column(rows, "units_traded") == pytest.approx([-10, -(1100 / 90 - 10)])
    assert column(rows, "equity") == pytest.approx([1100, 1100 - 9 * 1100 / 90])
    assert column(rows, "cash_share") == pytest.approx([2000 / 1100, 2200 / 990])


def test_signed_turns_from_short_to_long_with_costs_on_both_legs(market_of):
    rows = ledger(
        market_of([100, 100, 100]), [SELL, BUY], scheme=Signed(), fill="same_close", costs=Costs(commission_bps=100)
    )
    # Short y: y = 1000 - 0.01 y, y = 990.10. Then long z: z = 990.10 - 0.01 (z + 990.10), z = 970.49.
    short = 1000 / 1.01
    long = short * 0.99 / 1.01
    assert column(rows, "equity") == pytest.approx([short, long])
    assert column(rows, "units_traded") == pytest.approx([-short / 100, (short + long) / 100])
    assert column(rows, "position") == [-1, 1]


def test_target_holds_its_share_after_costs(market_of):
    rows = ledger(
        market_of([100, 100, 200]), [2, 1], scheme=Target(), fill="same_close", costs=Costs(commission_bps=100)
    )
    # Half: y = 0.5 (1000 - 0.01 y), y = 497.51. A quarter: z = 0.25 (995.02 - 0.01 (497.51 - z)), z = 248.13.
    half = 500 / 1.005
    quarter = 0.25 * (2 * half - 0.01 * half) / (1 - 0.0025)
    assert column(rows, "equity")[0] == pytest.approx(2 * half)
    assert rows[0]["weight"] == pytest.approx(0.5)
    assert rows[1]["units_traded"] == pytest.approx((quarter - half) / 100)
    assert rows[1]["equity"] == pytest.approx(5 * quarter)


def test_a_short_pays_one_bars_borrowing_at_each_mark(market_of):
    rows = ledger(
        market_of([100, 110, 110]), [SELL, HOLD], scheme=Signed(), fill="same_close", costs=Costs(borrow_rate=0.252)
    )
    # A thousandth of 10 * 110 a bar while short, nothing once covered.
    assert column(rows, "borrow") == pytest.approx([1.1, 0])
    assert column(rows, "equity") == pytest.approx([898.9, 898.9])


def test_a_position_closed_at_the_end_pays_inside_the_last_reward(market_of):
    rows = ledger(
        market_of([100, 110, 121]),
        [BUY, HOLD],
        scheme=AllIn(),
        fill="same_close",
        costs=Costs(slippage_bps=100),
        close_at_end=True,
    )
    bought = 1000 / 101
    assert column(rows, "closing_units") == pytest.approx([0, -bought])
    assert column(rows, "closing_price") == pytest.approx([math.nan, 121 * 0.99], nan_ok=True)
    assert column(rows, "closing_cost") == pytest.approx([0, bought * 1.21])
    assert rows[1]["equity"] == pytest.approx(bought * 121 * 0.99)
    assert rows[1]["reward"] == pytest.approx(math.log(1.1 * 0.99))
    assert (rows[1]["position"], rows[1]["held_position"], rows[1]["weight"]) == (0, 1, 0)
