"""Drawing actions by number."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.agent import Decision, choose

ROWS = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.6, 0.0, 0.4]])


def test_an_evenly_spread_number_draws_each_action_as_often_as_it_is_probable() -> None:
    uniforms = (np.arange(1000) + 0.5) / 1000
    for row in ROWS:
        drawn = choose(np.tile(row, (1000, 1)), uniforms)
        np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 1000, row, atol=1e-3)


@settings(max_examples=200)
@given(st.integers(0, 2), st.floats(0, 1, exclude_max=True))
def test_no_number_draws_an_impossible_action(row: int, uniform: float) -> None:
    assert ROWS[row, choose(ROWS[row : row + 1], np.array([uniform]))[0]] > 0


def test_a_row_that_sums_to_a_little_less_than_one_still_draws_a_possible_action() -> None:
    short = np.array([[0.3, 0.7 - 1e-12, 0.0]])
    assert choose(short, np.array([np.nextafter(1.0, 0.0)]))[0] == 1


def test_a_draw_depends_on_its_own_row_alone() -> None:
    uniforms = np.array([0.65, 0.3, 0.9])
    together = choose(ROWS, uniforms)
    alone = [choose(ROWS[i : i + 1], uniforms[i : i + 1])[0] for i in range(3)]
    assert together.tolist() == alone


def test_without_numbers_the_likeliest_action_is_taken() -> None:
    assert choose(ROWS, None).tolist() == [1, 1, 0]


def test_the_log_probability_is_that_of_the_action_taken() -> None:
    decision = Decision(np.array([1, 1, 2]), ROWS)
    np.testing.assert_allclose(decision.log_probs, np.log([0.5, 1.0, 0.4]))
