"""`doltflow impact`."""

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from doltflow.cli.options import ProfileOption
from doltflow.cli.streams import aside, warn

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow impact hospital-price-transparency@main\n"
    "  doltflow impact hospital-price-transparency@HEAD~2 --table prices --output json"
)


def impact(
    commit: Annotated[
        str,
        typer.Argument(
            metavar="DATABASE@COMMIT",
            help="A database, by name or folder, and in it a commit, tag, branch, HEAD~2 or date.",
            show_default=False,
        ),
    ],
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Only what became of this table, of those that the commit changed."),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Go at most this many arrows away from the commit's tables."),
    ] = None,
    _profile: ProfileOption = None,
    output: Annotated[
        Literal["text", "json", "mermaid", "dot", "graphml", "csv"],
        typer.Option(help="How to answer; json has lists and the graph, the last four are the graph alone."),
    ] = "text",
) -> Iterator[str]:
    """Show what a wrong commit has spoiled.

    Spoiled is what was made later from the tables that it changed against its first parent, over all databases.

    A later version of such a table is spoiled too, unless the table is again as it was before.
    """
    with aside():
        from doltflow.impact import impact as ask
        from doltflow.render.impact import impact_answer, impact_warnings

        result = ask(commit, table=table, depth=depth)
    warn(impact_warnings(result, output))
    return impact_answer(result, output, sys.stdout)
