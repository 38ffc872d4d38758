"""Figures as sentences, and as what JSON can hold."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from flag_trl.metrics import Estimate, SharpeDifference

ONE_SIDED = 0.95


def always(values: Iterable[Any]) -> Any | None:
    """The value that makes up 95 % or more; None where none does."""
    counted = Counter(values)
    if not counted:
        return None
    value, count = counted.most_common(1)[0]
    return value if count >= ONE_SIDED * counted.total() else None


def row_of(found: Estimate | SharpeDifference) -> dict[str, float]:
    """A difference, its interval and p-value as a row of a table, and what it could have detected."""
    row = dict(zip(("difference", "low", "high"), found.interval, strict=True), p_value=found.p_value)
    return {**row, "detectable": found.detectable()} if isinstance(found, SharpeDifference) else row


def difference_in_words(measure: str, against: str, row: Mapping[str, Any]) -> str:
    """A difference with its interval, and what follows from it."""
    value, low, high = row["difference"], row["low"], row["high"]
    text = f"{measure} less that of {against}: "
    if value is None or not np.isfinite(value):
        return text + "undefined, for one of the two never varies."
    if value == 0 and (low is None or not np.isfinite(low) or low == high):
        return text + "0, for day by day the two earned the same."
    if low is None or not np.isfinite(low):
        return text + f"{value:+.2f}; too few days for an interval."
    verdict = "better than chance explains" if low > 0 else "worse than chance explains" if high < 0 else "no telling"
    least = row.get("detectable")
    power = (
        f"; a true difference below {least:.1f} would mostly have gone unseen" if low <= 0 <= high and least else ""
    )
    return text + f"{value:+.2f}, 95 % [{low:+.2f}, {high:+.2f}]: {verdict}{power}."


def clean(value: Any) -> Any:
    """The same with plain Python numbers, lists for tuples and arrays, and None for what is not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return clean(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [clean(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
