"""A trace that goes downstream, as a tree: the target at the top, below each thing what was made from it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from doltflow.lineage import downstream, upstream
from doltflow.render import labels
from doltflow.render.tree import Painter, trees

if TYPE_CHECKING:
    import networkx

    from doltflow.trace import TraceResult

    Graph = networkx.DiGraph[str]


def downstream_text(result: "TraceResult", width: int | None = None) -> Iterator[RenderableType]:
    """The tree of what was made from the target; under `both` below the tree of what the target was made from.

    Args:
        result: What `trace` returned.
        width: The terminal's width; None where lines may be of any length.
    """
    below = result.graph
    if result.direction == "both":
        yield from trees(Painter(_part(result, upstream, outputs=True), result.target, result.runs, width))
        yield Text()
        yield Text("Made from it:", style="bold")
        below = _part(result, downstream)
    yield from trees(_DownstreamPainter(below, result.target, result.runs, width))
    if result.depth != 0 and _is_all(below, result.target):
        yield Text()
        yield Text("Nothing was made from it, as far as it is recorded.", overflow="fold")


def _is_all(graph: "Graph", target: str) -> bool:
    """Whether there is nothing below a table, or no table below a run."""
    kinds = [of["kind"] for node, of in graph.nodes(data=True) if node != target]
    return not kinds if graph.nodes[target]["kind"] == "table" else "table" not in kinds


def _part(result: "TraceResult", cut: "Callable[[Graph, str], Graph]", *, outputs: bool = False) -> "Graph":
    """What lies one way of the target, of a run all of it."""
    graph = result.graph
    asked = graph.nodes[result.target]
    targets = [
        node
        for node, of in graph.nodes(data=True)
        if node == result.target
        or ("flow" in of and (of["flow"], of["run_id"]) == (asked.get("flow"), asked.get("run_id")))
    ]
    kept: set[str] = set()
    for target in targets:
        kept |= set(cut(graph, target))
        if outputs:
            kept |= {node for node in graph.successors(target) if graph.nodes[node]["kind"] == "table"}
    return graph.subgraph(kept).copy()


class _DownstreamPainter(Painter):
    """Draws what a node led to: below a table version the runs that read it, below a run what it wrote."""

    def _ends(self) -> list[str]:
        return [node for node in self.graph if not any(self.graph.predecessors(node))]

    def _sources(self, node: str) -> list[str]:
        def order(successor: str) -> tuple[bool, bool, str]:
            follows = self.graph.edges[node, successor].get("kind") == "next"
            return follows, bool(self._sources_of(successor)), successor

        return sorted(self._sources_of(node), key=order)

    def _sources_of(self, node: str) -> list[str]:
        """A commit by hand leads only to the versions of those tables that it is told of for."""
        found = list(self.graph.successors(node))
        if self.graph.nodes[node].get("kind") == "commit":
            tables = {self.graph.nodes[source].get("table") for source in self.graph.predecessors(node)}
            found = [successor for successor in found if self.graph.nodes[successor].get("table") in tables]
        return found

    def _flow(self, node: str, consumer: str | None) -> str:
        if consumer is None:
            return ""
        edge = self.graph.edges[consumer, node]
        if edge.get("kind") == "next":
            return "came next"
        table = self.graph.nodes[consumer if edge.get("kind") == "read" else node].get("table", "")
        return labels.edge_note(edge, table)

    def _details(self, node: str, consumer: str | None, flow: str) -> list[str]:
        attributes = self.graph.nodes[node]
        if attributes.get("kind") == "commit":
            verb = "merged" if self.graph.in_degree(node) > 1 else "changed"
            return [f"{verb} by {', '.join(labels.signature(attributes))}"]
        return super()._details(node, consumer, flow)

    def _by_whom(self, node: str, attributes: labels.Attributes) -> str:
        """Of the version at the top, which stands below nobody."""
        if any(self.graph.predecessors(node)) or not attributes.get("author"):
            return ""
        return f"committed: {', '.join(labels.signature(attributes))}"

    def _outputs(self, node: str, consumer: str | None) -> list[str]:
        return []
