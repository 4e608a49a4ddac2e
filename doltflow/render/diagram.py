"""What Mermaid and DOT have in common: the words in the boxes and on the arrows, as lines of plain text."""

from typing import TYPE_CHECKING

from doltflow.render import labels
from doltflow.render.accesses import rows_note
from doltflow.render.text import moment, safe, short

if TYPE_CHECKING:
    import networkx


def box(graph: "networkx.DiGraph[str]", node: str) -> list[str]:
    """The lines that a node's box holds."""
    attributes = graph.nodes[node]
    match attributes.get("kind"):
        case "table":
            return [f"{safe(attributes['database'])}/{safe(attributes['table'])}", f"@ {short(attributes['commit'])}"]
        case "commit":
            return [labels.name(node, attributes), *labels.signature(attributes)]
        case _:
            flow, *rest = labels.name(node, attributes).split("/")
            rerun = labels.rerun_note(attributes.get("rerun_of"))
            lines = [flow, "/".join(rest), moment(attributes.get("started")), rerun]
            return [line for line in lines if line]


def arrow(graph: "networkx.DiGraph[str]", source: str, target: str) -> str:
    """What an arrow says; empty where nothing is known."""
    edge = graph.edges[source, target]
    table = graph.nodes[source if edge.get("kind") == "read" else target].get("table", "")
    return labels.joined(rows_note(edge.get("accesses", ())), *labels.followed_notes(edge, table))
