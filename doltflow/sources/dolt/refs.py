"""What a database holds at a commit, and what its names stand for."""

import re
import uuid
from collections.abc import Sequence

from doltflow.errors import (
    BranchExistsError,
    DoltError,
    RefNotFoundError,
    TableNotFoundError,
    UsageError,
    nearest,
)
from doltflow.model.quoting import quote
from doltflow.sources.dolt.between import between
from doltflow.sources.dolt.column import Column, uncollated
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.locks import free_lock, take_lock
from doltflow.sources.dolt.supervisor import TEMPORARY

LONGEST_BRANCH = 250
"""So many characters a branch's name has at most: what is longer, no file system and no git remote can hold."""
HASH = re.compile(r"[0-9a-v]{32}")
_PREFIX = re.compile(r"[0-9a-v]{6,31}")


def branches(connection: Connection) -> dict[str, str]:
    """The head commit of every branch, by its name; without doltflow's own temporary ones."""
    rows = connection.rows("select name, hash from dolt_branches")
    return {str(name): str(head) for name, head in rows if not str(name).startswith(TEMPORARY)}


def tags(connection: Connection) -> dict[str, str]:
    """The commit of every tag, by its name."""
    return {str(name): str(commit) for name, commit in connection.rows("select tag_name, tag_hash from dolt_tags")}


def is_commit(connection: Connection, hash_: str) -> bool:
    """Whether there is a commit with a full hash, be it on a branch or not, as one that was only fetched."""
    try:
        return hash_of(connection, hash_) == hash_
    except DoltError:
        return False


def remote_heads(connection: Connection) -> list[str]:
    """The head commits of the branches of remotes, as they were last fetched."""
    return sorted({str(row[0]) for row in connection.rows("select hash from dolt_remote_branches")})


def hash_of(connection: Connection, ref: str) -> str:
    """The full hash of a ref that Dolt itself understands.

    Raises:
        DoltError: It understands none.
    """
    return str(connection.value("select dolt_hashof(%s)", [ref]))


def name_and_steps(ref: str) -> tuple[str, str]:
    """What a ref begins with, and the `~n` and `^` that count from there."""
    name = re.split("[~^]", ref, maxsplit=1)[0]
    return name, ref[len(name) :]


def resolve(connection: Connection, ref: str, database: str) -> str:
    """The full hash of a commit, a prefix of one, a branch, a tag, or one of these with `~n` or `^`.

    Raises:
        RefNotFoundError: There is no such ref, or the prefix fits several commits.
    """
    connection.use()
    name, steps = name_and_steps(ref)
    known = {**tags(connection), **branches(connection)}
    start = known.get(name) or _by_prefix(connection, name, database)
    try:
        return hash_of(connection, (start or name) + steps)
    except DoltError as error:
        hint = f"`{name}` is there, but nothing at `{steps}` of it." if start else nearest(name, known)
        raise RefNotFoundError(f"`{database}` has no branch, tag or commit `{ref}`.", hint) from error


def _by_prefix(connection: Connection, name: str, database: str) -> str | None:
    if not _PREFIX.fullmatch(name):
        return None
    between, ends = "commit_hash >= %s and commit_hash < %s limit 3", [name, name + "w"]
    rows = connection.rows(f"select commit_hash from dolt_commits where {between}", ends)
    if not rows and (fetched := remote_heads(connection)):
        marks = ", ".join(["%s"] * len(fetched))
        rows = connection.rows(f"select commit_hash from dolt_log({marks}) where {between}", [*fetched, *ends])
    hashes = sorted({str(row[0]) for row in rows})
    if len(hashes) > 1:
        raise RefNotFoundError(
            f"`{name}` fits several commits of `{database}`: {', '.join(hashes)}.", "Give more of it."
        )
    return hashes[0] if hashes else None


def tables(connection: Connection, commit: str) -> list[str]:
    """The names of the tables at a commit."""
    connection.use(commit)
    return [str(row[0]) for row in connection.rows("show full tables") if str(row[1]).upper() == "BASE TABLE"]


