"""Numbers are those of the known bars, whatever the level of prices, and equal ones are one state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flag_trl.data import MarketData
from flag_trl.observations import Numbers, ObservationConfig
from flag_trl.observations.numbers import market_numbers

CONFIG = ObservationConfig(indicators=("rsi14", "momentum5"), numbers="soft", soft_bars=6)
DAYS = np.datetime64("2020-01-01") + np.arange(60)


def market(scale: float = 1.0, seed: int = 0, change_from: int = 60) -> MarketData:
    """A walk with opens, highs, lows and volumes; from `change_from` on another one."""
    random, other = np.random.default_rng(seed), np.random.default_rng(seed + 99)
    steps = random.normal(0, 0.02, 60)
    steps[change_from:] = other.normal(0, 0.05, 60 - change_from)
    close = 100 * np.exp(np.cumsum(steps))
    opened = close * np.exp(random.normal(0, 0.005, 60))
    high, low = np.maximum(close, opened) * 1.01, np.minimum(close, opened) * 0.99
    volume = np.where(np.arange(60) < change_from, random.uniform(1, 9, 60), other.uniform(1, 9, 60))
    prices = {"open": opened * scale, "high": high * scale, "low": low * scale}
    return MarketData("AAA", DAYS, close * scale, volume=volume, **prices)


def test_they_are_what_a_person_would_compute() -> None:
    own, bar = market(), 40
    values = market_numbers(own.as_of(bar), CONFIG).values
    assert len(values) == CONFIG.soft_input[1] == 6 * 5 + 1 + 2
    returns = np.diff(np.log(own.close[bar - 6 : bar + 1]))
    bars = values[:30].reshape(6, 5)
    np.testing.assert_allclose(bars[:, 0], returns / returns.std(), rtol=1e-5)
    gap = np.log(own.open[bar] / own.close[bar - 1])
    assert bars[-1, 1] == pytest.approx(gap / returns.std(), rel=1e-5)
    volume = own.volume[bar - 5 : bar + 1]
    np.testing.assert_allclose(bars[:, 4], np.log(volume / volume.mean()), rtol=1e-4, atol=1e-6)
    assert values[30] == pytest.approx(np.log(returns.std() / 0.01), rel=1e-5)
    assert values[32] == pytest.approx((100 * (own.close[bar] / own.close[bar - 5] - 1)) / 8, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(bar=st.integers(0, 58), scale=st.sampled_from([0.01, 3.0, 1e4]))
def test_neither_the_level_nor_a_later_bar_changes_them(bar, scale) -> None:
    found = market_numbers(market().as_of(bar), CONFIG)
    np.testing.assert_allclose(
        found.values, market_numbers(market(scale).as_of(bar), CONFIG).values, rtol=1e-4, atol=1e-5
    )
    assert market_numbers(market(change_from=bar + 1).as_of(bar), CONFIG) == found


def test_what_is_not_known_is_zero() -> None:
    closes = MarketData("AAA", DAYS[:4], [100.0, 101.0, 99.0, 100.0])
    first = market_numbers(closes.as_of(0), CONFIG).values
    assert (first == 0).all()
    third = market_numbers(closes.as_of(2), CONFIG).values[:30].reshape(6, 5)
    assert (third[:4] == 0).all() and (third[4:, 1:] == 0).all() and (third[4:, 0] != 0).all()


def test_prices_that_stand_still_and_a_wild_bar_stay_finite() -> None:
    still = MarketData("AAA", DAYS, np.full(60, 5.0), volume=np.zeros(60))
    wild = MarketData(
        "AAA", DAYS, np.where(np.arange(60) == 50, 1e6, 1.0), volume=np.where(np.arange(60) == 51, 1e9, 0.0)
    )
    for own in (still, wild):
        values = market_numbers(own.as_of(52), CONFIG).values
        assert np.isfinite(values).all() and np.abs(values).max() <= 10


def test_equal_values_are_one_state() -> None:
    assert Numbers(np.ones(3)) == Numbers(np.ones(3)) != Numbers(np.zeros(3))
    assert len({Numbers(np.ones(3)), Numbers(np.ones(3)), Numbers(np.zeros(3))}) == 2
