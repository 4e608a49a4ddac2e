"""A lineage graph as a tree: the target at the top, below each thing what it was made by and from.

Everything is told once and then only referred to. Where a history is deeper than the terminal is wide, the tree goes on
in another one that starts at the left margin. Nothing recurses: a history may be deeper than Python's stack.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from doltflow.render import labels
from doltflow.render.accesses import version_name

if TYPE_CHECKING:
    import networkx

    from doltflow.model.run import Run
    from doltflow.trace import TraceResult

_DETAILS = 2  # columns that what is said of a thing stands to the right of its name
_INDENT = 4  # columns a level, which is rich's
_LABEL = 48  # columns that a label has at least, so long as the terminal is not very narrow
_LEVELS = 5  # at least: enough for table, run, table, run, table
_LEVELS_UNLIMITED = 16  # where the lines may be of any length: more is no longer read


def trace_text(result: "TraceResult", width: int | None = None) -> Iterator[RenderableType]:
    """The tree of a trace; where it is very deep, below it the trees in which it goes on.

    Args:
        result: What `trace` returned.
        width: The terminal's width; None where lines may be of any length.
    """
    yield from trees(Painter(result.graph, result.target, result.runs, width))


def trees(painter: "Painter") -> Iterator[RenderableType]:
    """The trees of a painter, an empty line between them."""
    for number, tree in enumerate(painter.paint()):
        if number:
            yield Text()
        yield tree


class Painter:
    """Draws what led to a node.

    Args:
        graph: The graph; all of it is told.
        target: The node at the top.
        runs: The runs in the graph.
        width: The terminal's width; None where lines may be of any length.
    """

    def __init__(
        self, graph: "networkx.DiGraph[str]", target: str, runs: "Mapping[str, Run]", width: int | None
    ) -> None:
        self.graph = graph
        self.target = target
        self.runs = runs
        self.levels = _LEVELS_UNLIMITED if width is None else max(_LEVELS, (width - _LABEL) // _INDENT)
        self.told: set[str] = set()
        self.later: deque[str] = deque()
        self.promised: set[str] = set()

    def paint(self) -> Iterator[Tree]:
        """The trees, the target's first."""
        self.later.append(self.target)
        # Of a run asked for by its steps, not every step leads to the last one: what is left over gets its own tree.
        waiting = deque(self._ends())
        while self.later or waiting:
            root = self.later.popleft() if self.later else waiting.popleft()
            self.promised.discard(root)
            if root not in self.told:
                yield self._tree(root)

    def _ends(self) -> list[str]:
        return [node for node in reversed(list(self.graph)) if self._is_end(node)]

    def _is_end(self, node: str) -> bool:
        """Whether a node of a run leads to nothing but tables that are told of with it."""
        return self.graph.nodes[node].get("kind") not in ("table", "commit") and all(
            self._is_output(successor) for successor in self.graph.successors(node)
        )

    def _is_output(self, node: str) -> bool:
        return self.graph.nodes[node].get("kind") == "table" and not any(self.graph.successors(node))

    def _tree(self, root: str) -> Tree:
        trunk = Tree("", guide_style="dim")
        work: list[tuple[str, str | None, Tree, int]] = [(root, None, trunk, 0)]
        while work:
            node, consumer, parent, depth = work.pop()
            branch = parent.add(self._label(node, consumer, depth))
            if node in self.told or node in self.promised:
                continue  # It is referred to.
            self.told.add(node)
            sources = self._sources(node)
            work += [(source, node, branch, depth + 1) for source in reversed(sources)]
        return trunk.children[0]

    def _sources(self, node: str) -> list[str]:
        """What a node was made by or from, in the order in which it is told: short branches before long ones."""

        def order(source: str) -> tuple[bool, bool, str]:
            follows = self.graph.edges[source, node].get("kind") == "next"
            return follows, bool(self._sources_of(source)), source

        return sorted(self._sources_of(node), key=order)

    def _sources_of(self, node: str) -> list[str]:
        """Without a commit made by hand, which is told of on its table's own lines."""
        return [
            source
            for source in self.graph.predecessors(node)
            if self.graph.nodes[source].get("kind") != "commit" or any(self.graph.predecessors(source))
        ]

    def _label(self, node: str, consumer: str | None, depth: int) -> RenderableType:
        attributes = self.graph.nodes[node]
        # A name is folded, never cut: it is there to be copied.
        title = Text(labels.name(node, attributes), style=labels.style(attributes), overflow="fold")
        pointer = self._pointer(node, depth)
        if pointer:
            title.append(f" ({pointer})", style="dim not bold")
        flow = self._flow(node, consumer)
        lines = [flow] if pointer else self._details(node, consumer, flow)
        details = [Padding(Text(line, overflow="fold"), (0, 0, 0, _DETAILS), expand=False) for line in lines if line]
        return Group(title, *details)

    def _pointer(self, node: str, depth: int) -> str:
        if node in self.told:
            return "see above"
        if node in self.promised:
            return "see below"
        if depth >= self.levels and self._sources_of(node):
            self.promised.add(node)
            self.later.append(node)
            return "see below"
        return ""

    def _flow(self, node: str, consumer: str | None) -> str:
        """What went from a node to the one that it is told of for."""
        if consumer is None:
            return ""
        edge = self.graph.edges[node, consumer]
        if edge.get("kind") == "next":
            return "came before"
        table = self.graph.nodes[node if edge.get("kind") == "read" else consumer].get("table", "")
        return labels.edge_note(edge, table)

    def _details(self, node: str, consumer: str | None, flow: str) -> list[str]:
        attributes = self.graph.nodes[node]
        match attributes.get("kind"):
            case "table":
                return [flow, self._by_whom(node, attributes)]
            case "commit":
                return [flow, f"merged by {', '.join(labels.signature(attributes))}"]
            case _:
                return self._of_run(node, attributes, consumer, flow)

    def _by_whom(self, node: str, attributes: labels.Attributes) -> str:
        if self._sources_of(node) or not attributes.get("author"):
            return ""  # Whoever made it is told of below, or is not known.
        by_hand = any(self.graph.nodes[maker].get("kind") == "commit" for maker in self.graph.predecessors(node))
        return f"{'by hand' if by_hand else 'committed'}: {', '.join(labels.signature(attributes))}"

    def _of_run(self, node: str, attributes: labels.Attributes, consumer: str | None, flow: str) -> list[str]:
        run = self.runs.get(f"{attributes.get('flow')}/{attributes.get('run_id')}")
        return [
            labels.joined(flow, labels.run_facts(attributes)),
            labels.rerun_note(attributes.get("rerun_of")),
            labels.parameters_note(run.parameters) if run is not None and attributes.get("kind") == "run" else "",
            *self._outputs(node, consumer),
            *labels.extra_notes(attributes),
        ]

    def _outputs(self, node: str, consumer: str | None) -> list[str]:
        return [self._output(node, table) for table in self.graph.successors(node) if table != consumer]

    def _output(self, node: str, table: str) -> str:
        """A table that a run wrote beside the one it is told of for."""
        if not self._is_output(table):
            return ""
        self.told.add(table)
        of: dict[str, Any] = self.graph.nodes[table]
        amount = labels.edge_note(self.graph.edges[node, table], of["table"]).removeprefix("wrote ")
        return labels.joined(f"wrote {version_name(of['database'], of['table'], of['commit'])}", amount)
