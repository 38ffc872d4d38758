"""Indicators are what their definitions say, know nothing of price levels, and name what they lack."""

import re

import numpy as np
import pytest

from flag_trl.data import DataError, MarketData
from flag_trl.observations.indicators import KINDS, Indicator

DAYS = np.datetime64("2020-01-01") + np.arange(120)
RANDOM = np.random.default_rng(3)
CLOSE = 100 * np.exp(np.cumsum(RANDOM.normal(0, 0.02, 120)))
HIGH, LOW = CLOSE * (1 + RANDOM.uniform(0, 0.02, 120)), CLOSE * (1 - RANDOM.uniform(0, 0.02, 120))


def market(close=CLOSE, high=HIGH, low=LOW) -> MarketData:
    return MarketData("AAA", DAYS[: len(close)], close, high=high, low=low)


def number(name: str, bar: int = 119, **bars) -> float:
    """The last number that the indicator writes."""
    return float(re.findall(r"[-+]?\d+", Indicator.parse(name).write(market(**bars).as_of(bar)))[-1])


def wilder(values: np.ndarray, bars: int) -> float:
    """Wilder's smoothed mean: a plain one first, then a step of 1/bars towards each value."""
    mean = values[:bars].mean()
    for value in values[bars:]:
        mean += (value - mean) / bars
    return mean


def test_relative_strength_is_wilder_s() -> None:
    steps = np.diff(CLOSE)
    gain, loss = wilder(np.maximum(steps, 0), 14), wilder(np.maximum(-steps, 0), 14)
    assert number("rsi14") == round(100 * gain / (gain + loss))


def test_true_range_is_wilder_s_over_the_close() -> None:
    before = CLOSE[:-1]
    ranges = np.maximum(HIGH[1:], before) - np.minimum(LOW[1:], before)
    assert number("atr14") == round(1000 * wilder(ranges, 14) / CLOSE[-1])


def test_averages_and_bands_are_what_a_person_would_compute() -> None:
    last = CLOSE[-20:]
    assert number("sma20") == round(1000 * (CLOSE[-1] / last.mean() - 1))
    assert number("bollinger20") == round(100 * (CLOSE[-1] - last.mean()) / (2 * last.std()))


def test_macd_is_the_gap_of_two_averages_less_its_own_average() -> None:
    def average(values: np.ndarray, bars: int) -> np.ndarray:
        out = np.full(len(values), np.nan)
        first = int(np.isfinite(values).argmax()) + bars - 1
        out[first] = values[first - bars + 1 : first + 1].mean()
        for i in range(first + 1, len(values)):
            out[i] = out[i - 1] + 2 / (bars + 1) * (values[i] - out[i - 1])
        return out

    # Both averages begin with the slow one's first value, so the fast one starts 14 bars late.
    slow, fast = average(CLOSE, 26), average(np.where(np.arange(120) < 14, np.nan, CLOSE), 12)
    gap = fast - slow
    assert number("macd26") == round(1000 * (gap - average(gap, 9))[-1] / CLOSE[-1])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("scale", [0.01, 3.7, 1000])
def test_no_indicator_knows_the_level_of_prices(name, scale) -> None:
    scaled = market(CLOSE * scale, HIGH * scale, LOW * scale)
    assert Indicator.parse(name).write(scaled.as_of(119)) == Indicator.parse(name).write(market().as_of(119))


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_said_of_too_short_a_history_nor_of_a_later_bar(name) -> None:
    indicator = Indicator.parse(name)
    assert indicator.write(market().as_of(0)) == ""
    cut = market(CLOSE[:81], HIGH[:81], LOW[:81])
    assert indicator.write(market().as_of(80)) == indicator.write(cut.as_of(80)) != ""


def test_prices_that_stand_still_divide_by_nothing() -> None:
    still = np.full(120, 50.0)
    for name in KINDS:
        assert "nan" not in Indicator.parse(name).write(market(still, still, still).as_of(119))
    for name in ("bollinger20", "rsi14"):
        assert Indicator.parse(name).write(market(still, still, still).as_of(119)) == ""


def test_highs_and_lows_that_are_not_there_are_asked_for() -> None:
    with pytest.raises(DataError, match="atr14 needs highs and lows, and AAA's data have closes alone; leave it out"):
        Indicator.parse("atr14").write(MarketData("AAA", DAYS, CLOSE).as_of(119))


def test_a_name_without_a_number_means_the_usual_look_back() -> None:
    assert Indicator.parse("rsi") == Indicator("rsi", 14) == Indicator.parse("rsi14")
