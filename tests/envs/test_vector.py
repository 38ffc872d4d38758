"""Masks, ruin, windows of different lengths, and what an account that is finished may still do."""

import math

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from flag_trl.accounts import AllIn, Costs, Signed
from flag_trl.data import Window
from flag_trl.envs import RUIN_FLOOR, TradingRules, TradingVectorEnv

SELL, HOLD, BUY = 0, 1, 2


def test_the_mask_follows_the_position(market_of):
    env = TradingVectorEnv({"AAA": market_of([100, 101, 102])}, 2, scheme=AllIn(), fill="same_close")
    observation, _ = env.reset(options={"windows": [Window("AAA", 0, 2)] * 2})
    assert observation["legal"].tolist() == [[0, 1, 1], [0, 1, 1]]
    observation, *_ = env.step(np.array([BUY, HOLD]))
    assert observation["legal"].tolist() == [[1, 1, 0], [0, 1, 1]]
    assert observation["legal"].dtype == np.int8


def test_observations_lie_in_the_observation_space(market_of, scheme, fill, costs):
    close = np.linspace(100, 150, 30)
    markets = {"BBB": market_of(close, open=close, symbol="BBB"), "AAA": market_of(close[:20], open=close[:20])}
    env = TradingVectorEnv(markets, 5, scheme=scheme, fill=fill, costs=costs)
    assert env.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    observation, _ = env.reset(seed=3)
    for _ in range(3):
        assert env.observation_space.contains(observation)
        actions = observation["legal"].argmax(axis=1)
        assert env.action_space.contains(actions)
        observation, *_ = env.step(actions)
    assert env.symbols == ("AAA", "BBB")


def test_each_account_trades_its_own_window_of_its_own_market(market_of):
    markets = {"AAA": market_of([1, 2, 4, 8, 16]), "BBB": market_of([81, 27, 9, 3, 1], symbol="BBB")}
    env = TradingVectorEnv(markets, 3, scheme=AllIn(), fill="same_close")
    windows = [Window("BBB", 1, 2), Window("AAA", 0, 1), Window("AAA", 2, 2)]
    observation, info = env.reset(options={"windows": windows})
    assert observation["symbol"].tolist() == [1, 0, 0]
    assert observation["bar"].tolist() == [1, 0, 2]
    assert info["date"].tolist() == [np.datetime64(f"2020-01-0{day}").item() for day in (2, 1, 3)]
    _, reward, *_ = env.step(np.array([BUY, BUY, BUY]))
    assert reward == pytest.approx(np.log([1 / 3, 2, 2]))


def test_windows_of_different_lengths_end_one_by_one_and_then_stand_still(market_of, scheme, costs, reward):
    close = np.array([100.0, 130, 90, 120, 80, 140])
    env = TradingVectorEnv({"AAA": market_of(close)}, 2, scheme=scheme, fill="same_close", costs=costs, reward=reward)
    observation, _ = env.reset(options={"windows": [Window("AAA", 0, 2), Window("AAA", 0, 5)]})
    ended = []
    for t in range(7):
        actions = np.where(observation["legal"][:, -1], len(scheme.actions) - 1, 1)
        # The first account is finished from step 2 on, the second from step 5: not even an action's range counts then.
        actions[[t >= 2, t >= 5]] = 99
        observation, rewards, terminated, truncated, info = env.step(actions)
        ended.append(truncated.tolist())
        if t == 1:
            equity = info["equity"][0]
        if t >= 2:
            assert observation["legal"][0].all()
            assert rewards[0] == info["units_traded"][0] == info["borrow"][0] == info["held_position"][0] == 0
            assert info["equity"][0] == equity
            assert observation["bar"][0] == 2 and info["date"][0] == np.datetime64("2020-01-03")
        assert not terminated.any()
    assert ended == [
        [False, False],
        [True, False],
        [True, False],
        [True, False],
        [True, True],
        [True, True],
        [True, True],
    ]


@pytest.mark.parametrize("squeeze", [200.0, 250.0])
def test_a_squeezed_short_is_liquidated_and_terminated_with_a_floored_reward(market_of, squeeze):
    env = TradingVectorEnv(
        {"AAA": market_of([100, squeeze, 50, 60])}, 2, scheme=Signed(), fill="same_close", initial_capital=1000.0
    )
    env.reset(options={"windows": [Window("AAA", 0, 3)] * 2})
    observation, reward, terminated, truncated, info = env.step(np.array([SELL, BUY]))
    assert terminated.tolist() == [True, False] and not truncated.any()
    assert reward[0] == math.log(RUIN_FLOOR)
    assert info["equity"][0] == 2000 - 10 * squeeze, "the debt stays in the books"
    assert (info["closing_units"][0], info["closing_price"][0]) == (10, squeeze)
    assert (info["position"][0], info["held_position"][0], info["weight"][0]) == (0, -1, 0)
    assert observation["cash_share"][0] == 1
    for _ in range(2):
        observation, reward, terminated, truncated, info = env.step(np.array([SELL, BUY]))
        assert terminated.tolist() == [True, False]
        assert reward[0] == info["units_traded"][0] == info["held_position"][0] == 0
        assert info["equity"][0] == 2000 - 10 * squeeze
        assert all(np.isfinite(values).all() for values in observation.values())
    assert truncated.tolist() == [False, True]


