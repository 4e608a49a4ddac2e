"""What differs between two ends, and why, for people and as JSON."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from doltflow.render.cells import cell, exact, exact_row, key_text
from doltflow.render.envelope import envelope
from doltflow.render.sections import indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import count, first_line, moment, safe, short, value

if TYPE_CHECKING:
    from doltflow.causes import Cause, Causes
    from doltflow.compare.schema import SchemaChange
    from doltflow.compare.summary import ColumnDifference, RowDifference, TableDifference
    from doltflow.compare.versions import Version
    from doltflow.diff import DiffResult, DiffTable, Explained

_LONGEST = 120
_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "modified": ("~", "yellow")}
_KINDS = {"data": "Data", "code": "Code", "parameter": "Parameters", "environment": "Environment"}


def diff_answer(result: "DiffResult", output: str, stream: TextIO | None, *, stat: bool) -> Iterator[str]:
    """The answer of `doltflow diff` as text or JSON."""
    if output == "json":
        yield envelope("diff", diff_data(result))
    else:
        yield drawn(_text(result, stat=stat), stream)


# JSON


def diff_data(result: "DiffResult") -> dict[str, Any]:
    """`before`, `after`, `identical`, `summary`, `tables`, `causes`, `same`, `unknown` and so on."""
    return {
        "before": result.before,
        "after": result.after,
        "identical": result.identical,
        "summary": result.summary,
        "tables": [table_data(table) for table in result.tables],
        "causes": [_cause_data(found, cause) for found in result.causes for cause in found.causes],
        "same": [{"runs": [found.before, found.after], "kind": kind} for found in result.causes for kind in found.same],
        "unknown": [
            {"runs": [found.before, found.after], "kind": kind, "why": why}
            for found in result.causes
            for kind, why in found.unknown
        ],
        "asked": {
            "where": result.asked.where,
            "columns": list(result.asked.columns),
            "tolerance": result.asked.tolerance.text if result.asked.tolerance is not None else None,
        },
        "explained": [_fields(one) | {"log": str(one.log)} for one in result.explained],
        "warnings": list(result.warnings),
    }


def table_data(table: "DiffTable") -> dict[str, Any]:
    """A table at both ends, and how it differs."""
    found = table.difference
    data: dict[str, Any] = {
        "database": table.database,
        "table": table.table,
        "before": _version_data(table.before),
        "after": _version_data(table.after),
    }
    if found is None:
        return data
    return data | {
        "identical": not found.is_different,
        "added": found.added,
        "removed": found.removed,
        "modified": found.modified,
        "schema_changes": [_fields(change) for change in found.schema_changes],
        "columns": [_column_data(column) for column in found.columns],
        "sample": [row_data(row) for row in found.sample],
        "more": found.more,
    }


def _version_data(version: "Version | None") -> dict[str, Any] | None:
    if version is None:
        return None
    return {"database": version.database, "table": version.table, "commit": version.commit, "run": version.run}


def _column_data(column: "ColumnDifference") -> dict[str, Any]:
    largest = column.largest
    return {
        "name": column.name,
        "numeric": column.is_numeric,
        "changed": column.changed,
        "count": column.count,
        "mean": column.mean,
        "median": column.median,
        "largest": None
        if largest is None
        else {
            "change": exact(largest.change),
            "before": exact(largest.before),
            "after": exact(largest.after),
            "key": exact_row(largest.key),
        },
    }


def row_data(row: "RowDifference") -> dict[str, Any]:
    """A row that differs; decimals, dates and bytes as text, so that nothing is lost."""
    return {
        "change": row.change,
        "key": exact_row(row.key),
        "before": exact_row(row.before),
        "after": exact_row(row.after),
        "columns": list(row.columns),
    }


def _cause_data(found: "Causes", cause: "Cause") -> dict[str, Any]:
    data = {
        "runs": [found.before, found.after],
        "kind": cause.kind,
        "name": cause.name,
        "before": cause.before,
        "after": cause.after,
        "only": cause.only,
    }
    if cause.kind == "code":
        data["files"] = [_fields(file) for file in cause.files]
    if cause.kind == "data":
        data |= {
            "database": cause.database,
            "table": cause.table,
            "added": cause.added,
            "removed": cause.removed,
            "modified": cause.modified,
            "schema_changed": cause.schema_changed,
            "direction": cause.direction,
            "kept": cause.kept,
            "commits": [
                {
                    "hash": commit.hash,
                    "author": commit.author,
                    "date": commit.date,
                    "message": commit.message,
                    "run": str(commit.run.pathspec) if commit.run is not None else None,
                }
                for commit in cause.commits
            ],
            "more": cause.more,
        }
    return data


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


# Text


def _text(result: "DiffResult", *, stat: bool) -> Iterator[RenderableType]:
    yield Text.assemble((safe(result.before), "bold"), " → ", (safe(result.after), "bold"), overflow="fold")
    if result.summary:
        style = "bold green" if result.identical else "bold"
        yield Text(safe(result.summary), style=style, overflow="fold")
    if stat:
        yield Text()
        for table in result.tables:
            yield _headline(table)
        return
    for table in result.tables:
        yield Text()
        yield from _table(table)
    yield from _why(result.causes)
    yield from section("Explained", _attribution(result.explained))


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
        yield f"only {end} has it, "
    parts = [(number, change) for change, number in _numbers(found) if number]
    for place, (number, change) in enumerate(parts):
        yield ", " if place else ""
        yield (f"{count(number, 'row')} {change}" if not place else f"{number:,} {change}", _MARKS[change][1])
    if not parts:
        yield "no row differs"
    changes = [change for change in found.schema_changes if not change.change.startswith("table-")]
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
            yield _hanging(Text(said, style="magenta"), 2)
    for column in found.columns:
        yield _hanging(_column(column), 2)
    for row in found.sample:
        yield _hanging(_row(row), 2)
    if found.more:
        yield from indented(f"and {count(found.more, 'more row')}; `--limit` shows more", style="dim")


def _schema(change: "SchemaChange") -> str:
    before, after = (safe(text, lines=True) if text is not None else "" for text in (change.before, change.after))
    name = safe(change.column or "")
    match change.change:
        case "column-added":
            return f"column {name} added: {after}"
        case "column-removed":
            return f"column {name} removed: {before}"
        case "column-renamed":
            return f"column {before} is now called {after}"
        case "column-retyped":
            return f"column {name}: {before} → {after}"
        case "key-changed":
            return f"key: {before or 'none'} → {after or 'none'}"
        case "definition-changed":
            return f"declared otherwise: {before or 'nothing'} → {after or 'nothing'}"
        case _:
            return ""


def _column(column: "ColumnDifference") -> Text:
    told: list[str | tuple[str, str]] = [(safe(column.name), "bold"), f": {count(column.changed, 'cell')} changed"]
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


def _row(row: "RowDifference") -> Text:
    mark, style = _MARKS[row.change]
    text = Text.assemble((f"{mark} {key_text(row.key)}".rstrip(), style))
    there = row.after if row.after is not None else row.before or {}
    for name in row.columns if row.change == "modified" else there:
        text.append("  " if text.plain != mark else " ")
        text.append(safe(name), style="bold")
        text.append(" ")
        if row.change != "modified":
            text.append(cell(there, name, _LONGEST), style=style)
            continue
        text.append(cell(row.before or {}, _earlier(row, name), _LONGEST), style="red")
        text.append(" → ")
        text.append(cell(row.after or {}, name, _LONGEST), style="green")
    return text


def _earlier(row: "RowDifference", name: str) -> str:
    """The name that a column had before: the one in its place where it has another now."""
    before, after = row.before or {}, row.after or {}
    if name in before:
        return name
    gone = [old for old in before if old not in after]
    new = [column for column in after if column not in before]
    return gone[new.index(name)] if name in new and new.index(name) < len(gone) else name


def _hanging(text: Text, columns: int) -> RenderableType:
    text.overflow = "fold"
    return Padding(text, (0, 0, 0, columns), expand=False)


# Why


def _why(causes: "Sequence[Causes]") -> Iterator[RenderableType]:
    for found in causes:
        title = "Why" if len(causes) == 1 else f"Why: {safe(found.before)} → {safe(found.after)}"
        parts = list(_causes(found))
        if parts:
            yield from section(title, parts)


def _causes(found: "Causes") -> Iterator[RenderableType]:
    for cause in found.causes:
        yield _hanging(Text.assemble((f"{_KINDS[cause.kind]}: ", "bold"), _cause(cause)), 2)
        for file in cause.files:
            lines = "" if file.added is None else f" | +{file.added} −{file.removed}"
            yield from indented(f"{safe(file.path)}{lines}", columns=4)
        for commit in cause.commits:
            by = str(commit.run.pathspec) if commit.run is not None else commit.author
            message = f" “{first_line(commit.message)}”" if commit.run is None and commit.message else ""
            line = f"{short(commit.hash)}  {moment(commit.date)}  {safe(by)}{message}"
            yield from indented(line, columns=4)
        if cause.more:
            yield from indented(f"and {count(cause.more, 'commit')} before", columns=4)
    for kind, why in found.unknown:
        yield _hanging(Text.assemble((f"{_KINDS[kind]}: ", "bold"), safe(why)), 2)
    same = ", ".join(_KINDS[kind].lower() for kind in found.same)
    if same and found.causes:
        yield from indented(f"The same: {same}", style="dim")


def _cause(cause: "Cause") -> str:
    match cause.kind:
        case "data":
            return _data(cause)
        case "code":
            return f"{cause.name} {_ends(cause, short)}"
        case _:
            return f"{safe(cause.name)} {_ends(cause, value)}"


def _ends(cause: "Cause", shown: Any) -> str:
    if cause.only is not None:
        side, end = ("first", cause.before) if cause.only == "before" else ("second", cause.after)
        return f"only in the {side}: {shown(end)}"
    return f"{shown(cause.before)} → {shown(cause.after)}"


def _data(cause: "Cause") -> str:
    numbers = ((cause.added, "added"), (cause.removed, "removed"), (cause.modified, "modified"))
    rows = ", ".join(f"{count(number, 'row')} {verb}" for number, verb in numbers if number)
    told = [rows, "its schema changed" if cause.schema_changed else ""]
    said = ", ".join(part for part in told if part)
    return f"{safe(cause.name)} {_ends(cause, short)}{f': {said}' if said else ''}"


def _attribution(explained: "Sequence[Explained]") -> Iterator[RenderableType]:
    for one in explained:
        share = f" ({one.explained / one.rows:.1%})" if one.rows else ""
        told = (
            f"the {_KINDS[one.kind].lower()} alone explains {one.explained:,} of {count(one.rows, 'row')}{share} of "
            f"{safe(one.database)}/{safe(one.table)}"
            if one.kind != "parameter"
            else f"the parameters alone explain {one.explained:,} of {count(one.rows, 'row')}{share} of "
            f"{safe(one.database)}/{safe(one.table)}"
        )
        left = f"; {count(one.left, 'row')} still differ" if one.left else ""
        yield _hanging(Text(f"{told[0].upper()}{told[1:]}{left}"), 2)
        yield from indented(f"{safe(one.before)} again, with that of {safe(one.after)}: {safe(one.run)}", columns=4)
        yield from indented(*map(safe, one.unhonoured), columns=4, style="yellow")
