"""Where the records disagree, as text and as JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from doltflow.render.envelope import envelope
from doltflow.render.terminal import drawn
from doltflow.render.text import count, safe

if TYPE_CHECKING:
    from doltflow.audit import AuditResult
    from doltflow.workspace.disagreements import Disagreement

_OF_TABLES = ("changed-by-hand", "uncommitted")


def audit_answer(result: "AuditResult", output: Literal["text", "json"], stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow audit`."""
    yield envelope("audit", audit_data(result)) if output == "json" else drawn(_text(result), stream)


def audit_data(result: "AuditResult") -> dict[str, Any]:
    """`findings`, `checked` and `warnings`."""
    return {
        "findings": [_finding_data(found) for found in result.findings],
        "checked": {"runs": result.runs, "commits": result.commits},
        "warnings": list(result.warnings),
    }


def _finding_data(found: "Disagreement") -> dict[str, Any]:
    return {
        "kind": found.kind,
        "run": found.run,
        "database": found.database,
        "commit": found.commit,
        "table": found.table,
        "message": found.message,
    }


def _text(result: "AuditResult") -> Iterator[RenderableType]:
    grouped: dict[tuple[str, str], list[Disagreement]] = {}
    for found in result.findings:
        if found.kind in _OF_TABLES:
            grouped.setdefault((f"{found.database}/{found.table}", "bold cyan"), []).append(found)
        else:
            grouped.setdefault((str(found.run), "bold green"), []).append(found)
    for (name, style), listed in grouped.items():
        yield Text(safe(name), style=style, overflow="fold")
        for found in listed:
            line = Text.assemble((f"{found.kind}: ", "bold red"), safe(found.message), overflow="fold")
            yield Padding(line, (0, 0, 0, 2), expand=False)
        yield Text()
    yield Text(_summary(result), style="bold", overflow="fold")


def _summary(result: "AuditResult") -> str:
    checked = f"{count(result.runs, 'run')} and {count(result.commits, 'commit')}"
    if result.findings:
        return f"{count(len(result.findings), 'disagreement')} in {checked}."
    if not result.runs:
        return "There is no record of a run to compare."
    return f"{checked} agree."
