"""What a commit spoiled, as text, as JSON and as a graph in any form that a trace has."""

from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import RenderableType
from rich.text import Text

from doltflow.model.run import Run
from doltflow.render import labels
from doltflow.render.accesses import version_name
from doltflow.render.envelope import envelope
from doltflow.render.forms import node_link
from doltflow.render.graphs import GraphOutput, graph_text, graph_warnings
from doltflow.render.sections import indented, section
from doltflow.render.terminal import drawn
from doltflow.render.text import count, first_line, moment, safe, short

if TYPE_CHECKING:
    from doltflow.impact import ImpactResult, SpoiledTable


def impact_warnings(result: "ImpactResult", output: GraphOutput) -> tuple[str, ...]:
    """The warnings of an impact, and those of the form that was asked for."""
    return (*result.warnings, *graph_warnings(result.graph, output))


def impact_answer(result: "ImpactResult", output: GraphOutput, stream: TextIO | None) -> Iterator[str]:
    """The answer of `doltflow impact`."""
    match output:
        case "json":
            yield envelope("impact", impact_data(result))
        case "text":
            yield drawn(_text(result), stream)
        case _:
            yield graph_text(result.graph, output, _about(result))


def _about(result: "ImpactResult") -> dict[str, Any]:
    return {
        "database": result.commit.database,
        "commit": result.commit.hash,
        "warnings": list(result.warnings),
    }


def impact_data(result: "ImpactResult") -> dict[str, Any]:
    """`database`, `commit`, `changed`, `tables`, `runs`, `branches`, `graph` as node-link data, and `warnings`."""
    return {
        "database": result.commit.database,
        "commit": result.commit.hash,
        "changed": [version.table for version in result.changed],
        "tables": [
            {
                "database": item.version.database,
                "table": item.version.table,
                "commit": item.version.commit,
                "date": item.date.astimezone(UTC).isoformat() if item.date is not None else None,
                "run": item.run,
            }
            for item in result.tables
        ],
        "runs": [run.pathspec for run in result.runs],
        "branches": [
            {
                "database": head.version.database,
                "branch": head.branch,
                "table": head.version.table,
                "commit": head.version.commit,
            }
            for head in result.branches
        ],
        "graph": node_link(result.graph),
        "warnings": list(result.warnings),
    }


def _text(result: "ImpactResult") -> Iterator[RenderableType]:
    commit = result.commit
    title = f"{safe(commit.database)} @ {short(commit.hash)}"
    yield Text(title, style="bold yellow", overflow="fold")
    yield from indented(
        labels.joined(safe(commit.author), moment(commit.date), f"“{first_line(commit.message)}”"),
        f"changed {', '.join(safe(version.table) for version in result.changed)}",
        labels.joined(
            count(len(result.tables), "spoiled version"),
            count(len(result.runs), "run"),
            f"{count(len({(h.version.database, h.branch) for h in result.branches}), 'head')} still spoiled",
        ),
    )
    yield from section("Spoiled versions of tables", (part for item in result.tables for part in _table(item)))
    yield from section("Runs that spoiled data went into", (part for run in result.runs for part in _run(run)))
    if result.branches:
        yield from section("Branches whose head has spoiled data", _branches(result))
    else:
        yield Text()
        yield Text("No branch's head has spoiled data any more.", style="bold", overflow="fold")


def _table(item: "SpoiledTable") -> Iterator[RenderableType]:
    version = item.version
    yield from indented(version_name(version.database, version.table, version.commit), style="bold cyan")
    yield from indented(labels.joined(moment(item.date), f"by {safe(item.run)}" if item.run else "by hand"), columns=4)


def _run(run: Run) -> Iterator[RenderableType]:
    yield from indented(safe(run.pathspec), style=labels.run_style(run.status))
    status = "status unknown" if run.status == "unknown" else run.status
    yield from indented(labels.joined(moment(run.started), status, labels.rerun_note(run.rerun_of)), columns=4)


def _branches(result: "ImpactResult") -> Iterator[RenderableType]:
    found: dict[tuple[str, str], list[str]] = {}
    for head in result.branches:
        name = f"{safe(head.version.table)} @ {short(head.version.commit)}"
        found.setdefault((head.version.database, head.branch), []).append(name)
    for (database, branch), names in found.items():
        yield from indented(f"{safe(branch)} of {safe(database)}: {', '.join(names)}")
