"""Commits: what they are, which one changed a table, which ones a task made."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from doltflow.errors import DoltError, RefNotFoundError, TableNotFoundError
from doltflow.model.commit import Commit, parse_message
from doltflow.model.pathspec import Pathspec
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.refs import HASH, branches, hash_of_table

# As `parse_message` has it, for ten thousands of subjects without what stands below them.
_OF_TASK = re.compile(r"Run: ([^/\s]+(?:/[^/\s]+){3})")
_GRAPH = "commit_hash, parents"
_COLUMNS = "commit_hash, committer, email, date, message, parents"


def commit(connection: Connection, hash_: str) -> Commit:
    """The commit with a full hash.

    Raises:
        RefNotFoundError: There is none.
    """
    found = next(_commits(connection, "dolt_log(%s, '--parents') limit 1", [hash_]), None)
    if found is None:
        raise RefNotFoundError(f"`{connection.database}` has no commit {hash_}.")
    return found


def log(connection: Connection) -> list[Commit]:
    """The commits of all branches, newest first; each once."""
    connection.use()
    heads = sorted(set(branches(connection).values()))
    marks = ", ".join(["%s"] * len(heads))
    return list(_commits(connection, f"dolt_log({marks}, '--parents')", heads))


def _commits(connection: Connection, source: str, args: Sequence[object]) -> Iterator[Commit]:
    try:
        rows = connection.rows(f"select {_COLUMNS} from {source}", args)
    except DoltError as error:
        raise RefNotFoundError(
            f"`{connection.database}` has no commit or branch {', '.join(map(str, args))}."
        ) from error
    for hash_, author, email, date, message, parents in rows:
        yield Commit(
            database=connection.database,
            hash=str(hash_),
            parents=_hashes(parents),
            author=str(author),
            email=str(email),
            date=_utc(date),
            message=str(message),
            run=parse_message(str(message)),
        )


def _hashes(line: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (line or "").split(",") if part.strip())


def _utc(date: datetime) -> datetime:
    return date.replace(tzinfo=UTC)


def last_change(connection: Connection, table: str, at: str) -> str:
    """The hash of the commit that made a table what it is at a commit.

    A merge that took one side's version is passed through, to that side; to the first parent's where both had it. So
    what is merged into a branch without a change of the table does not change the answer there.

    Raises:
        TableNotFoundError: The table is not there at that commit.
    """
    content = hash_of_table(connection, table, at)
    if content is None:
        raise TableNotFoundError(f"`{connection.database}` has no table `{table}` at commit {at}.")
    latest = _touching(connection, table, at, limit=1)
    if latest and len(latest[0][1]) < 2 and not _merges(connection, at, latest[0][0]):
        return latest[0][0]
    touching = {commit for commit, _ in _touching(connection, table, at)}
    parents = {
        hash_: _hashes(line) for hash_, line in connection.rows(f"select {_GRAPH} from dolt_log(%s, '--parents')", [at])
    }
    while True:
        before = parents.get(at, ())
        if len(before) == 1 and at not in touching:
            at = before[0]
            continue
        same = next((side for side in before if hash_of_table(connection, table, side) == content), None)
        if same is None:
            return at
        at = same


def _touching(connection: Connection, table: str, *at: str, limit: int = 0) -> list[tuple[str, tuple[str, ...]]]:
    """The commits that changed a table, the newest first, and their parents.

    Of a merge Dolt says so where the table differs from that of either parent. What a commit behind a `^` reaches is
    left out.
    """
    marks = "%s, " * len(at)
    if "," in table or table.startswith("-"):  # `--tables` takes a list, and would take the name for an option.
        found = _searched(connection, table, at)
        rows = connection.rows(f"select {_GRAPH} from dolt_log({marks}'--parents')", at)
        rows = [row for row in rows if str(row[0]) in found][: limit or None]
    else:
        query = f"select {_GRAPH} from dolt_log({marks}'--tables', %s, '--parents')"
        rows = connection.rows(query + (f" limit {limit}" if limit else ""), [*at, table])
    return [(str(hash_), _hashes(line)) for hash_, line in rows]


def _searched(connection: Connection, table: str, at: Sequence[str]) -> set[str]:
    """The commits that changed a table, searched for in all that changed one."""
    found: set[str] = set()
    for head in (one for one in at if not one.startswith("^")):
        connection.use(head)  # `dolt_diff` goes back from the revision that is used.
        query = "select commit_hash, table_name from dolt_diff where table_name = %s or schema_change"
        rows = {(str(hash_), str(name)) for hash_, name in connection.rows(query, [table])}
        found |= {hash_ for hash_, name in rows if name == table}
        # A table that was renamed is listed under its new name.
        found |= {hash_ for hash_, _ in rows if hash_ not in found and _was_there(connection, table, hash_)}
    return found


def _was_there(connection: Connection, table: str, commit_: str) -> bool:
    """Whether a commit that has no such table has a parent that had one."""
    if not HASH.fullmatch(commit_) or hash_of_table(connection, table, commit_) is not None:
        return False
    parents = commit(connection, commit_).parents
    return any(hash_of_table(connection, table, parent) is not None for parent in parents)


def _merges(connection: Connection, at: str, since: str) -> bool:
    """Whether there is a merge between two commits, the older one left out."""
    return bool(connection.rows("select commit_hash from dolt_log(%s, %s, '--merges') limit 1", [at, f"^{since}"]))


def changes(connection: Connection, table: str, at: str) -> list[str]:
    """The commits that changed a table, at a commit and before, newest first.

    Of a merge Dolt says so where the table differs from that of either parent.
    """
    return [commit for commit, _ in _touching(connection, table, at)]


def changes_between(connection: Connection, table: str, before: str, after: str) -> list[str]:
    """The commits that lead from one version of a table to another one, newest first.

    They are those that only the later commit reaches, then those that only the earlier one reaches: where neither
    descends from the other there are both. A merge that took one side's version changed nothing itself.
    """
    contents: dict[str, str | None] = {}

    def content(at: str) -> str | None:
        if at not in contents:
            contents[at] = hash_of_table(connection, table, at)
        return contents[at]

    connection.use()
    found = _touching(connection, table, after, f"^{before}")
    connection.use()
    found += _touching(connection, table, before, f"^{after}")
    return [
        hash_
        for hash_, parents in found
        if len(parents) < 2 or all(content(parent) != content(hash_) for parent in parents)
    ]


def touching(connection: Connection, table: str) -> list[str]:
    """The commits of all branches that changed a table or its existence."""
    connection.use()
    return [commit for commit, _ in _touching(connection, table, *sorted(set(branches(connection).values())))]


def made_by_runs(connection: Connection, heads: Sequence[str], known: Sequence[str]) -> list[tuple[str, str, float]]:
    """The commits by runs that some commits reach and others do not, newest first: hash, task's pathspec, epoch."""
    if not heads:
        return []
    connection.use()
    marks = ", ".join(["%s"] * (len(heads) + len(known)))
    rows = connection.rows(
        f"select commit_hash, substring_index(message, char(10), 1), date from dolt_log({marks}) "
        "where left(message, 5) = 'Run: '",
        [*heads, *(f"^{hash_}" for hash_ in known)],
    )
    found = []
    for hash_, subject, date in rows:
        run = _OF_TASK.fullmatch(subject.rstrip("\r"))
        if run is not None:
            found.append((str(hash_), run[1], _utc(date).timestamp()))
    return found


def reaches(connection: Connection, heads: Sequence[str], others: Sequence[str]) -> bool:
    """Whether each of the other commits is one of the heads or an ancestor of one."""
    connection.use()
    if not heads:
        return not others
    marks = ", ".join(["%s"] * (len(heads) + len(others)))
    try:
        args = [*others, *(f"^{hash_}" for hash_ in heads)]
        return not connection.rows(f"select commit_hash from dolt_log({marks}) limit 1", args)
    except DoltError:  # One of them was garbage-collected.
        return False


def commits_of_task(connection: Connection, pathspec: Pathspec, branch: str) -> list[Commit]:
    """The commits that a task made on a branch, newest first."""
    connection.use()
    mine = f"Run: {pathspec}"
    found = _commits(connection, "dolt_log(%s, '--parents') where left(message, %s) = %s", [branch, len(mine), mine])
    return [c for c in found if c.run is not None and c.run.pathspec == pathspec]
