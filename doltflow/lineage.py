"""The lineage graph: built from resolved accesses, and cut to what leads to a node. Pure: it asks no outside program.

Nodes are table versions, runs (or steps, or tasks) and commits made by hand; edges point where the data flowed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from doltflow.model.access import Access
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.model.table import TableVersion

if TYPE_CHECKING:
    import networkx

Zoom = Literal["run", "step", "task"]
ZOOMS: tuple[Zoom, ...] = ("run", "step", "task")


@dataclass(frozen=True, slots=True)
class Resolved:
    """An access of one table, and the version of the table that it concerns.

    Attributes:
        access: The access.
        version: What it read, or what its commit left.
        task: The task that it belongs to in the graph where that is not the one that made it: a resumed run has the
            reads of the tasks that it did not repeat; and a commit tells what was read up to its task, not by which.
    """

    access: Access
    version: TableVersion
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a graph is built from.

    Attributes:
        resolved: The accesses.
        commits: The commit of every table version that is known, by database and hash.
        merges: For a version that no run made, the versions that it was made of: those that a merge commit merged, or
            the newest by a run that a commit by hand then changed.
        runs: What is known of the runs, by `Flow/run_id`.
        steps: Pairs of pathspecs of tasks, a task and one that came next.
        versions: Versions that belong into the graph even where no access tells of them.
    """

    resolved: Sequence[Resolved]
    commits: Mapping[tuple[str, str], Commit]
    merges: Mapping[TableVersion, Sequence[TableVersion]] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    steps: Sequence[tuple[str, str]] = ()
    versions: Sequence[TableVersion] = ()

    def commit(self, version: TableVersion) -> Commit | None:
        """The commit that made a version, where it is known."""
        return self.commits.get((version.database, version.commit))


def build(facts: Facts, versions: Iterable[TableVersion] = (), zoom: Zoom = "run") -> "networkx.DiGraph[str]":
    """The lineage graph.

    Args:
        facts: What is known.
        versions: Table versions that are to be in the graph even where nothing is known to have touched them.
        zoom: Whether runs, their steps or their tasks are the nodes.

    Returns:
        A `DiGraph`, acyclic; the nodes' and edges' attributes are those that the design's command line gives.
    """
    building = _Building(facts, zoom)
    for version in [*versions, *facts.versions, *(item.version for item in facts.resolved)]:
        building.add_version(version)
    for item in facts.resolved:
        building.add_access(item)
    if zoom != "run":
        for pair in facts.steps:
            building.add_next(*pair)
    _break_cycles(building.graph)
    return building.graph


class _Building:
    """A graph that is being built; at the end it may still have cycles."""

    def __init__(self, facts: Facts, zoom: Zoom) -> None:
        import networkx

        self.facts = facts
        self.zoom = zoom
        self.graph: networkx.DiGraph[str] = networkx.DiGraph()
        self._versions: set[TableVersion] = set()
        self._accesses: set[tuple[str, str, Access]] = set()

    def add_version(self, version: TableVersion) -> None:
        """Adds a version and the one that made it; for a merge also what it was made of."""
        waiting = [version]
        while waiting:
            current = waiting.pop()
            if current in self._versions:
                continue
            self._versions.add(current)
            commit = self.facts.commit(current)
            self.graph.add_node(
                current.id,
                kind="table",
                database=current.database,
                table=current.table,
                commit=current.commit,
                **(_commit_attributes(commit) if commit else {}),
            )
            if commit is None:
                continue
            maker = self._maker(commit)
            self._edge(maker, current.id, "write")
            if commit.run is None:
                for source in self.facts.merges.get(current, ()):
                    self._edge(source.id, maker, "read")
                    waiting.append(source)

    def _maker(self, commit: Commit) -> str:
        """The node that made a commit: a run, or where it was made by hand the commit itself."""
        if commit.run is not None:
            return self._run(str(commit.run.pathspec))
        node = _commit_node(commit)
        self.graph.add_node(
            node, kind="commit", database=commit.database, commit=commit.hash, **_commit_attributes(commit)
        )
        return node

    def add_access(self, item: Resolved) -> None:
        """Adds an access: to the edge that it stands for, or to its node."""
        access, version = item.access, item.version
        node = self._run(item.task or access.pathspec)
        if access.kind == "read":
            own, name, ends = self._made(node, version), "own_reads", (version.id, node)
        else:
            own, name, ends = self._left_it(access, node, version), "unchanged", (node, version.id)
        place = (node, name) if own else ends
        if (*place, access) in self._accesses:
            return
        self._accesses.add((*place, access))
        if own:
            self.graph.nodes[node].setdefault(name, []).append(access.summary())
        else:
            self._edge(*ends, access.kind)
            self.graph.edges[ends]["accesses"].append(access.summary())

    def _made(self, node: str, version: TableVersion) -> bool:
        return bool(self.graph.has_edge(node, version.id))

    def _left_it(self, access: Access, node: str, version: TableVersion) -> bool:
        """Whether a write changed nothing: then its commit leads to a version that somebody else made."""
        if self.facts.commit(version) is None:
            return access.changed is False
        return not self._made(node, version)

    def add_next(self, first: str, second: str) -> None:
        """Adds that a task came after another one, unless both are one node."""
        ends = (self._run(first), self._run(second))
        if ends[0] != ends[1]:
            self.graph.add_edge(*ends, kind="next")

    def _run(self, pathspec: str) -> str:
        """The node of a task's run, step or task."""
        parsed = Pathspec.parse(pathspec)
        node = str(parsed.zoomed(self.zoom)) if parsed is not None else pathspec
        if node not in self.graph:
            self.graph.add_node(node, **_run_attributes(node, self.facts, self.zoom))
        return node

    def _edge(self, first: str, second: str, kind: str) -> None:
        if not self.graph.has_edge(first, second):
            self.graph.add_edge(first, second, kind=kind, accesses=[])


