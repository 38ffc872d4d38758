"""Texts as data: cleaned, measured, cut."""

import re
from collections.abc import Callable
from functools import lru_cache

MAX_CHARACTERS = 20_000
"""Of one text; what comes behind would not fit any budget, and a file may hold anything."""

# A full stop behind a lone number of one or two digits counts the items of a list.
_SENTENCE_END = re.compile(r"(?<!\s\d)(?<!\s\d\d)[.!?][\"'\u201d\u2019)\]]*(?=\s|$)")
_LIST_MARK = re.compile(r"(?m)^[ \t]*(?:\d{1,2}[.)]|[-*\u2022])[ \t]+")
_FIGURE = re.compile(r"\d\s?%|[$\u20ac\u00a3]\s?\d|\d (?:percent|per cent|thousand|million|billion)\b")
_WORD = re.compile(r"\S+")


@lru_cache(maxsize=8192)
def cleaned(text: str) -> str:
    """One line without control characters, invisible ones, and marks of emphasis and lists.

    A line break in news would begin what looks like a line of the prompt's own.
    """
    # Only the first part is looked at, however long the text.
    start = _LIST_MARK.sub("", text[:MAX_CHARACTERS]).replace("**", "")
    return " ".join("".join(c if c.isprintable() else " " for c in start).split())


def sentences(text: str) -> list[str]:
    """The sentences of a text, cleaned, in order; a line of its own ends one too."""
    return [sentence for line in text[:MAX_CHARACTERS].splitlines() for sentence in _split(cleaned(line))]


def with_figures(text: str) -> list[str]:
    """The sentences of a filing that hold percentages or amounts.

    They are its news; the rest is much the same from one filing to the next.
    """
    return [sentence for sentence in sentences(text) if _FIGURE.search(sentence)]


def _split(line: str) -> list[str]:
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(line)), len(line)]
    found = (line[start:end].strip() for start, end in zip(ends, ends[1:], strict=False))
    return [sentence for sentence in found if sentence]


def cut_to(text: str, budget: int, length: Callable[[str], int]) -> str:
    """The longest beginning of `text` that is at most `budget` long: whole sentences, else whole words."""
    if length(text) <= budget:
        return text
    return _longest(text, _SENTENCE_END, budget, length) or _longest(text, _WORD, budget, length)


def _longest(text: str, unit: re.Pattern[str], budget: int, length: Callable[[str], int]) -> str:
    """The longest beginning that ends where a unit ends and fits."""
    ends = [match.end() for match in unit.finditer(text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if length(text[: ends[middle - 1]]) <= budget:
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]] if low else ""
