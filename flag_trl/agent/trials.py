"""How many configurations were tried: a ledger that is only ever added to, and that travels with the adapter."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

LEDGER = "trials.jsonl"


def record_trial(output: str | Path, settings: Mapping[str, Any], symbols: Sequence[str], seed: int) -> None:
    """Add a line for a training run to the ledger beside its output folder.

    Runs whose output folders lie side by side share a ledger, so that a configuration that was tried and thrown away
    still counts.

    Parameters
    ----------
    output : path
        The run's output folder; its parent holds the ledger.
    settings : mapping
        All that makes a configuration, without seed and folder; equal settings are one configuration.
    symbols : sequence of str
        What it was trained on.
    seed : int
    """
    text = json.dumps(settings, sort_keys=True, default=str)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "configuration": blake2b(text.encode(), digest_size=8).hexdigest(),
        "seed": seed,
        "symbols": sorted(symbols),
        "output": Path(output).name,
    }
    ledger = Path(output).parent / LEDGER
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a") as lines:
        lines.write(json.dumps(entry) + "\n")


def carry_trials(output: str | Path, symbols: Sequence[str]) -> None:
    """Write the ledger's lines on any of `symbols` into a run's output folder, for whoever is given the adapter."""
    ledger = Path(output).parent / LEDGER
    if ledger.is_file():
        wanted = [line for line in ledger.read_text().splitlines() if set(json.loads(line)["symbols"]) & set(symbols)]
        (Path(output) / LEDGER).write_text("".join(f"{line}\n" for line in wanted))


def count_trials(folder: str | Path) -> int:
    """Distinct configurations in the ledger of an adapter's folder; 1 where it has none."""
    ledger = Path(folder) / LEDGER
    if not ledger.is_file():
        return 1
    return max(1, len({json.loads(line)["configuration"] for line in ledger.read_text().splitlines()}))
