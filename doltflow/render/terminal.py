"""The only way out to a terminal: what rich draws, as the text that a stream can show."""

import os
import re
from collections.abc import Iterable
from io import StringIO
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from doltflow.render.text import safe

# Where no terminal sets a width, no line is broken and no name is folded.
_ENDLESS = 1_000_000
_ASCII = str.maketrans({"·": "-", "…": "...", "“": '"', "”": '"', "←": "<-", "→": "->", "−": "-"})


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads the stream."""
    return stream is not None and stream.isatty()


def width(stream: TextIO | None) -> int | None:
    """How many characters fit on a line; None where any number does."""
    return _console(stream).width if is_terminal(stream) else None


def drawn(parts: Iterable[RenderableType], stream: TextIO | None) -> str:
    """What the stream is to be given: coloured and folded for a terminal, plain for anything else.

    Args:
        parts: What to draw, one below the other.
        stream: `sys.stdout` or `sys.stderr`; None where it is closed.
    """
    console = _console(stream)
    with console.capture() as capture:
        for part in parts:
            # A line that is not to be folded goes out whole: the terminal breaks it, and it can be copied as it was.
            console.print(part, soft_wrap=isinstance(part, Text) and bool(part.no_wrap))
    # Folded lines end in the space that they were broken at.
    text = re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)
    return text if console.encoding.startswith("utf") else text.translate(_ASCII)


def _console(stream: TextIO | None) -> Console:
    return Console(
        file=StringIO() if stream is None else stream,
        width=None if is_terminal(stream) else _ENDLESS,
        # rich would go on to print in bold.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        highlight=False,
        emoji=False,
    )


def warnings(texts: Iterable[str], stream: TextIO | None) -> str:
    """`warning: …`, one line each."""
    return drawn([_marked("warning", "bold yellow", text) for text in texts], stream)


def error(message: str, hint: str, stream: TextIO | None) -> str:
    """`error: …`, and below it what to do next."""
    lines = [_marked("error", "bold red", message)]
    return drawn([*lines, Text(safe(hint, lines=True))] if hint else lines, stream)


def _marked(mark: str, style: str, text: str) -> Text:
    return Text.assemble((f"{mark}: ", style), safe(text, lines=True))
