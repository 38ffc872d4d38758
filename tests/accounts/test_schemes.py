"""Position schemes say what an action means and who may take it."""

import numpy as np
import pytest

from flag_trl.accounts import AllIn, Signed, Target, position_scheme


def test_all_in_lets_the_flat_hold_or_buy_and_the_long_sell_or_hold():
    assert AllIn().actions == ("sell", "hold", "buy")
    assert AllIn().legal_actions(np.array([0, 1], dtype=np.int8)).tolist() == [
        [False, True, True],
        [True, True, False],
    ]


def test_all_in_asks_for_nothing_no_trade_or_everything():
    np.testing.assert_array_equal(AllIn().target_weight(np.array([0, 1, 2])), [0.0, np.nan, 1.0])


def test_signed_asks_for_the_sign_of_the_action_whatever_the_position():
    assert Signed().target_weight(np.array([0, 1, 2])).tolist() == [-1.0, 0.0, 1.0]
    assert Signed().legal_actions(np.array([-1, 0, 1])).all()


def test_target_names_its_actions_by_their_weights():
    scheme = Target(grid=(-1.0, -0.125, 0.0, 0.5))
    assert scheme.actions == ("-100%", "-12.5%", "0%", "50%")
    assert scheme.target_weight(np.array([3, 1])).tolist() == [0.5, -0.125]
    assert scheme.legal_actions(np.array([-1, 0, 1])).shape == (3, 4)


@pytest.mark.parametrize(
    ("scheme", "positions"),
    [
        (AllIn(), (0, 1)),
        (Signed(), (-1, 0, 1)),
        (Target(), (0, 1)),
        (Target(grid=(-1.0, 1.0)), (-1, 0, 1)),
        (Target(grid=(0.5, 1.0)), (0, 1)),
    ],
)
def test_positions_are_the_signs_that_an_account_can_have_and_it_opens_flat(scheme, positions):
    assert scheme.positions == positions


@pytest.mark.parametrize("grid", [(0.5,), (0.0, 1.5), (0.0, float("nan")), (0.5, 0.0), (0.0, 0.0, 1.0)])
def test_a_grid_that_is_no_grid_is_refused(grid):
    with pytest.raises(ValueError, match="grid"):
        Target(grid=grid)


def test_schemes_are_built_by_name():
    assert position_scheme("all_in") == AllIn()
    assert position_scheme("signed") == Signed()
    assert position_scheme("target") == Target()
    assert position_scheme("target", grid=(0.0, 1.0)) == Target(grid=(0.0, 1.0))


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(ValueError, match="all_in, signed, target"):
        position_scheme("martingale")


def test_a_grid_for_a_scheme_that_has_none_is_refused():
    with pytest.raises(ValueError, match="takes no grid"):
        position_scheme("signed", grid=(0.0, 1.0))
