"""News for a run on live bars: a file to which somebody's collector adds lines."""

import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
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
    given : sequence of NewsItem
        What an interrupted run was given already; a text that is among it is not given again.
    """

    def __init__(self, path: Path, symbols: Collection[str], given: Sequence[NewsItem] = ()) -> None:
        self.path = path
        self._symbols = symbols
        self._given = Counter((item.symbol, item.kind, item.text) for item in given)
        # Of what was given, the texts that the file has not shown yet.
        self._expected = self._given.copy()
        self._file: tuple[int, int] | None = None
        self._read_to = self._line = 0
        self._lost = False

    def read(self, ts: int) -> list[NewsItem | FeedNotice]:
        """What was added since, known from `ts` on; of what cannot be read, a notice that says why."""
        try:
            return self._read(ts)
        except OSError as error:
            told = [] if self._lost else [FeedNotice("news", f"{self.path} cannot be read: {error.strerror}")]
            self._lost = True
            return [*told]

    def _read(self, ts: int) -> list[NewsItem | FeedNotice]:
        found: list[NewsItem | FeedNotice] = []
        with self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            other = self._file not in (None, (status.st_dev, status.st_ino))
            if other or self._lost or status.st_size < self._read_to:
                found.append(FeedNotice("news", f"{self.path} is another file now, and is read from its beginning"))
                self._read_to = self._line = 0
                self._expected = self._given.copy()
            self._file = status.st_dev, status.st_ino
            self._lost = False
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
        except (ValueError, RecursionError) as error:
            known = self._expected.total() > 0
            return [] if known else [FeedNotice("refused", f"{self.path}, line {self._line}: {error}")]
        text = item.symbol, item.kind, item.text
        if self._expected[text]:
            self._expected[text] -= 1
            return []
        self._given[text] += 1
        return [item]

    def _item(self, line: bytes, ts: int) -> NewsItem:
        if len(line) > LONGEST:
            raise ValueError(f"it has {len(line):,} bytes, {LONGEST:,} are allowed")
        said: Any = json.loads(line)
        if not isinstance(said, dict):
            raise ValueError("it is no JSON object")
        said = {"kind": "news", **said}
        for name in ("symbol", "text", "kind"):
            if not isinstance(said.get(name), str):
                raise ValueError(f"it has no {name} that is text")
            # Half a character, as a text that was cut has, could not be kept.
            said[name].encode()
        if said["symbol"] not in self._symbols:
            raise ValueError(f"{said['symbol']!r} is not traded; {', '.join(sorted(self._symbols))} are")
        return NewsItem(said["symbol"], ts, said["kind"], said["text"])
