"""Returns-to-go, the baselines that rollouts form of each other, and generalised advantage estimation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.trainer.advantages import advantages, gae, group_mean, leave_one_out, returns_to_go


def test_returns_to_go_by_hand() -> None:
    rewards = np.array([[1.0, 0.0], [2.0, -1.0], [4.0, 0.0]])
    np.testing.assert_allclose(returns_to_go(rewards, 0.5), [[3.0, -0.5], [4.0, -1.0], [4.0, 0.0]])
    np.testing.assert_allclose(returns_to_go(rewards, 1.0)[0], rewards.sum(0))


def test_the_baseline_is_the_mean_of_the_windows_other_rollouts() -> None:
    returns = np.array([[1.0, 2.0, 6.0, 10.0, 20.0, 60.0]])
    np.testing.assert_allclose(leave_one_out(returns, 3), [[4.0, 3.5, 1.5, 40.0, 35.0, 15.0]])


@settings(max_examples=50)
@given(st.integers(2, 6), st.integers(0, 5), st.floats(-5, 5))
def test_a_rollouts_own_return_does_not_move_its_baseline(group: int, who: int, change: float) -> None:
    returns = np.random.default_rng(0).normal(size=(3, 2 * group))
    moved = returns.copy()
    moved[:, who % (2 * group)] += change
    same = leave_one_out(returns, group)[:, who % (2 * group)]
    np.testing.assert_allclose(leave_one_out(moved, group)[:, who % (2 * group)], same, atol=1e-12)


@pytest.mark.parametrize(("baseline", "mean"), [("rloo", 0.0), ("batch_mean", 0.0), ("none", 1.0)])
def test_what_all_rollouts_share_leaves_the_advantage_alone_where_they_judge_each_other(
    baseline: str, mean: float
) -> None:
    rewards = np.random.default_rng(0).normal(size=(4, 6))
    shifted = rewards + np.array([[0.0], [0.0], [0.0], [1.0]])
    difference = advantages(shifted, 1.0, baseline, 3) - advantages(rewards, 1.0, baseline, 3)
    np.testing.assert_allclose(difference, mean, atol=1e-12)


def test_the_group_mean_is_that_of_all_the_windows_rollouts() -> None:
    returns = np.array([[1.0, 2.0, 6.0, 10.0, 20.0, 60.0], [0.0, 0.0, 3.0, 1.0, 1.0, 1.0]])
    means = [[3.0, 3.0, 3.0, 30.0, 30.0, 30.0], [1.0] * 6]
    np.testing.assert_allclose(group_mean(returns, 3), means)


@pytest.mark.parametrize("group", [2, 3, 8])
def test_a_rollout_in_its_own_baseline_scales_its_advantage_by_n_minus_one_over_n(group: int) -> None:
    rewards = np.random.default_rng(0).normal(size=(4, 2 * group))
    apart, together = (advantages(rewards, 0.9, baseline, group) for baseline in ("rloo", "batch_mean"))
    np.testing.assert_allclose(together, (group - 1) / group * apart, atol=1e-12)


def test_generalised_advantages_by_hand() -> None:
    """Gamma and lambda 1/2; the second account ends after two steps, and what stands behind its end does not count."""
    rewards = np.array([[1.0, 1.0], [2.0, -1.0], [4.0, 9.0]])
    values = np.array([[2.0, 4.0], [4.0, 2.0], [2.0, 100.0]])
    active = np.array([[True, True], [True, True], [True, False]])
    # TD errors: 1 + 2 - 2, 2 + 1 - 4, 4 - 2 and 1 + 1 - 4, -1 - 2; each advantage adds a quarter of the next.
    expected = [[0.875, -2.75], [-0.5, -3.0], [2.0, 0.0]]
    np.testing.assert_allclose(gae(rewards, values, active, gamma=0.5, lam=0.5), expected)


@pytest.fixture
def episodes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards, values and whether an account still trades; three accounts end after 5, 3 and 1 steps."""
    active = np.arange(5)[:, None] < np.array([5, 3, 1])
    rewards, values = np.random.default_rng(0).normal(size=(2, 5, 3))
    return rewards * active, values, active


def test_lambda_one_leaves_the_return_to_go_less_the_value(episodes) -> None:
    rewards, values, active = episodes
    expected = (returns_to_go(rewards, 0.9) - values) * active
    np.testing.assert_allclose(gae(*episodes, gamma=0.9, lam=1.0), expected, atol=1e-12)


def test_lambda_zero_leaves_the_error_of_one_step(episodes) -> None:
    rewards, values, active = episodes
    expected = np.zeros_like(rewards)
    for n, length in enumerate(active.sum(0)):
        for t in range(length):
            following = values[t + 1, n] if t + 1 < length else 0.0
            expected[t, n] = rewards[t, n] + 0.9 * following - values[t, n]
    np.testing.assert_allclose(gae(*episodes, gamma=0.9, lam=0.0), expected, atol=1e-12)


def test_what_a_value_says_after_an_episodes_end_changes_nothing_and_nothing_is_judged_there(episodes) -> None:
    rewards, values, active = episodes
    found = gae(rewards, values, active, gamma=0.9, lam=0.7)
    assert (found[~active] == 0).all() and (found[active] != 0).all()
    assert np.array_equal(gae(rewards, np.where(active, values, 1e6), active, gamma=0.9, lam=0.7), found)
