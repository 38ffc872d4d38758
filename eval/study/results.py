"""What a study found, written down: tables, figures, a page and a picture."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flag_trl.agent import file_digest
from flag_trl.scripts.progress import report_console
from flag_trl.scripts.recipe import Recipe

from .. import store
from ..evaluation import TaskResult
from ..report import write_report
from .judgement import NAME, TITLE
from .play import EQUITY, RECORD, SETTINGS, Run
from .tables import markdown, picture


def about(runs: Sequence[Run], recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    """What a reader must know of how it was done."""
    records = [json.loads((run.folder / RECORD).read_text()) for run in runs]
    seeds = [run.seed for run in runs if run.seed is not None]
    notes = [f"seeds 0 to {max(seeds)}; settings of each run in its {SETTINGS}"]
    for run, record in zip(runs, records, strict=True):
        if run.seed is None:
            notes += [f"{run.recipe}: {line}" for line in record["conventions"]]
    return {
        "policy": f"{', '.join(recipes)} over {max(seeds) + 1} seeds",
        "identity": {run.name: file_digest(run.folder / EQUITY) for run in runs},
        "conventions": notes,
        "periods": {p.name: [str(p.start), str(p.end)] for recipe in recipes.values() for p in recipe.periods()[2]},
        "symbols": list(
            dict.fromkeys(s for r in recipes.values() for s in [*r.market.symbols, *r.market.unseen_symbols])
        ),
        "versions": store.versions(),
        "settings": store.digest([(run.folder / SETTINGS).read_text() for run in runs]),
        "seconds": round(sum(record["seconds"] for record in records), 1),
    }


def write(folder: Path, result: TaskResult, told: Mapping[str, Any]) -> None:
    """Print what was found, and write it as tables, figures, a page and a picture."""
    console = report_console()
    for name, table in result.tables.items():
        store.save_table(folder / f"{name}.parquet", table)
    record = {**told, "figures": result.figures, "words": result.words}
    store.replace_text(folder / "results.json", json.dumps(record, indent=1) + "\n")
    store.replace_text(folder / "tables.md", markdown(result))
    picture(result, folder / "study.png")
    write_report(folder / "report.html", told, {NAME: (TITLE, result)})
    console.print("\n".join(result.words), highlight=False, markup=False)
    console.print(f"\n[dim]{folder}/ holds tables.md, study.png, report.html, results.json[/dim]", highlight=False)
