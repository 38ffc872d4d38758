"""What a study found as Markdown, and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..baselines.published import PAPER_WINDOW
from ..evaluation import TRAINED, UNTRAINED, TaskResult
from ..report.plots import of_first_convention
from .judgement import SHARPE
from .play import HOLD

NAMES = {TRAINED: "trained", UNTRAINED: "untrained", HOLD: "Buy & Hold", "constant_position": "constant position"}
TEXTS = ("", "less", "trained less", "measure")
"""Heads of columns that hold words."""
COLOURS = {TRAINED: "#1f77b4", UNTRAINED: "#ff7f0e", HOLD: "#444444"}


def markdown(result: TaskResult) -> str:
    """Every group's rows on the first convention, quoted ones below, then the differences on every convention."""
    measures, compared = result.tables["measures"], result.tables["comparisons"]
    parts = []
    for place, rows in of_first_convention(measures).groupby(["group", "period"], sort=False):
        quoted = _quoted(result.tables.get("quoted"), str(place[0])) if place[1] == PAPER_WINDOW else []
        head = ["", "CR %", "SR", "over seeds", "AV %", "MDD %", "mean position", "turnover %"]
        parts += [f"**{', '.join(map(str, place))}**", _table(head, [*map(_row, rows.to_dict("records")), *quoted])]
    parts += ["**Differences**", _differences(of_first_convention(compared))]
    parts += [f"**{SHARPE}, trained less ..., by convention and commission**", _by_cost(compared)]
    return "\n\n".join(parts) + "\n"


def picture(result: TaskResult, path: Path) -> None:
    """Draw the growth of every run, a panel a group, on the first convention."""
    from matplotlib.figure import Figure

    panels = list(of_first_convention(result.tables["daily"]).groupby(["group", "period"], sort=False))
    figure = Figure(figsize=(10, 3.2 * ((len(panels) + 1) // 2)), layout="constrained")
    axes = np.ravel(figure.subplots((len(panels) + 1) // 2, 2 if len(panels) > 1 else 1, squeeze=False))
    for axis, (place, rows) in zip(axes, panels, strict=False):
        for (name, run), days in rows.groupby(["strategy", "run"], sort=False):
            own = name == TRAINED
            style: dict[str, Any] = {"linewidth": 0.9 if own else 1.6, "color": COLOURS[str(name)], "zorder": 2 + own}
            label = None if run else f"{NAMES[str(name)]}{', a line a seed' if own else ''}"
            axis.plot(days["date"], 100 * np.cumprod(1 + days["return"]), label=label, **style)
        axis.set_title(", ".join(map(str, place)), fontsize=10)
        axis.tick_params(axis="x", labelrotation=30, labelsize=8)
        axis.grid(alpha=0.3)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    axes[0].set_ylabel("start = 100")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _row(row: Mapping[Any, Any]) -> list[str]:
    name = NAMES[row["strategy"]] + (f", {row['runs']} seeds" if row["runs"] > 1 else "")
    if row["one_position"]:
        name += f" ({row['one_position']} on 95 % of days or more)"
    ratio = f"{_said(row['SR'])} [{_said(row['SR_low'])}, {_said(row['SR_high'])}]"
    spread = f"± {_said(row['SR_deviation_over_runs'])}" if row["runs"] > 1 else ""
    return [
        name,
        _said(row["CR"]),
        ratio,
        spread,
        _said(row["AV"]),
        _said(row["MDD"]),
        _said(row["mean_position"]),
        _said(row["turnover"], 0),
    ]


def _quoted(table: pd.DataFrame | None, group: str) -> list[list[str]]:
    """Printed rows of a group's symbol, marked as quoted."""
    if table is None:
        return []
    return [
        [
            f"*quoted: {row['strategy']}{'; ' + row['note'] if row['note'] else ''}*",
            _said(row["CR"]),
            _said(row["SR"]),
            "",
            _said(row["AV"]),
            _said(row["MDD"]),
            "",
            "",
        ]
        for row in table[table["group"] == group].to_dict("records")
    ]


def _differences(compared: pd.DataFrame) -> str:
    head = ["trained less", "", "measure", "difference, 95 %", "p", "over seeds", "found at 80 % from"]
    rows = [
        [
            NAMES[row["less"]],
            f"{row['group']}, {row['period']}",
            row["measure"],
            _interval(row),
            _said(row["p_value"], 3),
            f"± {_said(row['deviation_over_runs'])}",
            _said(row["detectable"]),
        ]
        for row in compared.to_dict("records")
    ]
    return _table(head, rows)


def _by_cost(compared: pd.DataFrame) -> str:
    """Differences of Sharpe ratios, a column a convention and commission."""
    by_place: dict[tuple[str, str], dict[str, str]] = {}
    for row in compared[compared["measure"] == SHARPE].to_dict("records"):
        place = (NAMES[row["less"]], f"{row['group']}, {row['period']}")
        by_place.setdefault(place, {})[f"{row['convention']}, {row['cost_bps']:g} bp"] = _interval(row)
    columns = next(iter(by_place.values()))
    rows = [[*place, *(found[column] for column in columns)] for place, found in by_place.items()]
    return _table(["less", "", *columns], rows)


def _interval(row: Mapping[Any, Any]) -> str:
    return f"{_said(row['difference'], sign='+')} [{_said(row['low'], sign='+')}, {_said(row['high'], sign='+')}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---" if column in TEXTS else "---:" for column in head], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(value: Any, digits: int = 2, sign: str = "") -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:{sign}.{digits}f}"
