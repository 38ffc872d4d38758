"""Pictures of what the tasks found, as plotly's own JSON; the page gives them its colours."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..evaluation import TRAINED, UNTRAINED, TaskResult

Figure = dict[str, Any]
MOST_ACCOUNTS = 16
COLOURS = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#8c8c8c",
    "#9467bd",
    "#d62728",
    "#17becf",
    "#bcbd22",
    "#e377c2",
    "#8c564b",
)
"""They can be told apart on light and on dark ground."""
LINES = (TRAINED, UNTRAINED, "buy_and_hold", "cash")


def plots_of(task: str, result: TaskResult) -> list[Figure]:
    """The pictures of one task; none for one that was not run."""
    makers: Mapping[str, Callable[[TaskResult], list[Figure]]] = {
        "trading": _trading,
        "portfolio": _portfolio,
        "events": _events,
        "risk": _risk,
        "audit": _audit,
        "study": _study,
    }
    return makers[task](result) if result.tables else []


def _trading(result: TaskResult) -> list[Figure]:
    equity, cost = result.tables["equity"], _own_cost(result.tables["equity"])
    found = []
    for (period, symbol), group in equity[equity["cost_bps"] == cost].groupby(["period", "symbol"], sort=False):
        place = f"{symbol}, {period}"
        by_strategy = {str(name): rows for name, rows in group.groupby("strategy", sort=False)}
        found.append(_equity_plot(place, by_strategy))
        found.append(_position_plot(place, by_strategy[TRAINED]))
    # A page with a hundred pictures loads slowly; the tables beside it have every account.
    compared = result.tables["comparisons"].dropna(subset=["difference"])
    title = "Sharpe ratio of the trained policy, less that of ..."
    return [*found[:MOST_ACCOUNTS], *([forest(title, compared, "less", "period")] if len(compared) else [])]


def _equity_plot(place: str, by_strategy: Mapping[str, pd.DataFrame]) -> Figure:
    """Equity from 100 above, drawdown below."""
    traces = []
    for number, (name, rows) in enumerate(by_strategy.items()):
        growth = 100 * rows["equity"].to_numpy() / rows["equity"].iloc[0]
        line = {"name": _said(name), "legendgroup": name, "visible": True if name in LINES else "legendonly"}
        # What is looked at is drawn last, on top; a strategy has one colour above and below.
        style = {"color": COLOURS[number % len(COLOURS)], "width": 2.6 if name == TRAINED else 1.4}
        upper = {**_line(rows["date"], growth), **line, "line": style, "zorder": int(name == TRAINED)}
        fall = 100 * (growth / np.maximum.accumulate(growth) - 1)
        lower = {**_line(rows["date"], fall), **line, "line": style, "showlegend": False, "yaxis": "y2"}
        traces += [upper, lower]
    layout = {
        "yaxis": {"title": {"text": "equity, start = 100"}, "domain": [0.34, 1]},
        "yaxis2": {"title": {"text": "drawdown, %"}, "domain": [0, 0.26]},
    }
    return {"title": f"{place}: equity and drawdown", "data": traces, "layout": layout}


def _position_plot(place: str, rows: pd.DataFrame) -> Figure:
    """What the trained policy held, and the probabilities it decided by, as a ribbon."""
    days = _days(rows["date"])[1:]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": days,
            "y": _numbers(rows["position"].to_numpy()[1:]),
            "line": {"shape": "hv", "width": 1.5},
            "name": "position",
        }
    ]
    names = [name for name in rows.columns if name.startswith("p_")]
    for name in names:
        values = _numbers(rows[name].to_numpy()[1:])
        ribbon = {"stackgroup": "p", "line": {"width": 0}, "yaxis": "y2", "name": f"P({name.removeprefix('p_')})"}
        traces.append({"type": "scatter", "x": days, "y": values, **ribbon})
    layout = {
        "yaxis": {"title": {"text": "position"}, "domain": [0.62, 1], "range": [-1.1, 1.1], "dtick": 1},
        "yaxis2": {"title": {"text": "probability"}, "domain": [0, 0.52], "range": [0, 1]},
    }
    return {"title": f"{place}: what the trained policy held, and its probabilities", "data": traces, "layout": layout}


def _portfolio(result: TaskResult) -> list[Figure]:
    daily = result.tables["returns"]
    daily = daily[daily["cost_bps"] == _own_cost(daily)]
    found = []
    for period, group in daily.groupby("period", sort=False):
        traces = []
        for name, rows in group.groupby("portfolio", sort=False):
            shown = str(name).startswith((TRAINED, UNTRAINED)) or name == "1/N"
            growth = 100 * np.cumprod(1 + rows["return"].to_numpy())
            trace = {**_line(rows["date"], growth), "name": str(name), "visible": True if shown else "legendonly"}
            traces.append(trace)
        layout = {"yaxis": {"title": {"text": "value, start = 100"}}}
        found.append({"title": f"{period}: portfolios", "data": traces, "layout": layout})
    compared = [
        {"less": name, "period": period, **row}
        for period, part in result.figures["periods"].items()
        for name, row in part["comparisons"].items()
    ]
    return [
        *found,
        forest(
            "Sharpe ratio of the trained policy's portfolios, less that of ...",
            pd.DataFrame(compared),
            "less",
            "period",
        ),
    ]


def _events(result: TaskResult) -> list[Figure]:
    rows = [
        {"strategy": name, "difference": row["mean_bp"][0], "low": row["mean_bp"][1], "high": row["mean_bp"][2]}
        for name, row in result.figures["strategies"].items()
    ]
    return [forest("Mean return of an event, basis points after costs", pd.DataFrame(rows), "strategy")]


def _risk(result: TaskResult) -> list[Figure]:
    scores = result.tables["scores"]
    found = []
    for horizon, group in scores.groupby("horizon", sort=False):
        traces = [
            {"type": "bar", "name": str(period), "x": _words(rows["forecaster"]), "y": _numbers(rows["qlike"])}
            for period, rows in group.groupby("period", sort=False)
        ]
        layout = {"yaxis": {"title": {"text": "QLIKE, lower is better"}}, "barmode": "group"}
        found.append({"title": f"Volatility of the next {horizon} days", "data": traces, "layout": layout})
    comparisons = pd.DataFrame(result.figures["comparisons"])
    if len(comparisons):
        comparisons = comparisons[comparisons["less"].isin([f"{UNTRAINED}, probe", f"{UNTRAINED}, asked"])]
        label = comparisons["forecaster"] + ", " + comparisons["horizon"].astype(str) + " days"
        comparisons = comparisons.assign(label=label)
        found.append(forest("QLIKE: trained less untrained, below 0 is better", comparisons, "label", "period"))
    return found


def _audit(result: TaskResult) -> list[Figure]:
    found = []
    answers = {answer["key"]: answer["figures"] for answer in result.figures["answers"]}
    reliability = answers["calibrated"]
    if reliability.get("predicted"):
        found.append(_reliability(reliability))
    names = [
        {"altered": name, "difference": row["distance"][0], "low": row["distance"][1], "high": row["distance"][2]}
        for name, row in answers["goes_by_the_name"].items()
    ]
    found.append(forest("How far probabilities moved (total variation)", pd.DataFrame(names), "altered"))
    return found


def _study(result: TaskResult) -> list[Figure]:
    """Growth of every run of a group, then the differences, all on the convention that comes first."""
    found = []
    daily = of_first_convention(result.tables["daily"])
    compared = of_first_convention(result.tables["comparisons"]).dropna(subset=["difference"])
    for (group, period), rows in daily.groupby(["group", "period"], sort=False):
        traces = []
        for number, (name, runs) in enumerate(rows.groupby("strategy", sort=False)):
            for run, days in runs.groupby("run"):
                growth = 100 * np.cumprod(1 + days["return"].to_numpy())
                style = {"color": COLOURS[number], "width": 1.2 if name == TRAINED else 2}
                shared = {"name": _said(str(name)), "legendgroup": str(name), "showlegend": run == 0, "line": style}
                traces.append({**_line(days["date"], growth), **shared})
        layout = {"yaxis": {"title": {"text": "value, start = 100"}}}
        found.append({"title": f"{group}, {period}: a line a seed", "data": traces, "layout": layout})
    compared = compared.assign(place=compared["group"] + ", " + compared["period"])
    for measure, rows in compared.groupby("measure", sort=False):
        found.append(forest(f"{measure} of the trained policy, less that of ...", rows, "place", "less"))
    return found


def of_first_convention(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a study's table under the convention and commission that come first."""
    key = ["convention", "cost_bps"]
    return table[(table[key] == table[key].iloc[0]).all(axis=1)]


