"""The way of a commit to a user's branch, past all that the user has not committed there."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from doltflow.errors import ConnectionLostError, DatabaseLockedError, DirtyTableError, DoltError
from doltflow.model.quoting import literal, quote
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.leftovers import clear
from doltflow.sources.dolt.locks import free_lock, lock_key, take_lock
from doltflow.sources.dolt.refs import hash_of, hash_of_table
from doltflow.sources.dolt.server import lock_timeout
from doltflow.sources.dolt.supervisor import TEMPORARY
from doltflow.sources.dolt.turns import turn

_RENAMED = " -> "
_FREED_SECONDS = 10  # In which the lock of a statement that was cut off is free; else another writer has it.
_FOREIGN_KEY = re.compile(r"^\s*CONSTRAINT .* FOREIGN KEY .*?,?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Change:
    """An uncommitted change, as `dolt_status` lists it: of one table, or of two where one was renamed."""

    tables: tuple[str, ...]
    staged: bool
    kind: str


def _changes(connection: Connection) -> list[_Change]:
    """The uncommitted changes of the branch that the connection uses."""
    rows = connection.rows("select table_name, staged, status from dolt_status order by table_name")
    return [
        _Change(tuple(name.split(_RENAMED)) if kind == "renamed" else (name,), bool(staged), kind)
        for name, staged, kind in rows
    ]


def check_clean(connection: Connection, branch: str, table: str) -> None:
    """Makes sure that a table has no uncommitted changes on a branch.

    Raises:
        DirtyTableError: It has.
    """
    connection.use(branch)
    if table.lower() in {name.lower() for change in _changes(connection) for name in change.tables}:
        raise _dirty(branch, table)
    # A table that `dolt_ignore` names is not listed, but it may be there.
    if connection.rows("select 1 from dolt_ignore limit 1"):
        committed = hash_of_table(connection, table, hash_of(connection, branch))
        if hash_of_table(connection, table, branch) != committed:
            raise _dirty(branch, table)


def check_before(connection: Connection, branch: str, table: str) -> None:
    """`check_clean` where the branch is not locked: others may be moving it at this very moment.

    Raises:
        DirtyTableError: The table has uncommitted changes on the branch.
        DatabaseLockedError: Others held the branch for longer than the limit.
    """
    try:
        check_clean(connection, branch, table)
    except DirtyTableError:
        with branch_lock(connection, branch):
            check_clean(connection, branch, table)


def _dirty(branch: str, table: str) -> DirtyTableError:
    return DirtyTableError(
        f"The table `{table}` has uncommitted changes on the branch `{branch}`, so it was not written.",
        "Commit them (`dolt commit`) or drop them (`dolt checkout TABLE`), or write to another branch.",
    )


@contextmanager
def branch_lock(connection: Connection, branch: str) -> Iterator[None]:
    """Writers of one branch come one after the other: Dolt would merge two replacements to their union.

    Those of one machine come in the order in which they asked.

    Raises:
        DatabaseLockedError: Others held it for longer than the limit.
    """
    limit = lock_timeout()
    deadline = time.monotonic() + limit
    queues = connection.endpoint.queues
    with ExitStack() as stack:
        before = 0
        if queues is not None:
            before = stack.enter_context(turn(queues / lock_key(connection, branch), deadline))
        connection.use(branch)
        if not take_lock(connection, branch, max(deadline - time.monotonic(), 0)):
            many = f", and {before} of them were still before this one" if before > 1 else ""
            raise DatabaseLockedError(
                f"Other writers have held the branch `{branch}` of `{connection.database}` for longer than {limit:g} "
                f"s{many}. Nothing was written.",
                "Run it again, or raise DOLTFLOW_LOCK_TIMEOUT.",
            )
        try:
            yield
        finally:
            free_lock(connection, branch)


@contextmanager
def temporary_branch(connection: Connection, branch: str, base: str) -> Iterator[str]:
    """A branch of our own at a commit, gone afterwards. The lock on the user's branch must be held."""
    # One name for each branch: what a killed writer left is reused, and nobody else has it while we hold the lock.
    name = TEMPORARY + branch
    connection.rows("call dolt_branch('-f', %s, %s)", [name, base])
    try:
        yield name
    except ConnectionLostError:
        raise  # Without the lock it is for the next who has it, who also needs it to see what was cut off.
    except BaseException:
        with suppress(DoltError):
            connection.rows("rollback")
        _remove(connection, branch, name)
        raise
    else:
        _remove(connection, branch, name)


def _remove(connection: Connection, branch: str, temporary: str) -> None:
    with suppress(DoltError):
        connection.use(branch)
        connection.rows("call dolt_branch('-D', %s)", [temporary])
        return
    # A connection that was lost or interrupted has lost the lock too: who has it now removes the branch.
    with suppress(DoltError):
        connection.reconnect()
        connection.use(branch)
        if take_lock(connection, branch, _FREED_SECONDS):
            clear(connection, branch)


