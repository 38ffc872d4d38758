"""A progress bar over the days of a backtest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flag_trl.data import MarketData, Period, period_window


@contextmanager
def days_bar(title: str, markets: Mapping[str, MarketData], periods: Sequence[Period]) -> Iterator[Callable[[], None]]:
    """Yield the function to call after each day; where the output is no terminal, a line at the end tells the time."""
    days = max(period_window(symbol, market, p).length for symbol, market in markets.items() for p in periods)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f} days"))
    clock = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *clock, console=console, speed_estimate_period=3600) as progress:
        task = progress.add_task(title, total=days)
        yield lambda: progress.advance(task)
