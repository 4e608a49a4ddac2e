"""What one can ask a database while it is open."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from doltflow.errors import (
    ColumnNotFoundError,
    ConnectionLostError,
    RefNotFoundError,
    TableNotFoundError,
    UsageError,
    nearest,
)
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.quoting import quote
from doltflow.model.row import RowChanges
from doltflow.sources.dolt import cells, history, past, refs, rowkeys, standing, stats
from doltflow.sources.dolt.between import between
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.definition import Definition, definition, renamed_columns, renamed_tables, schema_statements
from doltflow.sources.dolt.folder import Folder
from doltflow.sources.dolt.past import Part
from doltflow.sources.dolt.reading import reading
from doltflow.sources.dolt.remains import remains
from doltflow.sources.dolt.stats import ChangedRows

if TYPE_CHECKING:  # Arrow and the writing of frames take half a second to import, and most commands need neither.
    import pyarrow as pa

    from doltflow.sources.dolt.batches import Batches
    from doltflow.sources.dolt.database import Database
    from doltflow.sources.dolt.differing import Both, Where
    from doltflow.sources.dolt.remotes import Remote
    from doltflow.sources.dolt.write import StoredWrite, Write


class Session:
    """What one can ask a database while it is open. Every question names its commit or branch."""

    def __init__(self, database: "Database", connection: Connection, version: str) -> None:
        self.database = database
        self.version = version
        self._connection = connection
        self._reading: Connection | None = None
        self._reads_at = connection.endpoint

    def close(self) -> None:
        """Closes what the session has opened itself."""
        if self._reading is not None:
            self._reading.close()

    def _asking(self, written: str | None, at: str | None = None) -> Connection:
        """The connection for a statement: where a user has written a part of it, the one that can only read.

        Args:
            written: What a user has written.
            at: The commit to use.
        """
        asking = self._connection if written is None else self._read_only()
        if at is not None:
            asking.use(at)
        return asking

    def _read_only(self) -> Connection:
        if self._reading is None or self._reads_at != self._connection.endpoint:  # The server is another one by now.
            self.close()
            self._reading, self._reads_at = reading(self._connection), self._connection.endpoint
        return self._reading

    @property
    def name(self) -> str:
        """The database's name."""
        return self.database.name

    def is_alive(self) -> bool:
        """Whether the server still answers."""
        return self._connection.is_alive()

    def default_branch(self) -> str:
        """The branch of the folder's head, else the server's default."""
        head = self.database.location.head_branch()
        if head is not None and head in self.branches():
            return head
        self._connection.use()
        return str(self._connection.value("select active_branch()"))

    def branches(self) -> dict[str, str]:
        """The head commit of every branch, by its name."""
        self._connection.use()
        return refs.branches(self._connection)

    def branch_head(self, branch: str) -> str:
        """The head commit of a branch.

        Raises:
            RefNotFoundError: There is no such branch.
        """
        known = self.branches()
        if branch not in known:
            raise RefNotFoundError(f"`{self.name}` has no branch `{branch}`.", nearest(branch, known))
        return known[branch]

    def resolve(self, ref: str) -> str:
        """The full hash of a branch, tag, commit or prefix of one, with `~n` where wanted.

        Raises:
            RefNotFoundError: There is none.
        """
        return refs.resolve(self._connection, ref, self.name)

    def has_commit(self, hash_: str) -> bool:
        """Whether the database has a commit with that full hash."""
        if not refs.HASH.fullmatch(hash_):
            return False
        self._connection.use()
        query = "select 1 from dolt_commits where commit_hash = %s"
        return bool(self._connection.rows(query, [hash_])) or refs.is_commit(self._connection, hash_)

    def commit(self, hash_: str) -> Commit:
        """The commit with a full hash.

        Raises:
            RefNotFoundError: There is none.
        """
        self._connection.use()
        return self._named(history.commit(self._connection, hash_))

    def log(self) -> list[Commit]:
        """The commits of all branches, newest first."""
        return [self._named(commit) for commit in history.log(self._connection)]

    def commits_of_task(self, pathspec: Pathspec, branch: str) -> list[Commit]:
        """The commits that a task made on a branch, newest first."""
        return [self._named(c) for c in history.commits_of_task(self._connection, pathspec, branch)]

    def _named(self, commit: Commit) -> Commit:
        return commit if commit.database == self.name else replace(commit, database=self.name)

    def last_change(self, table: str, at: str) -> str:
        """The hash of the commit that made a table what it is at a commit."""
        return history.last_change(self._connection, table, at)

    def changes(self, table: str, at: str) -> list[str]:
        """The hashes of the commits that changed a table, at a commit and before, newest first."""
        return history.changes(self._connection, table, at)

    def changes_between(self, table: str, before: str, after: str) -> list[str]:
        """The hashes of the commits that lead from one version of a table to another; see `history`."""
        return history.changes_between(self._connection, table, before, after)

    def touching(self, table: str) -> list[str]:
        """The hashes of the commits of all branches that changed a table."""
        return history.touching(self._connection, table)

    def made_by_runs(self, heads: Sequence[str], known: Sequence[str]) -> list[tuple[str, str, float]]:
        """Commits by runs: hash, pathspec of the task and seconds since the epoch, newest first.

        Args:
            heads: The commits to begin with.
            known: Those that they reach are left out, these included.
        """
        return history.made_by_runs(self._connection, heads, known)

    def reaches(self, heads: Sequence[str], others: Sequence[str]) -> bool:
        """Whether each of the other commits is one of the heads or an ancestor of one."""
        return history.reaches(self._connection, heads, others)

    def table_hash(self, table: str, at: str) -> str | None:
        """The content hash of a table at a commit, schema included; None where it is not there."""
        return refs.hash_of_table(self._connection, table, at)

    def tables(self, at: str) -> list[str]:
        """The names of the tables at a commit."""
        return refs.tables(self._connection, at)

    def find_table(self, table: str, at: str) -> str:
        """The table's name as the database spells it.

        Raises:
            TableNotFoundError: It is not there at that commit.
        """
        return refs.find_table(self._connection, table, at, self.name)

    def column_names(self, table: str, at: str) -> list[str]:
        """The names of a table's columns at a commit, in order."""
        self._connection.use(at)
        return [column.name for column in refs.table_columns(self._connection, table) or ()]

    def row_count(self, table: str, at: str) -> int:
        """How many rows a table has at a commit."""
        self._connection.use(at)
        return int(self._connection.value(f"select count(*) from {quote(table)}"))

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

    def diff(self, table: str, from_commit: str, to_commit: str) -> "pa.Table":
        """The rows of a table that differ between two commits, as Dolt's `dolt_diff` gives them."""
        from doltflow.sources.dolt.fetch import fetch_query

        self._connection.use(to_commit)
        return fetch_query(self._connection, f"select * from {between(from_commit, to_commit, table)}")

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

    def compose(self, base: str, other: str, tables: Sequence[str]) -> str:
        """A commit that has some tables of `other`, and all else of `base`. No branch leads to it."""
        return refs.compose(self._connection, base, other, tables)

    def create_branch(self, name: str, commit: str) -> None:
        """Makes a branch at a commit; see `doltflow.sources.dolt.refs.create_branch`."""
        refs.create_branch(self._connection, name, commit, self.name)

    def remove_branch(self, name: str) -> None:
        """Removes a branch with all that only it leads to."""
        refs.remove_branch(self._connection, name)

    def changed_columns(self, table: str, before: str, after: str, columns: Sequence[str]) -> list[str]:
        """Those of some columns in which rows were modified between two commits."""
        return refs.changed_columns(self._connection, table, before, after, columns)

    def author(self) -> str | None:
        """`Name <mail>` as Dolt is configured here, or None where nobody configured it."""
        return self.database.location.author()

    def commit_at(self, head: str, moment: datetime) -> str:
        """The hash of the commit that a branch was at at a moment; see `doltflow.sources.dolt.past.commit_at`."""
        return past.commit_at(self._connection, head, moment, self.name)

    def part_of_log(self, part: Part) -> list[Commit]:
        """The wanted commits of a log, newest first."""
        return [self._named(commit) for commit in past.log(self._connection, part)]

    def changed_tables(self, head: str, commits: Sequence[Commit]) -> dict[str, tuple[str, ...]]:
        """The tables that each of some ancestors of a commit changed; see `doltflow.sources.dolt.past`."""
        return past.changed_tables(self._connection, head, commits)

    def lacking(self, table: str, head: str, commits: Sequence[str]) -> set[str]:
        """Those of some commits that changed a table and left none; see `doltflow.sources.dolt.past.lacking`."""
        return past.lacking(self._connection, table, head, commits)

    def views(self, at: str) -> list[str]:
        """The names of the views at a commit."""
        return past.views(self._connection, at)

    def view_definitions(self, at: str) -> dict[str, str]:
        """The queries of the views at a commit, by the views' names."""
        return past.view_definitions(self._connection, at)

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

    def changed_rows(self, table: str, from_commit: str, to_commit: str) -> ChangedRows | None:
        """By how many rows a table differs between two commits; None where its primary key changed."""
        return stats.changed_rows(self._connection, table, from_commit, to_commit)

    def definition(self, table: str, at: str) -> Definition | None:
        """How a table is declared at a commit; None where it is not there."""
        return definition(self._connection, table, at)

    def renamed_tables(self, before: str, after: str) -> dict[str, str]:
        """The names that tables had at a commit, by the names that they have at another; only those that differ."""
        return renamed_tables(self._connection, before, after)

    def renamed_columns(self, table: str, before: str, after: str) -> dict[str, str]:
        """The names that columns had at a commit, by the names that they have at another; only those that differ."""
        return renamed_columns(self._connection, table, before, after)

    def schema_statements(self, table: str, before: str, after: str) -> list[str]:
        """The statements by which Dolt would turn the declaration at one commit into that at another."""
        return schema_statements(self._connection, table, before, after)

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

    def is_reshaped(self, table: str, from_commit: str, to_commit: str) -> bool:
        """Whether the schema of a table, which is there at both commits, differs between them."""
        return stats.is_reshaped(self._connection, table, from_commit, to_commit)

    def check_where(self, table: str, at: str, where: str, others: Sequence[tuple[str, str | None]]) -> None:
        """Makes sure that a predicate can be applied to a table; see `doltflow.sources.dolt.differing.check_where`."""
        from doltflow.sources.dolt.differing import check_where

        check_where(self._asking(where), table, at, where, others)

    def reached(self) -> set[str]:
        """The hashes of the commits that a branch or a tag leads to; see `doltflow.sources.dolt.standing`."""
        return standing.reached(self._connection)

    def uncommitted(self, branch: str) -> list[str]:
        """The tables that have uncommitted changes on a branch; see `doltflow.sources.dolt.standing`."""
        return standing.uncommitted(self._connection, branch)

    # Remotes

    def _check_there(self, remote: "Remote") -> None:
        from doltflow.sources.dolt.clone import check_there

        if isinstance(self.database.location, Folder):  # Else its files are on the server's machine.
            check_there(remote.url)

    def remotes(self) -> "list[Remote]":
        """The remotes of the database, `origin` first."""
        from doltflow.sources.dolt.remotes import remotes

        return remotes(self._connection)

    def remote(self, asked: str | None = None) -> "Remote":
        """The remote that is meant by a name or an address; without one `origin`, else the only one.

        Raises:
            RemoteError: There is none, or it cannot be told which.
        """
        from doltflow.sources.dolt.remotes import choose

        return choose(self.remotes(), asked, self.name)

    def fetch(self, remote: "Remote") -> None:
        """Fetches what a remote has; see `doltflow.sources.dolt.remotes.fetch`."""
        from doltflow.sources.dolt.remotes import fetch

        self._check_there(remote)
        fetch(self._connection, remote)

    def pull(self, remote: "Remote", branch: str, author: str | None) -> None:
        """Brings a branch up to date with a remote's; see `doltflow.sources.dolt.remotes.pull`."""
        from doltflow.sources.dolt.remotes import pull

        self._check_there(remote)
        pull(self._connection, remote, branch, author)

    def push(self, remote: "Remote", branch: str, author: str | None) -> None:
        """Pushes a branch; see `doltflow.sources.dolt.remotes.push`."""
        from doltflow.sources.dolt.remotes import push

        self._check_there(remote)
        push(self._connection, remote, branch, author)
