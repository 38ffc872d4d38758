"""Money is conserved: an independent ledger, kept in plain numbers, agrees with the environment at every step."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flag_trl.data import Window
from flag_trl.envs import RUIN_FLOOR, TradingVectorEnv

CAPITAL = 1000.0
BARS = 12
# Moves of up to three times the price ruin shorts, so that debts are in the ledger too.
MOVES = hnp.arrays(float, (BARS, 2), elements=st.floats(-1.1, 1.1).map(lambda x: round(x, 6)))
SEEDS = st.integers(0, 2**32 - 1)


class Ledger:
    """One account's book, kept by hand from what was traded."""

    def __init__(self, costs):
        self.costs, self.cash, self.units = costs, CAPITAL, 0.0

    def trade(self, units, price, cost, reference):
        """Book a trade; the money it may cost follows from the reference price alone."""
        if units == 0.0:
            assert math.isnan(price) and cost == 0.0
            return 0.0
        side = 1 if units > 0 else -1
        assert price == pytest.approx(reference * (1 + side * self.costs.slippage_bps / 1e4))
        commission = abs(units) * price * self.costs.commission_bps / 1e4
        lost = commission + abs(units) * abs(price - reference)
        assert cost == pytest.approx(lost, rel=1e-9, abs=1e-9)
        self.cash -= units * price + commission
        self.units += units
        return lost

    def borrow(self, price, periods_per_year):
        fee = self.costs.borrow_rate / periods_per_year * max(-self.units, 0.0) * price
        self.cash -= fee
        return fee


def check_step(ledger, row, before, target, closes, reference, equity_before, periods_per_year):
    """Book one account's step from its row of info, and compare equity, weights and log return."""
    ledger_units = ledger.units
    lost = ledger.trade(row["units_traded"], row["fill_price"], row["cost"], reference)
    held = ledger.units
    filled = ledger.cash + held * reference
    if not math.isnan(target) and before + ledger_units * reference > 0:
        assert held * reference == pytest.approx(target * filled, abs=1e-7 * CAPITAL)
    assert row["held_position"] == np.sign(held)
    fee = ledger.borrow(closes[1], periods_per_year)
    assert row["borrow"] == pytest.approx(fee, abs=1e-9)
    lost += ledger.trade(row["closing_units"], row["closing_price"], row["closing_cost"], closes[1])

    scale = 1e-9 * (CAPITAL + abs(row["equity"]) + abs(held) * (closes[1] + reference))
    assert row["equity"] == pytest.approx(ledger.cash + ledger.units * closes[1], abs=scale)
    gained = ledger_units * (reference - closes[0]) + held * (closes[1] - reference)
    assert row["equity"] - equity_before == pytest.approx(gained - lost - fee, abs=scale)
    growth = max(row["equity"] / equity_before, RUIN_FLOOR)
    assert row["log_return"] == pytest.approx(math.log(growth), abs=1e-9)
    assert row["position"] == np.sign(ledger.units)
    if row["equity"] > 0:
        assert row["weight"] == pytest.approx(ledger.units * closes[1] / row["equity"], abs=1e-7)


@settings(deadline=None, max_examples=12)
@given(moves=MOVES, seed=SEEDS, close_at_end=st.booleans())
def test_equity_changes_by_units_times_price_change_less_costs_and_borrowing(
    market_of, legal_choice, scheme, costs, fill, reward, moves, seed, close_at_end
):
    close = 100 * np.exp(np.cumsum(moves[:, 0]))
    market = market_of(close, open=close * np.exp(moves[:, 1] / 2), periods_per_year=365)
    windows = [Window("AAA", 0, BARS - 1), Window("AAA", 3, 5), Window("AAA", 2, BARS - 3)]
    env = TradingVectorEnv(
        {"AAA": market},
        len(windows),
        scheme=scheme,
        fill=fill,
        costs=costs,
        reward=reward,
        initial_capital=CAPITAL,
        close_at_end=close_at_end,
    )
    observation, info = env.reset(options={"windows": windows})
    ledgers = [Ledger(costs) for _ in windows]
    equity, done = info["equity"], np.zeros(len(windows), dtype=bool)
    rng = np.random.default_rng(seed)
    for t in range(BARS - 1):
        actions = legal_choice(observation["legal"], rng.random(len(windows)))
        targets = scheme.target_weight(actions)
        observation, rewards, terminated, truncated, info = env.step(actions)
        for n in np.flatnonzero(~done):
            bar = windows[n].start + t
            reference = market.open[bar + 1] if fill == "next_open" else close[bar]
            row = {key: values[n] for key, values in info.items()}
            check_step(ledgers[n], row, ledgers[n].cash, targets[n], close[bar : bar + 2], reference, equity[n], 365)
            if reward == "log_return":
                assert rewards[n] == row["log_return"]
            if close_at_end and truncated[n]:
                assert ledgers[n].units == 0.0
        assert (rewards[done] == 0.0).all() and (info["equity"][done] == equity[done]).all()
        np.testing.assert_array_equal(terminated, info["equity"] <= 0)
        equity, done = info["equity"], terminated | truncated
    assert done.all()
