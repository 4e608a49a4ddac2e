"""The branches that a write works on, and what is done about those that a killed one left.

Whoever makes such a branch holds a lock of the server's for as long as it is there. A branch whose lock is free is
nobody's any more: the next who opens the database removes it.
"""

from contextlib import suppress

from doltflow.errors import DoltError
from doltflow.model.commit import parse_message
from doltflow.model.quoting import quote
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.locks import free_lock, take_lock
from doltflow.sources.dolt.refs import hash_of, hash_of_table
from doltflow.sources.dolt.supervisor import TEMPORARY


def remove_leftovers(connection: Connection) -> None:
    """Removes the temporary branches of writes that were killed, on any machine; what goes wrong waits for the next.

    Where the kill fell into the very moment in which the commit reached the user's branch, that is brought to its end.
    """
    with suppress(DoltError):
        connection.use()
        names = connection.rows("select name from dolt_branches where name like %s", [f"{TEMPORARY}%"])
        for name in (str(row[0]) for row in names):
            branch = name.removeprefix(TEMPORARY)
            if not take_lock(connection, branch, 0):
                continue
            try:
                clear(connection, branch)
            finally:
                free_lock(connection, branch)


def clear(connection: Connection, branch: str) -> None:
    """Removes the temporary branch of a branch, if there is one. The lock on the branch must be held.

    Args:
        connection: At any revision of the database.
        branch: The branch that was written.
    """
    known = {str(name): str(head) for name, head in connection.rows("select name, hash from dolt_branches")}
    if (commit := known.get(TEMPORARY + branch)) is None:
        return
    if known.get(branch) == commit:
        with suppress(DoltError):
            _finish_move(connection, branch, commit)
    connection.use()
    connection.rows("call dolt_branch('-D', %s)", [TEMPORARY + branch])


def _finish_move(connection: Connection, branch: str, commit: str) -> None:
    """Gives a branch the tables of its newest commit where the write that made it was killed between the two.

    Dolt moves the head of a branch first, and the tables that one sees there after it: in between, these seem to be
    changed back by hand.
    """
    connection.use(branch)
    message = str(connection.value("select message from dolt_log limit 1"))
    if parse_message(message) is None:
        return
    base = hash_of(connection, f"{commit}~1")
    written = connection.rows("select from_table_name, to_table_name from dolt_diff_summary(%s, %s)", [base, commit])
    tables = sorted({str(name) for pair in written for name in pair if name})
    if not tables or any(
        hash_of_table(connection, table, branch) != hash_of_table(connection, table, base) for table in tables
    ):
        return
    connection.use(branch)
    now = [str(after) for _, after in written if after]
    if now:
        connection.rows(f"call dolt_checkout(%s, '--', {', '.join(['%s'] * len(now))})", [commit, *now])
    for gone in {str(before) for before, _ in written if before} - set(now):
        connection.rows(f"drop table {quote(gone)}")
    connection.rows("call dolt_reset()")  # Dolt has staged all that is there; what was staged before, nobody can tell.
