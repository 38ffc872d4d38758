"""Value at risk is judged as in the literature, with p-values that hold at short lengths."""

from math import isnan

import numpy as np
import pytest

from flag_trl.metrics import coverage_test, traffic_light


def with_transitions(after_calm: int, after_hit: int, calm: int, hit_then_calm: int) -> np.ndarray:
    """A series with so many exceptions after none and after one, and so many periods without."""
    runs = [[True] * (1 + after_hit // after_calm + (k < after_hit % after_calm)) for k in range(after_calm)]
    quiet = [[False] * (1 + (k < calm % after_calm) + calm // after_calm) for k in range(after_calm)]
    series = [value for pause, hits in zip(quiet, runs, strict=True) for value in [*pause, *hits]]
    return np.array([*series, False])[: len(series) + (hit_then_calm == after_calm)]


def test_jp_morgans_exceptions_of_1998_have_the_published_ratios() -> None:
    # Jorion (2006), "Value at Risk", 3rd edition, chapter 6: 20 exceptions in 252 days at 5 %, of which 6 on the day
    # after another; ratios 3.91 for coverage, 9.53 for independence, 13.44 for both.
    hits = with_transitions(after_calm=14, after_hit=6, calm=217, hit_then_calm=14)
    found = coverage_test(hits, 0.05)
    assert found.exceptions == 20 and (hits[1:] & hits[:-1]).sum() == 6
    assert found.unconditional == pytest.approx(3.91, abs=0.05)
    assert found.independence == pytest.approx(9.53, abs=0.15)
    assert found.conditional == pytest.approx(found.unconditional + found.independence)
    assert found.p_independence < 0.01 and found.p_conditional < 0.01


# Kupiec (1995), non-rejection regions at 95 % confidence. The first is printed as N < 7, without its lower end: the
# ratio of no exception is 5.1.
REGIONS = [
    (0.01, 255, 1, 6),
    (0.01, 510, 2, 10),
    (0.01, 1000, 5, 16),
    (0.05, 255, 7, 20),
    (0.05, 510, 17, 35),
    (0.05, 1000, 38, 64),
]


@pytest.mark.parametrize("rate, days, fewest, most", REGIONS)
def test_kupiecs_ratio_passes_the_published_region(rate: float, days: int, fewest: int, most: int) -> None:
    passes = [k for k in range(days // 5) if coverage_test(np.arange(days) < k, rate, draws=1).unconditional <= 3.841]
    assert (passes[0], passes[-1]) == (fewest, most)


@pytest.mark.parametrize("exceptions, light", [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")])
def test_the_zones_are_basels(exceptions: int, light: str) -> None:
    assert traffic_light(exceptions, 250) == light


def test_where_there_are_no_exceptions_independence_has_no_p_value() -> None:
    found = coverage_test(np.zeros(250, dtype=bool), 0.01)
    assert isnan(found.p_independence) and found.independence == 0 and found.light == "green"


@pytest.mark.parametrize("hits, rate, words", [([True], 0.05, "two periods"), ([True, False], 1.0, "between 0 and 1")])
def test_what_cannot_be_tested_is_named(hits: list[bool], rate: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        coverage_test(hits, rate)
