"""Options that several commands have."""

from typing import Annotated, Literal

import typer

JsonOption = Annotated[Literal["text", "json"], typer.Option("--output", help="How to answer.")]
