"""`trace`: where a table or a run's data came from, back to the source."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doltflow.errors import DatabaseNotFoundError, DoltflowError, RunNotFoundError, TableNotFoundError, UsageError
from doltflow.lineage import ZOOMS, Zoom, build, order, upstream
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.model.table import TableVersion
from doltflow.workspace import Workspace, find_run, gather, load_settings, open_workspace

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True)
class TraceResult:
    """A lineage graph and what is known of its runs.

    Attributes:
        graph: The `networkx.DiGraph`: table versions, runs (or steps, or tasks) and commits made by hand; edges in the
            direction the data flowed.
        target: The id of the node that was asked for; of a run whose steps or tasks are the nodes, the last of them.
        zoom: `run`, `step` or `task`.
        runs: The runs in the graph, by `Flow/run_id`.
        warnings: What was missing, or where the two records disagree, one sentence each.
    """

    graph: "networkx.DiGraph[str]"
    target: str
    zoom: Zoom
    runs: dict[str, Run]
    warnings: tuple[str, ...]


def trace(
    target: str,
    *,
    database: str | None = None,
    at: str | None = None,
    depth: int | None = None,
    zoom: Zoom = "run",
    folder: Path | None = None,
) -> TraceResult:
    """The lineage of a table or a run.

    Args:
        target: A table: its name or `database/table`; or a run: `Flow/run_id`, `Flow/latest`, a bare run id, a step or
            a task.
        database: The database that the table is in, by name or path, where several have one of that name.
        at: The commit, tag or branch at which the table is meant; without it the database's default branch.
        depth: How many edges away from the target to go at most.
        zoom: Whether runs, steps or tasks are the nodes; a step or a task that is asked for is a node in any case.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        TableNotFoundError, RunNotFoundError: There is neither a table nor a run of that name.
        DatabaseNotFoundError, AmbiguousDatabaseError, RefNotFoundError: As they say.
    """
    _check(depth, zoom)
    with open_workspace(load_settings(folder), database, folder) as workspace:
        start = _start(workspace, target, at)
        if isinstance(start, TableVersion):
            return _trace_table(workspace, start, depth, zoom)
        return _trace_run(workspace, start, depth, zoom)


def trace_table(
    table: str,
    *,
    database: str | None = None,
    at: str | None = None,
    depth: int | None = None,
    zoom: Zoom = "run",
    folder: Path | None = None,
) -> TraceResult:
    """The lineage of a table; as `trace`, but `table` is never taken for a run."""
    _check(depth, zoom)
    with open_workspace(load_settings(folder), database, folder) as workspace:
        return _trace_table(workspace, _table(workspace, table, at), depth, zoom)


def _check(depth: int | None, zoom: str) -> None:
    if depth is not None and depth < 0:
        raise UsageError(f"The depth is {depth}.", "It is 0 or more.")
    if zoom not in ZOOMS:
        raise UsageError(f"The zoom is {zoom!r}.", "It is 'run', 'step' or 'task'.")


def _start(workspace: Workspace, target: str, at: str | None) -> TableVersion | Pathspec:
    """What the target names: a table, where there is one of that name, else a run."""
    try:
        return _table(workspace, target, at)
    except (TableNotFoundError, DatabaseNotFoundError) as error:
        if workspace.asked is not None or at is not None:
            raise
        no_table: DoltflowError = error
    try:
        return find_run(workspace, target)
    except RunNotFoundError as no_run:
        # The error that is nearer to what was meant: a run's name has a slash or is a number.
        first, slash, _ = target.partition("/")
        meant_run = first not in workspace.names if slash else target.isdigit()
        raise (no_run if meant_run else no_table) from None


def _table(workspace: Workspace, name: str, at: str | None) -> TableVersion:
    """The table of a name, or of a name as doltflow shows it: `database/table`."""
    try:
        return workspace.find_table(name, workspace.asked, at)
    except TableNotFoundError:
        database, slash, table = name.partition("/")
        if not slash or workspace.asked not in (None, database) or database not in workspace.names:
            raise
        return workspace.find_table(table, database, at)


def _trace_table(workspace: Workspace, version: TableVersion, depth: int | None, zoom: Zoom) -> TraceResult:
    gathered = gather(workspace, versions=[version], edges=zoom != "run")
    graph = upstream(build(gathered.facts, [version], zoom), version.id, depth)
    return _result(workspace, graph, version.id, zoom, gathered.runs)


def _trace_run(workspace: Workspace, pathspec: Pathspec, depth: int | None, zoom: Zoom) -> TraceResult:
    if pathspec.task_id is not None:
        zoom = "task"
    elif pathspec.step is not None and zoom == "run":
        zoom = "step"
    gathered = gather(workspace, runs=[pathspec], edges=zoom != "run")
    whole = build(gathered.facts, (), zoom)
    targets = [
        node for node in order(whole) if whole.nodes[node]["kind"] == zoom and f"{node}/".startswith(f"{pathspec}/")
    ]
    if not targets or not gathered.runs[pathspec.run].accesses:
        raise RunNotFoundError(
            f"`{pathspec}` has neither read nor written a table, as far as it is recorded.",
            "`doltflow runs` lists the runs that have.",
        )
    kept: set[str] = set()
    for target in targets:
        kept |= set(upstream(whole, target, depth))
        if depth != 0:
            kept |= {node for node in whole.successors(target) if whole.nodes[node]["kind"] == "table"}
    return _result(workspace, whole.subgraph(kept).copy(), targets[-1], zoom, gathered.runs)


def _result(
    workspace: Workspace, graph: "networkx.DiGraph[str]", target: str, zoom: Zoom, runs: dict[str, Run]
) -> TraceResult:
    shown = {f"{data['flow']}/{data['run_id']}" for _, data in graph.nodes(data=True) if "flow" in data}
    return TraceResult(
        graph, target, zoom, {name: run for name, run in runs.items() if name in shown}, workspace.warnings
    )
