"""What the observation ablation says of its runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from flag_trl.backtest.measures import nulls
from flag_trl.metrics import sharpe_difference, sharpe_interval, sharpe_ratio

GROUPS = ("test", "test unseen")
BEFORE = ("train", "validation")
HOLD = "buy and hold"


def report(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a market, group of test symbols and variant.

    Returns
    -------
    list of dict
        ``sharpe``: mean over seeds, by ``train``, ``validation`` and the test group; ``by_seed``: the test's;
        ``difference``: test Sharpe less that of ``prices``, low, high; ``versus_hold``: the same against holding all
        assets. None where undefined. Holding them has a row of its own, with the ``interval`` of its test Sharpe.
    """
    rows = []
    for market in dict.fromkeys(run["market"] for run in runs):
        of_market = [run for run in runs if run["market"] == market]
        for group in (name for name in GROUPS if name in of_market[0]["returns"]):
            base = _returns(of_market, "prices", group)
            hold = np.array(of_market[0]["hold"][group])
            place = {"market": market, "group": group}
            for variant in dict.fromkeys(run["variant"] for run in of_market):
                own = [run for run in of_market if run["variant"] == variant]
                rows.append({**place, "variant": variant, **_row(own, group, variant, base, hold)})
            rows.append({**place, "variant": HOLD, **_hold_row(of_market[0]["hold"], group)})
    return rows


def _row(runs: Sequence[dict[str, Any]], group: str, variant: str, base: Any, hold: np.ndarray) -> dict[str, Any]:
    returns = _returns(runs, variant, group)
    paired = base is not None and variant != "prices" and returns.shape == base.shape
    held = np.repeat(hold[:, None], returns.shape[1], axis=1)
    return {
        "sharpe": {name: _mean([run["sharpe"][name] for run in runs]) for name in (*BEFORE, group)},
        "by_seed": [run["sharpe"][group] for run in runs],
        "mean_weight": _mean([run["mean_weight"][group] for run in runs]),
        "turnover": _mean([run["turnover"][group] for run in runs]),
        "difference": nulls(sharpe_difference(returns, base).interval) if paired else None,
        "versus_hold": nulls(sharpe_difference(returns, held).interval),
        "tokens": runs[0]["tokens"],
        "seconds": [run["seconds"] for run in runs],
    }


def _hold_row(hold: dict[str, Any], group: str) -> dict[str, Any]:
    return {
        "sharpe": {name: float(sharpe_ratio(np.array(hold[name]))) for name in (*BEFORE, group)},
        "interval": nulls(sharpe_interval(np.array(hold[group]))),
    }


def tables(figures: dict[str, Any]) -> list[Any]:
    """The rows of `report`, a table a market and group, with what must be known beside them."""
    out: list[Any] = []
    rows, runs = figures["comparison"], figures["runs"]
    for market, group in dict.fromkeys((row["market"], row["group"]) for row in rows):
        days = len(next(run for run in runs if run["market"] == market)["returns"][group])
        grid = Table(title=f"{market}, {group}, {days} days", title_justify="left", box=None, header_style="bold")
        grid.add_column("variant")
        for header in (
            "train SR",
            "valid. SR",
            "test SR",
            "by seed",
            "SR - prices",
            "SR - hold",
            "weight",
            "turnover",
            "tokens",
        ):
            grid.add_column(header, justify="right")
        for row in (row for row in rows if (row["market"], row["group"]) == (market, group)):
            grid.add_row(row["variant"], *(number(value) for value in row["sharpe"].values()), *_rest(row))
        out.append(grid)
    for market in dict.fromkeys(run["market"] for run in runs):
        conventions = next(run for run in runs if run["market"] == market)["conventions"]
        out.append("\n".join([f"[dim]{market}:", *(f"  {line}" for line in conventions), "[/dim]"]))
    seconds = sum(run["seconds"] for run in runs)
    out.append(f"{len(runs)} runs, {seconds / 60:.0f} minutes in all, the frozen layers' states once for all seeds")
    return out


def _rest(row: dict[str, Any]) -> list[str]:
    if row["variant"] == HOLD:
        return ["", "", "", "+1.00", "", ""]
    return [
        " ".join(number(value) for value in row["by_seed"]),
        _interval(row["difference"]),
        _interval(row["versus_hold"]),
        number(row["mean_weight"]),
        f"{row['turnover']:.2f}",
        f"{row['tokens']['mean']:.0f}, most {row['tokens']['most']}",
    ]


def _returns(runs: Sequence[dict[str, Any]], variant: str, group: str) -> Any:
    """Daily returns of a variant's seeds, shape (days, seeds); None where it was not run."""
    found = [run["returns"][group] for run in runs if run["variant"] == variant]
    return np.array(found).T if found else None


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean over seeds; one that never traded has no Sharpe ratio and counts as 0."""
    return float(np.mean([value or 0.0 for value in values]))


def number(value: float | None) -> str:
    """With its sign and two digits; a dash where undefined."""
    return "-" if value is None else f"{value:+.2f}"


def _interval(found: Sequence[float | None] | None) -> str:
    if found is None or found[0] is None:
        return "-"
    return f"{found[0]:+.2f} [{number(found[1])}, {number(found[2])}]"
