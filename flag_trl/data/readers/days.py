"""JSON files that are an object of days."""

import json
from pathlib import Path

from flag_trl.data.errors import DataError


class Pairs(list[tuple[str, object]]):
    """A JSON object as its pairs, so that a key that stands twice is not lost."""


def parse_days(path: Path) -> Pairs:
    """Read a JSON file that holds an object of days.

    Raises
    ------
    DataError
        If it is not UTF-8, empty, broken or something else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; download or write it again")
    try:
        days = json.loads(text, object_pairs_hook=Pairs)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}, column {error.colno}: the JSON is broken or cut off here ({error.msg}); "
            "download or write it again"
        ) from error
    if not isinstance(days, Pairs):
        raise DataError(
            f'{path}: holds a {type(days).__name__}, not an object of days; write {{"YYYY-MM-DD": {{...}}}}'
        )
    return days
