"""All that a table declares of itself: what a change of it must not lose, and two versions are told apart by."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from doltflow.errors import DoltError, SchemaMismatchError, TableNotFoundError
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection

_RENAME = re.compile(r"RENAME COLUMN `((?:[^`]|``)*)` TO `((?:[^`]|``)*)`", re.IGNORECASE)
_STATEMENTS = 1_000
_COLLATION = re.compile(r"(?: CHARACTER SET \w+)?(?: COLLATE (\w+))?$")
_TABLE_COLLATION = re.compile(r"\) .*COLLATE=(\w+)[^\n]*\Z")

_INDEX = re.compile(r"^  (?:(\w+) )?KEY (?:`(?:[^`]|``)+` )?\(((?:`(?:[^`]|``)+`|\(\d+\)|[^)`])+)\)", re.MULTILINE)
QUOTED = r"(`(?:[^`]|``)+`)"
"""A pattern for a quoted name in a declaration."""


@dataclass(frozen=True, slots=True)
class _Index:
    """A column's part in an index: the word before KEY, if any, and its place from 0."""

    kind: str | None
    place: int
    column: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A table as it is declared at a commit.

    Attributes:
        name: Its name, as the database spells it.
        columns: Its columns, in order.
        create: What SHOW CREATE TABLE gives.
    """

    name: str
    columns: tuple[Column, ...]
    create: str

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the primary key's columns, in the key's order; none where there is no key."""
        return tuple(c.name for c in sorted((c for c in self.columns if c.key is not None), key=lambda c: c.key or 0))

    @property
    def options(self) -> str:
        """The last line of `create`, with what is of the table as a whole, such as the next AUTO_INCREMENT."""
        return self.create.rpartition("\n")[2]

    @property
    def lines(self) -> dict[str, str]:
        """The line of every column in `create`, without what is around it, by the column's name."""
        found = {}
        for column in self.columns:
            begin = f"  {quote(column.name)} "
            line = next((line for line in self.create.split("\n") if line.startswith(begin)), begin)
            found[column.name] = line.strip().removesuffix(",")
        return found


def definition(connection: Connection, table: str, at: str) -> Definition | None:
    """How a table is declared at a commit; None where it is not there.

    Args:
        connection: Where to ask.
        table: The table, as the database spells it.
        at: Full hash of the commit.
    """
    connection.use(at)
    return _declared(connection, table)


def schema_statements(connection: Connection, table: str, before: str, after: str) -> list[str]:
    """The statements by which Dolt would turn the declaration at one commit into that at another."""
    connection.use(after)
    query = "select statement from dolt_patch(%s, %s, %s) where diff_type = 'schema' order by statement_order limit %s"
    return [str(row[0]) for row in connection.rows(query, [before, after, table, _STATEMENTS])]


def renamed_tables(connection: Connection, before: str, after: str) -> dict[str, str]:
    """The names that tables had at a commit, by the names that they have at another; only those that differ."""
    connection.use(after)
    query = "select from_table_name, to_table_name from dolt_diff_summary(%s, %s) where diff_type = 'renamed'"
    return {str(new): str(old) for old, new in connection.rows(query, [before, after])}


def renamed_columns(connection: Connection, table: str, before: str, after: str) -> dict[str, str]:
    """The names that columns had at a commit, by the names that they have at another; only those that differ."""
    try:
        statements = schema_statements(connection, table, before, after)
    except DoltError:
        return {}
    found = [match.groups() for statement in statements for match in _RENAME.finditer(statement)]
    return {new.replace("``", "`"): old.replace("``", "`") for old, new in found}


def existing_columns(connection: Connection, table: str) -> list[Column] | None:
    """The columns of a table at the connection's revision, in order; None where there is no such table.

    Raises:
        SchemaMismatchError: It is a view.
    """
    found = _declared(connection, table)
    return None if found is None else list(found.columns)


def _declared(connection: Connection, table: str) -> Definition | None:
    """How a table is declared at the connection's revision; None where it is not there."""
    try:
        rows = connection.rows(f"show columns from {quote(table)}")
    except TableNotFoundError:
        return None
    create = str(connection.rows(f"show create table {quote(table)}")[0][1])
    if create.upper().startswith("CREATE VIEW"):
        raise SchemaMismatchError(f"`{table}` is a view, and only tables can be written.", "Give another name.")
    indexes = _indexes(create)
    return Definition(table, tuple(_column(row, create, indexes) for row in rows), create)


def _indexes(create: str) -> list[_Index]:
    """The parts of a table's indexes, as it declares them: SHOW INDEX has none where a generated column is virtual."""
    found = []
    for match in _INDEX.finditer(create):
        kind, listed = match.groups()
        names = [name[1:-1].replace("``", "`") for name in re.findall(QUOTED, listed)]
        found += [_Index(kind, place, name) for place, name in enumerate(names)]
    return found


def _column(row: Sequence[Any], create: str, indexes: Sequence[_Index]) -> Column:
    name, full, nullable, _, default, extra = row
    mine = [index for index in indexes if index.column == name]
    kind = _COLLATION.sub("", full)
    own = _COLLATION.search(full)
    of_table = _TABLE_COLLATION.search(create)
    definition = re.search(rf"^  {re.escape(quote(name))} {re.escape(kind)}(.*?),?$", create, re.MULTILINE)
    rest = definition[1] if definition else "" if nullable == "YES" else " NOT NULL"
    return Column(
        name,
        kind,
        nullable == "YES",
        next((index.place for index in mine if index.kind == "PRIMARY"), None),
        default is not None or bool(extra) or " GENERATED ALWAYS " in rest,
        rest,
        indexed=bool(mine),
        unique=any(index.kind == "UNIQUE" for index in mine),
        collation=(own[1] if own else None) or (of_table[1] if of_table else None),
    )
