"""Options that several commands have."""

import csv
from typing import Annotated, Literal

import typer

from doltflow.errors import UsageError

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


def _set_profile(profile: str | None) -> str | None:
    if profile is not None:
        from doltflow.workspace.settings import use_profile

        use_profile(profile)
    return profile


ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="The Metaflow profile whose store is meant.",
        callback=_set_profile,
        expose_value=False,
    ),
]
"""For every command that looks at Metaflow's store."""


def listed_names(columns: str) -> list[str]:
    """The names in a list with commas between them, each in double quotes where it has a comma itself."""
    try:
        names = next(csv.reader([columns], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        why = str(error).partition(" - ")[0]  # Behind it stands advice about files.
        raise UsageError(
            f"The columns `{columns}` cannot be told apart: {why}.", 'Write `a,b`, or `"a","b"`.'
        ) from error
    if "" in names:
        raise UsageError(f"A column in `{columns}` has no name.", "Write `a,b`.")
    return names
