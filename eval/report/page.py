"""The page: words first, then a section a task with pictures and tables, then how it was made."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined, select_autoescape

from ..evaluation import TaskResult
from .plots import plots_of

TITLES = {
    "trading": "Trading",
    "portfolio": "Portfolio optimisation",
    "events": "Event-driven trading",
    "risk": "Risk forecasting",
    "audit": "Audit",
}
TABLES = {
    "trading": ("comparisons", "measures", "draws", "quoted"),
    "portfolio": ("measures",),
    "events": ("events",),
    "risk": ("scores", "value_at_risk"),
    "audit": ("altered",),
}
"""Tables that a page shows; all are in the Parquet files beside it."""
MOST_ROWS = 400
VERDICTS = {"passed": "Passed", "caught": "Caught", "open": "Open"}


def write_report(path: Path, about: Mapping[str, Any], found: Mapping[str, TaskResult]) -> None:
    """Write one HTML file that needs nothing beside it."""
    # A name with a dot would be taken for an attribute by some archive tools; plotly is imported when a page is made.
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=select_autoescape(default=True), undefined=StrictUndefined)
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text())
    sections = [_section(name, result) for name, result in found.items()]
    plots = {section["key"]: section.pop("plots") for section in sections}
    page = template.render(
        about=about,
        sections=sections,
        answers=_answers(found.get("audit")),
        verdicts=VERDICTS,
        plots=_embedded(plots),
        script=files(__package__).joinpath("page.js").read_text(),
        style=files(__package__).joinpath("page.css").read_text(),
        plotly=get_plotlyjs(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page)
    partial.replace(path)


def _section(name: str, result: TaskResult) -> dict[str, Any]:
    shown = [(key, result.tables[key]) for key in TABLES[name] if key in result.tables]
    return {
        "key": name,
        "title": TITLES[name],
        "words": result.words,
        "plots": plots_of(name, result),
        "count": len(plots_of(name, result)),
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


def _answers(audit: TaskResult | None) -> list[Mapping[str, Any]]:
    return [] if audit is None else list(audit.figures["answers"])


def _embedded(value: Any) -> str:
    """JSON that may stand in a script: no text can end the element."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
