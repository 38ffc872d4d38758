"""Episodes: windows of a market, the rows of a training dataset."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from flag_trl.data.errors import DataError
from flag_trl.data.market import MarketData
from flag_trl.data.splits import Period, decision_bars

if TYPE_CHECKING:
    import datasets


class Window(NamedTuple):
    """One episode: decisions at bars `start` to `start + length - 1`; the last price used is that of `start + length`.

    Attributes
    ----------
    symbol : str
        Key of the market.
    start : int
        Index of the first decision's bar in the market.
    length : int
        Number of decisions.
    """

    symbol: str
    start: int
    length: int


def period_window(symbol: str, market: MarketData, period: Period, horizon: int = 1) -> Window:
    """A whole period as one window of the market with key `symbol`; see `decision_bars` for what it leaves out."""
    bars = decision_bars(market, period, horizon)
    return Window(symbol, bars.start, len(bars))


def episode_dataset(
    markets: Mapping[str, MarketData], period: Period, *, length: int, stride: int | None = None, horizon: int = 1
) -> "datasets.Dataset":
    """Cut a period of each market into windows.

    Parameters
    ----------
    markets : mapping of str to MarketData
    period : Period
        Must lie within each market's data.
    length : int
        Decisions a window, at least 1.
    stride : int, optional
        Bars from the start of a window to that of the next; by default `length`, which gives windows side by side.
    horizon : int
        As in `decision_bars`.

    Returns
    -------
    datasets.Dataset
        Columns symbol (string), start and length (int64), start_date (string, YYYY-MM-DD); a market's windows follow
        one another in time, and the markets stand in the mapping's order. Decision bars after the last full window,
        fewer than `stride`, are left out.

    Raises
    ------
    DataError
        If the period has too few bars for one window, or lies outside a market's data.
    ValueError
        If there is no market, or a number is below 1.
    """
    import datasets

    stride = length if stride is None else stride
    if length < 1 or stride < 1:
        raise ValueError(f"length is {length} and stride {stride}; give 1 or more")
    if not markets:
        raise ValueError("there is no market to cut into episodes; give at least one")
    rows: dict[str, list[str | int]] = {"symbol": [], "start": [], "length": [], "start_date": []}
    for symbol, market in markets.items():
        bars = decision_bars(market, period, horizon)
        if len(bars) < length:
            raise DataError(
                f"{symbol}, period {period}: {len(bars) + horizon} bars less a horizon of {horizon} leave {len(bars)} "
                f"decisions, a window takes {length}; shorten the window or lengthen the period"
            )
        for start in range(bars.start, bars.stop - length + 1, stride):
            rows["symbol"].append(symbol)
            rows["start"].append(start)
            rows["length"].append(length)
            rows["start_date"].append(str(market.dates[start]))
    features = datasets.Features(
        {
            "symbol": datasets.Value("string"),
            "start": datasets.Value("int64"),
            "length": datasets.Value("int64"),
            "start_date": datasets.Value("string"),
        }
    )
    return datasets.Dataset.from_dict(rows, features=features)
