"""Foreign keys: not watched while a table is written, but kept in the end.

Watched, rows that are replaced by themselves would be refused, or would take rows of other tables with them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from doltflow.errors import BadValueError, DoltError, TableNotFoundError
from doltflow.model.quoting import quote
from doltflow.sources.dolt.connection import Connection


@dataclass(frozen=True, slots=True)
class _Reference:
    """A foreign key: columns of a table, and the columns of another table that must have their values."""

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@contextmanager
def references_kept(connection: Connection, tables: Sequence[str], branch: str, base: str) -> Iterator[None]:
    """Foreign keys are not looked at by the statements of this context, but afterwards.

    Args:
        connection: At the branch.
        tables: Those that are written.
        branch: Where they are written.
        base: The commit that the branch was at.

    Raises:
        BadValueError: A row refers to one that was there at the commit and is gone, or that never was there.
    """
    if not (known := _known(connection)):
        yield
        return
    connection.rows("set foreign_key_checks = 0")
    try:
        yield
    finally:
        with suppress(DoltError):  # A lost connection has forgotten it.
            connection.rows("set foreign_key_checks = 1")
    connection.use(branch)
    _check(connection, _references(connection, known, tables), branch, base)


def _check(connection: Connection, references: Sequence[_Reference], branch: str, base: str) -> None:
    for reference in references:
        connection.use(branch)
        lost = _orphans(connection, reference)
        if not lost:
            continue
        connection.use(base)  # What others broke is not ours to tell.
        if len(lost) > len(_orphans(connection, reference)):
            values = ", ".join(map(str, lost[0]))
            raise BadValueError(
                f"The write breaks the foreign key `{reference.name}`: `{reference.table}` "
                f"({', '.join(reference.columns)}) refers to ({values}), which `{reference.parent}` does not have."
            )
    connection.use(branch)


def _known(connection: Connection) -> list[tuple[str, str, str]]:
    """Each foreign key of the database: its name, its table and the one that it refers to."""
    return connection.rows(
        "select constraint_name, table_name, referenced_table_name from information_schema.referential_constraints "
        "where constraint_schema = database()"
    )


def _references(
    connection: Connection, known: Sequence[tuple[str, str, str]], tables: Sequence[str]
) -> list[_Reference]:
    written = {table.lower() for table in tables}
    ours = {
        (name, table) for name, table, parent in _known(connection) if {table.lower(), str(parent).lower()} & written
    }
    if not ours:
        return []
    rows = connection.rows(
        "select constraint_name, table_name, column_name, referenced_table_name, referenced_column_name "
        "from information_schema.key_column_usage "
        "where table_schema = database() and referenced_table_name is not null order by ordinal_position"
    )
    return [
        _Reference(
            name,
            table,
            tuple(row[2] for row in rows if row[:2] == (name, table)),
            next(row[3] for row in rows if row[:2] == (name, table)),
            tuple(row[4] for row in rows if row[:2] == (name, table)),
        )
        for name, table in sorted(ours)
    ]


def _orphans(connection: Connection, reference: _Reference) -> list[tuple[object, ...]]:
    """The values that the parent does not have, as many times as there are rows that refer to them."""
    mine = [f"c.{quote(column)}" for column in reference.columns]
    theirs = [f"p.{quote(column)}" for column in reference.parent_columns]
    same = " and ".join(f"{left} = {right}" for left, right in zip(mine, theirs, strict=True))
    given = " and ".join(f"{column} is not null" for column in mine)
    try:
        return connection.rows(
            f"select {', '.join(mine)} from {quote(reference.table)} c left join {quote(reference.parent)} p on {same} "
            f"where {given} and {theirs[0]} is null"
        )
    except TableNotFoundError:  # As the base may not have one of them yet.
        return []
