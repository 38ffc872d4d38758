"""Which news does each selector show? On real days, under one budget, with the real tokenizer.

python -m benchmarks.news_selectors --data data/investor-bench --names MSFT=Microsoft HON=Honeywell

Every day with more news than are shown counts once. Items shown are judged by what they are, not by what they earn:

  items     shown a day, mean
  named     share that mention the symbol or the company's name
  stale     how like the most similar item of the five bars before they are (rapidfuzz's token_set_ratio), mean
  tokens    of the budget used, mean
  ends      share of days whose last item ends with a sentence

`pooled` weighs all days alike.
"""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from rapidfuzz import fuzz, process
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer

from benchmarks.command import add_model, command_line, write_json
from benchmarks.machine import machine
from flag_trl.data import MarketView, load_market
from flag_trl.observations import NewsSelector, ObservationConfig
from flag_trl.observations.market_text import Length, market_parts
from flag_trl.observations.news import day_news, mentions, past_news
from flag_trl.prompts import data_ids

MEASURES = ("items", "named", "stale", "tokens", "ends")


def judged(view: MarketView, config: ObservationConfig, length: Length) -> list[float]:
    """The measures of one day's news as a configuration shows them."""
    part = market_parts(view, config, length)[1]
    shown, past = part.text.splitlines(), past_news(view)
    query = [view.symbol, *config.news_query]
    if not shown:
        return [0.0] * len(MEASURES)
    named = np.mean([mentions(item, query) for item in shown])
    stale = process.cdist(shown, past, scorer=fuzz.token_set_ratio).max(1).mean() if past else 0.0
    return [len(shown), float(named), stale / 100, length(part.text), part.text[-1] in ".!?\"'"]


def measure(
    data: str, symbol: str, names: tuple[str, ...], length: Length, items: int, budget: int
) -> list[dict[str, Any]]:
    """A row a selector."""
    market, rows = load_market(data, symbol, text_known="before_open"), []
    views = [market.as_of(bar) for bar in range(5, len(market))]
    views = [view for view in views if len(day_news(view)) > items]
    for selector in get_args(NewsSelector):
        config = ObservationConfig(
            past_returns=0,
            indicators=(),
            news_items=items,
            news_budget=budget,
            news_selector=selector,
            news_query=names,
        )
        found = np.array([judged(view, config, length) for view in views])
        row = {"symbol": symbol, "selector": selector, "days": len(views)}
        rows.append({**row, **dict(zip(MEASURES, found.mean(0).tolist(), strict=True))})
    return rows


def pooled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each selector's rows in one, by days."""
    out = []
    for selector in get_args(NewsSelector):
        own = [row for row in rows if row["selector"] == selector]
        days = [row["days"] for row in own]
        means = {key: float(np.average([row[key] for row in own], weights=days)) for key in MEASURES}
        out.append({"symbol": "pooled", "selector": selector, "days": sum(days), **means})
    return out


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Rows for people."""
    out = Table("symbol", "selector", "days", *MEASURES)
    for row in rows:
        shares = [f"{row[key]:.2f}" for key in MEASURES if key != "tokens"]
        shares.insert(MEASURES.index("tokens"), f"{row['tokens']:.0f}")
        out.add_row(row["symbol"], row["selector"], str(row["days"]), *shares)
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = command_line("news_selectors", __doc__)
    add_model(parser)
    parser.add_argument("--data", required=True, help="file or folder with prices and news")
    parser.add_argument(
        "--names", nargs="+", required=True, metavar="SYMBOL=NAME[,NAME]", help="symbols and their names"
    )
    parser.add_argument("--items", type=int, default=2, help="items shown a day (default 2)")
    parser.add_argument("--budget", type=int, default=60, help="tokens for them (default 60)")
    args = parser.parse_args(argv)
    tokenizer: Any = AutoTokenizer.from_pretrained(args.model)

    def length(text: str) -> int:
        return len(data_ids(tokenizer, text))

    rows: list[dict[str, Any]] = []
    console = Console(width=110)
    for number, pair in enumerate(args.names, 1):
        symbol, _, name = pair.partition("=")
        rows += measure(args.data, symbol, tuple(name.split(",")), length, args.items, args.budget)
        console.print(f"{number}/{len(args.names)} {symbol}", highlight=False)
    rows += pooled(rows)
    console.print(table(rows))
    write_json(args.json, {"rows": rows, "items": args.items, "budget": args.budget, "machine": machine()})


if __name__ == "__main__":
    main()
