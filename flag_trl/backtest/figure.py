"""The picture of a backtest: equity against Buy & Hold, the trades, and the drawdown."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flag_trl.backtest.ledger import Ledger

LINES = {"trained": ("C0", 2.0), "buy_and_hold": ("0.35", 1.4), "untrained": ("C1", 1.2), "cash": ("C2", 1.0)}


def draw(curves: Mapping[str, Ledger], marked: str, path: str | Path, caption: str = "") -> None:
    """Write a PNG.

    Parameters
    ----------
    curves : mapping of str to Ledger
        Policies by name, over the same period; each starts at 100.
    marked : str
        The policy whose trades are marked; its drawdown and Buy & Hold's are drawn below.
    path : path
        The file; its folder is made.
    caption : str
        A line under the picture: costs, fill, what else a reader must know.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    chosen = curves[marked]
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(9, 5.4), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for name, ledger in curves.items():
        colour, width = LINES.get(name, ("C3", 1.0))
        growth = _growth(ledger)
        top.plot(ledger.equity["date"], growth, color=colour, linewidth=width, label=name.replace("_", " "), zorder=2)
        if name in (marked, "buy_and_hold"):
            drawdown = 100 * (growth / np.maximum.accumulate(growth) - 1)
            bottom.plot(ledger.equity["date"], drawdown, color=colour, linewidth=width)
    growth_on = dict(zip(chosen.equity["date"], _growth(chosen), strict=True))
    for side, marker, colour in (("buy", "^", "tab:green"), ("sell", "v", "tab:red")):
        dates = chosen.trades.loc[chosen.trades["side"] == side, "date"]
        heights = [growth_on[date] for date in dates]
        label = f"{marked} {side}s ({len(dates)})"
        top.scatter(list(dates), heights, marker=marker, color=colour, s=22, label=label, zorder=3)
    top.axhline(100, color="0.8", linewidth=0.8, zorder=1)
    top.set_ylabel("equity, start = 100")
    top.set_title(f"{chosen.symbol}, {chosen.period.start} to {chosen.period.end}")
    top.legend(loc="upper left", fontsize=8, frameon=False, ncols=2)
    bottom.set_ylabel("drawdown, %")
    bottom.tick_params(axis="x", rotation=20)
    if caption:
        figure.supxlabel(textwrap.fill(caption, 150), fontsize=7, color="0.4")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _growth(ledger: Ledger) -> np.ndarray:
    equity = ledger.equity["equity"].to_numpy()
    return 100 * equity / equity[0]
