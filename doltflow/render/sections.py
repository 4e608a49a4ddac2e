"""Text in sections: a title, and below it lines that are folded on a narrow terminal, never cut."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text


def section(title: str, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
    """An empty line, a title and the parts; nothing where there are none."""
    listed = list(parts)
    if listed:
        yield Text()
        yield Text(title, style="bold", overflow="fold")
        yield from listed


def indented(*lines: str, columns: int = 2, style: str = "") -> Iterator[RenderableType]:
    """The lines that say something."""
    for line in lines:
        if line:
            yield Padding(Text(line, style=style, overflow="fold"), (0, 0, 0, columns), expand=False)


def hanging(text: Text, columns: int) -> RenderableType:
    """A text so many columns from the left, folded and never cut."""
    text.overflow = "fold"
    return Padding(text, (0, 0, 0, columns), expand=False)
