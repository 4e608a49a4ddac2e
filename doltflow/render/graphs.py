"""A lineage graph in the forms that other programs read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from doltflow.render.dot import dot
from doltflow.render.edges import edges
from doltflow.render.graphml import graphml
from doltflow.render.mermaid import limits, mermaid

if TYPE_CHECKING:
    import networkx

Form = Literal["mermaid", "dot", "graphml", "csv"]
GraphOutput = Literal["text", "json", "mermaid", "dot", "graphml", "csv"]
"""The forms of a command's answer whose subject is a graph."""


def graph_text(graph: "networkx.DiGraph[str]", form: Form, about: Mapping[str, Any]) -> str:
    """The graph alone.

    Args:
        graph: The graph.
        form: Its form.
        about: What the graph as a whole is said to be, where the form has a place for it.
    """
    match form:
        case "mermaid":
            return mermaid(graph)
        case "dot":
            return dot(graph)
        case "graphml":
            return graphml(graph, about)
        case "csv":
            return edges(graph)


def graph_warnings(graph: "networkx.DiGraph[str]", output: GraphOutput) -> tuple[str, ...]:
    """What the form that was asked for cannot hold."""
    return tuple(limits(graph)) if output == "mermaid" else ()
