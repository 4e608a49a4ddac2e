"""Commits: what they are, which one changed a table, which ones a task made."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from doltflow.errors import DoltError, RefNotFoundError
from doltflow.model.commit import Commit, parse_message
from doltflow.model.pathspec import Pathspec
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.refs import branches, hash_of_table

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
    heads = sorted(branches(connection))
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
            parents=tuple(part.strip() for part in str(parents or "").split(",") if part.strip()),
            author=str(author),
            email=str(email),
            date=_utc(date),
            message=str(message),
            run=parse_message(str(message)),
        )


def _utc(date: datetime) -> datetime:
    return date.replace(tzinfo=UTC)


def last_change(connection: Connection, table: str, at: str) -> str:
    """The hash of the commit that made a table what it is at a commit.

    A merge that only took one side's version is passed through, to the commit on that side.
    """
    while True:
        content = hash_of_table(connection, table, at)
        rows = connection.rows(
            "select commit_hash, parents from dolt_log(%s, '--tables', %s, '--parents')", [at, table]
        )
        for hash_, parents in rows:
            if hash_of_table(connection, table, str(hash_)) == content:
                break
        else:
            raise DoltError(
                f"The history of `{connection.database}` does not tell which commit made `{table}` at {at}."
            )
        sides = [part.strip() for part in str(parents or "").split(",")]
        same = [side for side in sides if len(sides) > 1 and hash_of_table(connection, table, side) == content]
        if not same:
            return str(hash_)
        at = same[0]


def commits_of_task(connection: Connection, pathspec: Pathspec, branch: str) -> list[Commit]:
    """The commits that a task made on a branch, newest first."""
    connection.use()
    mine = f"Run: {pathspec}"
    found = _commits(connection, "dolt_log(%s, '--parents') where left(message, %s) = %s", [branch, len(mine), mine])
    return [c for c in found if c.run is not None and c.run.pathspec == pathspec]
