"""The Sharpe increment adds up to the Sharpe ratio that the measures report."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flag_trl.accounts import AllIn
from flag_trl.data import Window
from flag_trl.envs import MIN_RETURNS, STD_FLOOR, TradingVectorEnv
from flag_trl.metrics import sharpe_ratio, simple_returns


def run(market, lengths, legal_choice, seed, **settings):
    """Rewards (T, N) and equity (T+1, N) of random legal actions."""
    env = TradingVectorEnv({"AAA": market}, len(lengths), fill="same_close", reward="sharpe_increment", **settings)
    observation, info = env.reset(options={"windows": [Window("AAA", 0, length) for length in lengths]})
    rng = np.random.default_rng(seed)
    rewards, equity = [], [info["equity"]]
    for _ in range(max(lengths)):
        actions = legal_choice(observation["legal"], rng.random(len(lengths)))
        observation, reward, _, _, info = env.step(actions)
        rewards.append(reward)
        equity.append(info["equity"])
    return np.array(rewards), np.array(equity)


@settings(deadline=None, max_examples=20)
@given(
    returns=hnp.arrays(float, 40, elements=st.floats(-0.2, 0.2) | st.floats(-1e-4, 1e-4), fill=st.nothing()),
    seed=st.integers(0, 2**32 - 1),
)
def test_rewards_add_up_to_the_final_sharpe_ratio(market_of, legal_choice, scheme, costs, returns, seed):
    market = market_of(100 * np.exp(np.cumsum(returns)), periods_per_year=365)
    lengths = (39, MIN_RETURNS - 1, MIN_RETURNS, 30)
    rewards, equity = run(market, lengths, legal_choice, seed, scheme=scheme, costs=costs)
    for n, length in enumerate(lengths):
        expected = sharpe_ratio(simple_returns(equity[: length + 1, n]), 365, std_floor=STD_FLOOR)
        if length < MIN_RETURNS:
            expected = 0.0
        assert rewards[:, n].sum() == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_there_is_no_reward_before_the_twentieth_return(market_of, legal_choice):
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 30)))
    rewards, _ = run(market_of(close), (29,), legal_choice, seed=0, scheme=AllIn())
    assert (rewards[: MIN_RETURNS - 1] == 0).all()
    assert (rewards[MIN_RETURNS - 1 :] != 0).any()


def test_a_constant_return_is_divided_by_the_floor_and_not_by_nothing(market_of):
    env = TradingVectorEnv(
        {"AAA": market_of(1.001 ** np.arange(26))}, 1, scheme=AllIn(), fill="same_close", reward="sharpe_increment"
    )
    env.reset(options={"windows": [Window("AAA", 0, 25)]})
    rewards = [env.step(np.array([1 if t else 2]))[1][0] for t in range(25)]
    assert sum(rewards) == pytest.approx(0.001 / STD_FLOOR * np.sqrt(252))
