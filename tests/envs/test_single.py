"""One account is an ordinary Gymnasium environment."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from flag_trl.accounts import AllIn
from flag_trl.data import Window
from flag_trl.envs import TradingEnv


@pytest.fixture
def market(market_of):
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, 120)))
    return market_of(close, open=close * 1.001)


def test_gymnasiums_checker_passes(market, scheme, fill, reward):
    env = TradingEnv({"AAA": market}, scheme=scheme, fill=fill, reward=reward)
    with warnings.catch_warnings():
        # The checker remarks that money has no upper bound.
        warnings.filterwarnings("ignore", message=".*infinity.*")
        warnings.filterwarnings("error", message=".*(not within|dtype|determinis).*")
        check_env(env, skip_render_check=True)


def test_one_account_sees_what_the_same_account_of_the_vector_sees(market):
    env = TradingEnv({"AAA": market}, scheme=AllIn(), initial_capital=1000.0)
    observation, info = env.reset(options={"window": Window("AAA", 7, 2)})
    assert (observation["bar"], info["equity"]) == (7, 1000.0)
    observation, reward, terminated, truncated, info = env.step(2)
    assert reward == pytest.approx(np.log(info["equity"] / 1000.0))
    assert info["equity"] == pytest.approx(1000.0 * market.close[8] / market.open[8])
    assert (observation["position"], terminated, truncated) == (1, False, False)
    assert env.step(0)[3] is True


def test_an_action_that_cannot_be_executed_trades_nothing_and_says_so(market):
    env = TradingEnv({"AAA": market}, scheme=AllIn())
    env.reset(options={"window": Window("AAA", 0, 3)})
    observation, _, _, _, info = env.step(0)
    assert (info["executed"], info["units_traded"], observation["position"]) == (False, 0, 0)
    assert env.step(2)[4]["executed"]
    observation, _, _, _, info = env.step(2)
    assert (info["executed"], info["units_traded"], observation["position"]) == (False, 0, 1)


@pytest.mark.parametrize("action", [-1, 3])
def test_an_action_outside_the_space_is_refused(market, action):
    env = TradingEnv({"AAA": market}, scheme=AllIn())
    env.reset()
    with pytest.raises(ValueError, match=f"action {action} "):
        env.step(action)


def test_the_price_of_a_trade_is_there_only_if_one_was_made(market):
    env = TradingEnv({"AAA": market}, scheme=AllIn())
    env.reset(options={"window": Window("AAA", 0, 3)})
    assert "fill_price" not in env.step(1)[4]
    assert env.step(2)[4]["fill_price"] == market.open[2]


def test_an_unknown_option_is_refused(market):
    with pytest.raises(ValueError, match="unknown options windows"):
        TradingEnv({"AAA": market}, scheme=AllIn()).reset(options={"windows": []})
