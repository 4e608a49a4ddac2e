"""What differs between two ends, and why, for people and as JSON."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doltflow.model.row import Row
from doltflow.render.cells import cell, exact, exact_row, key_text, name_text
from doltflow.render.envelope import envelope
from doltflow.render.sections import indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import count, first_line, moment, safe, short, value

if TYPE_CHECKING:
    from doltflow.causes import Cause, Causes
    from doltflow.compare.asked import Asked
    from doltflow.compare.schema import SchemaChange
    from doltflow.compare.summary import ColumnDifference, RowDifference, TableDifference
    from doltflow.compare.versions import Version
    from doltflow.diff import DiffResult, DiffTable

_LONGEST = 120
_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "modified": ("~", "yellow")}
_TAKEN = {"data": "data", "code": "code", "parameter": "parameters", "environment": "environment"}
_FEW = 3
"""So many identical tables have a line each."""
_BEFORE = 20
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
        "unexplained": [
            {"database": database, "table": table, "rows": rows} for database, table, rows in result.unexplained
        ],
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
    if asked := _asked(result.asked):
        yield Text(asked, style="dim", overflow="fold")
    if result.summary:
        style = "bold green" if result.identical else "bold"
        yield Text(safe(result.summary), style=style, overflow="fold")
    identical = [table for table in result.tables if table.difference is not None and not table.difference.is_different]
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
        yield from _why(result.causes)
    yield from section("Explained", _attribution(result))


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
            yield _hanging(Text(said, style="magenta"), 2)
    for column in found.columns:
        yield _hanging(_column(column), 2)
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
    for place, cause in enumerate(found.causes):
        yield _hanging(Text.assemble((f"{_KINDS[cause.kind]}: ", "bold"), _cause(cause)), 2)
        for file in cause.files:
            lines = "" if file.added is None else f" | +{file.added} −{file.removed}"
            yield from indented(f"{safe(file.path)}{lines}", columns=4)
        following = found.causes[place + 1 : place + 2]
        if following and cause.commits and following[0].commits == cause.commits:
            continue  # What several tables are from is told once, below the last of them.
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


def _attribution(result: "DiffResult") -> Iterator[RenderableType]:
    told = ""
    for one in result.explained:
        name = f"{safe(one.database)}/{safe(one.table)}"
        if one.run != told:
            told = one.run
            what = f"with the {_TAKEN[one.kind]} of {safe(one.after)}" if one.kind is not None else "as it was"
            yield _hanging(Text(f"{safe(one.before)} again, {what}: {safe(one.run)}"), 2)
        if one.kind is None:
            said = f"{name}: {count(one.apart, 'row')} other than before"
            said += ", so that the flow is not deterministic" if one.apart else ", so that it cannot be told why"
        else:
            share = f" ({one.explained / one.rows:.1%})" if one.rows else ""
            said = f"{name}: the {_TAKEN[one.kind]} alone explain{'' if one.kind == 'parameter' else 's'} "
            said += f"{one.explained:,} of {count(one.rows, 'row')}{share}"
            if one.left:
                said += f"; {count(one.left, 'row')} still differ{'s' if one.left == 1 else ''}"
        yield from indented(said, columns=4)
        yield from indented(*map(safe, one.unhonoured), columns=4, style="yellow")
    for database, table, rows in result.unexplained:
        if any(one.kind is not None for one in result.explained):
            name = f"{safe(database)}/{safe(table)}"
            yield from indented(f"{name}: {count(rows, 'row')} that nothing explains by itself, only several together")
