"""Nothing looks ahead: a price that comes later changes no earlier observation, fill or reward."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flag_trl.data import Window
from flag_trl.envs import TradingVectorEnv

BARS = 27
SHARPE_BARS = 21
FILL = ("units_traded", "fill_price", "cost")
REALISED = ("equity", "weight", "position", "log_return", "held_position", "borrow", "closing_units", "closing_price")
PRICES = hnp.arrays(float, (BARS, 2), elements=st.floats(20, 200), fill=st.nothing())


def play(env, windows, legal_choice, seed):
    """Steps of an episode as (observation, actions, reward, info), actions drawn from keyed uniforms."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(options={"windows": windows})
    for _ in range(max(window.length for window in windows)):
        actions = legal_choice(observation["legal"], rng.random(len(windows)))
        following, reward, terminated, truncated, info = env.step(actions)
        yield observation, actions, reward, terminated | truncated, info
        observation = following


def assert_same(before, after, where, what):
    np.testing.assert_array_equal(before[where], after[where], err_msg=what)


@settings(deadline=None, max_examples=10)
@given(
    prices=PRICES,
    later=PRICES,
    last=st.integers(0, BARS - 2) | st.integers(SHARPE_BARS, BARS - 2),
    open_known=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_later_price_changes_no_earlier_observation_fill_or_reward(
    market_of, legal_choice, scheme, costs, fill, reward, prices, later, last, open_known, seed
):
    # Everything after bar `last` differs; with open_known, not the next open, at which a decision of `last` fills.
    changed = np.where(np.arange(BARS)[:, None] <= last, prices, later)
    if open_known:
        changed[last + 1, 1] = prices[last + 1, 1]
    windows = [Window("AAA", 0, BARS - 1), Window("AAA", 4, 6), Window("AAA", 1, BARS - 2)]
    runs = []
    for table in (prices, changed):
        market = market_of(table[:, 0], open=table[:, 1])
        env = TradingVectorEnv(
            {"AAA": market}, len(windows), scheme=scheme, fill=fill, costs=costs, reward=reward, close_at_end=True
        )
        runs.append(play(env, windows, legal_choice, seed))
    start = np.array([window.start for window in windows])
    for t, (true, other) in enumerate(zip(*runs, strict=True)):
        bar = start + t
        for key in true[0]:
            assert_same(true[0][key], other[0][key], bar <= last, f"observation {key}, step {t}")
        assert_same(true[1], other[1], bar <= last, f"actions, step {t}")
        filled = bar <= last if fill == "same_close" or open_known else bar < last
        for key in FILL:
            assert_same(true[4][key], other[4][key], filled, f"{key}, step {t}")
        realised = bar < last
        assert_same(true[2], other[2], realised, f"reward, step {t}")
        assert_same(true[3], other[3], realised, f"end, step {t}")
        for key in REALISED:
            assert_same(true[4][key], other[4][key], realised, f"{key}, step {t}")
