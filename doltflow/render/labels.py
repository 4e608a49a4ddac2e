"""What is said of one node of the lineage graph: the same words in the tree, in Mermaid and in DOT."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from doltflow.render.accesses import columns_note, derived_notes, names_note, names_of, rows_note, version_name
from doltflow.render.text import count, duration, first_line, moment, safe, short, value

Attributes = Mapping[str, Any]
"""Of a node or an edge, as the graph holds them."""


_STYLES = {"table": "bold cyan", "commit": "bold yellow"}


def style(attributes: Attributes) -> str:
    """The colour of a node's name."""
    return _STYLES.get(str(attributes.get("kind"))) or run_style(attributes.get("status"))


def run_style(status: object) -> str:
    """The colour of a run's name."""
    return "bold red" if status == "failed" else "bold green"


def joined(*parts: str) -> str:
    """The parts that say something, with dots between them."""
    return " · ".join(part for part in parts if part)


def name(node: str, attributes: Attributes) -> str:
    """What a node is called: the table and its commit, the run, or the commit."""
    match attributes.get("kind"):
        case "table":
            return version_name(attributes["database"], attributes["table"], attributes["commit"])
        case "commit":
            return f"{safe(attributes['database'])} @ {short(attributes['commit'])}"
        case _:
            return safe(str(attributes.get("pathspec", node)))


def signature(attributes: Attributes) -> list[str]:
    """Who committed, when and with which message, as far as it is known."""
    message = first_line(str(attributes.get("message", "")))
    author = safe(str(attributes.get("author", "")))
    return [part for part in (author, moment(attributes.get("date")), message and f"“{message}”") if part]


def run_facts(attributes: Attributes) -> str:
    """When a run was, how it ended, how long it took and whose it was."""
    started, finished = attributes.get("started"), attributes.get("finished")
    status = str(attributes.get("status") or "unknown")
    took = ""
    if started and finished:
        took = duration((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds())
    user = attributes.get("user")
    return joined(
        moment(started),
        "status unknown" if status == "unknown" else safe(status),
        took,
        f"by {safe(str(user))}" if user else "",
    )


def rerun_note(rerun_of: object) -> str:
    """`replay of Flow/123`; empty for a run that is no rerun."""
    if not isinstance(rerun_of, Mapping):
        return ""
    return f"{safe(str(rerun_of.get('kind') or 'rerun'))} of {safe(str(rerun_of.get('pathspec') or '?'))}"


def parameters_note(parameters: Mapping[str, Any]) -> str:
    """`name=value` for every parameter that has a value, two spaces between them."""
    return "  ".join(f"{safe(key)}={value(data)}" for key, data in parameters.items() if data is not None)


def extra_notes(attributes: Attributes) -> list[str]:
    """The writes that changed nothing and the reads of what the node itself had written."""
    notes = []
    unchanged, own_reads = attributes.get("unchanged", ()), attributes.get("own_reads", ())
    if unchanged:
        rows = sum(access["rows"] for access in unchanged if isinstance(access.get("rows"), int))
        same = f" (the same {count(rows, 'row')})" if rows else ""
        notes.append(f"left unchanged: {', '.join(names_of(unchanged))}{same}")
    if own_reads:
        notes.append(f"read back: {', '.join(names_of(own_reads))}")
    return notes


def edge_note(edge: Attributes, table: str) -> str:
    """What flowed: rows and, of a read, columns; of a write too where columns were followed."""
    accesses = edge.get("accesses", ())
    if "columns" in edge:
        return joined(rows_note(accesses), *followed_notes(edge, table))
    return joined(rows_note(accesses), columns_note(accesses, table) if edge.get("kind") == "read" else "")


def followed_notes(edge: Attributes, table: str) -> list[str]:
    """The columns of an edge where they were followed, and what queries computed from them."""
    if "columns" not in edge:
        return []
    if edge.get("kind") == "write":
        return [f"{safe(str(edge.get('via')))}: {names_note(edge['columns'])}"]
    names = names_note(edge["columns"], is_all=bool(edge.get("all_columns")))
    return [names, *derived_notes(edge.get("accesses", ()), table)]
