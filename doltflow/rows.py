"""`trace` of rows and cells: which commit and which run last changed them, and what that run was made from."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doltflow.errors import DatabaseNotFoundError, DoltflowError, RowNotFoundError, TableNotFoundError, UsageError
from doltflow.lineage import ZOOMS, Zoom, build, upstream
from doltflow.model.commit import Commit
from doltflow.model.row import Row, RowChange
from doltflow.model.run import Run
from doltflow.model.table import TableVersion
from doltflow.sql import check_predicate
from doltflow.workspace import Workspace, find_run, gather, load_settings, open_workspace
from doltflow.workspace.at import named_table

if TYPE_CHECKING:
    import networkx

LIMIT = 20


@dataclass(frozen=True, slots=True)
class TracedChange:
    """A change of a row, and the commit that made it; the commit's `run` is the task, where a run made it."""

    change: RowChange
    commit: Commit


@dataclass(frozen=True, slots=True)
class TracedRow:
    """A row, or one cell of it.

    Attributes:
        key: The values of the columns of the table's key.
        changes: Its changes, newest first: at least one, and only that unless the history was asked for.
    """

    key: Row = field(hash=False)
    changes: tuple[TracedChange, ...]


@dataclass(frozen=True, slots=True)
class RowsResult:
    """Rows, what last changed them, and where that came from.

    Attributes:
        database, table: Where the rows are.
        column: The one column that was asked about; None for whole rows.
        history: Whether all changes were asked for.
        rows: The rows, in the order of their keys.
        matched: How many rows there are that match; more than `rows` where those were limited.
        graph: The `networkx.DiGraph` of what led to the versions of the table that last changed the rows.
        targets: The ids of those versions, newest first.
        zoom: `run`, `step` or `task`.
        runs: The runs in the graph, by `Flow/run_id`.
        warnings: What was missing, or where the two records disagree, one sentence each.
    """

    database: str
    table: str
    column: str | None
    history: bool
    rows: tuple[TracedRow, ...]
    matched: int
    graph: "networkx.DiGraph[str]"
    targets: tuple[str, ...]
    zoom: Zoom
    runs: dict[str, Run]
    warnings: tuple[str, ...]


def trace_rows(
    table: str,
    *,
    where: str | None = None,
    key: Mapping[str, Any] | None = None,
    column: str | None = None,
    history: bool = False,
    database: str | None = None,
    at: str | None = None,
    depth: int | None = None,
    zoom: Zoom = "run",
    limit: int = LIMIT,
    folder: Path | None = None,
) -> RowsResult:
    """Where rows of a table came from.

    Args:
        table: The table's name, or `database/table`.
        where: A predicate in SQL: the rows that match it are meant.
        key: Or the values of all columns of the table's key, as such or as texts: one row is meant, which may have
            been removed.
        column: Only the cells of this column.
        history: Whether to tell of every change, else of the last one.
        database: The database that the table is in, by name or path, where several have one of that name.
        at: The commit, tag, branch or date at which the rows are meant; without it the database's default branch.
        depth: How many edges away from the versions that changed the rows to go at most.
        zoom: Whether runs, steps or tasks are the nodes.
        limit: At most so many rows.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        UsageError: Neither or both of `where` and `key` are given, or the key is not whole, or `table` is a run.
        QueryError: `where` is no predicate.
        RowNotFoundError: No row matches, or there has never been one of that key.
        NoKeyError: The table has no key, so that its rows cannot be followed.
        TableNotFoundError, ColumnNotFoundError, DatabaseNotFoundError, RefNotFoundError: As they say.
    """
    _check(where, key, depth, zoom, limit)
    with open_workspace(load_settings(folder), database, folder) as workspace:
        version = _table(workspace, table, at)
        session = workspace.session(version.database)
        spelled = session.find_column(version.table, column, version.commit) if column is not None else None
        if where is not None:
            keys, matched = session.matching_keys(version.table, version.commit, where, limit)
            if not keys:
                raise _no_match(version, where, at, session.removed_keys(version.table, version.commit, where, limit))
        else:
            keys, matched = [session.key_of(version.table, key or {}, version.commit)], 1
        found = session.row_changes(version.table, version.commit, keys, spelled, history=history)
        rows = []
        for one in found:
            if not one.changes:
                raise RowNotFoundError(
                    f"`{version.database}/{version.table}` has no row with {_spelled(one.key)} {_said(at)}, "
                    "nor had it one before.",
                    "`--where` searches by any column.",
                )
            changes = [TracedChange(change, _commit(workspace, version, change)) for change in one.changes]
            rows.append(TracedRow(one.key, tuple(changes)))
        return _result(workspace, version, tuple(rows), matched, (spelled, history, depth, zoom))


