"""Look market data over before anything is trained on them, or fetch some.

flag-trl data check prices.csv --symbols MSFT
flag-trl data download MSFT SPY --start 2019-01-01 --end 2021-12-31
"""

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from flag_trl.data import Coverage, TextCoverage, TextKnown, coverage, download, load_market
from flag_trl.prompts import data_ids
from flag_trl.scripts.progress import report_console

DESCRIPTION = """Read a file as training would, and say what is in it: dates, gaps, large moves, texts a day and their
length, with a picture of each symbol. What is wrong with it is reported by file, row and column. Example:
flag-trl data check data/investor-bench --symbols MSFT JNJ"""
FETCH = """Fetch daily bars, adjusted for splits and dividends, into one CSV file a symbol. The query is written
beside each: Yahoo changes past prices with every dividend, so keep the file. It has no news. Example:
flag-trl data download MSFT SPY --start 2019-01-01 --end 2021-12-31"""
MODEL = "models/SmolLM2-135M-Instruct"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse and run ``check`` or ``download``."""
    args = _parser().parse_args(argv)
    (_download if args.command == "download" else _check)(args, report_console())


def _download(args: argparse.Namespace, console: Console) -> None:
    for symbol in args.symbols:
        file = download(symbol, args.start, args.end, args.output)
        console.print(f"{file}, and beside it the query that made it", markup=False, highlight=False)


def _check(args: argparse.Namespace, console: Console) -> None:
    tokens = _tokenizer(args.model)
    known = {"text_known": args.text_known, "filings_known": args.filings_known}
    for symbol in args.symbols or [Path(args.source).stem]:
        found = coverage(load_market(args.source, symbol, **known, periods_per_year=args.periods_per_year))
        _show(found, tokens, console)
        if not args.no_picture:
            _picture(found, args.output, console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("flag-trl data", description="Look market data over, or fetch some.")
    commands = parser.add_subparsers(required=True, dest="command", metavar="check | download")
    fetch = commands.add_parser("download", help="fetch daily prices from Yahoo Finance", description=FETCH)
    fetch.formatter_class = argparse.RawDescriptionHelpFormatter
    fetch.add_argument("symbols", nargs="+", help="as Yahoo writes them: MSFT, ^VIX, BTC-USD")
    fetch.add_argument("--start", required=True, help="first day, YYYY-MM-DD")
    fetch.add_argument("--end", required=True, help="last day")
    fetch.add_argument("--output", type=Path, default=Path("data/yahoo"), help="folder of the files")
    check = commands.add_parser("check", help="say what a file holds", description=DESCRIPTION)
    check.formatter_class = argparse.RawDescriptionHelpFormatter
    check.add_argument("source", help="`sample`, a .json, .csv or .parquet file, a folder, or a Hub id")
    check.add_argument("--symbols", nargs="+", help="which of them (default: the file's name)")
    words = list(get_args(TextKnown))
    check.add_argument("--text_known", choices=words, default=words[0], help="when a day's news count as known")
    check.add_argument("--filings_known", choices=words, default=words[0], help="when its 10-K and 10-Q do")
    check.add_argument("--periods_per_year", type=int, default=252, help="252 for stocks, 365 for crypto")
    check.add_argument("--model", default=MODEL, help=f"whose tokens to count (default {MODEL}, where it is there)")
    check.add_argument("--output", type=Path, default=Path("outputs/data"), help="folder of the pictures")
    check.add_argument("--no_picture", action="store_true", help="draw none")
    return parser


def _tokenizer(model: str) -> Callable[[str], int] | None:
    """Counts tokens; None where the default model has not been made."""
    if model == MODEL and not Path(model).is_dir():
        return None
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    return lambda text: len(data_ids(tokenizer, text))


def _show(found: Coverage, tokens: Callable[[str], int] | None, console: Console) -> None:
    market = found.market
    console.print(f"{market.symbol}, {market.source}", style="bold", markup=False, highlight=False)
    columns = [name for name in ("open", "high", "low", "close", "volume") if getattr(market, name) is not None]
    lines = [
        f"{len(market)} bars, {market.dates[0]} to {market.dates[-1]}; {', '.join(columns)}",
        f"{len(found.gaps)} gaps longer than usual" + _listed(f"{a} to {b}" for a, b, _ in found.gaps),
        f"{len(found.moves)} bars that move by a quarter or more, as a split that was not adjusted for does"
        + _listed(f"{day} {move:+.0%}" for day, move in found.moves),
        f"{found.unchanged} bars that close where the one before did",
    ]
    if found.late:
        lines.append(f"{found.late} texts known only after the last bar: no decision sees them")
    console.print("\n".join(f"  {line}" for line in lines), highlight=False)
    if found.texts:
        console.print(_table(found, tokens))


def _listed(items: Any, most: int = 5) -> str:
    found = list(items)
    if not found:
        return ""
    return ": " + ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _table(found: Coverage, tokens: Callable[[str], int] | None) -> Table:
    table = Table("texts", "in all", "days with", "a day,\nmedian", "at\nmost", "characters,\nmedian", "at\nmost")
    if tokens is not None:
        table.add_column("tokens,\nmedian")
    table.add_column("repeated")
    table.add_column("blank")
    for texts in found.texts:
        cells = [texts.kind, len(texts.lengths), f"{(texts.per_bar > 0).mean():.0%}", f"{np.median(texts.per_bar):g}"]
        cells += [texts.per_bar.max(), f"{np.median(texts.lengths):.0f}", texts.lengths.max()]
        if tokens is not None:
            cells.append(_median_tokens(found, texts, tokens))
        table.add_row(*map(str, [*cells, texts.repeated, texts.empty]))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _median_tokens(found: Coverage, texts: TextCoverage, tokens: Callable[[str], int], most: int = 500) -> str:
    """Of at most `most` texts, evenly spread; very long ones are cut before they are counted."""
    own = [text.text for text in found.market.texts if text.kind == texts.kind]
    spread = own[:: max(1, len(own) // most)]
    return f"{np.median([tokens(text[:20_000]) for text in spread]):.0f}"


def _picture(found: Coverage, folder: Path, console: Console) -> None:
    """Closes with their gaps, and texts a day by kind."""
    if find_spec("matplotlib") is None:
        console.print("no picture: pip install 'flag-trl\\[eval]'")
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    market, rows = found.market, 1 + len(found.texts)
    picture, axes = pyplot.subplots(
        rows, 1, figsize=(10, 3 + 1.3 * (rows - 1)), sharex=True, squeeze=False, layout="constrained"
    )
    top, *below = axes[:, 0]
    top.semilogy(market.dates, market.close, lw=0.9, color="#1b6ca8")
    for before, after, _ in found.gaps:
        top.axvspan(before, after, color="#c0504d", alpha=0.3, lw=0)
    for day, _ in found.moves:
        top.axvline(day, color="#e9a03b", lw=1)
    top.yaxis.set_major_formatter(ticker.ScalarFormatter())
    top.yaxis.set_minor_formatter(ticker.NullFormatter() if len(top.get_yticks()) > 4 else ticker.ScalarFormatter())
    top.set_ylabel("close")
    top.set_title(f"{market.symbol}: {len(market)} bars; red: gaps, orange: moves of a quarter or more", fontsize=10)
    for axis, texts in zip(below, found.texts, strict=True):
        axis.bar(market.dates, texts.per_bar, width=1.0, color="#2a9d8f")
        axis.set_ylabel(f"{texts.kind}\na day", fontsize=9)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{market.symbol}.png"
    picture.savefig(file, dpi=110)
    pyplot.close(picture)
    console.print(f"  picture: {file}", markup=False, highlight=False)


if __name__ == "__main__":
    main()
