"""The page: words first, then a section a task with pictures and tables, then how it was made."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined, select_autoescape

from ..evaluation import TaskResult
from ..store import replace_text
from .plots import plots_of

TABLES = {
    "trading": ("comparisons", "measures", "draws", "quoted"),
    "portfolio": ("measures",),
    "events": ("strategies", "events"),
    "risk": ("scores", "value_at_risk"),
    "audit": ("altered",),
    "study": ("measures", "comparisons", "quoted"),
}
"""Tables that a page shows; all are in the Parquet files beside it."""
MOST_ROWS = 400
VERDICTS = {"passed": "Passed", "caught": "Caught", "open": "Open"}


def write_report(path: Path, about: Mapping[str, Any], found: Mapping[str, tuple[str, TaskResult]]) -> None:
    """Write one HTML file that needs nothing beside it.

    Parameters
    ----------
    path : path
    about : mapping
        Policy, command, conventions, versions and hashes.
    found : mapping of str to (str, TaskResult)
        By task its title and what it found.
    """
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=select_autoescape(default=True), undefined=StrictUndefined)
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text())
    sections = [_section(name, title, result) for name, (title, result) in found.items()]
    plots = {section["key"]: section.pop("plots") for section in sections}
    page = template.render(
        about=about,
        sections=sections,
        answers=found["audit"][1].figures["answers"] if "audit" in found else [],
        verdicts=VERDICTS,
        plots=_embedded(plots),
        script=files(__package__).joinpath("page.js").read_text(),
        style=files(__package__).joinpath("page.css").read_text(),
        plotly=get_plotlyjs(),
    )
    replace_text(path, page)


def _section(name: str, title: str, result: TaskResult) -> dict[str, Any]:
    plots = plots_of(name, result)
    shown = [(key, result.tables[key]) for key in TABLES[name] if key in result.tables]
    return {
        "key": name,
        "title": title,
        "words": result.words,
        "plots": plots,
        "plot_titles": [plot["title"] for plot in plots],
        "tables": [_table(f"{name}-{key}", key, table) for key, table in shown],
    }


def _table(identity: str, title: str, table: pd.DataFrame) -> dict[str, Any]:
    """Head and rows as text; numbers with four digits, and what is undefined as a dash."""
    columns = [c for c in table.columns if not table[c].isna().all()]
    rows = [[_cell(value) for value in row] for row in table[columns].head(MOST_ROWS).itertuples(index=False)]
    return {
        "key": identity,
        "title": title.replace("_", " "),
        "columns": [str(c).replace("_", " ") for c in columns],
        "rows": rows,
        "left_out": max(0, len(table) - MOST_ROWS),
    }


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value) or value is pd.NaT:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return str(value)


def _embedded(value: Any) -> str:
    """JSON that may stand in a script: no text can end the element."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
