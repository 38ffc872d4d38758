"""Probabilities that mean what they say are charged what chance charges them, others more."""

from math import isnan

import numpy as np
import pytest

from flag_trl.metrics import calibration


def test_by_hand() -> None:
    found = calibration([0.2, 0.2, 0.2, 0.2, 0.8, 0.8], [False, False, False, True, True, False], bins=2)
    assert found.predicted == pytest.approx([0.2, 0.8]) and found.happened == pytest.approx([0.25, 0.5])
    assert found.count.tolist() == [4, 2]
    assert found.ece == pytest.approx((4 * 0.05 + 2 * 0.3) / 6)
    assert found.brier == pytest.approx((3 * 0.04 + 0.64 + 0.04 + 0.64) / 6)


def test_exact_probabilities_are_charged_what_chance_charges_and_overconfident_ones_more() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.3, 0.7, 2000)
    events = rng.random(2000) < p
    honest, bold = calibration(p, events), calibration(np.clip(3 * (p - 0.5) + 0.5, 0, 1), events)
    assert honest.ece < 2 * honest.ece_by_chance
    assert bold.ece > 3 * bold.ece_by_chance


@pytest.mark.parametrize("reach", [0.2, 0.45])
@pytest.mark.parametrize("share_together", [0.0, 0.6, 1.0])
def test_exact_probabilities_of_stocks_that_move_together_are_rejected_as_promised(share_together, reach) -> None:
    rng, days = np.random.default_rng(7), np.repeat(np.arange(80), 8)
    found = []
    for _ in range(150):
        p = rng.uniform(0.5 - reach, 0.5 + reach, (80, 8))
        shared = rng.random((80, 1)) < share_together
        uniform = np.where(shared, rng.random((80, 1)), rng.random((80, 8)))
        found.append(calibration(p.ravel(), (uniform < p).ravel(), days, draws=99).p_value <= 0.05)
    assert 0.005 <= np.mean(found) <= 0.095


def test_equal_probabilities_share_a_bin_whatever_their_number() -> None:
    found = calibration(np.full(100, 0.6), np.arange(100) < 55)
    assert found.count.tolist() == [100] and found.ece == pytest.approx(0.05)
    assert found.low[0] < 0.55 < found.high[0]


def test_nothing_said_is_nothing_wrong_and_no_probability_is_an_error() -> None:
    assert isnan(calibration([], []).ece)
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        calibration([1.2], [True])
