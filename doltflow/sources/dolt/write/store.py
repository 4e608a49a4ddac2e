"""Writes as one commit on a branch, made where nobody sees it and moved there whole.

The work is done on a temporary branch and reaches the user's branch in one step: so a schema change and its rows belong
together, a failure leaves nothing, and uncommitted changes of other tables stay as they are.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doltflow.errors import ConnectionLostError, DoltError, ServerUnreachableError
from doltflow.model.access import Mode
from doltflow.model.quoting import quote
from doltflow.sources.dolt.between import between
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.definition import existing_columns
from doltflow.sources.dolt.leftovers import clear
from doltflow.sources.dolt.refs import hash_of, hash_of_table
from doltflow.sources.dolt.write.branch import branch_lock, check_clean, move, temporary_branch
from doltflow.sources.dolt.write.frame import PreparedFrame
from doltflow.sources.dolt.write.references import references_kept
from doltflow.sources.dolt.write.rows import fill
from doltflow.sources.dolt.write.schema import plan

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Write:
    """A frame that is to be written to a table."""

    table: str
    frame: PreparedFrame
    mode: Mode
    types: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredWrite:
    """What a write became.

    Attributes:
        table: The table's name.
        mode: How it was done.
        rows: How many rows the frame had.
        changed: Whether the table is another than before; than before a failed attempt, where one was taken back.
    """

    table: str
    mode: Mode
    rows: int
    changed: bool


def commit_writes(
    connection: Connection,
    branch: str,
    writes: Sequence[Write],
    message: str,
    author: str,
    undo: Sequence[str] = (),
) -> tuple[str, list[StoredWrite]]:
    """Stores all writes as one commit on a branch, or none of them.

    Where the server ends meanwhile it is tried again, by another one. Whether the branch has the commit is looked at
    first, so that it never has it twice.

    Args:
        connection: To the database.
        branch: The branch that is to have the commit.
        writes: In order.
        message: The commit's message.
        author: `Name <mail>`.
        undo: Commits whose changes are taken back first, the newest first: those of a failed attempt of the same task.

    Returns:
        The new commit's hash, and what became of each write. The commit is made even where nothing changed.

    Raises:
        DirtyTableError: A table has uncommitted changes on that branch.
        DatabaseLockedError: Other writers held the branch for longer than the limit.
        ConnectionLostError: The server ended again and again.
        SchemaMismatchError, BadValueError: A frame does not fit its table as it is now.
    """
    made: list[_Made] = []
    is_lost = False
    for attempt in range(1, _TRIES + 1):
        try:
            if not connection.is_alive():
                connection.reconnect()
            with branch_lock(connection, branch):
                clear(connection, branch)
                landed = _landed(connection, branch, made)
                is_lost = False
                landed = landed or _try(connection, branch, writes, message, author, undo, made)
                if landed is not None:
                    return landed.commit, [
                        StoredWrite(write.table, write.mode, write.frame.table.num_rows, is_changed)
                        for write, is_changed in zip(writes, landed.changed, strict=True)
                    ]
        except DoltError as error:
            is_lost = is_lost or isinstance(error, ConnectionLostError)
            comes_back = isinstance(error, ConnectionLostError | ServerUnreachableError) and is_lost
            if not comes_back or attempt == _TRIES:
                if is_lost and made:
                    raise _uncertain(error, branch, made) from error
                raise
        _pause(attempt)
    raise DoltError(
        f"The branch `{branch}` was moved by others {_TRIES} times while it was being written.", "Try again."
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A commit that was made, and may have reached the branch; and which of its writes changed their table."""

    commit: str
    changed: tuple[bool, ...]


def _uncertain(error: DoltError, branch: str, made: Sequence[_Made]) -> DoltError:
    """An error after which nobody could look whether the branch has the commit."""
    text = f"{error.message} Whether `{branch}` has the commit {made[-1].commit} by now, `dolt log` tells."
    return type(error)(text, error.hint)


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0.01, 0.1) * attempt)  # noqa: S311  Jitter is no secret.


def _try(
    connection: Connection,
    branch: str,
    writes: Sequence[Write],
    message: str,
    author: str,
    undo: Sequence[str],
    made: list[_Made],
) -> _Made | None:
    """Makes the commit and moves the branch to it; None where others have moved it meanwhile."""
    base = hash_of(connection, branch)
    for write in writes:
        check_clean(connection, branch, write.table)
    with temporary_branch(connection, branch, base) as temporary:
        connection.use(temporary)
        _undo(connection, undo, base, {write.table for write in writes if write.mode == "replace"})
        before = [hash_of_table(connection, write.table, temporary) for write in writes]
        with references_kept(connection, [write.table for write in writes], temporary, base):
            for write in writes:
                _apply(connection, write, connection.endpoint.load_folder)
        after = [hash_of_table(connection, write.table, temporary) for write in writes]
        changed = tuple(now != then for now, then in zip(after, before, strict=True))
        made.append(_Made(_commit(connection, message, author), changed))
        return made[-1] if move(connection, branch, base, made[-1].commit) else None


