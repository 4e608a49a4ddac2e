"""What differs between two ends, and why, for people and as JSON."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from doltflow.model.row import Row
from doltflow.render.cells import cell, exact, key_text, name_text
from doltflow.render.diff_data import diff_data
from doltflow.render.diff_why import explained_text, why_text
from doltflow.render.envelope import envelope
from doltflow.render.sections import hanging, indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import count, safe, value

if TYPE_CHECKING:
    from doltflow.compare.asked import Asked
    from doltflow.compare.schema import SchemaChange
    from doltflow.compare.summary import ColumnDifference, RowDifference, TableDifference
    from doltflow.diff import DiffResult, DiffTable

_LONGEST = 120
_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "modified": ("~", "yellow")}
_FEW = 3
"""So many identical tables have a line each."""
_BEFORE = 20


def diff_answer(result: "DiffResult", output: str, stream: TextIO | None, *, stat: bool) -> Iterator[str]:
    """The answer of `doltflow diff` as text or JSON."""
    if output == "json":
        yield envelope("diff", diff_data(result))
    else:
        yield drawn(_text(result, stat=stat), stream)


def _text(result: "DiffResult", *, stat: bool) -> Iterator[RenderableType]:
    yield Text.assemble((safe(result.before), "bold"), " → ", (safe(result.after), "bold"), overflow="fold")
    if asked := _asked(result.asked):
        yield Text(asked, style="dim", overflow="fold")
    if result.summary:
        style = "bold green" if result.identical else "bold"
        yield Text(safe(result.summary), style=style, overflow="fold")
    identical = [table for table in result.tables if table.is_identical]
    shown = [table for table in result.tables if table not in identical or len(identical) <= _FEW]
    if stat:
        yield Text()
    for table in shown:
        if not stat:
            yield Text()
        yield from [_headline(table)] if stat else _table(table)
    if len(shown) < len(result.tables):
        if not stat:
            yield Text()
        names = ", ".join(f"{safe(table.database)}/{safe(table.table)}" for table in identical)
        yield Text.assemble(
            f"{count(len(identical), 'table')} are ", ("identical", "green"), f": {names}", overflow="fold"
        )
    if not stat:
        yield from why_text(result.causes)
    yield from section("Explained", explained_text(result))


def _asked(asked: "Asked") -> str:
    """What of the difference is meant; empty where it is all of it."""
    parts = [
        f"where {asked.where}" if asked.where is not None else "",
        f"only {', '.join(map(name_text, asked.columns))}" if asked.columns else "",
        f"equal within {asked.tolerance.text}" if asked.tolerance is not None else "",
    ]
    return safe(" · ".join(part for part in parts if part))


def _headline(table: "DiffTable") -> Text:
    name = (f"{safe(table.database)}/{safe(table.table)}", "bold cyan")
    return Text.assemble(name, ": ", *_counts(table), overflow="fold")


def _counts(table: "DiffTable") -> Iterator[str | tuple[str, str]]:
    found = table.difference
    if found is None or not found.is_different:
        yield ("identical", "green")
        return
    if table.before is None or table.after is None:
        end = "the second" if table.before is None else "the first"
        yield f"only {end} {'wrote' if table.is_unwritten else 'has'} it, "
    parts = [(number, change) for change, number in _numbers(found) if number]
    for place, (number, change) in enumerate(parts):
        yield ", " if place else ""
        yield (f"{count(number, 'row')} {change}" if not place else f"{number:,} {change}", _MARKS[change][1])
    if not parts:
        yield "no row differs" if table.before is not None and table.after is not None else "without rows"
    changes = [change for change in found.schema_changes if change.change not in ("table-added", "table-removed")]
    if changes:
        yield f", {count(len(changes), 'change')} of its schema"


def _numbers(found: "TableDifference") -> tuple[tuple[str, int], ...]:
    return (("added", found.added), ("removed", found.removed), ("modified", found.modified))


def _table(table: "DiffTable") -> Iterator[RenderableType]:
    yield _headline(table)
    found = table.difference
    if found is None:
        return
    for change in found.schema_changes:
        if said := _schema(change):
            yield hanging(Text(said, style="magenta"), 2)
    for column in found.columns:
        yield hanging(_column(column), 2)
    for row in found.sample:
        yield _marked(row)
    if found.more:
        yield from indented(f"and {count(found.more, 'more row')}; `--limit` shows more", style="dim")


def _schema(change: "SchemaChange") -> str:
    before, after = (safe(text, lines=True) if text is not None else "" for text in (change.before, change.after))
    name = name_text(change.column) if change.column is not None else ""
    match change.change:
        case "table-renamed":
            return f"table {before} is now called {after}"
        case "column-added":
            return f"column {name} added: {after}"
        case "column-removed":
            return f"column {name} removed: {before}"
        case "column-renamed":
            return f"column {name_text(str(change.before))} is now called {name}"
        case "column-retyped":
            return f"column {name}: {before} → {after}"
        case "key-changed":
            return f"key: {before or 'none'} → {after or 'none'}"
        case "definition-changed":
            what = f"column {name}" if name else "declaration"
            return f"{what}: {before or 'nothing'} → {after or 'nothing'}"
        case _:
            return ""


def _column(column: "ColumnDifference") -> Text:
    told: list[str | tuple[str, str]] = [(name_text(column.name), "bold"), f": {count(column.changed, 'cell')} changed"]
    if column.count is not None and column.count != column.changed:
        told.append(f", {column.count:,} of them from number to number")
    if column.count and column.mean is not None and column.median is not None:
        told.append(f", mean {_signed(column.mean)}, median {_signed(column.median)}")
    largest = column.largest
    if largest is not None:
        where = f" at {key_text(largest.key)}" if largest.key else ""
        ends = f"{value(exact(largest.before))} → {value(exact(largest.after))}"
        told.append(f", largest {_signed(largest.change)} ({ends}{where})")
    return Text.assemble(*told)


def _signed(number: float | Decimal | int) -> str:
    """`+1,234.5`; a decimal with all of its digits."""
    return f"{number:+,.6g}" if isinstance(number, float) else f"{number:+,}"


def _marked(row: "RowDifference") -> RenderableType:
    """A row, with its mark before it: what is folded stands below the row and not below the mark."""
    mark, style = _MARKS[row.change]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"  {mark}", style=style), _row(row, style))
    return grid


def _row(row: "RowDifference", style: str) -> Text:
    text = Text(key_text(row.key), style=style, overflow="fold")
    there = row.after if row.after is not None else row.before or {}
    earlier = dict(row.renamed)
    for name in row.columns if row.change == "modified" else there:
        text.append("  " if text.plain else "")
        text.append(f"{name_text(name)} ", style="bold")
        if row.change != "modified":
            text.append(cell(there, name, _LONGEST), style=style)
            continue
        old, new = _apart((row.before or {}), earlier.get(name, name), (row.after or {}), name)
        text.append(old, style="red")
        text.append(" → ")
        text.append(new, style="green")
    return text


def _apart(before: Row, old: str, after: Row, new: str) -> tuple[str, str]:
    """Two cells; of long texts the part from a little before the first character that differs."""
    texts = before.get(old), after.get(new)
    if not all(isinstance(text, str) for text in texts) or max(len(str(text)) for text in texts) <= _LONGEST:
        return cell(before, old, _LONGEST), cell(after, new, _LONGEST)
    one, other = map(str, texts)
    same = next(
        (n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )
    begin = max(0, same - _BEFORE)
    told = [value(text[begin:], _LONGEST) for text in (one, other)]
    lengths = [f" ({len(text):,} characters)" for text in (one, other)]
    sign = "…" if begin else ""
    return f"{sign}{told[0]}{lengths[0]}", f"{sign}{told[1]}{lengths[1]}"
