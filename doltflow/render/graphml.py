"""A lineage graph in GraphML, for networkx, Gephi, yEd and the like.

Nothing is lost: an attribute that is a text, a number or a truth value is one; any other, and a text with characters
that XML cannot hold, is JSON, and its key says so in `desc`. A node keeps its id where XML can hold it; else the id is
escaped, and the attribute `id` holds it as it is.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from doltflow.render.envelope import compact
from doltflow.render.plain import plain
from doltflow.render.text import STEERING, exact

if TYPE_CHECKING:
    import networkx

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
"""
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# What could steer a terminal, where the file goes to one, and what a reader of XML would turn into a space.
_TO_REFER = re.compile(f"[\t\n\r{STEERING}]")
_JSON = "JSON"
_LARGEST = 2**63

_Key = tuple[str, str, str, str]
"""Of an attribute: whose it is (`graph`, `node`, `edge`), its name, its GraphML type, and its `desc`."""


def graphml(graph: "networkx.DiGraph[str]", about: Mapping[str, Any] | None = None) -> str:
    """The text of a GraphML document; `networkx.read_graphml` reads it.

    Args:
        graph: The graph.
        about: Attributes of the graph as a whole, beside its own.
    """
    keys: dict[_Key, str] = {}
    ids = _ids(graph)
    body = [*_data(keys, "graph", {**graph.graph, **(about or {})}, "    ")]
    for node, attributes in graph.nodes(data=True):
        own = attributes if ids[node] == node else {**attributes, "id": node}
        body += _element(keys, "node", f"id={_quoted(ids[node])}", own)
    for source, target, attributes in graph.edges(data=True):
        ends = f"source={_quoted(ids[source])} target={_quoted(ids[target])}"
        body += _element(keys, "edge", ends, attributes)
    head = [_declared(name, *key) for key, name in keys.items()]
    return _HEAD + "\n".join([*head, '  <graph edgedefault="directed">', *body, "  </graph>", "</graphml>"]) + "\n"


def _ids(graph: "networkx.DiGraph[str]") -> dict[str, str]:
    """An id that XML can hold for every node, each another one."""
    ids = {node: node for node in graph if not _NOT_XML.search(node)}
    taken = set(ids)
    for node in graph:
        if node not in ids:
            name = _NOT_XML.sub("\ufffd", exact(node))
            while name in taken:
                name += "_"
            taken.add(name)
            ids[node] = name
    return ids


def _element(keys: dict[_Key, str], kind: str, ends: str, attributes: Mapping[str, Any]) -> list[str]:
    data = list(_data(keys, kind, attributes, "      "))
    return [f"    <{kind} {ends}>", *data, f"    </{kind}>"] if data else [f"    <{kind} {ends}/>"]


def _data(keys: dict[_Key, str], kind: str, attributes: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in attributes.items():
        type_, description, text = _typed(value)
        key = keys.setdefault((kind, str(name), type_, description), f"d{len(keys)}")
        yield f'{indent}<data key="{key}">{_text(text)}</data>'


def _typed(value: Any) -> tuple[str, str, str]:
    """The GraphML type of a value, what is to be said of it, and its text."""
    value = plain(value)
    if isinstance(value, bool):
        return "boolean", "", "true" if value else "false"
    if isinstance(value, int) and -_LARGEST <= value < _LARGEST:
        return "long", "", str(value)
    if isinstance(value, float) and math.isfinite(value):
        return "double", "", repr(value)
    # An element without text is one without a value to networkx.
    if isinstance(value, str) and value and not _NOT_XML.search(value):
        return "string", "", value
    return "string", _JSON, _NOT_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", compact(value))


def _declared(key: str, kind: str, name: str, type_: str, description: str) -> str:
    # A name that XML cannot hold is no attribute of ours; it is escaped as ids are.
    shown = _quoted(exact(name) if _NOT_XML.search(name) else name)
    head = f'  <key id="{key}" for="{kind}" attr.name={shown} attr.type="{type_}"'
    return f"{head}><desc>{description}</desc></key>" if description else f"{head}/>"


def _text(text: str) -> str:
    return _TO_REFER.sub(_reference, escape(text))


def _quoted(text: str) -> str:
    # Its quotes are chosen by what the text holds, and references hold none.
    return _TO_REFER.sub(_reference, quoteattr(text, {"\n": "\n", "\r": "\r", "\t": "\t"}))


def _reference(match: "re.Match[str]") -> str:
    return f"&#{ord(match[0])};"