def _reliability(found: Mapping[str, Any]) -> Figure:
    happened = np.array(found["happened"])
    bars = {
        "type": "data",
        "symmetric": False,
        "array": _numbers(np.array(found["high"]) - happened),
        "arrayminus": _numbers(happened - np.array(found["low"])),
    }
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": _numbers(found["predicted"]),
        "y": _numbers(happened),
        "error_y": bars,
        "marker": {"size": 9},
        "name": "share of rises, 95 %",
    }
    exact = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"dash": "dot"}, "name": "exact"}
    layout = {
        "xaxis": {"title": {"text": "P(buy | buy or sell)"}, "range": [0, 1]},
        "yaxis": {"title": {"text": "share of days that rose"}, "range": [0, 1]},
    }
    return {"title": "Does a probability mean what it says?", "data": [points, exact], "layout": layout}


def forest(title: str, table: pd.DataFrame, label: str, group: str | None = None) -> Figure:
    """Estimates with their 95 % intervals, one a line, and a line at zero."""
    traces = []
    for name, rows in table.groupby(group, sort=False) if group else [("", table)]:
        value, low, high = (rows[key].astype(float).to_numpy() for key in ("difference", "low", "high"))
        bars = {
            "type": "data",
            "symmetric": False,
            "array": _numbers(high - value),
            "arrayminus": _numbers(value - low),
        }
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                # Side by side where several have a line in common.
                "orientation": "h",
                "x": _numbers(value),
                "y": [_said(text) for text in _words(rows[label])],
                "error_x": bars,
                "marker": {"size": 8},
                "name": _said(str(name)),
                "showlegend": bool(group),
            }
        )
    layout = {
        "xaxis": {"zeroline": True, "zerolinewidth": 2},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "scattermode": "group",
    }
    return {"title": title, "data": traces, "layout": layout, "rows": int(table[label].nunique())}


def _line(dates: pd.Series, values: np.ndarray) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "x": _days(dates), "y": _numbers(values), "line": {"width": 1.6}}


def _own_cost(table: pd.DataFrame) -> float:
    """The rules' own commission, at which every strategy was run first."""
    return float(table["cost_bps"].iloc[0])


def _days(dates: pd.Series) -> list[str]:
    return [str(day)[:10] for day in dates.to_numpy()]


def _numbers(values: Any) -> list[float | None]:
    return [round(float(v), 6) if v is not None and np.isfinite(v) else None for v in np.asarray(values, dtype=object)]


def _words(values: Sequence[Any] | pd.Series) -> list[str]:
    return [str(value) for value in values]


def _said(name: str) -> str:
    return name.replace("_", " ")
