"""Options that several commands have."""

from typing import Annotated, Literal

import typer

JsonOption = Annotated[Literal["text", "json"], typer.Option("--output", help="How to answer.")]

AtOption = Annotated[
    str | None,
    typer.Option(
        metavar="REF",
        help="As of this commit, tag, branch, HEAD~2 or date; a date alone is the end of that day, and without a zone "
        "your own is meant.",
    ),
]
SinceOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="Only from this date on: 2026-03-01, or `2026-03-01 12:00`.")
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="Only up to this date; a date alone is the end of that day.")
]