@pytest.mark.parametrize("action", [SELL, HOLD, BUY])
def test_a_short_ruined_overnight_is_closed_at_the_open_whatever_it_decides(market_of, action):
    market = market_of([100, 100, 90], open=[100, 100, 300])
    env = TradingVectorEnv({"AAA": market}, 1, scheme=Signed(), initial_capital=1000.0)
    env.reset(options={"windows": [Window("AAA", 0, 2)]})
    env.step(np.array([SELL]))
    _, reward, terminated, _, info = env.step(np.array([action]))
    assert terminated[0] and reward[0] == math.log(RUIN_FLOOR)
    assert info["equity"][0] == -1000 and info["held_position"][0] == 0


def test_costs_of_closing_at_the_end_can_ruin(market_of):
    costs = Costs(commission_bps=100)
    env = TradingVectorEnv(
        {"AAA": market_of([100, 200])}, 1, scheme=Signed(), fill="same_close", costs=costs, close_at_end=True
    )
    env.reset(options={"windows": [Window("AAA", 0, 1)]})
    _, reward, terminated, truncated, info = env.step(np.array([SELL]))
    assert info["equity"][0] < 0
    assert (terminated[0], truncated[0], reward[0]) == (True, False, math.log(RUIN_FLOOR))


def test_windows_are_drawn_from_the_seed_and_fit_their_markets(market_of):
    markets = {"AAA": market_of(np.arange(1, 200)), "BBB": market_of(np.arange(1, 90), symbol="BBB")}
    first, second = (TradingVectorEnv(markets, 64, scheme=AllIn(), fill="same_close") for _ in range(2))
    one, two = first.reset(seed=5)[0], second.reset(seed=5)[0]
    np.testing.assert_array_equal(one["bar"], two["bar"])
    np.testing.assert_array_equal(one["symbol"], two["symbol"])
    assert (first.reset()[0]["bar"] != one["bar"]).any(), "the next draw differs"
    assert set(one["symbol"]) == {0, 1}
    assert (one["bar"] + 64 < np.where(one["symbol"] == 0, 199, 89)).all()


def test_what_is_handed_out_can_be_changed_without_changing_the_environment(market_of):
    runs = []
    for spoil in (False, True):
        env = TradingVectorEnv({"AAA": market_of([100, 130, 90, 120])}, 1, scheme=AllIn(), fill="same_close")
        arrays = [*env.reset(options={"windows": [Window("AAA", 0, 3)]})]
        for action in (BUY, HOLD, SELL):
            if spoil:
                for group in arrays:
                    for values in group.values():
                        values[...] = np.zeros_like(values)
            observation, reward, _, _, info = env.step(np.array([action]))
            arrays = [observation, info]
            runs.append((float(reward[0]), float(info["equity"][0]), int(observation["bar"][0])))
    assert runs[:3] == runs[3:]


def test_rules_make_the_environment_they_describe(market_of):
    rules = TradingRules(
        scheme=Signed(), fill="same_close", costs=Costs(borrow_rate=0.1), initial_capital=7.0, close_at_end=True
    )
    env = rules.make({"AAA": market_of([100, 101])}, 3)
    _, info = env.reset()
    assert info["equity"].tolist() == [7.0] * 3
    assert (env.scheme, env.costs, env.close_at_end) == (rules.scheme, rules.costs, True)


def test_an_account_in_lots_keeps_the_rest_in_cash(market_of):
    market = market_of([30.0, 33.0, 36.0])
    env = TradingVectorEnv({"AAA": market}, 1, scheme=AllIn(), fill="same_close", initial_capital=1000.0, lot_size=1.0)
    env.reset(options={"windows": [Window("AAA", 0, 2)]})
    *_, info = env.step(np.array([2]))
    assert info["units_traded"][0] == 33.0
    assert info["equity"][0] == 10.0 + 33.0 * 33.0
    with pytest.raises(ValueError, match="lot_size is -1"):
        TradingVectorEnv({"AAA": market}, 1, scheme=AllIn(), fill="same_close", lot_size=-1.0)
