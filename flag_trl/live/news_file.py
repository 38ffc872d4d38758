"""News for a run on live bars: a file to which somebody's collector adds lines."""

import json
from collections import deque
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
        What an interrupted run was given already. Where the file begins with it, it is not given again; a file that
        does not is another one, and all of it is new.
    """

    def __init__(self, path: Path, symbols: Collection[str], given: Sequence[NewsItem] = ()) -> None:
        self.path = path
        self._symbols, self._given = symbols, deque(given)
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
            self._lost = False
            if file.seek(0, 2) < self._read_to:
                found.append(FeedNotice("news", f"{self.path} has become shorter, and is read from its beginning"))
                self._read_to = self._line = 0
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
            return [] if self._given else [FeedNotice("refused", f"{self.path}, line {self._line}: {error}")]
        if self._given:
            before = self._given.popleft()
            if (before.symbol, before.kind, before.text) == (item.symbol, item.kind, item.text):
                return []
            self._given.clear()
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
