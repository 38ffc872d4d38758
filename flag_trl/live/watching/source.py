"""A journal that is looked at again and again."""

from pathlib import Path
from typing import Any

from flag_trl.live.journal import Journal, writer_of
from flag_trl.live.watching.reading import Reading
from flag_trl.live.watching.snapshot import snapshot


class Source:
    """The latest snapshot of a journal, taken only where something has changed; for one thread.

    Parameters
    ----------
    path : path
        The journal's file; where another run has put its own in this place, that one is read from then on.

    Attributes
    ----------
    number : int
        How many snapshots there have been.
    latest : dict
        The last of them.

    Raises
    ------
    FileNotFoundError
        At the first look, if there is no journal.
    JournalError
        At any look, if no run has begun in it.
    """

    def __init__(self, path: str | Path) -> None:
        self.number = 0
        self.latest: dict[str, Any] = {}
        self._path = Path(path)
        self._journal: Journal | None = None
        self._file = 0
        self._seen: tuple[int, bool] | None = None
        self._reading = Reading()

    def look(self) -> int:
        """Take a snapshot, if something has changed; returns its number."""
        journal = self._opened()
        # Read before the snapshot: what is written meanwhile is a change again.
        seen = journal.state(), self._written()
        if seen != self._seen:
            self.latest = snapshot(journal, self._reading)
            self._seen = seen[0], self._writer is not None
            self.number += 1
        return self.number

    @property
    def _writer(self) -> int | None:
        found: int | None = self.latest.get("state", {}).get("writer")
        return found

    def _written(self) -> bool:
        """Whether a process still writes; asked only while there was one, for to ask is to try its lock."""
        return self._writer is not None and writer_of(self._path) is not None

    def _opened(self) -> Journal:
        file = self._path.stat().st_ino if self._path.is_file() else self._file
        if self._journal is None or file != self._file:
            self.close()
            self._journal, self._file = Journal(self._path, read_only=True), file
            self._seen, self._reading = None, Reading()
        return self._journal

    def close(self) -> None:
        """Leave the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
