"""Commits as text and as JSON."""

from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from doltflow.render import labels
from doltflow.render.envelope import envelope, line
from doltflow.render.terminal import drawn
from doltflow.render.text import first_line, moment, safe

if TYPE_CHECKING:
    from doltflow.log import LoggedCommit, LogResult


def log_answer(result: "LogResult", output: Literal["text", "json", "jsonl"], stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow log`; under `jsonl` line by line."""
    match output:
        case "json":
            yield envelope("log", log_data(result))
        case "jsonl":
            for item in result.commits:
                yield line(commit_data(item))
        case "text":
            yield drawn(_text(result), stream)


def log_data(result: "LogResult") -> dict[str, Any]:
    """`commits`, newest first, `more` and `warnings`."""
    return {
        "commits": [commit_data(item) for item in result.commits],
        "more": result.more,
        "warnings": list(result.warnings),
    }


def commit_data(item: "LoggedCommit") -> dict[str, Any]:
    """One commit, with the task that made it and the tables that it changed."""
    commit = item.commit
    return {
        "database": commit.database,
        "hash": commit.hash,
        "date": commit.date.astimezone(UTC).isoformat(),
        "author": commit.author,
        "email": commit.email,
        "message": commit.message,
        "run": str(commit.run.pathspec) if commit.run is not None else None,
        "tables": list(item.tables),
        "parents": list(commit.parents),
    }


def _text(result: "LogResult") -> Iterator[RenderableType]:
    for number, item in enumerate(result.commits):
        if number:
            yield Text()
        commit = item.commit
        # The hash is whole: it is there to be copied.
        yield Text(f"{safe(commit.hash)} {safe(commit.database)}", style="bold yellow", overflow="fold")
        yield _indented(labels.joined(moment(commit.date, seconds=True), safe(commit.author)))
        if commit.run is not None:
            yield _indented(f"Run: {safe(str(commit.run.pathspec))}", style="bold green")
        else:
            yield _indented(f"“{first_line(commit.message)}”")
        merged = f"merge of {len(commit.parents)} commits" if len(commit.parents) > 1 else ""
        changed = f"changed {', '.join(map(safe, item.tables))}" if item.tables else "changed no table"
        yield _indented(labels.joined(merged, changed))


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style, overflow="fold"), (0, 0, 0, 2), expand=False)
