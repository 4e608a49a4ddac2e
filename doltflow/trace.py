"""`trace`: where a table or a run's data came from, back to the source; and what was made from it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from doltflow.errors import RunNotFoundError, UsageError
from doltflow.lineage import ZOOMS, Zoom, build, downstream, order, upstream
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.model.table import TableVersion
from doltflow.workspace import (
    Gathered,
    Workspace,
    follow,
    gather,
    gather_downstream,
    join,
    load_settings,
    open_workspace,
    table_or_run,
    with_columns,
)
from doltflow.workspace.at import named_table

if TYPE_CHECKING:
    import networkx

Direction = Literal["upstream", "downstream", "both"]


@dataclass(frozen=True, slots=True)
class TraceResult:
    """A lineage graph and what is known of its runs.

    Attributes:
        graph: The `networkx.DiGraph`: table versions, runs (or steps, or tasks) and commits made by hand; edges in the
            direction the data flowed.
        target: The id of the node that was asked for; of a run whose steps or tasks are the nodes, the last of them,
            downstream the first.
        zoom: `run`, `step` or `task`.
        runs: The runs in the graph, by `Flow/run_id`.
        warnings: What was missing, or where the two records disagree, one sentence each.
        direction: Whether it is what led to the target, what the target led to, or both.
        depth: How many edges away from the target it goes at most; None for all the way.
    """

    graph: "networkx.DiGraph[str]"
    target: str
    zoom: Zoom
    runs: dict[str, Run]
    warnings: tuple[str, ...]
    direction: Direction = "upstream"
    depth: int | None = None


def trace(
    target: str,
    *,
    database: str | None = None,
    at: str | None = None,
    depth: int | None = None,
    zoom: Zoom = "run",
    direction: Direction = "upstream",
    columns: bool = False,
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
        direction: `upstream` for what it was made from, `downstream` for what was made from it, or `both`.
        columns: Whether to follow columns too: which of them were read and written, on the graph's edges and tables.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        TableNotFoundError, RunNotFoundError: There is neither a table nor a run of that name.
        DatabaseNotFoundError, AmbiguousDatabaseError, RefNotFoundError: As they say.
    """
    asked = _Asked(depth, zoom, direction, columns)
    with open_workspace(load_settings(folder), database, folder) as workspace:
        workspace.prepare()
        start = _start(workspace, target, at)
        if isinstance(start, TableVersion):
            return _trace_table(workspace, start, asked)
        return _trace_run(workspace, start, asked)


def trace_table(
    table: str,
    *,
    database: str | None = None,
    at: str | None = None,
    depth: int | None = None,
    zoom: Zoom = "run",
    direction: Direction = "upstream",
    columns: bool = False,
    folder: Path | None = None,
) -> TraceResult:
    """The lineage of a table; as `trace`, but `table` is never taken for a run."""
    asked = _Asked(depth, zoom, direction, columns)
    with open_workspace(load_settings(folder), database, folder) as workspace:
        workspace.prepare()
        return _trace_table(workspace, named_table(workspace, table, at), asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How far, how fine and which way a trace goes."""

    depth: int | None
    zoom: Zoom
    direction: Direction
    columns: bool

    def __post_init__(self) -> None:
        if self.depth is not None and self.depth < 0:
            raise UsageError(f"The depth is {self.depth}.", "It is 0 or more.")
        if self.zoom not in ZOOMS:
            raise UsageError(f"The zoom is {self.zoom!r}.", "It is 'run', 'step' or 'task'.")
        if self.direction not in get_args(Direction):
            raise UsageError(f"The direction is {self.direction!r}.", "It is 'upstream', 'downstream' or 'both'.")

    def gather(
        self, workspace: Workspace, versions: Iterable[TableVersion] = (), runs: Iterable[Pathspec] = ()
    ) -> Gathered:
        """The facts that lie that way."""
        edges, found = self.zoom != "run", []
        if self.direction != "downstream":
            found.append(gather(workspace, versions, runs, edges=edges))
        if self.direction != "upstream":
            found.append(gather_downstream(workspace, versions, runs, edges=edges))
        gathered = reduce(join, found)
        return replace(gathered, facts=with_columns(workspace, gathered.facts)) if self.columns else gathered

    def nodes(self, graph: "networkx.DiGraph[str]", node: str) -> set[str]:
        """The nodes that lie that way, the one in question included."""
        kept: set[str] = set()
        if self.direction != "downstream":
            kept |= set(upstream(graph, node, self.depth))
        if self.direction != "upstream":
            kept |= set(downstream(graph, node, self.depth))
        return kept


def _start(workspace: Workspace, target: str, at: str | None) -> TableVersion | Pathspec:
    """What the target names; a run is in no database and at no commit."""
    if workspace.asked is not None or at is not None:
        return named_table(workspace, target, at)
    return table_or_run(workspace, target)


def _trace_table(workspace: Workspace, version: TableVersion, asked: _Asked) -> TraceResult:
    gathered = asked.gather(workspace, versions=[version])
    whole = build(gathered.facts, [version], asked.zoom)
    graph = whole.subgraph(asked.nodes(whole, version.id)).copy()
    return _result(workspace, graph, version.id, asked, gathered)


def _trace_run(workspace: Workspace, pathspec: Pathspec, asked: _Asked) -> TraceResult:
    if pathspec.task_id is not None:
        asked = replace(asked, zoom="task")
    elif pathspec.step is not None and asked.zoom == "run":
        asked = replace(asked, zoom="step")
    gathered = asked.gather(workspace, runs=[pathspec])
    whole = build(gathered.facts, (), asked.zoom)
    targets = [
        node
        for node in order(whole)
        if whole.nodes[node]["kind"] == asked.zoom and f"{node}/".startswith(f"{pathspec}/")
    ]
    if not targets or not gathered.runs[pathspec.run].accesses:
        raise RunNotFoundError(
            f"`{pathspec}` has neither read nor written a table, as far as it is recorded.",
            "`doltflow runs` lists the runs that have.",
        )
    kept: set[str] = set()
    for target in targets:
        kept |= asked.nodes(whole, target)
        if asked.depth != 0:
            kept |= {node for node in whole.successors(target) if whole.nodes[node]["kind"] == "table"}
    end = targets[0] if asked.direction == "downstream" else targets[-1]
    return _result(workspace, whole.subgraph(kept).copy(), end, asked, gathered)


def _result(
    workspace: Workspace, graph: "networkx.DiGraph[str]", target: str, asked: _Asked, gathered: Gathered
) -> TraceResult:
    if asked.columns:
        follow(workspace, graph, target)
    return TraceResult(
        graph, target, asked.zoom, gathered.runs_in(graph), workspace.warnings, asked.direction, asked.depth
    )
