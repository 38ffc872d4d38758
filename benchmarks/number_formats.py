"""How many tokens does a way of writing returns take, and how much does it round away?

python -m benchmarks.number_formats

Five one-day returns of MSFT, on every day of the bundled sample from 2010 to 2019. *error* is the mean of |written -
true| over the mean of |true|.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer

from benchmarks.command import add_model, command_line, write_json
from benchmarks.machine import machine
from flag_trl.data import load_market

BARS = 5
FORMATS: dict[str, tuple[Callable[[float], str], float]] = {
    "tenths of a percent, signed": (lambda r: f"{round(1000 * r):+d}", 1000),
    "tenths of a percent": (lambda r: f"{round(1000 * r)}", 1000),
    "basis points, signed": (lambda r: f"{round(10_000 * r):+d}", 10_000),
    "percent, one digit": (lambda r: f"{100 * r:+.1f}%", 100),
    "percent, two digits": (lambda r: f"{100 * r:+.2f}%", 100),
    "whole percent": (lambda r: f"{round(100 * r):+d}%", 100),
    "fraction": (lambda r: f"{r:+.4f}", 1),
}
"""How one return is written, and the unit in which it then stands."""


def measure(returns: np.ndarray, tokens: Callable[[str], int]) -> list[dict[str, Any]]:
    """A row a format; `returns` has shape (days, BARS)."""
    rows = []
    for name, (write, unit) in FORMATS.items():
        written = [[write(r) for r in day] for day in returns.tolist()]
        read = np.array([[float(re.sub("%", "", word)) / unit for word in day] for day in written])
        count = np.mean([tokens(" ".join(day)) for day in written])
        error = np.abs(read - returns).mean() / np.abs(returns).mean()
        rows.append({"format": name, "example": " ".join(written[0]), "tokens": float(count), "error": float(error)})
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = command_line("number_formats", __doc__)
    add_model(parser)
    args = parser.parse_args(argv)
    tokenizer: Any = AutoTokenizer.from_pretrained(args.model)
    market = load_market("sample", "MSFT")
    first, stop = market.index_range("2010-01-04", "2019-12-31")
    daily = market.close[1:] / market.close[:-1] - 1.0
    returns = np.stack([daily[bar - BARS : bar] for bar in range(first, stop)])
    rows = measure(returns, lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]))
    table = Table("format", "example", "tokens", "error")
    for row in rows:
        table.add_row(row["format"], row["example"], f"{row['tokens']:.1f}", f"{row['error']:.1%}")
    Console(width=110).print(table)
    write_json(args.json, {"rows": rows, "machine": machine()})


if __name__ == "__main__":
    main()
