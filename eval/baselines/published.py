"""Rows that others printed, quoted as they are and on one convention.

FLAG-Trader (arXiv 2502.11433, tables of its HTML version). Its rows of other language models on stocks divide by a
volatility of 365 days a year and multiply a return by 252; its own and Buy & Hold's use 252 for both. Brought onto 252
their Sharpe ratios are larger by sqrt(365 / 252) = 1.2035. What cannot be right is said beside the row.
"""

from typing import NamedTuple

STOCK_DAYS, MIXED = 252, (365 / 252) ** 0.5


class Quoted(NamedTuple):
    """One printed row: percent, Sharpe ratio, percent, percent."""

    symbol: str
    strategy: str
    CR: float | None
    SR: float
    AV: float | None
    MDD: float | None
    note: str = ""


PAPER_WINDOW = "paper_window"
"""What a test period must be called for printed rows to stand beside it."""
FLAG = "FLAG-Trader (135M)"
ROWS = (
    Quoted("MSFT", "Buy & Hold", 15.340, 1.039, 24.980, 9.428),
    Quoted("JNJ", "Buy & Hold", 13.895, 1.343, 17.500, 9.847),
    Quoted("HON", "Buy & Hold", 33.256, 2.347, 23.967, 9.195),
    Quoted("UVV", "Buy & Hold", 36.583, 2.112, 29.299, 15.406),
    Quoted("MSFT", FLAG, 20.106, 1.373, 24.932, 9.428),
    Quoted("JNJ", FLAG, 33.724, 3.344, 17.174, 9.320),
    Quoted("HON", FLAG, 34.342, 2.429, 23.913, 10.872, "equals always long to 2021-05-06 in CR and AV"),
    Quoted("UVV", FLAG, 46.799, 1.463, 67.758, 35.039, "AV impossible for positions of -1, 0, 1 on this stock"),
)
MIXED_ROWS = (
    Quoted("MSFT", "Llama-3.1-70B", None, 1.335, None, None),
    Quoted("JNJ", "Yi-1.5-9B", None, 1.611, None, None),
    Quoted("HON", "Llama-3.1-70B", None, 2.646, None, None),
    Quoted("UVV", "Yi-1.5-9B", None, 2.410, None, None),
)
"""The best other language model of each stock, as printed on two conventions at once."""


def quoted_rows(symbol: str) -> list[dict[str, object]]:
    """The rows of a symbol on one convention, as records; empty where none was printed."""
    corrected = [
        row._replace(SR=round(row.SR * MIXED, 3), note=f"printed as {row.SR}, on 365 and 252 days at once")
        for row in MIXED_ROWS
    ]
    return [{**row._asdict(), "quoted": True} for row in (*ROWS, *corrected) if row.symbol == symbol]
