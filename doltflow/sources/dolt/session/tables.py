"""What one can ask of tables, and their reading and writing."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from doltflow.errors import (
    ColumnNotFoundError,
    ConnectionLostError,
    TableNotFoundError,
    UsageError,
    nearest,
)
from doltflow.model.quoting import quote
from doltflow.sources.dolt import past, refs, standing
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.definition import Definition, definition
from doltflow.sources.dolt.session.commits import Commits

if TYPE_CHECKING:  # Arrow and the writing of frames take half a second to import, and most commands need neither.
    import pyarrow as pa

    from doltflow.sources.dolt.batches import Batches
    from doltflow.sources.dolt.write import StoredWrite, Write


class Tables(Commits):
    """Tables, and their reading and writing."""

    def tables(self, at: str) -> list[str]:
        """The names of the tables at a commit."""
        return refs.tables(self._connection, at)

    def find_table(self, table: str, at: str) -> str:
        """The table's name as the database spells it.

        Raises:
            TableNotFoundError: It is not there at that commit.
        """
        return refs.find_table(self._connection, table, at, self.name)

    def table_hash(self, table: str, at: str) -> str | None:
        """The content hash of a table at a commit, schema included; None where it is not there."""
        return refs.hash_of_table(self._connection, table, at)

    def column_names(self, table: str, at: str) -> list[str]:
        """The names of a table's columns at a commit, in order."""
        self._connection.use(at)
        return [column.name for column in refs.table_columns(self._connection, table) or ()]

    def row_count(self, table: str, at: str) -> int:
        """How many rows a table has at a commit."""
        self._connection.use(at)
        return int(self._connection.value(f"select count(*) from {quote(table)}"))

    def views(self, at: str) -> list[str]:
        """The names of the views at a commit."""
        return past.views(self._connection, at)

    def view_definitions(self, at: str) -> dict[str, str]:
        """The queries of the views at a commit, by the views' names."""
        return past.view_definitions(self._connection, at)

    def definition(self, table: str, at: str) -> Definition | None:
        """How a table is declared at a commit; None where it is not there."""
        return definition(self._connection, table, at)

    def uncommitted(self, branch: str) -> list[str]:
        """The tables that have uncommitted changes on a branch; see `doltflow.sources.dolt.standing`."""
        return standing.uncommitted(self._connection, branch)

    def read(
        self,
        table: str,
        at: str,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> "pa.Table":
        """Rows of a table at a commit.

        Args:
            table: The table's name, as the database spells it.
            at: Full hash of the commit.
            columns: The columns to take, in order; all without it.
            where: A predicate in SQL, checked by the caller.
            limit: At most so many rows, the first ones.

        Raises:
            TableNotFoundError, ColumnNotFoundError: The table or a column is not there.
            UsageError: No column was asked for.
        """
        from doltflow.sources.dolt.fetch import fetch_table

        wanted = self._wanted(table, at, columns)
        rest = [f"WHERE {where}"] if where else []
        rest += [f"LIMIT {limit:d}"] if limit is not None else []
        return fetch_table(self._asking(where or None, at), table, wanted, " ".join(rest))

    def read_batches(
        self, table: str, at: str, columns: Sequence[str] | None = None, where: str | None = None
    ) -> "Batches":
        """Rows of a table at a commit as `read` gives them, in batches; until their end the session serves only them.

        Raises:
            TableNotFoundError, ColumnNotFoundError, UsageError: As for `read`.
        """
        from doltflow.sources.dolt.batches import table_batches

        wanted = self._wanted(table, at, columns)
        return table_batches(self._asking(where or None, at), table, wanted, f"WHERE {where}" if where else "")

    def _wanted(self, table: str, at: str, columns: Sequence[str] | None) -> list[Column]:
        """The columns of a table that are to be read at a commit, which the connection uses from now on."""
        self._connection.use(at)
        known = refs.table_columns(self._connection, table)
        if known is None:
            raise TableNotFoundError(f"`{self.name}` has no table `{table}` at commit {at}.")
        if columns is not None and not columns:
            raise UsageError(f"No column of `{table}` was asked for.", "Leave `columns` out to read them all.")
        by_name = {column.name.casefold(): column for column in known}
        for name in columns or ():
            if name.casefold() not in by_name:
                raise ColumnNotFoundError(
                    f"The table `{table}` of `{self.name}` has no column `{name}` at commit {at}.",
                    nearest(name, [column.name for column in known]),
                )
        return known if columns is None else [by_name[name.casefold()] for name in columns]

    def query(self, query: str, at: str) -> "pa.Table":
        """The result of a query at a commit; that it only reads is checked by the caller."""
        from doltflow.sources.dolt.fetch import fetch_query

        return fetch_query(self._asking(query, at), query)

    def query_batches(self, query: str, at: str) -> "Batches":
        """The result of a query at a commit, in batches; until their end the session serves only them."""
        from doltflow.sources.dolt.batches import query_batches

        return query_batches(self._asking(query, at), query)

    def check_write(self, write: "Write", branch: str) -> None:
        """Makes sure, as far as can be told before, that a frame can be written.

        Raises:
            DirtyTableError: The table has uncommitted changes on that branch.
            SchemaMismatchError, BadValueError: The frame does not fit the table.
        """
        from doltflow.sources.dolt.write import check_before, existing_columns, plan

        head = self.branch_head(branch)
        check_before(self._connection, branch, write.table)
        self._connection.use(head)
        plan(write.frame, write.table, existing_columns(self._connection, write.table), write.mode, dict(write.types))

    def commit_writes(
        self, branch: str, writes: Sequence["Write"], message: str, author: str, undo: Sequence[str] = ()
    ) -> tuple[str, list["StoredWrite"]]:
        """Stores writes as one commit on a branch; see `doltflow.sources.dolt.write.commit_writes`."""
        from doltflow.sources.dolt.write import commit_writes

        with suppress(ConnectionLostError):  # Then the writing connects anew.
            self.branch_head(branch)  # Says what is wrong with a branch that is not there.
        return commit_writes(self._connection, branch, writes, message, author, undo)
