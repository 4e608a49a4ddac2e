"""The commands and their options. Each one asks an operation and returns the answer's text; `entry` prints it.

Operations and renderers are imported inside the commands: `doltflow --help` must not wait for Metaflow.
"""

from typing import Annotated

import typer

from doltflow.cli.commands import audit, backtest, cat, demo, diff, impact, log, replay, runs, show, status, trace

app = typer.Typer(
    help="Where every number that a pipeline on Dolt and Metaflow produced came from.",
    epilog="Begin with: doltflow demo",
    # Plain help: on a narrow terminal rich's boxes cut the options' names, and they take twice the time.
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)


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


for _command, _epilog in (
    (trace.trace, trace.EPILOG),
    (runs.runs, runs.EPILOG),
    (show.show, show.EPILOG),
    (log.log, log.EPILOG),
    (cat.cat, cat.EPILOG),
    (impact.impact, impact.EPILOG),
    (status.status, status.EPILOG),
    (audit.audit, audit.EPILOG),
    (replay.replay, replay.EPILOG),
    (backtest.backtest, backtest.EPILOG),
    (diff.diff, diff.EPILOG),
    (demo.demo, demo.EPILOG),
):
    app.command(epilog=_epilog)(_command)
