"""The Sharpe increment adds up to the ratio that the measures report; its derivative, and the drawdown's fine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flag_trl.accounts import AllIn, Signed, Target
from flag_trl.data import Window
from flag_trl.envs import MIN_RETURNS, STD_FLOOR, TradingRules, TradingVectorEnv
from flag_trl.envs.rewards import DifferentialSharpe, DrawdownPenalised
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


def rewards_of(reward, log_returns) -> np.ndarray:
    return np.array([reward.update(bar, None) for bar in np.asarray(log_returns, dtype=float)])


def moving_sharpe(mean: float, square: float, simple_return: float, rate: float) -> float:
    """The ratio once both moving estimates have gone `rate` of the way to the new return."""
    mean = mean + rate * (simple_return - mean)
    square = square + rate * (simple_return**2 - square)
    return mean / np.sqrt(square - mean**2)


# One estimate still is a plain mean at the end; the other forgets from the first reward on.
@pytest.mark.parametrize("rate", [0.01, 1 / MIN_RETURNS])
def test_the_differential_sharpe_is_the_derivative_of_the_moving_ratio_by_the_rate(rate):
    returns = np.random.default_rng(0).normal(0.001, 0.02, 60)
    found = rewards_of(DifferentialSharpe(1, rate), np.log1p(returns)[:, None])[:, 0]
    first = round(1 / rate)
    for t in range(MIN_RETURNS, len(returns)):
        plain = min(t, first)
        # Oldest first: equal while the mean is plain, then each new return takes its `rate` of the weight.
        weights = np.append(np.full(plain, 1 / plain), np.full(t - plain, rate))
        weights *= np.append(np.full(plain, 1 - rate) ** (t - plain), (1 - rate) ** np.arange(t - plain)[::-1])
        mean, square = weights @ returns[:t], weights @ returns[:t] ** 2
        ahead, behind = (moving_sharpe(mean, square, returns[t], step) for step in (1e-5, -1e-5))
        assert found[t] == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-8)


def test_the_differential_sharpe_is_zero_until_twenty_returns_are_known():
    found = rewards_of(DifferentialSharpe(2, 0.01), np.random.default_rng(0).normal(0, 0.02, (40, 2)))
    assert (found[:MIN_RETURNS] == 0).all() and (found[MIN_RETURNS:] != 0).all()


def test_the_differential_sharpe_divides_by_the_floor_where_nothing_varied():
    """Twenty returns of 0.02 %, then 1.02 %: one per cent above the mean, over the floor of a tenth."""
    returns = np.append(np.full(MIN_RETURNS, 0.0002), 0.0102)
    assert rewards_of(DifferentialSharpe(1, 0.01), np.log1p(returns)[:, None])[-1, 0] == pytest.approx(10.0)


def test_the_drawdowns_fine_by_hand():
    # Below the highest so far by 0, 0.2, 0.1, 0.15, 0.4, 0, 0.3.
    log_returns = [[0.1], [-0.2], [0.1], [-0.05], [-0.25], [0.5], [-0.3]]
    found = rewards_of(DrawdownPenalised(1, 2.0), log_returns)
    np.testing.assert_allclose(found[:, 0], [0.1, -0.6, 0.1, -0.05, -0.65, 0.5, -0.3], atol=1e-12)


LOG_RETURNS = hnp.arrays(float, (25, 3), elements=st.floats(-0.2, 0.2))


@settings(deadline=None, max_examples=50)
@given(LOG_RETURNS, st.floats(0, 5))
def test_all_fines_together_are_the_penalty_times_the_maximum_drawdown(log_returns, penalty):
    equity = np.concatenate([np.zeros((1, 3)), log_returns.cumsum(axis=0)])
    fines = penalty * (np.maximum.accumulate(equity) - equity).max(axis=0)
    found = rewards_of(DrawdownPenalised(3, penalty), log_returns).sum(axis=0)
    np.testing.assert_allclose(found, log_returns.sum(axis=0) - fines, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(LOG_RETURNS)
def test_a_rising_bar_is_never_fined_and_without_penalty_none_is(log_returns):
    assert np.array_equal(rewards_of(DrawdownPenalised(3, 0.0), log_returns), log_returns)
    rising = log_returns > 0
    assert np.array_equal(rewards_of(DrawdownPenalised(3, 5.0), log_returns)[rising], log_returns[rising])


@pytest.mark.parametrize(
    ("name", "option", "kind"),
    [
        ("differential_sharpe", {"sharpe_rate": 0.2}, DifferentialSharpe),
        ("drawdown_penalised", {"drawdown_penalty": 3.0}, DrawdownPenalised),
    ],
)
def test_after_a_reset_the_environment_pays_what_a_new_reward_makes_of_its_log_returns(
    name, option, kind, market_of, legal_choice
):
    rng = np.random.default_rng(0)
    market = market_of(100 * np.exp(np.cumsum(rng.normal(0, 0.02, 40))))
    env = TradingVectorEnv({"AAA": market}, 2, scheme=AllIn(), fill="same_close", reward=name, **option)
    for _ in range(2):
        observation, _ = env.reset(options={"windows": [Window("AAA", 0, 39)] * 2})
        expected = kind(2, *option.values())
        for _ in range(39):
            observation, paid, _, _, info = env.step(legal_choice(observation["legal"], rng.random(2)))
            np.testing.assert_array_equal(paid, expected.update(info["log_return"], info["weight"]))


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
def test_what_timing_earns_is_the_growth_beyond_what_its_exposure_earns_in_average_bars(fill, market_of):
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0.001, 0.02, 41)))
    markets = {"AAA": market_of(close, open=close * 1.001)}
    rules = TradingRules(Target(), fill, reward="timing_return").with_drift(
        markets, [Window("AAA", 3, 10), Window("AAA", 20, 18), Window("AAA", 5, 4)]
    )
    drift = np.log(close[38] / close[3]) / 35
    assert rules.drift == {"AAA": pytest.approx(drift)}
    lengths = np.array([40, 25, 7])
    env = rules.make(markets, 3)
    env.reset(options={"windows": [Window("AAA", 0, length) for length in lengths.tolist()]})
    chosen = rng.integers(5, size=(40, 3))
    paid, grown = np.zeros((2, 3))
    for actions in chosen:
        _, reward, _, _, info = env.step(actions)
        paid, grown = paid + reward, grown + info["log_return"]
    exposure = np.array([np.array(Target().grid)[chosen[:n, k]].sum() for k, n in enumerate(lengths)])
    np.testing.assert_allclose(paid, grown - exposure * drift, atol=1e-12)


@pytest.mark.parametrize(("scheme", "first", "then"), [(AllIn(), 2, 1), (Signed(), 2, 2)])
def test_holding_throughout_the_training_period_is_no_timing(scheme, first, then, market_of):
    markets = {"AAA": market_of(100 * 1.01 ** np.arange(31.0) + np.arange(31) % 3)}
    window = Window("AAA", 0, 30)
    env = TradingRules(scheme, "same_close", reward="timing_return").with_drift(markets, [window]).make(markets, 1)
    env.reset(options={"windows": [window]})
    paid = [env.step(np.array([then if t else first]))[1][0] for t in range(30)]
    assert max(map(abs, paid)) > 1e-3
    assert sum(paid) == pytest.approx(0.0, abs=1e-12)


def test_betting_against_the_windows_own_past_earns_nothing_on_independent_returns(market_of):
    # 400 windows of 16 days: were m the mean of each window, this would be paid 0.08 % a day, some seven deviations.
    rng, days = np.random.default_rng(0), 16
    close = 100 * np.exp(np.cumsum(rng.normal(0.0005, 0.01, 1 + 400 * days)))
    markets, windows = {"AAA": market_of(close)}, [Window("AAA", days * k, days) for k in range(400)]
    env = TradingRules(Signed(), "same_close", reward="timing_return").with_drift(markets, windows).make(markets, 400)
    env.reset(options={"windows": windows})
    first, paid = np.arange(400) * days, []
    for t in range(days):
        action = np.where(close[first + t] > close[first + max(t - 3, 0)], 0, 2) if t else np.full(400, 1)
        paid.append(env.step(action)[1])
    mean = np.mean(paid)
    assert abs(mean) < 3 * 0.01 / np.sqrt(400 * days)


def test_a_symbol_held_out_of_training_is_taken_to_drift_as_the_others_do(market_of):
    markets = {name: market_of(np.exp(rate * np.arange(11)), symbol=name) for name, rate in (("A", 0.1), ("B", 0.3))}
    markets["C"] = market_of(np.ones(11), symbol="C")
    rules = TradingRules().with_drift(markets, [Window("A", 2, 5), Window("B", 0, 4)])
    assert rules.drift == pytest.approx({"A": 0.1, "B": 0.3, "C": 0.2})
