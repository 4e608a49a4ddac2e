"""The commands and their options. Each one asks an operation and returns the answer's text; `entry` prints it.

Operations and renderers are imported inside the commands: `doltflow --help` must not wait for Metaflow.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from doltflow.cli.streams import aside, note, warn

app = typer.Typer(
    help="Where every number that a pipeline on Dolt and Metaflow produced came from.",
    epilog="Begin with: doltflow demo",
    # Plain help: on a narrow terminal rich's boxes cut the options' names, and they take twice the time.
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)

JsonOption = Annotated[Literal["text", "json"], typer.Option("--output", help="How to answer.")]


def _version(asked: bool) -> None:
    if asked:
        from doltflow.versions import versions

        found = versions()
        typer.echo(f"doltflow {found.doltflow}")
        typer.echo(f"Dolt {found.dolt or 'is not on PATH'}")
        typer.echo(f"Metaflow {found.metaflow}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version, of Dolt and Metaflow too, and exit.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@app.command(
    epilog="Examples:\n\n\b\n"
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


@app.command(
    epilog="Examples:\n\n\b\n  doltflow runs\n  doltflow runs --flow HospitalPriceStateMedians --limit 5 --output jsonl"
)
def runs(
    flow: Annotated[str | None, typer.Option(metavar="FLOW", help="Only the runs of this flow.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only the newest N.")] = None,
    output: Annotated[
        Literal["text", "json", "jsonl"], typer.Option(help="How to answer; jsonl is one run a line.")
    ] = "text",
) -> Iterator[str]:
    """List the runs that read or wrote tables in Dolt, newest first.

    Each with when it ran, how it ended, how long it took, and the tables with their commits.
    """
    with aside():
        from doltflow.render.answer import runs_answer
        from doltflow.runs import runs as ask

        result = ask(flow=flow, limit=limit)
    warn(result.warnings)
    if not result.runs and output == "text":
        note(f"No run{f' of {flow}' if flow else ''} has read or written a table in Dolt here.")
    return runs_answer(result, output, sys.stdout)


@app.command(epilog="Example:\n\n\b\n  doltflow show HospitalPriceStateMedians/latest")
def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Flow/run_id, Flow/latest, a bare run id, or a step or task of it.",
            show_default=False,
        ),
    ],
    output: JsonOption = "text",
) -> Iterator[str]:
    """Show one run: parameters, code, and everything it read and wrote.

    Every read and write with its commit and its number of rows, and the commits that the run made.
    """
    with aside():
        from doltflow.render.answer import show_answer
        from doltflow.show import show as ask

        result = ask(run)
    warn(result.warnings)
    return show_answer(result, output, sys.stdout)


@app.command(epilog="Example:\n\n\b\n  doltflow demo")
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")] = Path("doltflow-demo"),
    output: JsonOption = "text",
) -> Iterator[str]:
    """Make and run an example, and trace its result.

    A folder with two Dolt databases of hospital prices and two flows, which are there to be copied.

    Takes under a minute. A second call in the same folder runs the flows once more.
    """
    with aside():
        from doltflow.demo import demo as make
        from doltflow.render.answer import demo_answer

        result, traced = make(folder, note), None
        if output == "text":
            from doltflow.trace import trace_table

            traced = trace_table("variance_by_procedure", folder=result.folder)
    warn(traced.warnings if traced else ())
    return demo_answer(result, traced, output, sys.stdout)
