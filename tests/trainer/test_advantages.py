"""Returns-to-go and the leave-one-out baseline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.trainer.advantages import advantages, leave_one_out, returns_to_go


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


@pytest.mark.parametrize(("baseline", "mean"), [("rloo", 0.0), ("none", 1.0)])
def test_what_all_rollouts_share_leaves_the_rloo_advantage_alone(baseline: str, mean: float) -> None:
    rewards = np.random.default_rng(0).normal(size=(4, 6))
    shifted = rewards + np.array([[0.0], [0.0], [0.0], [1.0]])
    difference = advantages(shifted, 1.0, baseline, 3) - advantages(rewards, 1.0, baseline, 3)
    np.testing.assert_allclose(difference, mean, atol=1e-12)
