"""A session with a real database, and short words for writing to it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import folder_of, footprint, isolated, make_database

from doltflow.model.access import Mode
from doltflow.sources.dolt import Database, Session
from doltflow.sources.dolt.write import StoredWrite, Write, prepare, rows

AUTHOR = "Bea <bea@example.com>"
NEVER, ALWAYS = 10**9, 0
PATHS = {"insert": (NEVER, NEVER), "load": (ALWAYS, NEVER), "halves": (ALWAYS, ALWAYS)}
"""From how many rows on they are loaded, and loaded in halves."""


@contextmanager
def opened(folder: Path, *statements: str) -> Iterator[Session]:
    """A session with a new database, in an environment of its own: for fixtures that outlive a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in isolated(folder / "home").items():
            patch.setenv(name, value)
        make_database(folder / "db", *statements)
        with Database.at(folder / "db").open() as session:
            yield session


@dataclass(frozen=True)
class Done:
    """A commit that was made, and what became of its writes."""

    commit: str
    stored: list[StoredWrite]

    @property
    def changed(self) -> list[bool]:
        return [one.changed for one in self.stored]


def write(
    session: Session,
    frame: Any,
    table: str,
    pks: Sequence[str] | str | None = None,
    mode: Mode = "replace",
    *,
    branch: str = "main",
    types: Mapping[str, str] | None = None,
    undo: Sequence[str] = (),
    message: str = "Run: Flow/1/step/2",
    path: str | None = None,
) -> Done:
    """Writes a frame as the recorder does: checked first, then stored as one commit."""
    one = Write(table, prepare(frame, pks), mode, tuple((types or {}).items()))
    session.check_write(one, branch)
    with pytest.MonkeyPatch.context() as patch:
        if path is not None:
            patch.setattr(rows, "LOAD_ROWS", PATHS[path][0])
            patch.setattr(rows, "HALVES_ROWS", PATHS[path][1])
        return Done(*session.commit_writes(branch, [one], message, AUTHOR, undo))


def rows_of(session: Session, table: str, at: str = "main") -> list[tuple[Any, ...]]:
    """The rows of a table, in the order of the key."""
    return [tuple(row.values()) for row in session.read(table, session.resolve(at)).to_pylist()]


def columns_of(session: Session, table: str, at: str = "main") -> list[str]:
    """The lines of SHOW CREATE TABLE between the brackets."""
    quoted = table.replace("`", "``")
    session._connection.use(session.resolve(at))
    text = str(session._connection.rows(f"show create table `{quoted}`")[0][1])
    return [line.strip().rstrip(",") for line in text.splitlines()[1:-1]]


def sql(session: Session, *statements: str, branch: str = "main") -> str:
    """Executes statements as a user of the server would; what the last one returned first."""
    session._connection.use(branch)
    value = None
    for statement in statements:
        value = session._connection.value(statement)
    return str(value)


def uncommitted(session: Session) -> dict[str, object]:
    """What `footprint` tells, asked on a session: fast, but by the same server."""
    branches = session.branches()
    patches = [("HEAD", "STAGED"), ("STAGED", "WORKING")]
    connection = session._connection
    connection.use("main")
    return {
        "head": session.database.location.head_branch(),
        "status": sorted(connection.rows("select table_name, staged, status from dolt_status")),
        "patches": [sorted(connection.rows(f"select statement from dolt_patch('{a}', '{b}')")) for a, b in patches],
        "branches": sorted(branches),
        "temporary": list((folder_of(session) / ".dolt" / "temptf").iterdir()),
    }


def steady(folder: Path) -> dict[str, list[str]]:
    """The footprint of a database, without the order in which Dolt lists things."""
    return {name: sorted(text.splitlines()) for name, text in footprint(folder).items()}