def _landed(connection: Connection, branch: str, made: Sequence[_Made]) -> _Made | None:
    """The one of these commits that the branch has."""
    connection.use(branch)
    for one in made:
        # A server that was killed may not have stored it.
        stored = connection.rows("select 1 from dolt_commits where commit_hash = %s", [one.commit])
        if stored and connection.value("select dolt_merge_base(%s, %s)", [one.commit, branch]) == one.commit:
            return one
    return None


def _undo(connection: Connection, commits: Sequence[str], base: str, replaced: set[str]) -> None:
    """Takes back what a failed attempt of the task committed, but for tables that this attempt replaces whole."""
    for commit in commits:
        _revert(connection, commit, replaced)
        # Dolt's revert drops a table that the commit made, but leaves that uncommitted.
        connection.rows("call dolt_add('-f', '-A')")
        connection.rows("call dolt_commit('--allow-empty', '-m', 'taken back')")
    if commits:
        connection.rows("call dolt_reset('--soft', %s)", [base])
        connection.rows("call dolt_add('-f', '-A')")


def _revert(connection: Connection, commit: str, replaced: set[str]) -> None:
    try:
        connection.rows("call dolt_revert(%s)", [commit])
    except DoltError as error:
        if "nothing to commit" in error.message:  # It changed nothing, or all that it did was to make a table.
            return
        if "conflict" in error.message and _take_back_rows(connection, commit, replaced):
            return
        why = "others have changed the same rows since" if "conflict" in error.message else error.message
        raise DoltError(
            f"The commit {commit} of this task's failed attempt cannot be taken back: {why.rstrip('.')}.",
            "Revert it by hand (`dolt revert`), then run the flow again.",
        ) from error


def _take_back_rows(connection: Connection, commit: str, replaced: set[str]) -> bool:
    """Removes the rows of tables that a commit made and that others have filled since.

    Returns:
        False, and nothing is changed, where the commit did more to a table than to make it, or others have changed its
        rows.
    """
    connection.rows("call dolt_reset('--hard')")  # The revert that failed may have left its conflicts.
    parent = hash_of(connection, f"{commit}~1")
    changed = connection.rows("select to_table_name, diff_type from dolt_diff_summary(%s, %s)", [parent, commit])
    tables = {str(name): kind for name, kind in changed if name not in replaced}
    keys = {table: _keys(connection, table) for table in tables}
    if any(kind != "added" or not keys[table] for table, kind in tables.items()):
        return False
    now = hash_of(connection, "HEAD")
    if any(_rows_differ(connection, table, commit, now) for table in tables):
        return False
    for table, names in keys.items():
        listed = ", ".join(map(quote, names))
        source = between(parent, commit, table)
        added = ", ".join(quote(f"to_{name}") for name in names)
        connection.rows(f"delete from {quote(table)} where ({listed}) in (select {added} from {source})")
    return True


def _rows_differ(connection: Connection, table: str, commit: str, later: str) -> bool:
    """Whether a row that a table had at a commit is another one, or gone, at a later commit."""
    source = between(commit, later, table)
    return bool(connection.rows(f"select 1 from {source} where diff_type <> 'added' limit 1"))


def _keys(connection: Connection, table: str) -> list[str]:
    columns = existing_columns(connection, table) or []
    return [column.name for column in columns if column.key is not None]


def _apply(connection: Connection, write: Write, load_folder: Path | None) -> None:
    existing = existing_columns(connection, write.table)
    made = plan(write.frame, write.table, existing, write.mode, dict(write.types))
    with _named(write.table):
        if write.mode == "replace" and existing is not None and made.statements:
            # Rows that go anyway must not stand in the way of a change of their columns.
            connection.rows(f"delete from {quote(write.table)}")
        for statement in made.statements:
            connection.rows(statement)
        fill(connection, made, write.mode, load_folder)


@contextmanager
def _named(table: str) -> Iterator[None]:
    """Adds the table's name to what Dolt says."""
    try:
        yield
    except DoltError as error:
        if error.__cause__ is None:  # It is doltflow's own and names the table.
            raise
        raise type(error)(f"The frame could not be written to `{table}`. {error.message}", error.hint) from error


def _commit(connection: Connection, message: str, author: str) -> str:
    # All that differs on a branch of our own was asked for, be it by a trigger; a table that `dolt_ignore` names, too.
    connection.rows("call dolt_add('-f', '-A')")
    return str(connection.value("call dolt_commit('--allow-empty', '-m', %s, '--author', %s)", [message, author]))
