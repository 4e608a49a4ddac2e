"""How many rows are taken at a time: so many that their bytes are few, as those of the first ones tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from doltflow.sources.dolt.connection import Stream, weight

PLAIN_ROWS = 5_000
"""So many rows are at most in a piece of the plain connection, which holds each value as an object of Python's."""
PLAIN_BYTES = 4 << 20
"""With so many bytes a piece of the plain connection is full."""
BATCH_BYTES = 16 << 20
"""A batch of the bulk reader is to have at most so many bytes."""
HELD_BYTES = 32 << 20
"""So many bytes the bulk reader may have read that nobody has taken yet."""
_LONG_VALUE = 512
"""Of values as long as this the plain connection reads as many bytes as the bulk reader, and asks only once."""


@dataclass(frozen=True, slots=True)
class First:
    """The first rows of a result.

    Attributes:
        rows: They, as texts.
        size: Their bytes.
    """

    rows: list[tuple[object, ...]]
    size: int

    @classmethod
    def of(cls, found: Stream, count: int) -> "First":
        """Takes at most so many rows, and no more than make a piece."""
        rows = found.take(count, PLAIN_BYTES)
        return cls(rows, weight(rows))

    @property
    def is_full(self) -> bool:
        """Whether they end for their bytes."""
        return self.size >= PLAIN_BYTES

    def bulk_pays(self, count: int) -> bool:
        """Whether it pays to ask the bulk reader, if so many rows at least make up for a second asking."""
        values = sum(map(len, self.rows[:1])) * len(self.rows)
        return (len(self.rows) >= count or self.is_full) and self.size < _LONG_VALUE * values

    def fitting(self, size: int, most: int) -> int:
        """How many rows like these have so many bytes; at most `most`."""
        return max(1, min(most, size * len(self.rows) // max(1, self.size)))


def plain_piece(found: Stream, most: int = PLAIN_ROWS) -> Sequence[tuple[object, ...]]:
    """The next rows of a plain connection, none at the end."""
    return found.take(min(most, PLAIN_ROWS), PLAIN_BYTES)
