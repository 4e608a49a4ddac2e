"""`doltflow trace`."""

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from doltflow.cli.streams import aside, warn

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow trace variance_by_procedure\n"
    "  doltflow trace prices --database hospital-price-transparency --at main\n"
    "  doltflow trace HospitalPriceStateMedians/latest --zoom step --output mermaid"
)


def trace(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TABLE|RUN",
            help="A table's name, or a run: Flow/run_id, Flow/latest, a bare run id, or a step or task of it.",
            show_default=False,
        ),
    ],
    database: Annotated[
        str | None,
        typer.Option("--database", "-d", metavar="DB", help="The table's database, by name or folder."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="REF", help="The table as of this commit, tag or branch."),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Go at most this many arrows up from the target."),
    ] = None,
    zoom: Annotated[
        Literal["run", "step", "task"],
        typer.Option(help="Show whole runs, their steps, or their tasks."),
    ] = "run",
    output: Annotated[
        Literal["text", "json", "mermaid", "dot"],
        typer.Option(help="How to answer; json is networkx node-link data."),
    ] = "text",
) -> Iterator[str]:
    """Show where a table or a run's data came from, back to the source.

    Looks at the Dolt databases in the current folder and just below it, and at Metaflow's store.

    Without the store, the commits alone tell.
    """
    with aside():
        from doltflow.render.answer import trace_answer, trace_warnings
        from doltflow.trace import trace as ask

        result = ask(target, database=database, at=at, depth=depth, zoom=zoom)
    warn(trace_warnings(result, output))
    return trace_answer(result, output, sys.stdout)