def _commit_node(commit: Commit) -> str:
    return f"{commit.database}@{commit.hash}"


def _commit_attributes(commit: Commit) -> dict[str, Any]:
    return {"author": commit.author, "date": commit.date.isoformat(), "message": commit.message}


def _run_attributes(node: str, facts: Facts, zoom: Zoom) -> dict[str, Any]:
    attributes: dict[str, Any] = {"kind": zoom, "pathspec": node}
    parsed = Pathspec.parse(node)
    if parsed is None:
        return attributes
    attributes |= {"flow": parsed.flow, "run_id": parsed.run_id}
    run = facts.runs.get(parsed.run)
    if run is not None:
        attributes |= {
            "status": run.status,
            "started": run.started.isoformat() if run.started else None,
            "finished": run.finished.isoformat() if run.finished else None,
            "user": run.user,
            "rerun_of": run.rerun_of,
        }
    return {name: value for name, value in attributes.items() if value is not None}


def _break_cycles(graph: "networkx.DiGraph[str]") -> None:
    """Turns the reads by which a node saw what it had itself led to into attributes of the node.

    Two runs that work at the same time can each read what the other wrote; as nodes they would stand in a circle.
    """
    import networkx

    for knot in [component for component in networkx.strongly_connected_components(graph) if len(component) > 1]:
        part: networkx.DiGraph[str] = networkx.DiGraph()
        edges = sorted(graph.subgraph(knot).edges, key=lambda edge: (*_moment(graph.edges[edge]), edge))
        for first, second in edges:
            # What closes a circle with all that was before comes too late to be where anything came from.
            if first in part and second in part and networkx.has_path(part, second, first):
                accesses = graph.edges[first, second].get("accesses", ())
                if accesses:
                    graph.nodes[second].setdefault("own_reads", []).extend(accesses)
                graph.remove_edge(first, second)
            else:
                part.add_edge(first, second)


def _moment(edge: Mapping[str, Any]) -> tuple[bool, float]:
    """When the last read of an edge was; all other edges come before."""
    accesses = edge.get("accesses", ()) if edge["kind"] == "read" else ()
    return bool(accesses), max((float(access.get("timestamp") or 0.0) for access in accesses), default=0.0)


def upstream(graph: "networkx.DiGraph[str]", node: str, depth: int | None = None) -> "networkx.DiGraph[str]":
    """The part of the graph that leads to a node, at most `depth` edges away."""
    import networkx

    if depth is None:
        kept = networkx.ancestors(graph, node) | {node}
    else:
        kept = set(networkx.single_source_shortest_path_length(graph.reverse(copy=False), node, cutoff=depth))
    return graph.subgraph(kept).copy()


def downstream(graph: "networkx.DiGraph[str]", node: str, depth: int | None = None) -> "networkx.DiGraph[str]":
    """The part of the graph that a node leads to, at most `depth` edges away.

    A commit by hand that changed several tables made each of them from itself: what it found in one did not flow into
    the others.
    """
    kept = {node}
    # What is reached, and the table by which a commit was reached.
    front: set[tuple[str, tuple[str, str] | None]] = {(node, None)}
    seen = set(front)
    while front and depth != 0:
        depth = None if depth is None else depth - 1
        front = {step for place in front for step in _steps_down(graph, *place)} - seen
        seen |= front
        kept |= {reached for reached, _ in front}
    return graph.subgraph(kept).copy()


def _steps_down(
    graph: "networkx.DiGraph[str]", node: str, came_by: tuple[str, str] | None
) -> Iterator[tuple[str, tuple[str, str] | None]]:
    for successor in graph.successors(node):
        if came_by in (None, _table_of(graph, successor)):
            yield successor, _table_of(graph, node) if graph.nodes[successor]["kind"] == "commit" else None


def _table_of(graph: "networkx.DiGraph[str]", node: str) -> tuple[str, str] | None:
    attributes = graph.nodes[node]
    return (attributes["database"], attributes["table"]) if attributes["kind"] == "table" else None


def order(graph: "networkx.DiGraph[str]") -> list[str]:
    """The nodes, each after those that lead to it."""
    import networkx

    return list(networkx.lexicographical_topological_sort(graph))
