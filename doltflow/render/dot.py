"""A lineage graph in Graphviz's DOT language."""

from typing import TYPE_CHECKING

from doltflow.render.diagram import arrow, box
from doltflow.render.text import exact

if TYPE_CHECKING:
    import networkx

_SHAPES = {"table": "cylinder", "commit": "note"}
_RUN_SHAPE = "box"


def dot(graph: "networkx.DiGraph[str]") -> str:
    """The text of a digraph from left to right: tables are cylinders, runs are boxes, commits by hand are notes."""
    lines = ["digraph doltflow {", "    rankdir=LR;"]
    for node, attributes in graph.nodes(data=True):
        shape = _SHAPES.get(str(attributes.get("kind")), _RUN_SHAPE)
        label = r"\n".join(_escaped(line) for line in box(graph, node))
        lines.append(f'    {_name(node)} [shape={shape}, label="{label}"];')
    for source, target, attributes in graph.edges(data=True):
        said = _escaped(arrow(graph, source, target))
        style = [f'label="{said}"'] if said else []
        style += ["style=dashed"] if attributes.get("kind") == "next" else []
        listed = f" [{', '.join(style)}]" if style else ""
        lines.append(f"    {_name(source)} -> {_name(target)}{listed};")
    return "\n".join([*lines, "}"]) + "\n"


def _name(node: str) -> str:
    return f'"{_escaped(exact(node))}"'


def _escaped(text: str) -> str:
    # Graphviz reads entities, in names too; a backslash would escape what follows it.
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
