"""What was found out about a database's history, kept in the user's cache folder. Nothing depends on it but speed.

Every entry is about a commit and stays true for ever: which task made it, and which commit last changed a table at it.
So entries are only ever added. Which commits the branches reach does change: `tips` says from which commits on the
commits of runs are listed; where a branch no longer reaches one of them, the list is begun anew.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

VERSION = 1
_SCHEMA = f"""
begin immediate;
create table tips (hash text primary key) without rowid;
create table made (number integer primary key, hash text not null unique, run text not null, task text not null,
    date real not null);
create index of_run on made (run);
create table changes (name text, at text, hash text not null, primary key (name, at)) without rowid;
pragma user_version = {VERSION};
commit;
"""
_TABLES = ("tips", "made", "changes")
_WAIT = 2.0  # seconds for another process that writes; then it goes without


@dataclass(frozen=True, slots=True)
class Made:
    """A commit that a run made.

    Attributes:
        hash: Full hash.
        task: The task's pathspec, as the commit's subject spells it.
        date: When, in seconds since the epoch.
    """

    hash: str
    task: str
    date: float

    @property
    def run(self) -> str:
        """`Flow/run_id`."""
        return "/".join(self.task.split("/")[:2])


def index_file(folder: Path) -> Path:
    """Where the index of a database is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    return cache / "doltflow" / "index" / f"{name}.sqlite"


class Index:
    """The index of one database. Where its file cannot be used it forgets, and answers as if it were empty."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._raw: sqlite3.Connection | None = None
        try:
            self._raw = self._open()
        except (OSError, sqlite3.Error):
            # Damaged, or of another version, which nothing is lost with.
            with suppress(OSError, sqlite3.Error):
                self._file.unlink(missing_ok=True)
                self._raw = self._open()

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        raw = sqlite3.connect(self._file, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        try:
            # It can be made again: to be fast matters more than to outlive a power cut.
            raw.execute("pragma synchronous = off")
            if self._version(raw) == 0:
                with suppress(sqlite3.OperationalError):  # Another process makes it at the same time.
                    raw.executescript(_SCHEMA)
            if self._version(raw) != VERSION or raw.execute("pragma quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("not an index")
            for table in _TABLES:
                raw.execute(f"select 1 from {table} limit 0")  # Fails where there is none.
        except BaseException:
            raw.close()
            raise
        return raw

    @staticmethod
    def _version(raw: sqlite3.Connection) -> int:
        return int(raw.execute("pragma user_version").fetchone()[0])

    @property
    def is_open(self) -> bool:
        """Whether its answers count."""
        return self._raw is not None

    def close(self) -> None:
        """Closes the file."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def clear(self) -> None:
        """Forgets everything, on disk too."""
        with self._writing() as raw:
            if raw is not None:
                for table in _TABLES:
                    raw.execute(f"delete from {table}")

    def tips(self) -> frozenset[str]:
        """The commits up to which the commits of runs are listed."""
        return frozenset(row[0] for row in self._rows("select hash from tips"))

    def advance(self, before: frozenset[str], tips: Iterable[str], made: Iterable[Made], *, anew: bool) -> bool:
        """Lists more commits of runs.

        Args:
            before: The tips from which on `made` was found out.
            tips: The new tips.
            made: The commits of runs that the new tips reach and the old ones did not, newest first.
            anew: Whether to forget those that are listed.

        Returns:
            False where another process has moved the tips meanwhile, or the file cannot be written.
        """
        done = False
        with self._writing() as raw:
            if raw is None or frozenset(row[0] for row in raw.execute("select hash from tips")) != before:
                return False
            raw.execute("delete from tips")
            if anew:
                raw.execute("delete from made")
            raw.executemany("insert into tips values (?)", [(tip,) for tip in tips])
            raw.executemany(
                "insert or ignore into made (hash, run, task, date) values (?, ?, ?, ?)",
                [(one.hash, one.run, one.task, one.date) for one in reversed(list(made))],
            )
            done = True
        return done and self.is_open

    def of_run(self, run: str) -> list[Made]:
        """The commits of a run, newest first."""
        return self._made("where run = ?", run)

    def made(self) -> list[Made]:
        """The commits of all runs, newest first."""
        return self._made("")

    def is_made(self, hash_: str) -> bool:
        """Whether a run made a commit."""
        return bool(self._rows("select 1 from made where hash = ?", hash_))

    def _made(self, where: str, *values: str) -> list[Made]:
        rows = self._rows(f"select hash, task, date from made {where} order by number desc", *values)
        return [Made(hash_, task, float(date)) for hash_, task, date in rows]

    def change(self, table: str, at: str) -> str | None:
        """The commit that last changed a table at a commit, where that was found out before."""
        rows = self._rows("select hash from changes where name = ? and at = ?", table, at)
        return str(rows[0][0]) if rows else None

    def remember(self, changes: Iterable[tuple[str, str, str]]) -> None:
        """Notes which commit last changed a table at a commit: the table, the commit, that commit."""
        with self._writing() as raw:
            if raw is not None:
                raw.executemany("insert or ignore into changes values (?, ?, ?)", list(changes))

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        if self._raw is None:
            return []
        try:
            return self._raw.execute(query, values).fetchall()
        except sqlite3.Error:
            self.close()
            return []

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection | None]:
        """A transaction; None where there is no file to write to. What goes wrong with the file ends its use."""
        raw = self._raw
        try:
            if raw is not None:
                raw.execute("begin immediate")
        except sqlite3.Error:
            raw = None
        try:
            yield raw
            if raw is not None:
                raw.execute("commit")
        except sqlite3.Error:
            self.close()
        except BaseException:
            self.close()  # Which rolls back.
            raise
