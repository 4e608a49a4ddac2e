"""`doltflow status`."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from doltflow.cli.options import JsonOption, ProfileOption
from doltflow.cli.streams import answer, aside, note, warn

EPILOG = "Examples:\n\n\b\n  doltflow status\n  doltflow status variance_by_procedure --exit-code"


def status(
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="Only these tables; all without any.", show_default=False),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--database", "-d", metavar="DB", help="Only the tables of this database, by name or folder."),
    ] = None,
    is_exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 1 if a table is stale or unknown."),
    ] = False,
    _profile: ProfileOption = None,
    output: JsonOption = "text",
) -> Iterator[str]:
    """Show which tables are stale, and which runs to repeat.

    A table is stale where a table that its run read has changed since, on the branch that was read. What the run had
    written itself is no input. A table is unknown where none of them has, and one is in a database that
    is not here or was read at a commit that is gone.

    Its run is production's: the newest successful one that wrote it and is no rerun. A table that is made from a stale
    one counts as fresh until that one is made again; that it waits is said.
    """
    with aside():
        from doltflow.render.status import status_answer
        from doltflow.status import status as ask

        result = ask(tables or (), database=database)
    warn(result.warnings)
    if not result.tables and output == "text":
        note("No run that counts has written a table here.")
    told = status_answer(result, output, sys.stdout)
    if is_exit_code and not result.is_fresh:
        answer(told)
        raise typer.Exit(1)
    return told
