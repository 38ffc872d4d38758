"""Print what is remembered on a day, and what an account remembers of its own trades.

flag-trl show-memory --config recipes/investorbench/msft.yaml --date 2020-10-14
flag-trl show-memory --config recipes/investorbench/msft.yaml --own outputs/msft/backtest/MSFT-paper_window/memory.json
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flag_trl.accounts import POSITION_NAMES
from flag_trl.data import MarketData
from flag_trl.observations import ObservationConfig, load_memories
from flag_trl.observations.memory import remembered
from flag_trl.observations.news import day_news, ranked_news
from flag_trl.scripts.recipe import read_recipe


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
    args, config, symbol = recipe.extra, recipe.observation(), recipe.market.symbols[0]
    market = recipe.markets()[symbol]
    bar = market.index_range(args.date or market.dates[-1], args.date or market.dates[-1])[0]
    view = market.as_of(bar, after_close=recipe.trading.fill == "next_open")
    console = Console()
    grid = Table(
        title=f"{symbol}, remembered on {view.date}", title_justify="left", box=None, header_style="bold", expand=True
    )
    for header in ("layer", "days ago", "then", "relevance", "importance", "recency", "score"):
        grid.add_column(header, justify="left" if header == "layer" else "right", no_wrap=True)
    grid.add_column("text", no_wrap=True, overflow="ellipsis", ratio=1)
    for number, memory in enumerate(remembered(view, config, args.most)):
        parts = (memory.relevance, memory.importance, memory.recency, memory.score)
        style = "bold" if number < config.memory_items else "dim"
        then = f"{100 * memory.reaction:+.1f}%"
        text = Text(memory.text)
        grid.add_row(memory.layer, str(memory.age), then, *(f"{part:.2f}" for part in parts), text, style=style)
    console.print(grid)
    console.print(f"[dim]prompts show the first {config.memory_items} (memory_items)[/dim]", highlight=False)
    if args.own:
        today = next(iter(ranked_news(day_news(view), view, config, 1)), "")
        _print_own(console, args.own, market, bar, today, config, args.most)


def _print_own(
    console: Console, file: str, market: MarketData, bar: int, today: str, config: ObservationConfig, most: int
) -> None:
    """The closed trades that an account remembers on a day: those that were closed by then."""
    for memory in load_memories(file):
        memory.closed = [reflection for reflection in memory.closed if reflection.closed < bar]
        title = f"{memory.symbol}, its own trades of the episode by {market.dates[bar]}: {len(memory.closed)}"
        grid = Table(title=title, title_justify="left", box=None, header_style="bold", expand=True)
        for header in ("opened", "closed", "side", "return", "importance", "score"):
            grid.add_column(header, justify="right", no_wrap=True)
        grid.add_column("known when it was opened", no_wrap=True, overflow="ellipsis", ratio=1)
        for number, (score, own) in enumerate(memory.ranked(bar, today)[:most]):
            days = (str(market.dates[day]) for day in (own.opened, own.closed))
            numbers = (f"{100 * own.trade_return:+.1f}%", f"{own.importance:.2f}", f"{score:.2f}")
            style = "bold" if number < config.reflections else "dim"
            grid.add_row(*days, POSITION_NAMES[own.position], *numbers, Text(own.cue), style=style)
        console.print(grid)


if __name__ == "__main__":
    main()
