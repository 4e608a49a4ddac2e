"""Why the tables of two ends differ."""

from collections.abc import Iterator
from dataclasses import replace

from doltflow.causes import Causes, causes_between, changes_of_tables
from doltflow.compare.asked import Asked
from doltflow.compare.versions import Version
from doltflow.diff.result import DiffResult, DiffTable
from doltflow.errors import DoltError
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.sources.dolt.stats import ChangedRows
from doltflow.workspace import RunRecords, Workspace, read_run


def with_makers(workspace: Workspace, table: DiffTable) -> DiffTable:
    """The table with the runs that made its versions, where they differ."""
    if table.is_same:
        return table
    before, after = (
        version and replace(version, run=_maker(workspace, version)) for version in (table.before, table.after)
    )
    return replace(table, before=before, after=after)


def causes_of(workspace: Workspace, result: DiffResult) -> Iterator[Causes]:
    """What differs between the runs that made both versions of a table, once for each two runs.

    Of a table that not two runs made, it is the commits in between.
    """
    records: dict[str, RunRecords] = {}
    pairs: dict[tuple[str, str], None] = {}
    by_hand = []
    for table in result.tables:
        makers = [version.run if version is not None else None for version in (table.before, table.after)]
        if makers[0] is not None and makers[1] is not None:
            if makers[0] != makers[1]:
                pairs[makers[0], makers[1]] = None
        elif table.before is not None and table.after is not None and not table.is_same:
            rows = _rows(table, result.asked)
            by_hand.append((_as_version(table.before), _as_version(table.after), rows))
    for pair in pairs:
        for name in pair:
            if name not in records:
                pathspec = Pathspec.parse(name)
                if pathspec is not None:
                    records[name] = read_run(workspace, pathspec)
        yield causes_between(workspace, records[pair[0]], records[pair[1]])
    if by_hand:
        yield changes_of_tables(workspace, by_hand, result.before, result.after)


def _rows(table: DiffTable, asked: Asked) -> ChangedRows | None:
    """By how many rows a table differs, where all of it was compared."""
    found = table.difference
    if found is None or asked != Asked():
        return None
    return ChangedRows(found.added, found.removed, found.modified)


def _as_version(of: Version) -> TableVersion:
    return TableVersion(of.database, of.table, of.commit)


def _maker(workspace: Workspace, version: Version) -> str | None:
    """The run that made a version, `Flow/run_id`; None where none did."""
    if version.run is not None:
        return version.run
    session = workspace.session(version.database)
    try:
        commit = session.commit(session.last_change(version.table, version.commit))
    except DoltError:
        return None
    return commit.run.pathspec.run if commit.run is not None else None
