"""The past of a branch: where it was at a moment, its log piece by piece, and what each commit changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from doltflow.errors import RefNotFoundError
from doltflow.model.commit import Commit, parse_message
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.refs import hash_of_table, tables

_COLUMNS = "commit_hash, committer, email, date, message, parents"
_ALL = 2**62
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Part:
    """Which commits of a log are wanted.

    Attributes:
        head: Full hash of the commit whose ancestors, itself included, are the log.
        table: Only the commits that changed this table, spelled as Dolt spells it.
        since, until: Only the commits of this time.
        skip: So many of the newest are left out.
        limit: At most so many; None for all.
    """

    head: str
    table: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    skip: int = 0
    limit: int | None = None


def commit_at(connection: Connection, head: str, moment: datetime, database: str) -> str:
    """The hash of the commit that a branch was at at a moment.

    It is the newest at or before it on the way from the branch's head over first parents: a commit that was merged in
    is not on that way, and the branch was never at it.

    Args:
        connection: Where to ask.
        head: Full hash of the branch's head.
        moment: The moment, aware.
        database: The name of the database, for the error.

    Raises:
        RefNotFoundError: The moment is before the first commit.
    """
    connection.use()
    newest = connection.value("select commit_hash from dolt_log(%s) where date <= %s limit 1", [head, _sql(moment)])
    merges = "select 1 from dolt_log(%s, %s, '--merges') limit 1"
    if newest is not None and not connection.rows(merges, [head, f"^{newest}"]):
        return str(newest)
    way = _first_parents(connection, head)
    found = next((hash_ for hash_, date in way if date <= moment), None)
    if found is not None:
        return found
    first, date = min(way, key=lambda item: item[1])
    raise RefNotFoundError(
        f"`{database}` has no commit at or before {_said(moment)}: its first is {first} of {_said(date)}.",
        "Give a later date.",
    )


def _first_parents(connection: Connection, head: str) -> list[tuple[str, datetime]]:
    """A commit, its first parent, the first parent of that, and so on, each with its date."""
    rows = connection.rows("select commit_hash, date, parents from dolt_log(%s, '--parents')", [head])
    known = {str(hash_): (_utc(date), _hashes(parents)) for hash_, date, parents in rows}
    way, next_ = [], [head]
    while next_ and next_[0] in known:
        date, parents = known[next_[0]]
        way.append((next_[0], date))
        next_ = parents[:1]
    return way


def log(connection: Connection, part: Part) -> list[Commit]:
    """The wanted commits, newest first; of a merge, `part.table` may be changed only against its other parents."""
    if part.table == "":  # Nothing is called so, and Dolt's server does not survive the question.
        return []
    connection.use(part.head)
    source, args, conditions = "dolt_log(%s, '--parents')", [part.head], []
    if part.table is not None and ("," in part.table or part.table.startswith("-")):
        # `--tables` takes a list, and would take the name for an option.
        conditions.append("commit_hash in (select commit_hash from dolt_diff where table_name = %s)")
        args.append(part.table)
    elif part.table is not None:
        source = "dolt_log(%s, '--parents', '--tables', %s)"
        args.append(part.table)
    for sign, moment in ((">=", part.since), ("<=", part.until)):
        if moment is not None:
            conditions.append(f"date {sign} %s")
            args.append(_sql(moment))
    where = f" where {' and '.join(conditions)}" if conditions else ""
    limit = _ALL if part.limit is None else part.limit
    rows = connection.rows(f"select {_COLUMNS} from {source}{where} limit {limit:d} offset {part.skip:d}", args)
    return [_commit(connection.database, row) for row in rows]


def _commit(database: str, row: Sequence[Any]) -> Commit:
    hash_, author, email, date, message, parents = row
    return Commit(
        database=database,
        hash=str(hash_),
        parents=tuple(_hashes(parents)),
        author=str(author),
        email=str(email),
        date=_utc(date),
        message=str(message),
        run=parse_message(str(message)),
    )


def changed_tables(connection: Connection, head: str, commits: Sequence[Commit]) -> dict[str, tuple[str, ...]]:
    """The tables that each of some commits left other than its first parent had them; of the first commit, all.

    Args:
        connection: Where to ask.
        head: Full hash of a commit that reaches them all.
        commits: The commits.
    """
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(commits), _CHUNK):
        chunk = commits[start : start + _CHUNK]
        listed, reshaped = _listed(connection, head, chunk)
        for commit in chunk:
            names = listed.get(commit.hash, set())
            if not commit.parents:
                names = set(tables(connection, commit.hash))
            if len(commit.parents) > 1:
                names = {name for name in names if _differs(connection, name, commit)}
            if commit.parents and commit.hash in reshaped:
                names |= _renamed(connection, commit)
            found[commit.hash] = tuple(sorted(names))
    return found


def _listed(connection: Connection, head: str, commits: Sequence[Commit]) -> tuple[dict[str, set[str]], set[str]]:
    """The tables that differ from those of any parent, by commit; and the commits that changed a table's schema."""
    connection.use(head)  # `dolt_diff` goes back from the revision that is used.
    marks = ", ".join(["%s"] * len(commits))
    query = f"select commit_hash, table_name, schema_change from dolt_diff where commit_hash in ({marks})"
    listed: dict[str, set[str]] = {}
    reshaped: set[str] = set()
    for hash_, table, schema_change in connection.rows(query, [commit.hash for commit in commits]):
        listed.setdefault(str(hash_), set()).add(str(table))
        if schema_change:
            reshaped.add(str(hash_))
    return listed, reshaped


