"""A chart shows the known bars, whatever their level, and nothing else."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flag_trl.data import MarketData
from flag_trl.observations.chart import FALL, MARGIN, RISE, candles

DAYS = np.datetime64("2020-01-01") + np.arange(30)
STEPS = np.random.default_rng(0).normal(0, 0.03, 30)


def market(scale: float = 1.0, last: int = 30, whole: bool = True) -> MarketData:
    steps = np.where(np.arange(30) <= last, STEPS, np.random.default_rng(9).normal(0, 0.1, 30))
    close = scale * np.exp(np.cumsum(steps))
    opened = close * np.exp(-steps)
    prices = {"open": opened, "high": np.maximum(close, opened) * 1.01, "low": np.minimum(close, opened) * 0.99}
    return MarketData("AAA", DAYS, close, **(prices if whole else {}))


def drawn(own: MarketData, bar: int, size: int = 96) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(candles(own.as_of(bar), 10, size).png)))


def test_each_bar_has_the_colour_of_its_direction_at_its_place() -> None:
    pixels = drawn(market(), 20, 200)
    slot = 200 * (1 - 2 * MARGIN) / 10
    for n, bar in enumerate(range(11, 21)):
        column = pixels[:, int(200 * MARGIN + slot * (n + 0.5))]
        found = {tuple(pixel) for pixel in column.tolist()} - {(255, 255, 255)}
        assert found == {RISE if STEPS[bar] > 0 else FALL}, bar


def test_the_window_s_extremes_touch_the_margins() -> None:
    rows = np.flatnonzero((drawn(market(), 20, 200) != 255).any(axis=(1, 2)))
    assert abs(rows[0] - 200 * MARGIN) <= 1 and abs(rows[-1] - 200 * (1 - MARGIN)) <= 1


@settings(max_examples=20, deadline=None)
@given(bar=st.integers(0, 28), scale=st.sampled_from([0.25, 4.0, 1024.0]), whole=st.booleans())
def test_neither_the_level_nor_a_later_bar_can_be_read_from_it(bar, scale, whole) -> None:
    found = drawn(market(whole=whole), bar)
    # Rounding may move an edge by a pixel.
    assert (drawn(market(scale, whole=whole), bar) != found).mean() < 0.01
    assert np.array_equal(drawn(market(last=bar, whole=whole), bar), found)


def test_a_short_history_stands_on_the_right_and_closes_alone_are_a_line() -> None:
    short = (drawn(market(), 2) != 255).any(axis=(0, 2))
    assert not short[:60].any() and short[70:90].any()
    line = drawn(market(whole=False), 20)
    assert {tuple(pixel) for pixel in line.reshape(-1, 3).tolist()} == {(255, 255, 255), (40, 40, 40)}


def test_prices_that_stand_still_are_drawn() -> None:
    still = MarketData("AAA", DAYS, np.full(30, 7.0))
    assert (drawn(still, 20) != 255).any() and (drawn(still, 0) != 255).any()
