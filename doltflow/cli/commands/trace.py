"""`doltflow trace`."""

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from doltflow.cli.options import ProfileOption
from doltflow.cli.streams import aside, note, warn
from doltflow.errors import UsageError

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow trace variance_by_procedure\n"
    "  doltflow trace prices --database hospital-price-transparency --at main\n"
    "  doltflow trace prices --downstream\n"
    "  doltflow trace state_procedure_medians --key state=TX --key code=0002A --column price --history\n"
    "  doltflow trace prices --where \"code = 'Q2042' and price > 90000\"\n"
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
        typer.Option(metavar="REF", help="The table as of this commit, tag, branch, HEAD~2 or date."),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Go at most this many arrows away from the target."),
    ] = None,
    zoom: Annotated[
        Literal["run", "step", "task"],
        typer.Option(help="Show whole runs, their steps, or their tasks."),
    ] = "run",
    is_downstream: Annotated[
        bool,
        typer.Option("--downstream", help="Show what was made from the target instead."),
    ] = False,
    is_both: Annotated[
        bool,
        typer.Option("--both", help="Show what the target was made from and what was made from it."),
    ] = False,
    columns: Annotated[
        bool,
        typer.Option("--columns", help="Follow columns too: which were read and written, and what queries computed."),
    ] = False,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Only what last changed the table's rows that match, as behind WHERE."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only what last changed this row; once for each column of the key."),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="With --where or --key: only the cells of this column."),
    ] = None,
    is_history: Annotated[
        bool,
        typer.Option("--history", help="With --where or --key: every change, newest first, not only the last."),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="With --where: at most N rows; 20 without it."),
    ] = None,
    _profile: ProfileOption = None,
    output: Annotated[
        Literal["text", "json", "mermaid", "dot", "graphml", "csv"],
        typer.Option(
            help="How to answer; json is networkx node-link data, csv a line for each edge with its ends, their "
            "kinds, the table, the number of accesses, the rows and the columns."
        ),
    ] = "text",
) -> Iterator[str]:
    """Show where a table or a run's data came from, or went.

    Looks at the Dolt databases in the current folder and just below it, and at Metaflow's store.

    Without the store, the commits alone tell.
    """
    if where is not None or key:
        if is_downstream or is_both or columns:
            raise UsageError("Rows are traced upstream.", "Leave `--downstream`, `--both` and `--columns` out.")
        if limit is not None and where is None:
            raise UsageError("`--limit` goes with `--where`.", "A key names one row.")
        with aside():
            from doltflow.render.answer import trace_warnings
            from doltflow.render.changes import limit_note, rows_answer, traced
            from doltflow.rows import LIMIT, parse_key, trace_rows

            found = trace_rows(
                target,
                where=where,
                key=parse_key(key) if key else None,
                column=column,
                history=is_history,
                database=database,
                at=at,
                depth=depth,
                zoom=zoom,
                limit=LIMIT if limit is None else limit,
            )
        warn(trace_warnings(traced(found), output))
        if more := limit_note(found):
            note(more)
        return rows_answer(found, output, sys.stdout)
    if column is not None or is_history or limit is not None:
        raise UsageError("`--column`, `--history` and `--limit` are about rows.", "Say which by `--where` or `--key`.")
    with aside():
        from doltflow.render.answer import trace_answer, trace_warnings
        from doltflow.trace import Direction
        from doltflow.trace import trace as ask

        direction: Direction = "both" if is_both else "downstream" if is_downstream else "upstream"
        result = ask(target, database=database, at=at, depth=depth, zoom=zoom, columns=columns, direction=direction)
    warn(trace_warnings(result, output))
    return trace_answer(result, output, sys.stdout)
