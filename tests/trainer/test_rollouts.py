"""Keyed draws."""

import numpy as np
import pytest

from flag_trl.data import Window
from flag_trl.trainer.rollouts import keyed_uniforms

WINDOWS = [Window("AAA", 3, 4), Window("BBB", 3, 6), Window("AAA", 9, 4)]


def test_a_draw_depends_on_its_window_and_not_on_its_company() -> None:
    together = keyed_uniforms(WINDOWS, 5, seed=1, visit=2).reshape(6, 3, 5)
    for w, window in enumerate(WINDOWS):
        alone = keyed_uniforms([window], 5, seed=1, visit=2)
        assert np.array_equal(together[: window.length, w], alone)
        assert not together[window.length :, w].any()


def test_more_rollouts_leave_the_draws_of_the_first_ones_alone() -> None:
    few, many = (keyed_uniforms(WINDOWS[:1], n, seed=0, visit=0) for n in (2, 7))
    assert np.array_equal(few, many[:, :2])


@pytest.mark.parametrize("other", [{"seed": 1}, {"visit": 1}, {"window": Window("AAA", 4, 4)}])
def test_another_seed_visit_or_window_draws_anew(other) -> None:
    key = {"seed": 0, "visit": 0, "window": WINDOWS[0], **other}
    drawn = keyed_uniforms([key["window"]], 3, key["seed"], key["visit"])
    assert not np.intersect1d(drawn, keyed_uniforms(WINDOWS[:1], 3, 0, 0)).size


def test_draws_are_spread_evenly() -> None:
    draws = keyed_uniforms([Window("AAA", 0, 500)], 40, seed=0, visit=0).ravel()
    counts = np.histogram(draws, bins=10, range=(0, 1))[0]
    assert abs(counts - 2000).max() < 5 * np.sqrt(2000)
