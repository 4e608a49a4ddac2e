"""`doltflow audit`."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from doltflow.cli.options import JsonOption, ProfileOption
from doltflow.cli.streams import answer, aside, warn

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow audit --exit-code\n"
    "  doltflow audit HospitalPriceStateMedians/latest\n"
    "  doltflow audit state_procedure_medians --output json"
)


def audit(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|TABLE",
            help="A run: Flow/run_id, Flow/latest or a bare run id. Or a table, also as database/table: the runs that "
            "wrote it, and what became of it. All without it.",
            show_default=False,
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--database", "-d", metavar="DB", help="Only what is about this database, by name or folder."),
    ] = None,
    is_exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 1 if something disagrees."),
    ] = False,
    is_repair: Annotated[
        bool,
        typer.Option("--repair-index", help="First make doltflow's cache of the histories anew; no data is touched."),
    ] = False,
    _profile: ProfileOption = None,
    output: JsonOption = "text",
) -> Iterator[str]:
    """Name where commits and runs tell different stories.

    Named are commits and runs that are gone, rewritten or not whose they are said to be; reads and writes that only
    one record has; records that cannot be read; and tables that were changed by hand after a run had written them.

    It only reads the databases and the store.
    """
    with aside():
        from doltflow.audit import audit as ask
        from doltflow.render.audit import audit_answer

        result = ask(target, database=database, repair_index=is_repair)
    warn(result.warnings)
    told = audit_answer(result, output, sys.stdout)
    if is_exit_code and result.findings:
        answer(told)
        raise typer.Exit(1)
    return told
