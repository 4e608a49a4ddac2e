"""What was found out about a database's history, kept in the user's cache folder. Nothing depends on it but speed.

Every entry is about a commit and stays true for ever: which task made it, and which commit last changed a table at it.
So entries are only ever added. Which commits the branches reach does change: `tips` says from which commits on the
commits of runs are listed; where a branch no longer reaches one of them, the list is begun anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from doltflow.workspace.cache import CacheFile, cache_file


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


def index_file(identity: str) -> Path:
    """Where the index of a database is kept, which is told from others by its place."""
    return cache_file("index", identity)


class Index(CacheFile):
    """The index of one database."""

    VERSION = 1
    TABLES: ClassVar[dict[str, str]] = {
        "tips": "(hash text primary key) without rowid",
        "made": "(number integer primary key, hash text not null unique, run text not null, task text not null, "
        "date real not null)",
        "changes": "(name text, at text, hash text not null, primary key (name, at)) without rowid",
    }
    MORE = ("create index of_run on made (run)",)

    def tips(self) -> frozenset[str]:
        """The commits up to which the commits of runs are listed."""
        return frozenset(row[0] for row in self.rows("select hash from tips"))

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
        with self.writing() as raw:
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
        return bool(self.rows("select 1 from made where hash = ?", hash_))

    def _made(self, where: str, *values: str) -> list[Made]:
        rows = self.rows(f"select hash, task, date from made {where} order by number desc", *values)
        return [Made(hash_, task, float(date)) for hash_, task, date in rows]

    def change(self, table: str, at: str) -> str | None:
        """The commit that last changed a table at a commit, where that was found out before."""
        rows = self.rows("select hash from changes where name = ? and at = ?", table, at)
        return str(rows[0][0]) if rows else None

    def remember(self, changes: Iterable[tuple[str, str, str]]) -> None:
        """Notes which commit last changed a table at a commit: the table, the commit, that commit."""
        with self.writing() as raw:
            if raw is not None:
                raw.executemany("insert or ignore into changes values (?, ?, ?)", list(changes))
