"""Histories made by hand, commit by commit, in one session for each database: fast, and without running a flow."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import make_database

from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.model.pathspec import Pathspec
from doltflow.sources.dolt import Database, Session

Read = tuple[str, str, str] | tuple[str, str, str, str]
"""Database, table, commit and, where it was not pinned, branch."""


@dataclass
class Histories:
    """Databases in a folder whose commits a test writes.

    Attributes:
        commits: The commits of each database in the order made.
    """

    folder: Path
    stack: ExitStack
    commits: dict[str, list[str]] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)

    def database(self, name: str, *tables: str) -> None:
        """A database whose first commit makes tables of a number and a value."""
        made = [f"create table {table} (id int primary key, v int)" for table in tables]
        folder = make_database(self.folder / name, *made)
        self.sessions[name] = self.stack.enter_context(Database.at(folder).open())
        self.commits[name] = [self.head(name)]

    def rows(self, name: str, query: str, branch: str = "main") -> list[tuple[Any, ...]]:
        """The rows of a query on a branch."""
        connection = self.sessions[name]._connection
        connection.use(branch)
        return connection.rows(query)

    def head(self, name: str, branch: str = "main") -> str:
        """The head of a branch."""
        return self.sessions[name].branch_head(branch)

    def branch(self, name: str, branch: str, at: str = "main") -> None:
        """Makes a branch."""
        self.rows(name, f"call dolt_branch('{branch}', '{at}')")

    def by_hand(self, name: str, *statements: str, branch: str = "main", message: str = "By hand") -> str:
        """A commit that no run made."""
        return self._commit(name, branch, statements, message)

    def run(
        self,
        name: str,
        task: str,
        table: str,
        *statements: str,
        reads: Iterable[Read] = (),
        mode: str = "replace",
        branch: str = "main",
        attempt: int = 0,
        rerun_of: dict[str, str] | None = None,
    ) -> str:
        """A commit as a run's task leaves it."""
        pathspec = Pathspec.parse(task)
        assert pathspec is not None
        trailers = [ReadTrailer(read[0], read[2], (read[1],), read[3] if len(read) > 3 else None) for read in reads]
        writes = [WriteTrailer(table, mode, 1)]
        message = encode_message(pathspec, attempt=attempt, writes=writes, reads=trailers, rerun_of=rerun_of)
        return self._commit(name, branch, statements, message)

    def merge(self, name: str, source: str, branch: str = "main") -> str:
        """A merge commit."""
        return self._commit(name, branch, [f"call dolt_merge('{source}', '--no-ff', '-m', 'Merge')"], None)

    def _commit(self, name: str, branch: str, statements: Iterable[str], message: str | None) -> str:
        for statement in statements:
            self.rows(name, statement, branch)
        if message is not None:
            connection = self.sessions[name]._connection
            connection.rows("call dolt_commit('-Am', %s, '--allow-empty', '--author', 'Ann <a@x>')", [message])
        commit = self.head(name, branch)
        if commit not in self.commits[name]:
            self.commits[name].append(commit)
        return commit


@contextmanager
def histories(folder: Path) -> Iterator[Histories]:
    """Databases whose servers end with the test."""
    with ExitStack() as stack:
        yield Histories(folder, stack)


@contextmanager
def histories_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Histories]:
    """Such databases in a folder of their own, which is the current one."""
    folder = tmp_path / "histories"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with histories(folder) as made:
        yield made
