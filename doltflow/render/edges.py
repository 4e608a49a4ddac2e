"""A lineage graph as a list of its edges in CSV, for a spreadsheet, pandas or `sort`."""

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doltflow.lineage_columns import columns_read
from doltflow.render.envelope import compact
from doltflow.render.text import exact

if TYPE_CHECKING:
    import networkx

HEADER = (
    "source", "target", "kind", "source_kind", "target_kind", "database", "table", "commit", "accesses", "rows",
    "columns",
)  # fmt: skip
ALL = "*"


def edges(graph: "networkx.DiGraph[str]") -> str:
    r"""A header and a line for each edge; a node without edges has a line of its own, without target and kind.

    `database`, `table` and `commit` are those of the table at the edge's end; `accesses` counts the reads or writes
    that the edge stands for, `rows` are theirs together where all are known; `columns` are a JSON list, `*` for all,
    empty where they are not known. In all else a line break or control character is escaped as in `\n` and a backslash
    doubled: each edge is one line.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for source, target, edge in graph.edges(data=True):
        ends = graph.nodes[source], graph.nodes[target]
        table = next((end for end in ends if end.get("kind") == "table"), {})
        accesses = edge.get("accesses", ())
        _write(
            writer, source, target, edge.get("kind"), *(end.get("kind") for end in ends), *_table(table),
            len(accesses) if edge.get("kind") != "next" else None, _rows(accesses),
            _columns(edge, str(table.get("table"))),
        )  # fmt: skip
    for node, attributes in graph.nodes(data=True):
        if not any(graph.successors(node)) and not any(graph.predecessors(node)):
            _write(writer, node, None, None, attributes.get("kind"), None, *_table(attributes), None, None, None)
    return out.getvalue()


def _write(writer: Any, *values: object) -> None:
    *texts, columns = values
    # JSON has its own escapes, and is read as JSON.
    writer.writerow([*("" if text is None else exact(str(text)) for text in texts), columns])


def _table(attributes: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(attributes.get(name) for name in ("database", "table", "commit"))


def _rows(accesses: Any) -> int | None:
    """How many rows of the edge's table went over it; those of a query over several tables are no table's."""
    rows = [access.get("rows") for access in accesses if len(access.get("tables") or ()) <= 1]
    known = [number for number in rows if isinstance(number, int)]
    return sum(known) if known and len(known) == len(accesses) else None


def _columns(edge: Mapping[str, Any], table: str) -> str | None:
    if edge.get("kind") == "next":
        return None
    taken = columns_read(edge.get("accesses", ()), table)
    if edge.get("kind") == "read" and taken.is_all:
        return ALL
    names = edge.get("columns", taken.names)
    return None if names is None else compact(list(names))
