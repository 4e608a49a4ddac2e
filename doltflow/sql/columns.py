"""Which columns of which tables a query reads, as far as that can be told without guessing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Outputs = frozenset[str] | None
"""The columns of a source in lower case; None where they are not known."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something in a FROM clause that has columns.

    Attributes:
        name: What its columns may be qualified with, in lower case.
        database: The qualifier of its name as written, in lower case.
        table: The table in lower case, where its columns are to be counted: one that is read at the pinned commit.
        outputs: Its columns.
    """

    name: str
    database: str | None = None
    table: str | None = None
    outputs: Outputs = None

    def has(self, column: str) -> bool:
        """Whether it certainly has a column."""
        return self.outputs is not None and column.lower() in self.outputs


Scopes = tuple[tuple[Source, ...], ...]
"""The sources of a query and of those that it is nested in, inner ones first."""


class ColumnReads:
    """The columns that a query reads.

    Args:
        schema: The columns of tables, where known.
    """

    def __init__(self, schema: Mapping[str, Sequence[str]]) -> None:
        self._schema = {table.lower(): {name.lower(): name for name in names} for table, names in schema.items()}
        self._used: dict[str, dict[str, str]] = {}
        self._untold: set[str] = set()
        self._whole: set[str] = set()

    def outputs(self, table: str) -> Outputs:
        """The columns of a table."""
        known = self._schema.get(table.lower())
        return None if known is None else frozenset(known)

    def of(self, table: str) -> tuple[str, ...] | None:
        """The columns that are read of a table, sorted; None for all, or where it cannot be told."""
        key = table.lower()
        return None if key in self._untold | self._whole else tuple(sorted(self._used.get(key, {}).values()))

    def is_whole(self, table: str) -> bool:
        """Whether certainly every column of a table is read."""
        return table.lower() in self._whole

    def use(self, source: Source, column: str) -> None:
        """Counts a column of a source."""
        if source.table is not None:
            spelling = self._schema.get(source.table, {}).get(column.lower(), column)
            self._used.setdefault(source.table, {}).setdefault(column.lower(), spelling)

    def use_star(self, sources: Sequence[Source]) -> None:
        """Counts every column of some sources."""
        self._whole.update(source.table for source in sources if source.table is not None)

    def use_some(self, sources: Sequence[Source]) -> None:
        """Counts columns of some sources where nobody can tell which."""
        self._untold.update(source.table for source in sources if source.table is not None)

    def use_table(self, table: str) -> None:
        """Counts columns of a table that has no source of its own; nobody can tell which."""
        self._untold.add(table.lower())

    def use_unqualified(self, column: str, scopes: Scopes) -> None:
        """Counts a column without a qualifier: of the only source that it can belong to, or of none for certain."""
        found = self._candidates(column, scopes)
        if len(found) == 1 or all(source.has(column) for source in found):
            for source in found:
                self.use(source, column)
        else:
            self.use_some(found)

    def use_if_column(self, alias: str, scopes: Scopes) -> None:
        """Counts what is either an alias or a column."""
        self.use_some(self._candidates(alias, scopes))

    @staticmethod
    def _candidates(column: str, scopes: Scopes) -> list[Source]:
        """The sources that it may belong to: from inside out, those with unknown columns up to those that have it."""
        found: list[Source] = []
        for sources in scopes:
            if certain := [source for source in sources if source.has(column)]:
                return found + certain
            found += [source for source in sources if source.outputs is None]
        return found
