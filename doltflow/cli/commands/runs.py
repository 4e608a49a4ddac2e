"""`doltflow runs`."""

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from doltflow.cli.options import ProfileOption, SinceOption, UntilOption
from doltflow.cli.streams import aside, note, warn

EPILOG = (
    "Examples:\n\n\b\n"
    "  doltflow runs\n"
    "  doltflow runs --flow HospitalPriceStateMedians --limit 5 --output jsonl\n"
    "  doltflow runs --since 2026-03-01 --until 2026-03-31"
)


def runs(
    flow: Annotated[str | None, typer.Option(metavar="FLOW", help="Only the runs of this flow.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only the newest N.")] = None,
    _profile: ProfileOption = None,
    output: Annotated[
        Literal["text", "json", "jsonl"], typer.Option(help="How to answer; jsonl is one run a line.")
    ] = "text",
) -> Iterator[str]:
    """List the runs that read or wrote tables in Dolt.

    Newest first, each with when it ran, how it ended, how long it took, and the tables with their commits.
    """
    with aside():
        from doltflow.render.answer import runs_answer
        from doltflow.runs import runs as ask

        result = ask(flow=flow, since=since, until=until, limit=limit)
    warn(result.warnings)
    if not result.runs and output == "text":
        asked = [f" {word} {value}" for word, value in (("of", flow), ("since", since), ("until", until)) if value]
        note(f"No run{''.join(asked)} has read or written a table in Dolt here.")
    return runs_answer(result, output, sys.stdout)
