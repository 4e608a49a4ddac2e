"""What is left in a table of what one commit did to it."""

from doltflow.model.quoting import quote
from doltflow.sources.dolt.between import between
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.rowkeys import shape


def remains(connection: Connection, table: str, before: str, done: str, later: str) -> bool | None:
    """Whether a table still has something that a commit did to it.

    A row that it added or a cell that it changed is left while nobody has changed it since; a row that it removed,
    while nobody has put one of that key there.

    Args:
        connection: To the database.
        table: The table's name.
        before: Full hash of the commit's first parent.
        done: Full hash of the commit.
        later: Full hash of a commit that follows on it.

    Returns:
        None where it cannot be told: the table has no key, or its columns or its key have changed.
    """
    shapes = [shape(connection, table, at) for at in (before, done, later)]
    first = shapes[0]
    if first is None or not first.key or any(other is None or other != first for other in shapes):
        return None
    connection.use(later)
    did, since = between(before, done, table), between(done, later, table, "s")
    same = " and ".join(
        f"coalesce(d.{quote(f'to_{key}')}, d.{quote(f'from_{key}')}) = "
        f"coalesce(s.{quote(f'to_{key}')}, s.{quote(f'from_{key}')})"
        for key in first.key
    )
    cells = " or ".join(
        f"(not (d.{quote(f'from_{name}')} <=> d.{quote(f'to_{name}')}) "
        f"and s.{quote(f'to_{name}')} <=> d.{quote(f'to_{name}')})"
        for name in first.names
        if name not in first.key
    )
    modified = f"(d.diff_type <> 'removed' and s.diff_type = 'modified' and ({cells}))" if cells else "false"
    rows = connection.rows(
        f"select 1 from {did} left join {since} on {same} where s.diff_type is null or {modified} limit 1"
    )
    return bool(rows)
