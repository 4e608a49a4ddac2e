"""Rows with the commits and runs that changed them: as text and as JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doltflow.model.row import Row
from doltflow.render import labels
from doltflow.render.answer import Stream, trace_answer
from doltflow.render.cells import cell, exact_row, key_text
from doltflow.render.envelope import envelope
from doltflow.render.forms import trace_data
from doltflow.render.graphs import GraphOutput
from doltflow.render.terminal import drawn, width
from doltflow.render.text import count, first_line, moment, safe, short
from doltflow.render.tree import Painter, trees

if TYPE_CHECKING:
    from doltflow.rows import RowsResult, TracedChange
    from doltflow.trace import TraceResult

_STYLES = {"added": "green", "modified": "yellow", "removed": "red"}


def rows_answer(result: "RowsResult", output: GraphOutput, stream: Stream) -> Iterator[str]:
    """The answer of `doltflow trace` about rows: in the forms of graphs that of the versions that changed them."""
    match output:
        case "json":
            yield envelope("trace", rows_data(result))
        case "text":
            yield drawn(rows_text(result, width(stream)), stream)
        case _:
            yield from trace_answer(traced(result), output, stream)


def traced(result: "RowsResult") -> "TraceResult":
    """The graph alone, as that of a table's version: the newest."""
    from doltflow.trace import TraceResult

    return TraceResult(result.graph, result.targets[0], result.zoom, result.runs, result.warnings)


def limit_note(result: "RowsResult") -> str:
    """That not all rows are shown; empty where they are."""
    if result.matched <= len(result.rows):
        return ""
    return f"{count(result.matched, 'row')} match; the first {len(result.rows):,} are shown. `--limit` shows more."


# JSON


def rows_data(result: "RowsResult") -> dict[str, Any]:
    """Node-link data, and beside it `rows` and `matched`, the number of rows that match."""
    data = trace_data(traced(result))
    data["graph"]["targets"] = list(result.targets)
    rows = []
    for row in result.rows:
        changes = [_change_data(result, row.key, change) for change in row.changes]
        rows.append({**changes[0], **({"history": changes} if result.history else {})})
    return data | {"rows": rows, "matched": result.matched}


def _change_data(result: "RowsResult", key: Row, traced: "TracedChange") -> dict[str, Any]:
    change, commit = traced.change, traced.commit
    return {
        "key": exact_row(key),
        "change": change.change,
        "commit": commit.hash,
        "database": result.database,
        "table": result.table,
        "date": commit.date.isoformat(),
        "author": commit.author,
        "message": commit.message,
        "run": str(commit.run.pathspec) if commit.run is not None else None,
        "before": exact_row(change.before),
        "after": exact_row(change.after),
        "columns": list(change.columns),
    }


# Text


def rows_text(result: "RowsResult", columns: int | None = None) -> Iterator[RenderableType]:
    """A block for each row, then the lineage of all of them, each run once.

    Args:
        result: What `trace_rows` returned.
        columns: The terminal's width; None where lines may be of any length.
    """
    told: set[str] = set()
    for row in result.rows:
        of_cell = f" {safe(result.column)}" if result.column is not None else ""
        yield _folded(f"{safe(result.table)} {key_text(row.key)}{of_cell}", style=labels.style({"kind": "table"}))
        for change in row.changes:
            yield from _change_text(change, row.key, result, told)
        yield Text()
    painter = Painter(result.graph, result.targets[-1], result.runs, columns)
    painter.later.extend(result.targets[:-1])
    yield from trees(painter)


def _change_text(traced: "TracedChange", key: Row, result: "RowsResult", told: set[str]) -> Iterator[RenderableType]:
    change, commit = traced.change, traced.commit
    by = str(commit.run.pathspec) if commit.run is not None else f"hand: {commit.author}"
    title = Text.assemble((change.change, _STYLES[change.change]), f" by {safe(by)}", overflow="fold")
    yield _below(title, 2)
    message = f"“{first_line(commit.message)}”" if commit.run is None and commit.message else ""
    yield _below(_folded(labels.joined(moment(commit.date), f"commit {short(commit.hash)}", message)), 4)
    run = result.runs.get(commit.run.pathspec.run) if commit.run is not None else None
    if run is not None and run.pathspec not in told:
        told.add(run.pathspec)
        parameters = labels.parameters_note(run.parameters)
        if parameters:
            yield _below(_folded(parameters), 4)
    # The key stands above already.
    is_told = result.column is None and change.change != "modified"
    names = [name for name in change.columns if not (is_told and name in key)]
    if names:
        yield _below(_cells(change.before, change.after, names), 4)


def _cells(before: Row | None, after: Row | None, names: list[str]) -> RenderableType:
    """A line for each column: what it was and what it became."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for name in names:
        old, new = (cell(row, name) if row is not None else "" for row in (before, after))
        grid.add_row(_folded(safe(name)), _folded(f"{old} → {new}" if old and new else old or new))
    return grid


def _below(part: RenderableType, indent: int) -> RenderableType:
    return Padding(part, (0, 0, 0, indent), expand=False)


def _folded(text: str, style: str = "") -> Text:
    return Text(text, style=style, overflow="fold")
