"""`doltflow log`."""

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from doltflow.cli.options import AtOption, SinceOption, UntilOption
from doltflow.cli.streams import aside, note, warn

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow log\n"
    "  doltflow log hospital-price-transparency --table prices --until 2021-02-28\n"
    "  doltflow log --since 2021-03-01 --output jsonl"
)
_ON_TERMINAL = 20


def log(
    database: Annotated[
        str | None,
        typer.Argument(
            metavar="DATABASE",
            help="The database, by name or folder; all that are here without it.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Only the commits that changed this table.")
    ] = None,
    at: AtOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help=f"Only the newest N; by default {_ON_TERMINAL} on a terminal, else all.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Literal["text", "json", "jsonl"], typer.Option(help="How to answer; jsonl is one commit a line.")
    ] = "text",
) -> Iterator[str]:
    """List commits, with the runs that made them.

    Newest first, each with the tables that it changed. Of each database its default branch, or what --at names.
    """
    from doltflow.render.terminal import is_terminal

    few = _ON_TERMINAL if limit is None and output == "text" and is_terminal(sys.stdout) else None
    with aside():
        from doltflow.log import log as ask
        from doltflow.render.log import log_answer

        result = ask(database, table=table, at=at, since=since, until=until, limit=few if limit is None else limit)
    warn(result.warnings)
    if not result.commits and output == "text" and limit != 0:
        note("No commit is as asked for.")
    if few is not None and result.more:
        note(f"These are the newest {few}; `--limit` shows more.")
    return log_answer(result, output, sys.stdout)
