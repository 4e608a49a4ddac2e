"""Columns followed through a lineage graph. Pure: it asks no outside program, and guesses nothing.

A run's code stands between what it read and what it wrote: which column it read became which that it wrote, nobody can
tell. So the reads of a run say which columns went in, its writes which came out, and `via` that it was by code.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx

BY_CODE, BY_HAND = "by code", "by hand"


@dataclass(frozen=True, slots=True)
class ColumnsRead:
    """Which columns of one table some reads took.

    Attributes:
        names: They, sorted; None where they are not known by name.
        is_all: Whether certainly every one.
    """

    names: tuple[str, ...] | None = None
    is_all: bool = False


def columns_read(accesses: Iterable[Mapping[str, Any]], table: str) -> ColumnsRead:
    """Which columns of a table some reads took together, given as `Access.summary()` gives them."""
    folded = table.casefold()
    found: dict[str, str] = {}
    is_told, is_all, any_at_all = True, False, False
    for access in accesses:
        any_at_all = True
        is_all |= any(name.casefold() == folded for name in access.get("all_columns") or ())
        names = next((v for k, v in (access.get("columns") or {}).items() if k.casefold() == folded), None)
        is_told &= names is not None
        for name in names or ():
            found.setdefault(str(name).casefold(), str(name))
    if is_all or not is_told or not any_at_all:
        return ColumnsRead(None, is_all)
    return ColumnsRead(tuple(sorted(found.values())))


def follow_columns(graph: "networkx.DiGraph[str]", target: str, known: Mapping[str, Sequence[str]]) -> None:
    """Adds to the edges which columns were read and written, and to the tables which of theirs lead on.

    Args:
        graph: The graph. Its `read` edges get `columns`, None where they cannot be told, and `all_columns`; its
            `write` edges `columns` and `via`; its tables `columns`: those that anything in the graph read, and all
            of the target and of a table that nothing in the graph read.
        target: The node that was asked for.
        known: The columns of the tables that have been looked up, by node.
    """
    for first, second, edge in graph.edges(data=True):
        if edge["kind"] == "read":
            taken = columns_read(edge["accesses"], graph.nodes[first]["table"])
            names = known.get(first) if taken.is_all else taken.names
            edge |= {"columns": _in_order(names, known.get(first)), "all_columns": taken.is_all}
        elif edge["kind"] == "write":
            by_hand = graph.nodes[first]["kind"] == "commit"
            edge |= {"columns": _in_order(known.get(second)), "via": BY_HAND if by_hand else BY_CODE}
    for node, attributes in graph.nodes(data=True):
        if attributes["kind"] == "table":
            names = known.get(node)
            attributes["columns"] = _in_order(names) if node == target else _leading_on(graph, node, names)


def _leading_on(graph: "networkx.DiGraph[str]", node: str, known: Sequence[str] | None) -> list[str] | None:
    """The columns of a table that anything in the graph read."""
    reads = [edge for _, _, edge in graph.out_edges(node, data=True) if edge["kind"] == "read"]
    if not reads or any(edge["all_columns"] for edge in reads):
        return _in_order(known)
    if any(edge["columns"] is None for edge in reads):
        return None
    return _in_order({name.casefold(): name for edge in reads for name in edge["columns"]}.values(), known)


def _in_order(names: Iterable[str] | None, known: Sequence[str] | None = None) -> list[str] | None:
    """Names in the table's own order and spelling, where that is known."""
    if names is None:
        return None
    places = {name.casefold(): place for place, name in enumerate(known or ())}
    listed = [known[places[name.casefold()]] if known and name.casefold() in places else name for name in names]
    return sorted(listed, key=lambda name: places.get(name.casefold(), len(places)))
