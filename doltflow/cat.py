"""`cat`: a table as a run read or wrote it, or as it was at a commit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from doltflow.errors import (
    AccessNotFoundError,
    AmbiguousDatabaseError,
    ColumnNotFoundError,
    DatabaseNotFoundError,
    RefNotFoundError,
    TableNotFoundError,
    UsageError,
    nearest,
)
from doltflow.lineage import Resolved
from doltflow.model.access import Access
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.sources.dolt.arrow import load
from doltflow.sql import check_predicate
from doltflow.workspace import Workspace, find_run, load_settings, open_workspace, read_run
from doltflow.workspace.at import databases_asked, head_of, named_table, split_name
from doltflow.workspace.gather import versions_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class CatResult:
    """Rows of a table at a commit.

    Attributes:
        rows: The rows, as an Arrow table with the exact types of `DoltDT.read`.
        database: The database's name.
        table: The table's name, as the database spells it.
        commit: Full hash of the commit that last changed the table at or before the one that was asked for.
        taken: The access of the run that was asked for; None where no run was.
        others: Accesses of the run that concern other versions of the table, oldest first.
        warnings: What was missing, one sentence each.
    """

    rows: "pa.Table"
    database: str
    table: str
    commit: str
    taken: Resolved | None
    others: tuple[Resolved, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A version of a table, and how a run came to it."""

    version: TableVersion
    taken: Resolved | None = None
    others: tuple[Resolved, ...] = ()


def cat(
    table: str,
    *,
    database: str | None = None,
    run: str | None = None,
    at: str | None = None,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    folder: Path | None = None,
) -> CatResult:
    """A table as it is, as a run read or wrote it, or as it was.

    Args:
        table: The table's name, or `database/table`.
        database: The database that the table is in, by name or path, where several have one of that name.
        run: The run whose read or write is meant: `Flow/run_id`, `Flow/latest`, a bare run id, a step or a task. Of a
            table that it both read and wrote, what it wrote last; of one that it only read, what it read last.
        at: The commit, tag, branch or date at which the table is meant. Without it and without `run`, the head of the
            database's default branch.
        where: A predicate in SQL that the rows fulfil.
        columns: The columns to take, in order; all without it.
        limit: At most so many rows, the first ones.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        UsageError: Both `run` and `at` are given, a column is given twice, or the limit is negative.
        QueryError: `where` is not a predicate.
        TableNotFoundError, ColumnNotFoundError, DatabaseNotFoundError, AmbiguousDatabaseError, RefNotFoundError,
            RunNotFoundError, AmbiguousRunError, AccessNotFoundError: As they say.
    """
    if run is not None and at is not None:
        raise UsageError("Both a run and a ref are asked for.", "Give `--run` or `--at`.")
    if limit is not None and limit < 0:
        raise UsageError(f"The limit is {limit}.", "It is 0 or more.")
    _check_columns(columns)
    if where is not None:
        check_predicate(where)
    with open_workspace(load_settings(folder), database, folder) as workspace:
        wanted = _Wanted(_version(workspace, table, at)) if run is None else _of_run(workspace, run, table)
        version = wanted.version
        session = workspace.session(version.database)
        load()
        try:
            rows = session.read(version.table, version.commit, columns, where, limit)
        except ColumnNotFoundError as error:
            if error.hint:
                raise
            names = session.column_names(version.table, version.commit)
            listed = ", ".join(f"`{name}`" for name in names)
            raise ColumnNotFoundError(error.message, f"`{version.table}` has {listed}.") from error
        return CatResult(
            rows, version.database, version.table, version.commit, wanted.taken, wanted.others, workspace.warnings
        )


def _check_columns(columns: Sequence[str] | None) -> None:
    seen: set[str] = set()
    for name in columns or ():
        if name.casefold() in seen:
            raise UsageError(f"The column `{name}` is asked for twice.", "Name each once.")
        seen.add(name.casefold())


def _version(workspace: Workspace, name: str, at: str | None) -> TableVersion:
    try:
        return named_table(workspace, name, at)
    except TableNotFoundError:
        _check_view(workspace, name, at)
        raise


def _check_view(workspace: Workspace, name: str, at: str | None) -> None:
    """Says so where a view is asked for.

    Raises:
        TableNotFoundError: It is one.
    """
    asked, table = split_name(workspace, name)
    for database in databases_asked(workspace) if asked is None else [asked]:
        session = workspace.session(database)
        try:
            views = session.views(head_of(session, at))
        except RefNotFoundError:
            continue
        if table.casefold() in {view.casefold() for view in views}:
            raise TableNotFoundError(
                f"`{table}` of `{database}` is a view, and only tables have versions.",
                "Ask for the tables that it is made of.",
            )


def _of_run(workspace: Workspace, text: str, name: str) -> _Wanted:
    """What a run wrote into a table, else what it read of it."""
    run = find_run(workspace, text)
    inside = [
        access
        for access in read_run(workspace, run).run.accesses
        if f"{access.pathspec}/".startswith(f"{run}/") and workspace.asked in (None, access.database)
    ]
    database, table = split_name(workspace, name)
    found = _naming(inside, name) or _naming(inside, table, database)
    databases = sorted({access.database for access in found})
    if len(databases) > 1:
        raise AmbiguousDatabaseError(
            f"`{run}` has a table `{name}` of several databases: {', '.join(databases)}.",
            "Say which with `--database`.",
        )
    items = [_resolved(workspace, access) for access in found]
    if not items:
        raise _no_access(run, name, inside)
    taken = next((item for item in reversed(items) if item.access.kind == "write"), items[-1])
    others = {item.version: item for item in items if item.version != taken.version}
    return _Wanted(taken.version, taken, tuple(others.values()))


def _naming(accesses: Sequence[Access], table: str, database: str | None = None) -> list[Access]:
    """The accesses of a table, each as one of that table alone."""
    return [
        replace(access, tables=(named,))
        for access in accesses
        for named in access.tables or ()
        if named.casefold() == table.casefold() and database in (None, access.database)
    ]


def _resolved(workspace: Workspace, access: Access) -> Resolved:
    """The access with the version that it concerns.

    Raises:
        DatabaseNotFoundError, RefNotFoundError, TableNotFoundError: What it names is not here.
        AccessNotFoundError: It does not tell its commit.
    """
    (table,) = access.tables or ("",)
    if access.commit is None:
        raise AccessNotFoundError(f"{access.pathspec} does not tell at which commit it had `{table}`.")
    database = workspace.database_of(access)
    if database is None:
        raise DatabaseNotFoundError(
            f"The database `{access.database}`, which {access.pathspec} names, is not here.",
            "Go to the folder that holds it, or name it with `--database`.",
        )
    if workspace.find_commit(database, access.commit) is None:
        raise RefNotFoundError(f"{access.pathspec} names the commit {access.commit}, which `{database}` does not have.")
    versions = versions_of(workspace, access)
    if not versions:
        raise TableNotFoundError(
            f"{access.pathspec} names the table `{table}`, which `{database}` does not have at {access.commit}."
        )
    return Resolved(access, versions[0])


def _no_access(run: Pathspec, name: str, accesses: Sequence[Access]) -> AccessNotFoundError:
    tables = [table for access in accesses for table in access.tables or ()]
    return AccessNotFoundError(
        f"`{run}` neither read nor wrote a table `{name}`.",
        nearest(name, tables) or f"`doltflow show {run}` lists what it read and wrote.",
    )
