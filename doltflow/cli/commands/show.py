"""`doltflow show`."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from doltflow.cli.options import JsonOption, ProfileOption
from doltflow.cli.streams import aside, warn

EPILOG = "Example:\n\n\b\n  doltflow show HospitalPriceStateMedians/latest"


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Flow/run_id, Flow/latest, a bare run id, or a step or task of it.",
            show_default=False,
        ),
    ],
    _profile: ProfileOption = None,
    output: JsonOption = "text",
) -> Iterator[str]:
    """Show one run, with all that it read and wrote.

    Parameters, code, every read and write with its commit and its number of rows, and the commits that it made.
    """
    with aside():
        from doltflow.render.answer import show_answer
        from doltflow.show import show as ask

        result = ask(run)
    warn(result.warnings)
    return show_answer(result, output, sys.stdout)
