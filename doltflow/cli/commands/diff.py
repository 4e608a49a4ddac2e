"""`doltflow diff`."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from doltflow.cli.options import ProfileOption, listed_names
from doltflow.cli.streams import answer, aside, note, relay, spare_pandas, warn
from doltflow.errors import UsageError

if TYPE_CHECKING:
    from doltflow.compare.changed import Changed
    from doltflow.diff import DiffResult, DiffTable

Output = Literal["text", "json", "jsonl", "csv", "sql"]
_ROWS = ("jsonl", "csv", "sql")
"""Those that are nothing but rows."""

EPILOG = (
    "A and B are runs (Flow/run_id, Flow/latest, Flow/latest~1, a bare run id, a step or a task), DATABASE@REF with a "
    "commit, tag, branch or date, or a branch, such as that of a backtest. profile:Flow/run_id is a run in the store "
    "of another Metaflow profile.\n\n"
    "json: all of it, with a sample of the rows. jsonl, csv, sql: the rows alone, as they come; sql is a patch that "
    "makes B's table of A's.\n\n"
    "Examples:\n\n\b\n"
    "  doltflow diff HospitalPriceStateMedians/latest~1 HospitalPriceStateMedians/latest\n"
    "  doltflow diff hospital-price-transparency@HEAD~1 hospital-price-transparency@HEAD --stat\n"
    "  doltflow diff hospital-price-transparency@2021-01-31 hospital-price-transparency@main --table prices "
    "--where \"code = '0001A'\"\n"
    "  doltflow diff HospitalPriceStateMedians/latest backtest/9f8e7d6c --tolerance 1% --exit-code\n"
    "  doltflow diff hospital-price-transparency@HEAD~1 hospital-price-transparency@HEAD --table prices --output sql"
)


def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="What it was: a run, DATABASE@REF or a branch.", show_default=False)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What it is: the same.", show_default=False)],
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="TABLE", help="Only this table, also database/table; may be given again."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="P", help="Only rows that fulfil this SQL predicate in A or in B."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Compare only these columns; the key still tells rows apart."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Show at most N rows of each table; 10 in text and json, else all."),
    ] = None,
    is_stat: Annotated[bool, typer.Option("--stat", help="Only a line for each table.")] = False,
    tolerance: Annotated[
        str | None,
        typer.Option(metavar="ABS|REL%", help="Call numbers equal that lie no farther apart: 0.01, or 1% of A's."),
    ] = None,
    is_explained: Annotated[bool, typer.Option("--why/--no-why", help="Look for causes.")] = True,
    is_attributed: Annotated[
        bool,
        typer.Option(
            "--attribute", help="Run A again with B's data, code and parameters one by one: what does each explain?"
        ),
    ] = False,
    is_logged: Annotated[
        bool, typer.Option("--log", help="With --attribute: show what the flow prints, as it comes.")
    ] = False,
    is_told: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if something differs.")] = False,
    _profile: ProfileOption = None,
    output: Annotated[Output, typer.Option(help="How to answer.")] = "text",
) -> Iterator[str | bytes]:
    """Show what changed between two runs' outputs, and why.

    Of every table that either wrote: rows added, removed and modified, what became of its columns, and the first rows
    that differ. Below it what is not the same about the runs: data, code, parameters, environment.

    Equal content is known by its hash, and else only what differs is read, whatever the size of the table.
    """
    is_rows = output in _ROWS
    names = listed_names(columns) if columns is not None else ()
    if columns is not None and not names:
        raise UsageError("No column is named.", "Leave `--columns` out to compare them all.")
    _check(output, is_stat=is_stat, is_attributed=is_attributed, is_explained=is_explained, is_logged=is_logged,
           is_limited=limit is not None, is_narrowed=bool(where or columns or tolerance))  # fmt: skip
    with aside():
        spare_pandas()
        from doltflow.diff import LIMIT
        from doltflow.diff import diff as ask

        result = ask(
            a, b, tables=tables or (), where=where, columns=names,
            tolerance=tolerance, limit=LIMIT if limit is None else limit, why=is_explained and not is_rows,
            counted=not is_stat, walked=not is_rows, attribute=is_attributed, tell=note,
            log_line=relay if is_logged else None,
        )  # fmt: skip
    warn(result.warnings)
    if not is_rows:
        from doltflow.render.diff import diff_answer

        told: Iterator[str | bytes] = diff_answer(result, output, sys.stdout, stat=is_stat)
        is_different = not result.identical
    else:
        is_different = _answer_rows(result, output, limit)
        told = iter(())
    if is_told and is_different:
        answer(told)
        raise typer.Exit(1)
    return told


def _check(
    output: Output,
    *,
    is_stat: bool,
    is_attributed: bool,
    is_explained: bool,
    is_logged: bool,
    is_limited: bool,
    is_narrowed: bool,
) -> None:
    """Makes sure that the options go together.

    Raises:
        UsageError: They do not.
    """
    is_rows = output in _ROWS
    if is_stat and is_rows:
        raise UsageError(f"`--stat` gives no rows, and {output} is nothing but rows.", "Leave one of both out.")
    if is_attributed and is_rows:
        raise UsageError(f"`--attribute` explains, and {output} is nothing but rows.", "Take text or json.")
    if is_attributed and not is_explained:
        raise UsageError("`--attribute` explains, and `--no-why` asks for no explanation.", "Leave one of both out.")
    if is_logged and not is_attributed:
        raise UsageError("`--log` shows what a flow prints, and none is run.", "It goes with `--attribute`.")
    if output == "sql" and (is_narrowed or is_limited):
        raise UsageError(
            "A patch makes the whole of a table: `--where`, `--columns`, `--tolerance` and `--limit` would leave some "
            "of it out.",
            "`--table` chooses tables.",
        )


def _answer_rows(result: "DiffResult", output: Output, limit: int | None) -> bool:
    """Prints the rows that differ as they come, and tells whether anything does."""
    from doltflow.compare.changed import limited
    from doltflow.render.diff_rows import csv_changes, json_changes, patch_lines
    from doltflow.render.terminal import is_terminal

    different = [table for table in result.tables if not table.is_same]
    if output == "sql":
        answer(patch_lines(result, different, shown=is_terminal(sys.stdout)))
        return bool(different)
    if output == "csv" and len(different) > 1:
        names = ", ".join(f"{table.database}/{table.table}" for table in different)
        raise UsageError(f"CSV has rows of one table, and several differ: {names}.", "Choose one with `--table`.")
    seen = False

    def pieces(table: "DiffTable") -> "Iterator[Changed]":
        def noticed() -> "Iterator[Changed]":
            nonlocal seen
            for piece in result.changed(table):
                seen = True
                yield piece

        yield from limited(noticed(), limit)

    for table in different:
        # Their contents differ, if it is only in what no row shows.
        seen = seen or bool(table.schema_changes) or table.is_unwritten or result.asked.is_all
        if output == "csv":
            answer(csv_changes(pieces(table), shown=is_terminal(sys.stdout)))
        else:
            answer(json_changes(table, pieces(table)))
    return seen
