"""Why the tables of two ends differ."""

from collections.abc import Iterator
from dataclasses import replace

from doltflow.causes import Causes, causes_between, changes_of_tables, summary
from doltflow.compare.versions import Version
from doltflow.diff.result import DiffResult, DiffTable
from doltflow.errors import DoltError
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.sources.dolt.stats import ChangedRows
from doltflow.workspace import RunRecords, Workspace, read_run
from doltflow.workspace.ends import End


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
    by_hand: list[tuple[TableVersion | None, TableVersion | None, ChangedRows | None]] = []
    for table in result.tables:
        makers = [version.run if version is not None else None for version in (table.before, table.after)]
        if makers[0] is not None and makers[1] is not None:
            if makers[0] != makers[1]:
                pairs[makers[0], makers[1]] = None
        elif not table.is_unwritten and (table.difference is None or table.difference.is_different):
            by_hand.append((_as_version(table.before), _as_version(table.after), _rows(table)))
    for pair in pairs:
        for name in pair:
            if name not in records:
                pathspec = Pathspec.parse(name)
                if pathspec is not None:
                    records[name] = read_run(workspace, pathspec)
        yield causes_between(workspace, records[pair[0]], records[pair[1]])
    if by_hand:
        yield changes_of_tables(workspace, by_hand, result.before, result.after)


def sentence(result: DiffResult, ends: tuple[End, End]) -> str:
    """The sentence on top: the causes, and which tables only one of two runs wrote."""
    unwritten = [table for table in result.tables if table.is_unwritten]
    others = [table for table in result.tables if not table.is_unwritten and not table.is_identical]
    parts = [summary(result.causes, bool(others))] if others or not unwritten else []
    for one, other, tables in (
        (*ends, [table for table in unwritten if table.before is not None]),
        (ends[1], ends[0], [table for table in unwritten if table.after is not None]),
    ):
        if tables:
            how = {"failed": ", which failed", "running": ", which is still running"}.get(other.status, "")
            names = ", ".join(f"`{table.table}`" for table in tables)
            begin = "" if parts else "differs because "
            parts.append(f"{begin}only {one.name} wrote {names}, and not {other.name}{how}")
    return "; ".join(parts)


def _rows(table: DiffTable) -> ChangedRows | None:
    """By how many rows a table differs, in what was asked for."""
    found = table.difference
    return None if found is None else ChangedRows(found.added, found.removed, found.modified)


def _as_version(of: Version | None) -> TableVersion | None:
    return None if of is None else TableVersion(of.database, of.table, of.commit)


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
