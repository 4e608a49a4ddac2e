"""What a run was made from, and whether it is still so on the branches that it read."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from doltflow.errors import DoltError
from doltflow.model.access import Access
from doltflow.model.table import TableVersion
from doltflow.sources.dolt import Session
from doltflow.workspace.gather import versions_of
from doltflow.workspace.records import RunRecords
from doltflow.workspace.workspace import Workspace

Freshness = Literal["fresh", "stale", "unknown"]


@dataclass(frozen=True, slots=True)
class Input:
    """A table that a run read.

    Attributes:
        database, table: The table.
        branch: The branch that was read; None where the read was pinned to a commit.
        read: The commit that had last changed the table when it was read.
        now: The one that last changed it on the branch; None where the table or the branch is not there.
        status: `stale` where the table has changed since, `unknown` where its database is not here, or the commit that
            was read is gone.
        added, removed, modified: By how many rows it has changed; None where nobody can tell.
        note: Why it cannot be stale or told, or why the rows cannot be told; empty where there is nothing to say.
    """

    database: str
    table: str
    branch: str | None
    read: str
    now: str | None = None
    status: Freshness = "fresh"
    added: int | None = None
    removed: int | None = None
    modified: int | None = None
    note: str = ""


def inputs_of(workspace: Workspace, records: RunRecords) -> Iterator[Input]:
    """The tables that a run read, each version and branch once; without what it read of its own writes."""
    for access, version in versions_read(workspace, records):
        yield _compared(workspace, records, access, version)


def versions_read(workspace: Workspace, records: RunRecords) -> Iterator[tuple[Access, TableVersion]]:
    """The table versions that a run read and had not written itself, each version and branch once."""
    seen = set()
    for access in records.run.accesses:
        if access.tables is None:
            workspace.warn(f"{access.pathspec}: it cannot be told which tables this query reads: {access.query}")
        for version in versions_of(workspace, access) if access.kind == "read" else ():
            if (version, access.branch) not in seen:
                seen.add((version, access.branch))
                if not is_own(workspace, records, version):
                    yield access, version


def is_own(workspace: Workspace, records: RunRecords, version: TableVersion) -> bool:
    """Whether a run made a version of a table itself."""
    commit = workspace.find_commit(version.database, version.commit) if version.database in workspace.names else None
    return commit is not None and commit.run is not None and commit.run.pathspec.run == records.run.pathspec


def _compared(workspace: Workspace, records: RunRecords, access: Access, version: TableVersion) -> Input:
    def told(note: str, status: Freshness = "fresh") -> Input:
        return Input(version.database, version.table, access.branch, version.commit, status=status, note=note)

    if access.branch is None:
        return told("pinned")
    if version.database not in workspace.names:
        return told("database not here", "unknown")
    if workspace.find_commit(version.database, version.commit) is None:
        return told("commit gone", "unknown")
    session = workspace.session(version.database)
    head = session.branches().get(access.branch)
    if head is None:
        return told("branch gone")
    now = None
    with suppress(DoltError):  # In a shallow clone the contents alone can tell.
        now = workspace.version(version.database, version.table, head)
    end = now.commit if now is not None else head
    spans = list(_spans(workspace, records, access.branch, version, end))
    item = Input(
        version.database, version.table, access.branch, version.commit, now.commit if now is not None else None
    )
    return _counted(session, item, [(start, end) for start, end in spans if start != end])


def _spans(
    workspace: Workspace, records: RunRecords, branch: str, version: TableVersion, last: str
) -> Iterator[tuple[str, str]]:
    """The commits between which a table that a run read was in others' hands, oldest first.

    What the run itself made of a table that it read is no change of its input.
    """
    session, start = workspace.session(version.database), version.commit
    for hash_ in _own_writes(workspace, records, version, branch):
        commit = workspace.find_commit(version.database, hash_)
        if commit is None or not commit.parents:
            continue
        if session.reaches([last], [hash_]) and session.reaches([hash_], [start]):
            end = commit.parents[0]
            before = workspace.version(version.database, version.table, end)
            while before is not None and before.commit != start and is_own(workspace, records, before):
                # A failed attempt had written it before.
                maker = workspace.find_commit(version.database, before.commit)
                if maker is None or not maker.parents:
                    break
                end = maker.parents[0]
                before = workspace.version(version.database, version.table, end)
            yield start, before.commit if before is not None else end
            start = hash_
    yield start, last


def _own_writes(workspace: Workspace, records: RunRecords, version: TableVersion, branch: str) -> list[str]:
    """The commits by which the run itself wrote a table on a branch, oldest first."""
    writes = (
        access.commit
        for access in records.run.accesses
        if access.kind == "write"
        and access.branch in (None, branch)
        and version.table.casefold() in {table.casefold() for table in access.tables or ()}
        and workspace.database_of(access) == version.database
        and access.commit is not None
    )
    return list(dict.fromkeys(writes))


def _counted(session: Session, item: Input, spans: list[tuple[str, str]]) -> Input:
    """The input with the rows by which it has changed, if it has."""
    contents = {hash_: session.table_hash(item.table, hash_) for span in spans for hash_ in span}
    changed = [(start, end) for start, end in spans if contents[end] is None or contents[start] != contents[end]]
    if not changed:
        return item
    found = [session.changed_rows(item.table, *span) for span in changed]
    rows = [one for one in found if one is not None]
    is_told, is_modified = len(rows) == len(found), all(one.modified is not None for one in rows)
    added = sum(one.added for one in rows) if is_told else None
    removed = sum(one.removed for one in rows) if is_told else None
    modified = sum(one.modified or 0 for one in rows) if is_told and is_modified else None
    notes = ["dropped"] if item.now is None else []
    notes += [] if is_told else ["primary key changed"]
    if is_told and item.now is not None and not (added or removed or modified):
        notes.append("only its schema changed")
    return replace(item, status="stale", added=added, removed=removed, modified=modified, note=", ".join(notes))