def find_table(connection: Connection, table: str, commit: str, database: str) -> str:
    """The table's name as the database spells it.

    Raises:
        TableNotFoundError: It is not there at that commit.
    """
    known = tables(connection, commit)
    for name in known:
        if name == table:
            return name
    for name in known:
        if name.casefold() == table.casefold():
            return name
    raise TableNotFoundError(
        f"`{database}` has no table `{table}` at commit {commit}.",
        nearest(table, known) or "It has no tables there at all.",
    )


def table_columns(connection: Connection, table: str) -> list[Column] | None:
    """The columns of a table at the connection's revision, in order; None where there is no such table.

    Their names, types, whether they may be NULL, and the place in the key where that is one column: what a read needs.
    """
    try:
        rows = connection.rows(f"show columns from {quote(table)}")
    except TableNotFoundError:
        return None
    single = sum(row[3] == "PRI" for row in rows) == 1
    return [
        Column(str(row[0]), uncollated(str(row[1])), row[2] == "YES", 0 if single and row[3] == "PRI" else None)
        for row in rows
    ]


def hash_of_table(connection: Connection, table: str, commit: str) -> str | None:
    """The content hash of a table at a commit, schema included; None where it is not there."""
    connection.use(commit)
    try:
        return str(connection.value("select dolt_hashof_table(%s)", [table]))
    except TableNotFoundError:
        return None


def compose(connection: Connection, base: str, other: str, tables: Sequence[str]) -> str:
    """A commit that has some tables of one commit, and all others of another one. No branch leads to it.

    Args:
        connection: To the database.
        base: Full hash of the commit that has the others.
        other: Full hash of the commit that has these tables.
        tables: Their names.
    """
    connection.use()
    own = f"composed-{uuid.uuid4().hex}"
    name = TEMPORARY + own
    take_lock(connection, own, 0)  # Nobody else knows the name.
    connection.rows("call dolt_branch(%s, %s)", [name, base])
    try:
        connection.use(name)
        connection.rows(f"call dolt_checkout(%s, '--', {', '.join(['%s'] * len(tables))})", [other, *tables])
        message = f"doltflow: {', '.join(tables)} of {other}"
        return str(connection.value("call dolt_commit('-Am', %s)", [message]))
    finally:
        connection.use()
        connection.rows("call dolt_branch('-D', %s)", [name])
        free_lock(connection, own)


def create_branch(connection: Connection, name: str, commit: str, database: str) -> None:
    """Makes a branch at a commit; nothing is checked out.

    Raises:
        BranchExistsError: There is one of that name, or of one that differs only in case.
        UsageError: The name is none that Dolt takes.
    """
    connection.use()
    known = {branch.casefold(): branch for branch in branches(connection)}
    if (other := known.get(name.casefold())) is not None:
        raise BranchExistsError(f"`{database}` has a branch `{other}` already.", "Give another name with `--branch`.")
    if name.startswith("-") or name != name.strip() or len(name) > LONGEST_BRANCH:
        raise UsageError(f"`{name}` cannot be the name of a branch.")
    try:
        connection.rows("call dolt_branch(%s, %s)", [name, commit])
    except DoltError as error:
        if "invalid" in error.message.lower():
            raise UsageError(f"`{name}` cannot be the name of a branch.", error.message) from error
        raise


def remove_branch(connection: Connection, name: str) -> None:
    """Removes a branch with all that only it leads to."""
    connection.use()
    connection.rows("call dolt_branch('-D', %s)", [name])


def changed_columns(connection: Connection, table: str, before: str, after: str, columns: Sequence[str]) -> list[str]:
    """Those of some columns in which rows were modified between two commits."""
    if not columns:
        return []
    connection.use(after)
    source = between(before, after, table)
    counted = [f"sum(not {quote(f'from_{name}')} <=> {quote(f'to_{name}')})" for name in columns]
    rows = connection.rows(f"select {', '.join(counted)} from {source} where diff_type = 'modified'")
    return [name for name, count in zip(columns, rows[0], strict=True) if count]
