"""Which tables are fresh, stale or unknown, as text and as JSON."""

from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import RenderableType
from rich.text import Text

from doltflow.render import labels
from doltflow.render.envelope import envelope
from doltflow.render.plain import fields
from doltflow.render.sections import indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import count, first_line, moment, safe, short

if TYPE_CHECKING:
    from doltflow.status import StatusResult, TableStatus
    from doltflow.workspace.inputs import Input

_STYLES = {"fresh": "bold green", "stale": "bold red", "unknown": "bold yellow"}


def status_answer(result: "StatusResult", output: Literal["text", "json"], stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow status`."""
    yield envelope("status", status_data(result)) if output == "json" else drawn(_text(result), stream)


def status_data(result: "StatusResult") -> dict[str, Any]:
    """`tables`, each after those that it was made from, `repeat` and `warnings`."""
    return {
        "tables": [_table_data(table) for table in result.tables],
        "repeat": list(result.repeat),
        "warnings": list(result.warnings),
    }


def _table_data(table: "TableStatus") -> dict[str, Any]:
    changed = table.changed_by
    return {
        "database": table.database,
        "table": table.table,
        "branch": table.branch,
        "commit": table.commit,
        "run": table.run.pathspec,
        "status": table.status,
        "inputs": [fields(item) for item in table.inputs],
        "upstream_stale": list(table.upstream_stale),
        "changed_by": None if changed is None else fields(changed) | {"date": changed.date.astimezone(UTC).isoformat()},
        "repeat": table.repeat,
        "note": table.note,
    }


def _text(result: "StatusResult") -> Iterator[RenderableType]:
    for number, table in enumerate(result.tables):
        if number:
            yield Text()
        yield from _table(table)
    repeat = (part for run in result.repeat for part in indented(safe(run), style="bold green"))
    title = "Repeat this run" if len(result.repeat) == 1 else "Repeat these runs, in this order"
    yield from section(title, repeat)


def _table(table: "TableStatus") -> Iterator[RenderableType]:
    yield Text.assemble(
        (f"{safe(table.database)}/{safe(table.table)}", "bold cyan"),
        ": ",
        (table.status, _STYLES[table.status]),
        overflow="fold",
    )
    branch = f"on {safe(table.branch)}" if table.branch is not None else ""
    yield from indented(
        labels.joined(f"by {safe(table.run.pathspec)}", moment(table.run.started), branch),
        f"its branch is gone: {safe(table.branch or '?')}" if table.note == "branch gone" else "",
        f"its commit {short(table.commit)} is no longer on {safe(table.branch or '?')}"
        if table.note == "commit not on the branch"
        else "",
        *(_input(item) for item in table.inputs),
        f"waiting for what is stale: {', '.join(map(safe, table.upstream_stale))}" if table.upstream_stale else "",
        _changed(table),
    )


def _input(item: "Input") -> str:
    """What there is to say of an input; nothing where it is as it was."""
    name = f"{safe(item.database)}/{safe(item.table)}"
    if item.status != "stale":
        said = {
            "pinned": f"was read at {short(item.read)}, whatever the branch",
            "branch gone": f"was read on {safe(item.branch or '?')}, which is gone",
            "commit gone": f"was read at {short(item.read)}, which is gone",
            "database not here": "is in a database that is not here: DOLTFLOW_DATABASES may name its folder or address",
        }
        return f"{name} {said.get(item.note, safe(item.note))}" if item.note else ""
    amounts = ((item.added, "added"), (item.removed, "removed"), (item.modified, "modified"))
    rows = ", ".join(f"{count(number, 'row')} {verb}" for number, verb in amounts if number)
    branch = safe(item.branch or "?")
    if item.note.startswith("dropped"):
        return f"{name} was dropped on {branch}"
    return f"{name} has changed on {branch}: {', '.join(part for part in (rows, safe(item.note)) if part)}"


def _changed(table: "TableStatus") -> str:
    by = table.changed_by
    if by is None:
        return "dropped since" if table.note == "dropped" else ""
    verb = "dropped" if table.note == "dropped" else "changed"
    who = f"by {safe(by.run)}" if by.run else f"by hand: {safe(by.author)}"
    return f"{verb} since {', '.join((who, moment(by.date), f'“{first_line(by.message)}”'))}"