def parse_key(texts: Iterable[str]) -> dict[str, str]:
    """The columns and values of a key, each as `NAME=VALUE`; what is behind the first `=` is the value.

    Raises:
        UsageError: One is not of that form, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"The key {text!r} is not of the form NAME=VALUE.", "Say `--key code=27447`, for example.")
        if name.strip() in found:
            raise UsageError(f"The key's column `{name.strip()}` is given twice.", "Each column has one value.")
        found[name.strip()] = value
    return found


def _check(where: str | None, key: Mapping[str, Any] | None, depth: int | None, zoom: str, limit: int) -> None:
    if (where is None) == (not key):
        raise UsageError("Rows are asked for by a predicate or by a key.", "Give one of `--where` and `--key`.")
    if depth is not None and depth < 0:
        raise UsageError(f"The depth is {depth}.", "It is 0 or more.")
    if zoom not in ZOOMS:
        raise UsageError(f"The zoom is {zoom!r}.", "It is 'run', 'step' or 'task'.")
    if limit < 1:
        raise UsageError(f"The limit is {limit}.", "It is 1 or more.")
    if where is not None:
        check_predicate(where)


def _table(workspace: Workspace, name: str, at: str | None) -> TableVersion:
    """The table of a name; a run is none."""
    try:
        return named_table(workspace, name, at)
    except (TableNotFoundError, DatabaseNotFoundError) as error:
        if workspace.asked is not None or at is not None:
            raise
        no_table = error
    try:
        run = find_run(workspace, name)
    except DoltflowError:
        raise no_table from None
    raise UsageError(
        f"`{run}` is a run, and only a table has rows.", f"`doltflow show {run}` lists the tables it wrote."
    )


def _commit(workspace: Workspace, version: TableVersion, change: RowChange) -> Commit:
    found = workspace.find_commit(version.database, change.commit)
    return found if found is not None else workspace.session(version.database).commit(change.commit)


def _no_match(version: TableVersion, where: str, at: str | None, removed: Sequence[Row]) -> RowNotFoundError:
    """That no row matches, and whether one did that was removed."""
    asked = f"No row of `{version.database}/{version.table}` matches `{where}` {_said(at)}"
    if not removed:
        return RowNotFoundError(
            f"{asked}, nor did one that was removed.",
            "One that matched before it was changed can be asked for by `--key`.",
        )
    texts = {name: f"0x{plain.hex()}" if isinstance(plain, bytes) else plain for name, plain in removed[0].items()}
    named = " ".join(f"--key {shlex.quote(f'{name}={text}')}" for name, text in texts.items())
    return RowNotFoundError(
        f"{asked}, but rows that did were removed, such as {_spelled(texts)}.", f"Ask for it by `{named}`."
    )


def _said(at: str | None) -> str:
    return f"at `{at}`" if at is not None else "on its default branch"


def _spelled(key: Row) -> str:
    return ", ".join(
        f"{name} = {value!r}" if isinstance(value, str) else f"{name} = {value}" for name, value in key.items()
    )


def _result(
    workspace: Workspace,
    version: TableVersion,
    rows: tuple[TracedRow, ...],
    matched: int,
    asked: tuple[str | None, bool, int | None, Zoom],
) -> RowsResult:
    column, history, depth, zoom = asked
    last = {row.changes[0].commit.hash: row.changes[0].commit for row in rows}
    newest_first = sorted(last.values(), key=lambda commit: commit.date, reverse=True)
    versions = [TableVersion(version.database, version.table, commit.hash) for commit in newest_first]
    gathered = gather(workspace, versions, edges=zoom != "run")
    whole = build(gathered.facts, versions, zoom)
    kept = {node for one in versions for node in upstream(whole, one.id, depth)}
    graph = whole.subgraph(kept).copy()
    targets = tuple(one.id for one in versions)
    place = (version.database, version.table, column, history)
    return RowsResult(*place, rows, matched, graph, targets, zoom, gathered.runs_in(graph), workspace.warnings)
