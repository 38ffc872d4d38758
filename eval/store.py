"""Results of tasks in a folder: written whole or not at all, and read again where nothing changed."""

import json
import os
import platform
from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flag_trl.data import MarketData

from .evaluation import TaskResult
from .words import clean

RESULT = "result.json"
PACKAGES = ("flag-trl", "torch", "transformers", "trl", "peft", "numpy", "pandas", "skfolio", "arch", "statsmodels")


def digest(*parts: Any) -> str:
    """A short name for settings: equal settings have equal names."""
    text = json.dumps(clean(list(parts)), sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def market_digest(market: MarketData) -> str:
    """A short name for all that a market holds."""
    found = blake2b(digest_size=8)
    for values in (market.dates, market.open, market.high, market.low, market.close, market.volume):
        found.update(b"none" if values is None else np.ascontiguousarray(values).tobytes())
    for text in market.texts:
        found.update(f"{text.kind} {text.known_at} {text.text}".encode())
    found.update(repr((market.events, [market_digest(other) for other in market.context])).encode())
    return found.hexdigest()


def versions() -> dict[str, str]:
    """Of what the results are made with."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, lambda partial: partial.write_text(text))


def save(folder: Path, key: str, result: TaskResult) -> None:
    """Write a task's tables as Parquet, then what was found and under which settings `key` it was."""
    for name, table in result.tables.items():
        save_table(folder / f"{name}.parquet", table)
    record = {"key": key, "figures": clean(result.figures), "words": result.words, "tables": sorted(result.tables)}
    _replace(folder / RESULT, lambda path: path.write_text(json.dumps(record, indent=1) + "\n"))


def save_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, lambda partial: table.to_parquet(partial, index=False))


def read(folder: Path, key: str) -> TaskResult | None:
    """What an earlier run found under the same settings; None where there is nothing of the kind."""
    file = folder / RESULT
    if not file.is_file():
        return None
    record: Mapping[str, Any] = json.loads(file.read_text())
    if record["key"] != key:
        return None
    files = {name: folder / f"{name}.parquet" for name in record["tables"]}
    if not all(path.is_file() for path in files.values()):
        return None
    tables = {name: pd.read_parquet(path) for name, path in files.items()}
    return TaskResult(record["figures"], tables, record["words"])


def _replace(path: Path, write: Any) -> None:
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)
