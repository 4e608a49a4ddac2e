"""What a run was made from, and whether it is still so on the branches that it read."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from doltflow.errors import DoltError
from doltflow.model.access import Access
from doltflow.model.table import TableVersion
from doltflow.sources.dolt import Session
from doltflow.workspace.gather import versions_of
from doltflow.workspace.records import RunRecords
from doltflow.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Input:
    """A table that a run read.

    Attributes:
        database, table: The table.
        branch: The branch that was read; None where the read was pinned to a commit.
        read: The commit that had last changed the table when it was read.
        now: The one that last changed it on the branch; None where the table or the branch is not there.
        status: `stale` where the table has changed since.
        added, removed, modified: By how many rows it has changed; None where nobody can tell.
        note: Why it cannot be stale, or why the rows cannot be told; empty where there is nothing to say.
    """

    database: str
    table: str
    branch: str | None
    read: str
    now: str | None = None
    status: Literal["fresh", "stale"] = "fresh"
    added: int | None = None
    removed: int | None = None
    modified: int | None = None
    note: str = ""


def inputs_of(workspace: Workspace, records: RunRecords) -> Iterator[Input]:
    """The tables that a run read, each version and branch once; without what it read of its own writes."""
    seen = set()
    for access in records.run.accesses:
        if access.tables is None:
            workspace.warn(f"{access.pathspec}: it cannot be told which tables this query reads: {access.query}")
        for version in versions_of(workspace, access) if access.kind == "read" else ():
            if (version, access.branch) not in seen:
                seen.add((version, access.branch))
                if not _is_own(workspace, records, version):
                    yield _compared(workspace, records, access, version)


def _is_own(workspace: Workspace, records: RunRecords, version: TableVersion) -> bool:
    commit = workspace.find_commit(version.database, version.commit) if version.database in workspace.names else None
    return commit is not None and commit.run is not None and commit.run.pathspec.run == records.run.pathspec


def _compared(workspace: Workspace, records: RunRecords, access: Access, version: TableVersion) -> Input:
    def told(note: str) -> Input:
        return Input(version.database, version.table, access.branch, version.commit, note=note)

    if access.branch is None:
        return told("pinned")
    if version.database not in workspace.names:
        return told("database not here")
    if workspace.find_commit(version.database, version.commit) is None:
        return told("commit gone")
    session = workspace.session(version.database)
    head = session.branches().get(access.branch)
    if head is None:
        return told("branch gone")
    # What the run itself made of a table that it read is no change of its input.
    left = _left(records, version, access.branch)
    since = left if left is not None and session.reaches([head], [left]) else version.commit
    now = None
    with suppress(DoltError):  # In a shallow clone the contents alone can tell.
        now = workspace.version(version.database, version.table, head)
    item = Input(
        version.database, version.table, access.branch, version.commit, now.commit if now is not None else None
    )
    return item if now is not None and now.commit == since else _counted(session, item, since, head)


def _left(records: RunRecords, version: TableVersion, branch: str) -> str | None:
    """The commit by which the run itself last wrote a table on a branch."""
    writes = [
        access.commit
        for access in records.run.accesses
        if access.kind == "write"
        and access.database == version.database
        and version.table in (access.tables or ())
        and access.branch in (None, branch)
        and access.commit is not None
    ]
    return writes[-1] if writes else None


def _counted(session: Session, item: Input, since: str, head: str) -> Input:
    """The input with the rows by which it has changed, if it has."""
    content = session.table_hash(item.table, head)
    if content is not None and content == session.table_hash(item.table, since):
        return item
    rows = session.changed_rows(item.table, since, head)
    notes = ["dropped"] if content is None else []
    notes += ["primary key changed"] if rows is None else []
    added, removed, modified = (rows.added, rows.removed, rows.modified) if rows is not None else (None, None, None)
    if rows is not None and content is not None and not (added or removed or modified):
        notes.append("only its schema changed")
    return Input(
        item.database, item.table, item.branch, item.read, item.now, "stale", added, removed, modified, ", ".join(notes)
    )
