"""A long load in two halves at once: on two branches, from two connections, merged in the end.

Dolt puts the rows of one statement in on one core. Halves of disjoint keys merge in a millisecond, to the very content
that one load would have made.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from doltflow.errors import DoltError
from doltflow.model.quoting import quote
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.locks import take_lock
from doltflow.sources.dolt.supervisor import TEMPORARY
from doltflow.sources.dolt.write.schema import Plan

HALVES_ROWS = 50_000

Half = Callable[[Connection, bool], None]
"""Puts the first or the second half of the rows in."""


def can_be_halved(connection: Connection, made: Plan) -> bool:
    """Whether two halves, put in side by side, are what one load would make.

    Where a row may concern another one, or another table, one half must see the other.
    """
    keys = {key.lower() for key in made.keys}
    key_columns = [column for column in made.columns if column.name.lower() in keys]
    if (os.cpu_count() or 1) < 2 or not keys or len(key_columns) < len(keys):
        return False
    if any(column.folds for column in key_columns) or any("GENERATED" in column.rest for column in made.columns):
        return False
    indexes = connection.rows(f"show index from {quote(made.table)}")
    related = connection.value(
        "select count(*) from information_schema.referential_constraints where constraint_schema = database() and "
        "%s in (lower(table_name), lower(referenced_table_name))",
        [made.table.lower()],
    )
    return all(row[2] == "PRIMARY" for row in indexes) and not related


def put_in_halves(connection: Connection, put: Half) -> None:
    """Puts both halves in at once, beside what the branch that the connection uses has by now.

    What the branch had uncommitted is staged afterwards, with the rows.
    """
    base = str(connection.value("select dolt_hashof('HEAD')"))
    _commit(connection)
    with _sibling(connection) as other, ThreadPoolExecutor(1) as worker:
        second = worker.submit(_put, other, put, second=True)
        try:
            _put(connection, put, second=False)
            second.result()
        except BaseException:
            other.abort()
            raise
        connection.rows("call dolt_merge(%s)", [_name(connection)])
    connection.rows("call dolt_reset('--soft', %s)", [base])


def _put(connection: Connection, put: Half, *, second: bool) -> None:
    connection.rows("start transaction")
    put(connection, second)
    connection.rows("commit")
    _commit(connection)


def _commit(connection: Connection) -> None:
    connection.rows("call dolt_add('-f', '-A')")
    connection.rows("call dolt_commit('--allow-empty', '-m', 'half')")


@contextmanager
def _sibling(connection: Connection) -> Iterator[Connection]:
    """A second connection, on a branch of its own that begins where the first one's is and is gone afterwards."""
    name = _name(connection)
    other = connection.beside()
    try:
        take_lock(other, name.removeprefix(TEMPORARY), 0)
        connection.rows("call dolt_branch('-f', %s, 'HEAD')", [name])
        other.use(name)
        yield other
    finally:
        other.close()
        with suppress(DoltError):
            # By a connection of its own: the first one may have been cut off in the middle of a statement.
            last = connection.beside()
            last.use()
            last.rows("call dolt_branch('-D', %s)", [name])
            last.close()


def _name(connection: Connection) -> str:
    """One name for each branch, and none that is a temporary branch of another one."""
    return f"{TEMPORARY}half-{hashlib.sha256(connection.revision.encode()).hexdigest()[:32]}"
