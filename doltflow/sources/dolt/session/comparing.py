"""What one can ask of rows, and of two versions of a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from doltflow.model.row import RowChanges
from doltflow.sources.dolt import cells, refs, rowkeys, stats
from doltflow.sources.dolt.between import between
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.definition import renamed_columns, renamed_tables, schema_statements
from doltflow.sources.dolt.remains import remains
from doltflow.sources.dolt.session.tables import Tables
from doltflow.sources.dolt.stats import ChangedRows

if TYPE_CHECKING:  # Arrow and the writing of frames take half a second to import, and most commands need neither.
    import pyarrow as pa

    from doltflow.sources.dolt.differing import Both, Where


class Comparing(Tables):
    """Rows, and two versions of a table."""

    def find_column(self, table: str, name: str, at: str) -> str:
        """A column's name as a table that has a key spells it.

        Raises:
            ColumnNotFoundError: There is none.
            NoKeyError: The table has no key.
        """
        return rowkeys.find_column(rowkeys.keyed_shape(self._connection, table, at), name, table, self.name)

    def key_of(self, table: str, given: Mapping[str, object], at: str) -> dict[str, object]:
        """A key as a user gave it, as values of its columns; see `doltflow.sources.dolt.rowkeys.key_of`."""
        return rowkeys.key_of(rowkeys.keyed_shape(self._connection, table, at), given, table, self.name)

    def matching_keys(self, table: str, at: str, where: str, limit: int) -> tuple[list[dict[str, object]], int]:
        """The keys of the rows that a predicate takes; see `doltflow.sources.dolt.rowkeys.matching`."""
        return rowkeys.matching(self._asking(where), table, at, where, limit)

    def removed_keys(self, table: str, at: str, where: str, limit: int) -> list[dict[str, object]]:
        """The keys of removed rows that a predicate took; see `doltflow.sources.dolt.rowkeys.removed`."""
        return rowkeys.removed(self._asking(where), table, at, where, limit)

    def row_changes(
        self,
        table: str,
        at: str,
        keys: Sequence[Mapping[str, object]],
        column: str | None = None,
        *,
        history: bool = False,
    ) -> list[RowChanges]:
        """Which commits changed rows; see `doltflow.sources.dolt.cells.row_changes`."""
        return cells.row_changes(self._connection, table, at, keys, column, history=history)

    def remains(self, table: str, before: str, done: str, later: str) -> bool | None:
        """Whether a table still has something of what a commit did; see `doltflow.sources.dolt.remains`."""
        return remains(self._connection, table, before, done, later)

    def diff(self, table: str, from_commit: str, to_commit: str) -> "pa.Table":
        """The rows of a table that differ between two commits, as Dolt's `dolt_diff` gives them."""
        from doltflow.sources.dolt.fetch import fetch_query

        self._connection.use(to_commit)
        return fetch_query(self._connection, f"select * from {between(from_commit, to_commit, table)}")

    def changed_rows(self, table: str, from_commit: str, to_commit: str) -> ChangedRows | None:
        """By how many rows a table differs between two commits; None where its primary key changed."""
        return stats.changed_rows(self._connection, table, from_commit, to_commit)

    def changed_columns(self, table: str, before: str, after: str, columns: Sequence[str]) -> list[str]:
        """Those of some columns in which rows were modified between two commits."""
        return refs.changed_columns(self._connection, table, before, after, columns)

    def renamed_tables(self, before: str, after: str) -> dict[str, str]:
        """The names that tables had at a commit, by the names that they have at another; only those that differ."""
        return renamed_tables(self._connection, before, after)

    def renamed_columns(self, table: str, before: str, after: str) -> dict[str, str]:
        """The names that columns had at a commit, by the names that they have at another; only those that differ."""
        return renamed_columns(self._connection, table, before, after)

    def schema_statements(self, table: str, before: str, after: str) -> list[str]:
        """The statements by which Dolt would turn the declaration at one commit into that at another."""
        return schema_statements(self._connection, table, before, after)

    def is_reshaped(self, table: str, from_commit: str, to_commit: str) -> bool:
        """Whether the schema of a table, which is there at both commits, differs between them."""
        return stats.is_reshaped(self._connection, table, from_commit, to_commit)

    def differing(
        self,
        table: str,
        ends: tuple[str, str],
        columns: "Sequence[Both]",
        where: "Where | None" = None,
        *,
        only_columns: bool = False,
    ) -> "Iterator[pa.Table]":
        """The rows of a table that differ between two commits; see `doltflow.sources.dolt.differing.differing`."""
        from doltflow.sources.dolt.differing import differing

        return differing(
            self._asking(where.text if where else None), table, ends, columns, where, only_columns=only_columns
        )

    def ordered(
        self,
        table: str,
        at: str,
        columns: Sequence[Column],
        order: Sequence[tuple[str, bool]],
        where: str | None = None,
        others: Sequence[tuple[str, str | None]] = (),
    ) -> "Iterator[pa.Table]":
        """All rows of a table in an order; see `doltflow.sources.dolt.differing.ordered`."""
        from doltflow.sources.dolt.differing import ordered

        return ordered(self._asking(where), table, at, columns, order, where, others)

    def check_where(self, table: str, at: str, where: str, others: Sequence[tuple[str, str | None]]) -> None:
        """Makes sure that a predicate can be applied to a table; see `doltflow.sources.dolt.differing.check_where`."""
        from doltflow.sources.dolt.differing import check_where

        check_where(self._asking(where), table, at, where, others)
