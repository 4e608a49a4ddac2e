"""`doltflow cat`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from doltflow.cli.options import AtOption, ProfileOption, listed_names
from doltflow.cli.streams import aside, note, save, spare_pandas, warn
from doltflow.errors import UsageError

if TYPE_CHECKING:
    from doltflow.render.cat import CatOutput

EPILOG = (
    'csv: NULL is empty and an empty text is ""; decimals and integers have every digit, binary values are 0x… in '
    "hexadecimal, booleans 1 and 0.\n\n"
    "jsonl: one object a line; integers, floats and booleans as such; decimals as text, so that no digit is lost; "
    "dates, times and binary values as in csv.\n\n"
    "parquet: Arrow's types as `DoltDT.read` gives them.\n\n"
    "Examples:\n\n\b\n"
    "  doltflow cat variance_by_procedure --limit 5\n"
    "  doltflow cat prices --at 2021-02-28 --where \"code = '0001A'\" --columns payer,price\n"
    "  doltflow cat prices --run HospitalPriceStateMedians/latest --to prices.parquet"
)


def cat(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A table's name, or database/table.", show_default=False)
    ],
    database: Annotated[
        str | None,
        typer.Option("--database", "-d", metavar="DB", help="The table's database, by name or folder."),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="The table as this run, step or task wrote it, else as it read it: Flow/run_id, Flow/latest, or a "
            "bare run id.",
        ),
    ] = None,
    at: AtOption = None,
    where: Annotated[
        str | None, typer.Option(metavar="P", help="Only the rows that fulfil this SQL predicate.")
    ] = None,
    columns: Annotated[str | None, typer.Option(metavar="A,B", help="Only these columns, in this order.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only the first N rows.")] = None,
    _profile: ProfileOption = None,
    output: Annotated[
        Literal["csv", "parquet", "jsonl"] | None,
        typer.Option(help="How to answer; by default as FILE's name ends, else csv.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write into this file; one that is there is replaced.")
    ] = None,
) -> Iterator[str | bytes]:
    """Print a table as it is, or as a run or a date saw it.

    With neither --run nor --at: the table on its database's default branch.
    """
    from doltflow.render.terminal import is_terminal

    form = output or _form_of(to)
    shown = to is None and is_terminal(sys.stdout)
    if shown and form == "parquet":
        raise UsageError(
            "Parquet is binary, and standard output is a terminal.", "Name a file with `--to`, or use a pipe."
        )
    with aside():
        spare_pandas()
        from doltflow.cat import cat as ask
        from doltflow.render.cat import cat_answer, cat_note, saved_note

        names = listed_names(columns) if columns is not None else None
        result = ask(table, database=database, run=run, at=at, where=where, columns=names, limit=limit)
    warn(result.warnings)
    if run is not None or at is not None:
        note(cat_note(result))
    pieces = cat_answer(result, form, shown=shown)
    if to is None:
        return pieces
    save(to, pieces)
    note(saved_note(result, to))
    return iter(())


def _form_of(file: Path | None) -> "CatOutput":
    match file.suffix.lower() if file is not None else "":
        case ".parquet":
            return "parquet"
        case ".jsonl" | ".ndjson":
            return "jsonl"
        case _:
            return "csv"
