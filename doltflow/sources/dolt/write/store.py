"""Writes as one commit on a branch, made where nobody sees it and moved there whole.

The work is done on a temporary branch and reaches the user's branch by one fast-forward: so a schema change and its
rows are one step, a failure leaves nothing, and uncommitted changes of other tables stay as they are.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from doltflow.errors import BadValueError, DatabaseLockedError, DirtyTableError, DoltError
from doltflow.model.access import Mode
from doltflow.model.quoting import literal, quote
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.refs import hash_of, hash_of_table, table_columns
from doltflow.sources.dolt.server import lock_timeout
from doltflow.sources.dolt.supervisor import TEMPORARY
from doltflow.sources.dolt.write.frame import PreparedFrame
from doltflow.sources.dolt.write.schema import Plan, plan
from doltflow.sources.dolt.write.values import sql_text, unloadable, write_lines

LOAD_ROWS = 2_000
_TRIES = 5
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")


@dataclass(frozen=True, slots=True)
class Write:
    """A frame that is to be written to a table."""

    table: str
    frame: PreparedFrame
    mode: Mode
    types: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredWrite:
    """What a write became: rows of the frame, and whether the table is another than before."""

    table: str
    mode: Mode
    rows: int
    changed: bool


def check_clean(connection: Connection, branch: str, table: str) -> None:
    """Makes sure that a table has no uncommitted changes on a branch.

    Raises:
        DirtyTableError: It has.
    """
    connection.use(branch)
    if connection.rows("select 1 from dolt_status where lower(table_name) = lower(%s)", [table]):
        raise DirtyTableError(
            f"The table `{table}` has uncommitted changes on the branch `{branch}`, so it was not written.",
            "Commit them (`dolt commit`) or drop them (`dolt checkout TABLE`), or write to another branch.",
        )


def commit_writes(
    connection: Connection,
    branch: str,
    writes: Sequence[Write],
    message: str,
    author: str,
    undo: Sequence[str] = (),
    load_folder: Path | None = None,
) -> tuple[str, list[StoredWrite]]:
    """Stores all writes as one commit on a branch, or none of them.

    Args:
        connection: To the database.
        branch: The branch that is to have the commit.
        writes: In order.
        message: The commit's message.
        author: `Name <mail>`.
        undo: Commits whose changes are taken back first, the newest first: those of a failed attempt of the same task.
        load_folder: Where the server may load files from, if it may.

    Returns:
        The new commit's hash, and what became of each write. The commit is made even where nothing changed.

    Raises:
        DirtyTableError: A table has uncommitted changes on that branch.
        DatabaseLockedError: Other writers held the branch for longer than the limit.
        SchemaMismatchError, BadValueError: A frame does not fit its table as it is now.
    """
    with _branch_lock(connection, branch):
        for _ in range(_TRIES):
            base = hash_of(connection, branch)
            for write in writes:
                check_clean(connection, branch, write.table)
            with _temporary_branch(connection, branch, base) as temporary:
                connection.use(temporary)
                _undo(connection, undo, base)
                for write in writes:
                    _apply(connection, write, load_folder)
                commit = _commit(connection, message, author)
                if _fast_forward(connection, branch, temporary):
                    return commit, [_stored(connection, write, base, commit) for write in writes]
    raise DoltError(
        f"The branch `{branch}` was moved by others {_TRIES} times while it was being written.", "Try again."
    )


def _stored(connection: Connection, write: Write, base: str, commit: str) -> StoredWrite:
    before, after = (hash_of_table(connection, write.table, at) for at in (base, commit))
    return StoredWrite(write.table, write.mode, write.frame.table.num_rows, before != after)


@contextmanager
def _branch_lock(connection: Connection, branch: str) -> Iterator[None]:
    """Writers of one branch come one after the other: Dolt would merge two replacements to their union."""
    connection.use(branch)
    name = "doltflow:" + hashlib.sha256(f"{connection.database}/{branch}".encode()).hexdigest()[:40]
    if connection.value("select get_lock(%s, %s)", [name, lock_timeout()]) != 1:
        raise DatabaseLockedError(
            f"Other writers have held the branch `{branch}` for longer than {lock_timeout():g} s.",
            "Wait for them, or raise DOLTFLOW_LOCK_TIMEOUT.",
        )
    try:
        yield
    finally:
        with suppress(DoltError):  # A lost connection has freed it.
            connection.rows("select release_lock(%s)", [name])


@contextmanager
def _temporary_branch(connection: Connection, branch: str, base: str) -> Iterator[str]:
    # One name for each branch: what a killed writer left is reused, and nobody else has it while we hold the lock.
    name = TEMPORARY + branch
    connection.rows("call dolt_branch('-f', %s, %s)", [name, base])
    try:
        yield name
    finally:
        with suppress(DoltError):
            connection.use(branch)
            connection.rows("call dolt_branch('-D', %s)", [name])


def _undo(connection: Connection, commits: Sequence[str], base: str) -> None:
    for commit in commits:
        try:
            connection.rows("call dolt_revert(%s)", [commit])
        except DoltError as error:
            raise DoltError(
                f"The commit {commit} of this task's failed attempt cannot be taken back: others have changed the same "
                f"rows since. {error.message}",
                "Revert it by hand (`dolt revert`), then run the flow again.",
            ) from error
    if commits:
        connection.rows("call dolt_reset('--soft', %s)", [base])


def _apply(connection: Connection, write: Write, load_folder: Path | None) -> None:
    existing = table_columns(connection, write.table)
    made = plan(write.frame, write.table, existing, write.mode, dict(write.types))
    replaces = write.mode == "replace" and existing is not None
    if replaces and made.statements:
        # Rows that go anyway must not stand in the way of a change of their columns.
        connection.rows(f"delete from {quote(write.table)}")
    for statement in made.statements:
        connection.rows(statement)
    connection.rows("start transaction")
    if replaces:
        connection.rows(f"delete from {quote(write.table)}")
    _fill(connection, made, write.mode, load_folder)
    connection.rows("commit")
    connection.rows("call dolt_add(%s)", [write.table])


def _fill(connection: Connection, made: Plan, mode: Mode, load_folder: Path | None) -> None:
    values = made.values
    if made.keys:
        # Dolt keeps rows in the order of their key; rows that come so are written in half the time and space.
        places = [name for name in values.column_names if name.casefold() in {key.casefold() for key in made.keys}]
        values = values.sort_by([(name, "ascending") for name in places])
    texts = [sql_text(column) for column in values.columns]
    load = values.num_rows > LOAD_ROWS and load_folder is not None and not (mode == "update" and made.partial)
    if not load or load_folder is None:
        _insert(connection, made, mode, texts)
        return
    mask = unloadable(texts)
    if mask is not None:
        _insert(connection, made, mode, [text.filter(mask) for text in texts])
        texts = [text.filter(pc.invert(mask)) for text in texts]
    file = load_folder / f"doltflow-{os.getpid()}-{uuid.uuid4().hex}.tsv"
    try:
        with file.open("xb") as lines:
            write_lines(lines, texts)
        _load(connection, made, mode, file)
    finally:
        file.unlink(missing_ok=True)


def _load(connection: Connection, made: Plan, mode: Mode, file: Path) -> None:
    binary = [number for number, column in enumerate(made.columns) if column.base in _BINARY]
    names = [f"@v{n}" if n in binary else quote(column.name) for n, column in enumerate(made.columns)]
    sets = ", ".join(f"{quote(made.columns[n].name)} = unhex(@v{n})" for n in binary)
    connection.rows(
        f"load data infile {literal(str(file))} {'replace' if mode == 'update' else ''} into table {quote(made.table)} "
        r"character set utf8mb4 fields terminated by '\t' escaped by '\\' lines terminated by '\n' "
        f"({', '.join(names)}){f' set {sets}' if sets else ''}"
    )


def _insert(connection: Connection, made: Plan, mode: Mode, texts: Sequence[object]) -> None:
    names = ", ".join(quote(column.name) for column in made.columns).replace("%", "%%")
    values = ", ".join("unhex(%s)" if column.base in _BINARY else "%s" for column in made.columns)
    statement = f"insert into {quote(made.table).replace('%', '%%')} ({names}) values ({values})"
    if mode == "update":
        keys = {key.casefold() for key in made.keys}
        rest = [quote(c.name).replace("%", "%%") for c in made.columns if c.name.casefold() not in keys]
        first = quote(made.columns[0].name).replace("%", "%%")
        sets = ", ".join(f"{name} = values({name})" for name in rest) or f"{first} = values({first})"
        statement += f" on duplicate key update {sets}"
    rows = list(zip(*(text.to_pylist() for text in texts), strict=True))  # type: ignore[attr-defined]
    if rows:
        connection.insert(statement, rows)


def _commit(connection: Connection, message: str, author: str) -> str:
    return str(connection.value("call dolt_commit('--allow-empty', '-m', %s, '--author', %s)", [message, author]))


def _fast_forward(connection: Connection, branch: str, temporary: str) -> bool:
    """Moves the branch to the temporary branch's commit; False where the branch has moved since."""
    connection.use(branch)
    restage = _staged(connection)
    try:
        connection.rows("call dolt_merge('--ff-only', %s)", [temporary])
    except DoltError as error:
        if "fast" in error.message.lower():
            return False
        raise
    for statements in restage:
        for statement in statements:
            connection.rows(statement)
    return True


def _staged(connection: Connection) -> list[list[str]]:
    """Statements that stage again what is staged now: Dolt's merge keeps working changes but forgets the staging."""
    status = connection.rows("select table_name, staged from dolt_status")
    staged = sorted({str(name) for name, is_staged in status if is_staged})
    return [_restage(connection, name, partly=(name, 0) in {(n, int(s)) for n, s in status}) for name in staged]


def _restage(connection: Connection, table: str, *, partly: bool) -> list[str]:
    add = f"call dolt_add({literal(table)})"
    if not partly:
        return [add]
    # Back to what was staged, stage it, and forth again to what the user has.
    patch = "select statement from dolt_patch(%s, %s, %s) order by statement_order"
    back = [str(row[0]) for row in connection.rows(patch, ["WORKING", "STAGED", table])]
    forth = [str(row[0]) for row in connection.rows(patch, ["STAGED", "WORKING", table])]
    if not back or not forth:
        raise BadValueError(
            f"The table `{table}` is staged in part on this branch, and Dolt cannot tell the parts.",
            "Commit it or unstage it (`dolt reset`) first.",
        )
    return ["start transaction", *back, add, *forth, "commit"]
