"""Print what is remembered on a day, and what an account remembers of its own trades.

flag-trl show-memory --config recipes/investorbench/msft.yaml --date 2020-10-14
flag-trl show-memory --config recipes/investorbench/msft.yaml --own outputs/msft/backtest/MSFT-paper_window/memory.json
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flag_trl.accounts import POSITION_NAMES
from flag_trl.observations import EpisodeMemory, Markets, Observer, load_memories
from flag_trl.observations.memory import remembered
from flag_trl.scripts.recipe import read_recipe

LOOK: dict[str, Any] = {"title_justify": "left", "box": None, "header_style": "bold", "expand": True}


@dataclass
class MemoryArguments:
    """Whose memory, and when."""

    date: str | None = field(default=None, metadata={"help": "Day of the decision; by default the last of the data."})
    own: str | None = field(
        default=None, metadata={"help": "memory.json of a backtest: also what its account remembers on the day."}
    )
    most: int = field(default=10, metadata={"help": "At most so many of each are listed."})


def main(argv: Sequence[str] | None = None) -> None:
    """List the memories of the recipe's first symbol, best first."""
    recipe = read_recipe(argv, MemoryArguments)
    args, markets, config = recipe.extra, recipe.markets(unseen=True), recipe.as_altered(recipe.observation())
    observer, symbol, console = Observer(markets, config, recipe.trading.fill), recipe.market.symbols[0], Console()
    _print_public(console, observer, markets, symbol, args)
    if args.own:
        for memory in load_memories(args.own):
            if memory.symbol not in markets:
                known = ", ".join(markets)
                raise SystemExit(f"{args.own} is of {memory.symbol}, the recipe has {known}; give its --symbols")
            _print_own(console, observer, markets, memory, args)


def _day(markets: Markets, symbol: str, args: MemoryArguments) -> tuple[int, int]:
    """The number of a symbol among the markets, and the bar asked for."""
    market = markets[symbol]
    date = args.date or market.dates[-1]
    return sorted(markets).index(symbol), market.index_range(date, date)[0]


def _print_public(console: Console, observer: Observer, markets: Markets, symbol: str, args: MemoryArguments) -> None:
    """What is remembered of earlier texts."""
    view, config = observer.view(*_day(markets, symbol, args)), observer.config
    grid = Table(title=f"{symbol}, remembered on {view.date}", **LOOK)
    for header in ("layer", "days ago", "then", "relevance", "importance", "recency", "score"):
        grid.add_column(header, justify="left" if header == "layer" else "right", no_wrap=True)
    grid.add_column("text", no_wrap=True, overflow="ellipsis", ratio=1)
    for number, memory in enumerate(remembered(view, config, args.most)):
        parts = (memory.relevance, memory.importance, memory.recency, memory.score)
        style = "bold" if number < config.memory_items else "dim"
        then = f"{100 * memory.reaction:+.1f}%"
        numbers = (f"{part:.2f}" for part in parts)
        grid.add_row(memory.layer, str(memory.age), then, *numbers, Text(memory.text), style=style)
    console.print(grid)
    console.print(f"[dim]prompts show the first {config.memory_items} (memory_items)[/dim]", highlight=False)


def _print_own(
    console: Console, observer: Observer, markets: Markets, memory: EpisodeMemory, args: MemoryArguments
) -> None:
    """The closed trades that an account remembers on a day: those that were closed by then."""
    number, bar = _day(markets, memory.symbol, args)
    dates, today = markets[memory.symbol].dates, observer.cue(number, bar)
    memory.closed = [trade for trade in memory.closed if trade.closed < bar]
    title = f"{memory.symbol}, its own trades of the episode by {dates[bar]}: {len(memory.closed)}"
    grid = Table(title=title, **LOOK)
    for header in ("opened", "closed", "side", "return", "importance", "score"):
        grid.add_column(header, justify="right", no_wrap=True)
    grid.add_column("known when it was opened", no_wrap=True, overflow="ellipsis", ratio=1)
    for place, (score, own) in enumerate(memory.ranked(bar, today)[: args.most]):
        days = (str(dates[day]) for day in (own.opened, own.closed))
        numbers = (f"{100 * own.trade_return:+.1f}%", f"{own.importance:.2f}", f"{score:.2f}")
        style = "bold" if place < observer.config.reflections else "dim"
        grid.add_row(*days, POSITION_NAMES[own.position], *numbers, Text(own.cue), style=style)
    console.print(grid)


if __name__ == "__main__":
    main()
