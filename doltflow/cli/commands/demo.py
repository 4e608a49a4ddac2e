"""`doltflow demo`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from doltflow.cli.options import JsonOption
from doltflow.cli.streams import aside, note, warn

EPILOG = "Example:\n\n\b\n  doltflow demo"


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")] = Path("doltflow-demo"),
    output: JsonOption = "text",
) -> Iterator[str]:
    """Make and run an example, and trace its result.

    A folder with two Dolt databases of hospital prices and two flows, which are there to be copied.

    Takes under a minute. A second call in the same folder runs the flows once more.
    """
    with aside():
        from doltflow.demo import demo as make
        from doltflow.render.answer import demo_answer

        result, traced = make(folder, note), None
        if output == "text":
            from doltflow.trace import trace_table

            traced = trace_table("variance_by_procedure", folder=result.folder)
    warn(traced.warnings if traced else ())
    return demo_answer(result, traced, output, sys.stdout)
