"""Periods of a market, and the bars of them on which decisions may be taken."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flag_trl.data.dates import as_day
from flag_trl.data.errors import DataError
from flag_trl.data.market import MarketData

SPLIT_ORDER = ("train", "validation", "test")


@dataclass(frozen=True)
class Period:
    """A named stretch of days.

    Attributes
    ----------
    name : str
    start, end : numpy.datetime64
        First and last day, both included. Dates as text or `datetime.date` are converted.

    Raises
    ------
    DataError
        If a date cannot be read or the period ends before it starts.
    """

    name: str
    start: np.datetime64
    end: np.datetime64

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", as_day(self.start))
        object.__setattr__(self, "end", as_day(self.end))
        if self.start > self.end:
            raise DataError(f"period {self}: ends before it starts; swap the two dates")

    def __str__(self) -> str:
        return f"{self.name} ({self.start}..{self.end})"


def decision_bars(market: MarketData, period: Period, horizon: int = 1) -> range:
    """Give the bars of a period on which a decision may be taken.

    The last `horizon` bars of the period are left out (the embargo between neighbouring splits), so that the fill and
    the reward of every decision use prices of the period alone.

    Parameters
    ----------
    market : MarketData
    period : Period
    horizon : int
        Bars from a decision to the last price that its reward uses, at least 1.

    Returns
    -------
    range
        Indices of bars in the market; at least one.

    Raises
    ------
    DataError
        If the period lies outside the data or has no more than `horizon` bars.
    ValueError
        If the horizon is below 1.
    """
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; a reward needs at least the next bar, give 1 or more")
    first, stop = market.index_range(period.start, period.end)
    if stop - first <= horizon:
        raise DataError(
            f"{market.symbol}, period {period}: {stop - first} bars leave no decision before a horizon of {horizon}; "
            f"give the period at least {horizon + 1} bars"
        )
    return range(first, stop - horizon)


def chronological(market: MarketData, train: float, validation: float) -> tuple[Period, Period, Period]:
    """Split a market by share of its bars, oldest first.

    Parameters
    ----------
    market : MarketData
    train, validation : float
        Shares of the bars, above 0 and together below 1; the rest is the test period. The numbers of bars are rounded
        to the nearest.

    Returns
    -------
    train, validation, test : Period
        Together they hold every bar once.

    Raises
    ------
    ValueError
        If the shares leave one of the periods nothing.
    DataError
        If the market is too short: each period needs two bars, one to decide on and one to be paid at.
    """
    if not (train > 0 and validation > 0 and train + validation < 1):
        raise ValueError(f"shares train={train}, validation={validation}; give both above 0, together below 1")
    n = len(market)
    edges = [0, round(n * train), round(n * (train + validation)), n]
    counts = np.diff(edges)
    if counts.min() < 2:
        raise DataError(
            f"{market.symbol}: {n} bars split into {', '.join(map(str, counts))}; each period needs at least 2, "
            "change the shares or bring more data"
        )
    first, second, third = (
        Period(name, market.dates[edges[i]], market.dates[edges[i + 1] - 1]) for i, name in enumerate(SPLIT_ORDER)
    )
    return first, second, third


def check_disjoint(periods: Sequence[Period]) -> None:
    """Make sure that periods follow one another in time without a common day.

    Parameters
    ----------
    periods : sequence of Period
        In the order in which they should follow; those called train, validation and test must stand in that order.

    Raises
    ------
    DataError
        If two neighbours overlap or stand in the wrong order; it names both.
    """
    splits = [period for period in periods if period.name in SPLIT_ORDER]
    for earlier, later in zip(splits, splits[1:], strict=False):
        if SPLIT_ORDER.index(earlier.name) >= SPLIT_ORDER.index(later.name):
            raise DataError(
                f"periods {earlier} and {later}: the order is {' < '.join(SPLIT_ORDER)}; swap or rename them"
            )
    for earlier, later in zip(periods, periods[1:], strict=False):
        if later.start <= earlier.end:
            raise DataError(
                f"periods {earlier} and {later}: the second must start after the first ends; "
                f"start it after {earlier.end}, or put the periods in order of time"
            )