def move(connection: Connection, branch: str, base: str, commit: str) -> bool:
    """Moves a branch from its head to a commit that follows on it; what is uncommitted there stays as it is.

    Returns:
        False where the branch has moved since, and nothing was done.

    Raises:
        DirtyTableError: A table that the commit changes has uncommitted changes, or is staged in a way that cannot be
            kept.
    """
    connection.use(branch)
    changes = _changes(connection)
    if not changes:
        return _fast_forward(connection, branch, commit)
    listed = {name.lower() for change in changes for name in change.tables}
    written = connection.rows("select from_table_name, to_table_name from dolt_diff_summary(%s, %s)", [base, commit])
    for name in {str(name) for pair in written for name in pair if name}:
        if name.lower() in listed:
            raise _dirty(branch, name)
    restage = [_restage(connection, branch, change, changes) for change in changes if change.staged]
    if _merge_keeps(connection, changes):
        if not _fast_forward(connection, branch, commit):
            return False
        moved = True
    else:
        moved = _reset(connection, branch, base, commit, written)
    for statements in restage:
        for statement in statements:
            connection.rows(statement)
    return moved


def _fast_forward(connection: Connection, branch: str, commit: str) -> bool:
    try:
        connection.rows("call dolt_merge('--ff-only', %s)", [commit])
    except DoltError as error:
        if "not possible to fast-forward" in error.message.lower():
            return False
        if "would be stomped" in error.message:
            raise _dirty(branch, error.message.partition("\t")[2].partition("\n")[0]) from error
        raise
    return True


def _merge_keeps(connection: Connection, changes: Sequence[_Change]) -> bool:
    """Whether Dolt's merge keeps all that is uncommitted: it fails at dropped tables, and forgets foreign keys."""
    if any(change.kind in ("deleted", "renamed") for change in changes):
        return False
    schemas = connection.rows(
        "select from_create_statement, to_create_statement from dolt_schema_diff('HEAD', 'WORKING')"
    )
    return all(_FOREIGN_KEY.findall(before or "") == _FOREIGN_KEY.findall(after or "") for before, after in schemas)


def _reset(connection: Connection, branch: str, base: str, commit: str, written: Sequence[tuple[str, str]]) -> bool:
    """Moves a branch without a merge: its head, then the tables that the commit wrote."""
    connection.rows("call dolt_reset('--soft', %s)", [commit])
    # A reset overwrites what others have committed meanwhile; the log of the branch tells.
    heads = connection.rows("select commit_hash from dolt_reflog(%s) limit 2", [branch])
    overwritten = [str(row[0]) for row in heads if str(row[0]) not in (commit, base)]
    if overwritten:
        connection.rows("call dolt_reset('--soft', %s)", [overwritten[0]])
        return False
    if now := [after for _, after in written if after]:
        connection.rows(f"call dolt_checkout(%s, '--', {', '.join(['%s'] * len(now))})", [commit, *now])
    for gone in {before for before, _ in written if before} - set(now):
        connection.rows(f"drop table {quote(gone)}")
    connection.rows("call dolt_reset()")
    return True


def _restage(connection: Connection, branch: str, change: _Change, changes: Sequence[_Change]) -> list[str | bytes]:
    """Statements that stage a change again: moving a branch keeps working changes but forgets the staging."""
    add = f"call dolt_add('-f', '--', {', '.join(map(literal, change.tables))})"
    rest = [other for other in changes if not other.staged and set(other.tables) & set(change.tables)]
    if not rest:
        return [add]
    # Back to what was staged, stage it, and forth again to what the user has.
    back, forth = _patch(connection, "WORKING", "STAGED", change), _patch(connection, "STAGED", "WORKING", change)
    if not _there_and_back(connection, change.tables[0], back, forth):
        raise DirtyTableError(
            f"The table `{change.tables[0]}` is staged in part on the branch `{branch}`, in a way that cannot be kept.",
            "Commit it or unstage it (`dolt reset`) first.",
        )
    return ["start transaction", *back, add, *forth, "commit"]


def _patch(connection: Connection, before: str, after: str, change: _Change) -> list[bytes]:
    """The statements between two states of a table; none where they would change its schema."""
    # As bytes: Dolt puts those of a BLOB into the text of the statement.
    query = "select cast(statement as binary), diff_type from dolt_patch(%s, %s, %s) order by statement_order"
    rows = connection.rows(query, [before, after, change.tables[0]])
    return [bytes(statement) for statement, kind in rows] if all(kind == "data" for _, kind in rows) else []


def _there_and_back(connection: Connection, table: str, back: Sequence[bytes], forth: Sequence[bytes]) -> bool:
    """Tries a patch and its opposite, and leaves nothing of it."""
    if not back or not forth:
        return False
    connection.rows("start transaction")
    try:
        query = "select dolt_hashof_table(%s)"
        now = connection.value(query, [table])
        for statement in back:
            connection.rows(statement)
        is_staged = not any(table in change.tables and not change.staged for change in _changes(connection))
        for statement in forth:
            connection.rows(statement)
        return is_staged and bool(connection.value(query, [table]) == now)
    except DoltError:
        return False
    finally:
        connection.rows("rollback")
