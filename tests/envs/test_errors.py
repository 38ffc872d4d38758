"""What cannot be is refused, by name and with the remedy."""

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from flag_trl.accounts import AllIn, Signed
from flag_trl.data import Window
from flag_trl.envs import TradingVectorEnv


@pytest.fixture
def env(market_of):
    env = TradingVectorEnv({"AAA": market_of([100, 101, 102, 103])}, 2, scheme=AllIn(), fill="same_close")
    env.reset(options={"windows": [Window("AAA", 0, 3)] * 2})
    return env


def test_an_illegal_action_is_named_with_account_date_and_what_is_legal(env):
    env.step(np.array([2, 1]))
    with pytest.raises(ValueError) as error:
        env.step(np.array([1, 0]))
    for part in ("account 1", "AAA", "2020-01-02", "action 0 (sell)", "flat", "1 (hold)", "2 (buy)"):
        assert part in str(error.value)


@pytest.mark.parametrize("action", [-1, 3])
def test_an_action_that_does_not_exist_is_illegal(env, action):
    with pytest.raises(ValueError, match=f"account 1.*action {action} "):
        env.step(np.array([1, action]))


@pytest.mark.parametrize("actions", [np.array([1]), np.array([[1, 1]]), np.array([1.0, 1.0])])
def test_actions_of_another_shape_or_type_are_refused(env, actions):
    with pytest.raises(ValueError, match=r"integers of shape \(2,\)"):
        env.step(actions)


def test_an_illegal_action_leaves_the_accounts_as_they_were(env):
    with pytest.raises(ValueError, match="illegal"):
        env.step(np.array([2, 0]))
    observation, *_ = env.step(np.array([2, 1]))
    assert observation["bar"].tolist() == [1, 1]
    assert observation["position"].tolist() == [1, 0]


def test_filling_at_the_next_open_without_opens_names_symbol_and_remedy(market_of):
    with pytest.raises(ValueError, match="AAA.*no opens.*fill: same_close"):
        TradingVectorEnv({"AAA": market_of([1, 2, 3])}, 1, scheme=AllIn())


@pytest.mark.parametrize(
    ("window", "part"),
    [
        (Window("AAA", -1, 2), "start >= 0"),
        (Window("AAA", 0, 0), "length >= 1"),
        (Window("AAA", 1, 3), "bars 0 to 3"),
        (Window("ZZZ", 0, 1), "unknown symbols ZZZ; the markets are AAA"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(env, window, part):
    with pytest.raises(ValueError, match=part):
        env.reset(options={"windows": [Window("AAA", 0, 3), window]})


def test_each_account_needs_a_window(env):
    with pytest.raises(ValueError, match="1 windows for 2 accounts"):
        env.reset(options={"windows": [Window("AAA", 0, 3)]})


def test_an_unknown_option_is_refused(env):
    with pytest.raises(ValueError, match="unknown options window;"):
        env.reset(options={"window": []})


def test_a_step_needs_a_reset(market_of):
    env = TradingVectorEnv({"AAA": market_of([100, 101])}, 1, scheme=Signed(), fill="same_close")
    with pytest.raises(ResetNeeded):
        env.step(np.array([1]))


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"fill": "yesterday"}, "next_open, same_close"),
        ({"reward": "fame"}, "log_return, timing_return"),
        ({"reward": "timing_return"}, "needs the mean log return of AAA: give drift"),
        ({"sharpe_rate": 0.0}, r"sharpe_rate is 0.0; it must lie in \(0, 1\)"),
        ({"sharpe_rate": 1.0}, r"sharpe_rate is 1.0; it must lie in \(0, 1\)"),
        ({"drawdown_penalty": -0.1}, "drawdown_penalty is -0.1; it cannot be negative"),
        ({"initial_capital": 0.0}, "capital"),
        ({"num_envs": 0}, "num_envs is 0"),
        ({"markets": {}}, "no market"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(market_of, settings, part):
    defaults = {"markets": {"AAA": market_of([1, 2])}, "num_envs": 1, "scheme": AllIn(), "fill": "same_close"}
    with pytest.raises(ValueError, match=part):
        TradingVectorEnv(**(defaults | settings))


def test_a_market_of_one_bar_is_too_short(market_of):
    with pytest.raises(ValueError, match="AAA: 1 bar"):
        TradingVectorEnv({"AAA": market_of([1])}, 1, scheme=AllIn(), fill="same_close")