def _differs(connection: Connection, table: str, commit: Commit) -> bool:
    before, after = (hash_of_table(connection, table, at) for at in (commit.parents[0], commit.hash))
    return before != after


def _renamed(connection: Connection, commit: Commit) -> set[str]:
    """Both names of a table that was renamed, of which `dolt_diff` gives the new one."""
    connection.use()
    query = "select from_table_name, to_table_name from dolt_diff_summary(%s, %s)"
    rows = connection.rows(query, [commit.parents[0], commit.hash])
    return {str(name) for row in rows for name in row if name}


def lacking(connection: Connection, table: str, head: str, commits: Sequence[str]) -> set[str]:
    """Those of some commits, each of which changed a table, that have no such table.

    Args:
        connection: Where to ask.
        table: The table.
        head: Full hash of a commit that reaches them all.
        commits: Their full hashes.
    """
    found: set[str] = set()
    for start in range(0, len(commits), _CHUNK):
        chunk = commits[start : start + _CHUNK]
        connection.use(head)  # `dolt_diff` goes back from the revision that is used.
        marks = ", ".join(["%s"] * len(chunk))
        query = f"select distinct commit_hash from dolt_diff where commit_hash in ({marks}) and schema_change"
        reshaped = [str(row[0]) for row in connection.rows(query, chunk)]
        found.update(hash_ for hash_ in reshaped if hash_of_table(connection, table, hash_) is None)
    return found


def views(connection: Connection, commit: str) -> list[str]:
    """The names of the views at a commit."""
    connection.use(commit)
    return [str(row[0]) for row in connection.rows("show full tables") if str(row[1]).upper() == "VIEW"]


def view_definitions(connection: Connection, commit: str) -> dict[str, str]:
    """The queries of the views at a commit, by the views' names."""
    connection.use(commit)
    query = "select table_name, view_definition from information_schema.views where table_schema = database()"
    return {str(name): str(definition) for name, definition in connection.rows(query)}


def _hashes(line: object) -> list[str]:
    return [part.strip() for part in str(line or "").split(",") if part.strip()]


def _utc(date: datetime) -> datetime:
    return date.replace(tzinfo=UTC)


def _sql(moment: datetime) -> str:
    # Dolt counts in UTC.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _said(moment: datetime) -> str:
    """A date in the user's own zone."""
    try:
        return moment.astimezone().isoformat(sep=" ", timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return moment.isoformat(sep=" ", timespec="seconds")
