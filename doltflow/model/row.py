"""What a commit did to one row of a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Change = Literal["added", "modified", "removed"]
Row = Mapping[str, Any]
"""A row by the names that its columns had at its commit; a TIME is a text, a BIT a number."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A commit that changed a row.

    Attributes:
        commit: Full hash.
        before: The row as the commit found it, for a merge in its first parent; None where it was not there. A column
            that the commit renamed has its new name.
        after: The row as the commit left it; None where it removed the row.
        columns: The columns whose values it changed, in the table's order; of a row that it added or removed, all.
    """

    commit: str
    before: Row | None = field(hash=False)
    after: Row | None = field(hash=False)
    columns: tuple[str, ...]

    @property
    def change(self) -> Change:
        """What became of the row."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "modified"


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What became of one row.

    Attributes:
        key: The values of the columns of the table's key.
        is_there: Whether the row is there at the commit that was asked about.
        changes: The commits that changed the row, newest first; only the last one unless its history was asked for.
    """

    key: Row = field(hash=False)
    is_there: bool
    changes: tuple[RowChange, ...]
