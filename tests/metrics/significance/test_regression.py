"""What belongs together is not counted twice, and the market's part of a return is found."""

from math import isnan

import numpy as np
import pytest

from flag_trl.metrics import clustered_mean, market_model


def test_ten_copies_of_a_days_trade_say_no_more_than_one() -> None:
    values = np.random.default_rng(0).normal(0.5, 1.0, 60)
    once = clustered_mean(values, np.arange(60))
    tenfold = clustered_mean(np.repeat(values, 10), np.repeat(np.arange(60), 10))
    assert tenfold.value == pytest.approx(once.value)
    assert tenfold.interval == pytest.approx(once.interval, rel=0.01)


def test_of_clusters_of_one_the_error_is_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(0.1, 1.0, 400)
    found = clustered_mean(values, np.arange(400))
    assert (found.high - found.low) / 2 == pytest.approx(1.966 * values.std(ddof=1) / 20, rel=0.01)


def test_alpha_and_beta_are_those_that_were_put_in() -> None:
    rng = np.random.default_rng(2)
    market = rng.normal(0.0003, 0.01, 5000)
    found = market_model(0.0004 + 0.6 * market + rng.normal(0, 0.002, 5000), market)
    assert found.beta.value == pytest.approx(0.6, abs=0.01) and found.alpha.value == pytest.approx(0.1008, abs=0.02)
    assert found.beta.low < 0.6 < found.beta.high and found.alpha.low < 0.1008 < found.alpha.high
    assert found.r_squared == pytest.approx(0.36e-4 / (0.36e-4 + 4e-6), abs=0.02)


def test_always_long_is_beta_one_and_alpha_nothing() -> None:
    market = np.random.default_rng(3).normal(0, 0.01, 200)
    found = market_model(market, market)
    assert found.beta.value == pytest.approx(1) and found.alpha.value == pytest.approx(0, abs=1e-12)


def test_without_clusters_or_a_market_that_moves_there_is_nothing_to_say() -> None:
    assert isnan(clustered_mean([1.0, 2.0], [0, 0]).low) and clustered_mean([1.0, 2.0], [0, 0]).value == 1.5
    assert isnan(clustered_mean([], []).value)
    assert isnan(market_model(np.ones(9), np.zeros(9)).beta.value)
    with pytest.raises(ValueError, match="one shape"):
        clustered_mean([1.0], [1, 2])
