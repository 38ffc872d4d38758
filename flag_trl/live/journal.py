"""The journal of a live run: one SQLite file, written ahead of what it says is done.

Rows are only ever added. A run that goes on after an interruption plays the same moments again; what is in the journal
already must come out equal, so a row that differs stops the run instead of hiding a second truth.
"""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

JOURNAL_FILE = "journal.sqlite"
HISTORY = "history"
"""The setting that says what was known before the run, by its digest."""
VERSION = "1"


Row = dict[str, Any]
"""A row by its columns."""


class JournalError(Exception):
    """The journal is another run's, in use, or does not agree with what is being written."""


@dataclass(frozen=True)
class Table:
    """Columns of a table: those that name a row, those that it says, and those that may differ from run to run."""

    key: tuple[str, ...]
    columns: tuple[str, ...]
    loose: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every column."""
        return (*self.key, *self.columns, *self.loose)


TABLES = {
    "settings": Table(("name",), ("value",)),
    # What came in.
    "bars": Table(("symbol", "ts"), ("open", "high", "low", "close", "volume", "history")),
    "news": Table(("symbol", "ts", "number"), ("kind", "text")),
    # What the operator wanted, and how many moments had been played by then.
    "inputs": Table(("number",), ("ts", "played", "what", "why")),
    "feed": Table(("number",), ("ts", "content")),
    # What was decided and done.
    "decisions": Table(
        ("ts", "symbol"),
        (
            *("bar", "observation", "market_text", "account_text", "account", "legal", "uniform"),
            *("probabilities", "action", "status", "why"),
        ),
        ("took_s",),
    ),
    "orders": Table(("id",), ("ts", "symbol", "side", "quantity", "kind", "price", "time_in_force", "target")),
    "order_events": Table(("id", "number"), ("ts", "what", "why")),
    "fills": Table(("id", "number"), ("ts", "symbol", "side", "quantity", "price", "commission")),
    "accounts": Table(("ts", "symbol"), ("price", "units", "cash", "equity", "since_entry")),
    "totals": Table(("ts",), ("cash", "equity", "engine_equity", "headroom")),
    "notices": Table(("number",), ("ts", "kind", "symbol", "text")),
}
"""All that an undisturbed run and a resumed one write alike; `runs`, beside them, says which process wrote when."""

GIVEN = ("settings", "feed")
"""What a run was given, and did not make of it: kept ahead, it says nothing of how far the run had come."""


class Journal:
    """Reads and, unless `read_only`, writes one run's journal.

    Parameters
    ----------
    path : path
        The file; made where it is missing and may be written.
    read_only : bool
        Readers take no lock and never disturb the run.

    Raises
    ------
    JournalError
        If another process writes it, or it is of another version.
    FileNotFoundError
        If there is none to read.
    """

    def __init__(self, path: str | Path, read_only: bool = False) -> None:
        self.path = Path(path)
        self._lock: int | None = None
        if read_only:
            if not self.path.is_file():
                raise FileNotFoundError(f"there is no journal at {self.path}; flag-trl simulate and paper write one")
            self._open(f"{self.path.resolve().as_uri()}?mode=ro")
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            # For the owner's eyes: it says what is held and traded.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._open(self.path.resolve().as_uri())
            self._create()
        self._numbers: dict[str, int] = {}
        self._check()
        self._not_repeated = 0 if read_only else self._rows_of_the_run()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, uri: str) -> None:
        self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0)
        self._db.row_factory = _as_dict

    def _take_lock(self) -> None:
        self._lock = os.open(_lock_file(self.path), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _locked(self._lock)
        except OSError:
            os.close(self._lock)
            raise JournalError(
                f"{self.path} is being written by process {writer_of(self.path)}; stop it first"
            ) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def _create(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("BEGIN")
        for name, table in TABLES.items():
            columns = ", ".join(table.all)
            self._db.execute(
                f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY ({', '.join(table.key)})) WITHOUT ROWID"
            )
        self._db.execute("CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY, pid, started, ended, how)")
        self._db.execute("COMMIT")

    def begin(self, settings: Mapping[str, Any]) -> bool:
        """Start a run, or go on with the one that has these settings; returns whether there was one.

        Raises
        ------
        JournalError
            If the journal holds a run with other settings, naming them.
        """
        given = {name: json.dumps(value) for name, value in {"version": VERSION, **settings}.items()}
        found = {row["name"]: row["value"] for row in self.rows("settings", "name != ?", HISTORY)}
        if found and found != given:
            told = "; ".join(
                _differences("", *({n: json.loads(v) for n, v in said.items()} for said in (found, given)))
            )
            raise JournalError(f"{self.path} holds another run: {told}. Give another --output_dir, or remove it")
        self.transaction()
        for name, value in given.items():
            self.put("settings", {"name": name, "value": value})
        started = self._number("SELECT COUNT(*) FROM runs") > 0
        self._db.execute("INSERT INTO runs (pid, started) VALUES (?, datetime('now'))", (os.getpid(),))
        self.commit()
        return started

    def ended(self, how: str) -> None:
        """Note how this process left the run."""
        self._db.execute(
            "UPDATE runs SET ended = datetime('now'), how = ? WHERE run = (SELECT MAX(run) FROM runs)", (how,)
        )

    def transaction(self) -> None:
        """Begin one, unless one is open."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """What was put is kept, whatever happens to the process."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def put(self, name: str, row: Mapping[str, Any]) -> bool:
        """Add a row, or hold it against the one that is there; returns whether it is new.

        Raises
        ------
        JournalError
            If a row of this key says something else.
        """
        table = TABLES[name]
        self.transaction()
        marks = ", ".join("?" * len(table.all))
        values = [row.get(column) for column in table.all]
        added = self._db.execute(
            f"INSERT INTO {name} ({', '.join(table.all)}) VALUES ({marks}) ON CONFLICT DO NOTHING", values
        ).rowcount
        if added:
            return True
        self._not_repeated -= name not in GIVEN
        found = self.get(name, **{column: row[column] for column in table.key})
        assert found is not None
        for column in table.columns:
            if found[column] != row.get(column):
                key = ", ".join(str(row[part]) for part in table.key)
                raise JournalError(
                    f"{self.path}, {name} {key}: {column} was {found[column]!r} and now comes out as "
                    f"{row.get(column)!r}; the data, the policy or the program have changed since"
                )
        return False

    @property
    def repeated(self) -> bool:
        """Whether all that earlier processes made of the feed has come again, so that what comes now is new."""
        return self._not_repeated <= 0

    def _rows_of_the_run(self) -> int:
        before = {"bars": "NOT history", "news": "number >= 0"}
        counts = (
            self._number(f"SELECT COUNT(*) FROM {name} WHERE {before.get(name, '1')}")
            for name in TABLES
            if name not in GIVEN
        )
        return int(sum(counts))

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """`put` with the next ``number``, within the row's `id` where the table has one."""
        prefix = f"{name}/{row['id']}" if "id" in TABLES[name].key else name
        number = self._numbers[prefix] = self._numbers.get(prefix, -1) + 1
        self.put(name, {**row, "number": number})

    def put_history(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Add what was known before the run, rows by table; of a run that goes on it must be the same.

        Raises
        ------
        JournalError
            If it is another.
        """
        content = blake2b(repr(rows).encode(), digest_size=16).hexdigest()
        if self.put("settings", {"name": HISTORY, "value": json.dumps(content)}):
            for name, several in rows.items():
                table = TABLES[name]
                marks = ", ".join("?" * len(table.all))
                self._db.executemany(
                    f"INSERT INTO {name} ({', '.join(table.all)}) VALUES ({marks})",
                    ([row.get(column) for column in table.all] for row in several),
                )
        self.commit()

    def get(self, name: str, /, **key: Any) -> Row | None:
        """The row of a key."""
        where = " AND ".join(f"{column} = ?" for column in key)
        found: Row | None = self._db.execute(f"SELECT * FROM {name} WHERE {where}", tuple(key.values())).fetchone()
        return found

    def rows(self, name: str, /, where: str = "1", *values: Any, order: str | None = None) -> Iterator[Row]:
        """Rows in order of their keys, or of `order`."""
        by = order or ", ".join(TABLES[name].key)
        yield from self._db.execute(f"SELECT * FROM {name} WHERE {where} ORDER BY {by}", values)

    def setting(self, name: str) -> Any:
        """One of the settings the run was begun with."""
        found = self.get("settings", name=name)
        if found is None:
            raise JournalError(f"{self.path} names no {name}; it is no journal of a run")
        return json.loads(found["value"])

    def runs(self) -> list[Row]:
        """The processes that wrote it, in order."""
        return list(self._db.execute("SELECT * FROM runs ORDER BY run"))

    def state(self) -> int:
        """A number that changes when another process has committed."""
        return int(self._number("PRAGMA data_version"))

    def digest(self) -> str:
        """A name for all that a resumed run must write as an undisturbed one does."""
        content = blake2b(digest_size=16)
        for name, table in TABLES.items():
            for row in self.rows(name):
                content.update(repr((name, *(row[column] for column in (*table.key, *table.columns)))).encode())
        return content.hexdigest()

    def _number(self, query: str) -> Any:
        """The one value of a query."""
        (value,) = self._db.execute(query).fetchone().values()
        return value

    def _check(self) -> None:
        try:
            for name in TABLES:
                self._db.execute(f"SELECT 1 FROM {name} LIMIT 1")
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{self.path} is no journal of a live run ({error})") from None

    def close(self) -> None:
        """Leave the file to others."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _locked(handle: int) -> None:
    """Take the lock; whoever only asks who has it lets it go at once."""
    for left in range(10, -1, -1):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if not left:
                raise
            time.sleep(0.02)


def journal_path(run: str | Path) -> Path:
    """A run's journal, given the file or the run's output folder."""
    path = Path(run)
    return path if path.is_file() or path.suffix == ".sqlite" else path / JOURNAL_FILE


def _differences(name: str, there: Any, here: Any) -> Iterator[str]:
    """What of two settings is not alike, each by its name."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            yield from _differences(f"{name}.{key}" if name else key, there.get(key), here.get(key))
    elif there != here:
        yield f"{name} {there!s:.80} there, {here!s:.80} here"


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def writer_of(path: str | Path) -> int | None:
    """The process that writes a journal; None where none does."""
    file = _lock_file(Path(path))
    if not file.is_file():
        return None
    handle = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        # It may have taken the lock, and not written its number yet.
        words = os.read(handle, 32).split()
        return int(words[0]) if words else None
    else:
        return None
    finally:
        os.close(handle)
