"""All that a table that is there declares of its columns: what a change of one of them must not lose."""

import re
from collections.abc import Sequence
from typing import Any

from doltflow.errors import SchemaMismatchError, TableNotFoundError
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection

_COLLATION = re.compile(r"(?: CHARACTER SET \w+)?(?: COLLATE (\w+))?$")
_TABLE_COLLATION = re.compile(r"\) .*COLLATE=(\w+)[^\n]*\Z")


def existing_columns(connection: Connection, table: str) -> list[Column] | None:
    """The columns of a table at the connection's revision, in order; None where there is no such table.

    Raises:
        SchemaMismatchError: It is a view.
    """
    try:
        rows = connection.rows(f"show columns from {quote(table)}")
    except TableNotFoundError:
        return None
    create = str(connection.rows(f"show create table {quote(table)}")[0][1])
    if create.upper().startswith("CREATE VIEW"):
        raise SchemaMismatchError(f"`{table}` is a view, and only tables can be written.", "Give another name.")
    indexes = connection.rows(f"show index from {quote(table)}")
    return [_column(row, create, indexes) for row in rows]


def _column(row: Sequence[Any], create: str, indexes: Sequence[Sequence[Any]]) -> Column:
    name, full, nullable, _, default, extra = row
    mine = [(str(index[2]), not index[1], int(index[3])) for index in indexes if str(index[4]) == name]
    kind = _COLLATION.sub("", full)
    own = _COLLATION.search(full)
    of_table = _TABLE_COLLATION.search(create)
    definition = re.search(rf"^  {re.escape(quote(name))} {re.escape(kind)}(.*?),?$", create, re.MULTILINE)
    rest = definition[1] if definition else "" if nullable == "YES" else " NOT NULL"
    return Column(
        name,
        kind,
        nullable == "YES",
        next((place - 1 for index, _, place in mine if index == "PRIMARY"), None),
        default is not None or bool(extra) or " GENERATED ALWAYS " in rest,
        rest,
        indexed=bool(mine),
        unique=any(is_unique and index != "PRIMARY" for index, is_unique, _ in mine),
        collation=(own[1] if own else None) or (of_table[1] if of_table else None),
    )
