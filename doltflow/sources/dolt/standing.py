"""How a database stands now: which commits something still leads to, and what was changed and not committed."""

from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.refs import branches, tags

_RENAMED = " -> "


def reached(connection: Connection) -> set[str]:
    """The hashes of the commits that a branch leads to, one of a remote too, or a tag."""
    connection.use()
    remote = {str(row[0]) for row in connection.rows("select hash from dolt_remote_branches")}
    heads = sorted(remote | set(branches(connection).values()) | set(tags(connection).values()))
    marks = ", ".join(["%s"] * len(heads))
    return {str(row[0]) for row in connection.rows(f"select commit_hash from dolt_log({marks})", heads)}


def uncommitted(connection: Connection, branch: str) -> list[str]:
    """The tables that have uncommitted changes on a branch, staged or not; one that was renamed by both names."""
    connection.use(branch)
    listed = connection.rows("select table_name, status from dolt_status")
    names = {part for name, kind in listed for part in (name.split(_RENAMED) if kind == "renamed" else (name,))}
    return sorted(map(str, names))
