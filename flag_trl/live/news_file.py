"""News for a run on live bars: a file to which somebody's collector adds lines."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flag_trl.live.events import FeedNotice, NewsItem

LONGEST = 1_000_000
"""Bytes of a line that is still read."""


class NewsFile:
    """JSON lines, each with a `symbol`, a `text` and, unless it is ``news``, a `kind`; read as they are added.

    A text is known from the moment at which it was read. What a line says of its own time is not believed: a collector
    that writes late would make it known before anybody could have known it.

    Parameters
    ----------
    path : Path
    symbols : collection of str
        Those that are traded.
    given : int
        Sound lines that an interrupted run was given already; they are not given again.
    """

    def __init__(self, path: Path, symbols: Collection[str], given: int = 0) -> None:
        self.path = path
        self._symbols, self._given = symbols, given
        self._read_to = self._line = 0

    def read(self, ts: int) -> list[NewsItem | FeedNotice]:
        """What was added since, known from `ts` on; of a line that is none, a notice that says why."""
        found: list[NewsItem | FeedNotice] = []
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b"\n"):
                    # It is still being written.
                    break
                self._read_to += len(line)
                self._line += 1
                found += self._taken(line, ts)
        return found

    def _taken(self, line: bytes, ts: int) -> list[NewsItem | FeedNotice]:
        try:
            item = self._item(line, ts)
        except ValueError as error:
            return [] if self._given else [FeedNotice("refused", f"{self.path}, line {self._line}: {error}")]
        if self._given:
            self._given -= 1
            return []
        return [item]

    def _item(self, line: bytes, ts: int) -> NewsItem:
        if len(line) > LONGEST:
            raise ValueError(f"it has {len(line):,} bytes, {LONGEST:,} are allowed")
        said: Any = json.loads(line)
        if not isinstance(said, dict):
            raise ValueError("it is no JSON object")
        for name in ("symbol", "text"):
            if not isinstance(said.get(name), str):
                raise ValueError(f"it has no {name}")
        if said["symbol"] not in self._symbols:
            raise ValueError(f"{said['symbol']!r} is not traded; {', '.join(sorted(self._symbols))} are")
        kind = said.get("kind", "news")
        if not isinstance(kind, str):
            raise ValueError("its kind is no word")
        return NewsItem(said["symbol"], ts, kind, said["text"])
