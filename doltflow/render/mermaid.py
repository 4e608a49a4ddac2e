"""A lineage graph as a Mermaid flowchart, for Markdown files, wikis and issues."""

import re
from typing import TYPE_CHECKING

from doltflow.render.diagram import arrow, box
from doltflow.render.text import exact

if TYPE_CHECKING:
    import networkx

_SHAPES = {"table": ("[(", ")]"), "commit": (">", "]")}
_RUN_SHAPE = ("([", "])")
_MOST_ARROWS, _MOST_CHARACTERS = 500, 50_000

# All else that is ASCII could end the label or be taken for Markdown, an icon, a formula or an entity; dots, dashes and
# underscores only at the edge of a word. ﬂ and ¶ are what Mermaid marks its own entities with.
_PLAIN = re.compile(r"[A-Za-z0-9 ,/@=]")
_SUSPECT = re.compile(r"(?<=\w)[._-](?=\w)|([\x00-\x7fﬂ¶])")


def mermaid(graph: "networkx.DiGraph[str]") -> str:
    """The text of a flowchart from left to right: tables are cylinders, runs are rounded, commits by hand are flags.

    Below it stand the ids of the nodes, in comments; spelled as labels are, for a brace in one could be a directive.
    """
    ids = {node: f"n{number}" for number, node in enumerate(graph)}
    lines = ["flowchart LR"]
    for node, attributes in graph.nodes(data=True):
        opening, closing = _SHAPES.get(str(attributes.get("kind")), _RUN_SHAPE)
        label = "<br/>".join(_escaped(line) for line in box(graph, node))
        lines.append(f'    {ids[node]}{opening}"{label}"{closing}')
    for source, target, attributes in graph.edges(data=True):
        shaft = "-.->" if attributes.get("kind") == "next" else "-->"
        text = _escaped(arrow(graph, source, target))
        said = f'|"{text}"|' if text else ""
        lines.append(f"    {ids[source]} {shaft}{said} {ids[target]}")
    lines += [f"    %% {name} = {_escaped(exact(node))}" for node, name in ids.items()]
    return "\n".join(lines) + "\n"


def limits(graph: "networkx.DiGraph[str]") -> list[str]:
    """What to warn of, where the flowchart is larger than Mermaid draws unless it is told to."""
    if graph.number_of_edges() <= _MOST_ARROWS and len(mermaid(graph)) <= _MOST_CHARACTERS:
        return []
    return [
        f"Mermaid draws at most {_MOST_ARROWS} arrows and {_MOST_CHARACTERS:,} characters, unless its maxEdges and "
        "maxTextSize are raised; `--depth` gives a smaller flowchart."
    ]


def _escaped(text: str) -> str:
    def escape(match: re.Match[str]) -> str:
        character = match[1]
        if character is None or _PLAIN.fullmatch(character):
            return match[0]
        return f"#{ord(character)};"

    return _SUSPECT.sub(escape, text)
