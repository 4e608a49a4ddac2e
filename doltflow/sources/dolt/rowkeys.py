"""Single rows of a table at a commit: its key, the rows that a predicate or a key names, their exact values."""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from doltflow.errors import (
    BadValueError,
    ColumnNotFoundError,
    DoltError,
    NoKeyError,
    QueryError,
    TableNotFoundError,
    UsageError,
    nearest,
)
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import BYTES, INTEGERS, Column, uncollated
from doltflow.sources.dolt.connection import Connection

_UNKNOWN = re.compile(r'column "(.*)" could not be found')
_INTEGERS = (*INTEGERS, "year", "bit")


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a table at a commit, and the names of those that are its key, both in the table's order."""

    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column | None:
        """The column of a name, in whatever case."""
        return next((column for column in self.columns if column.name.casefold() == name.casefold()), None)


def shape(connection: Connection, table: str, at: str) -> Shape | None:
    """A table's shape at a commit; None where it is not there."""
    connection.use(at)
    try:
        rows = connection.rows(f"show columns from {quote(table)}")
    except TableNotFoundError:
        return None
    columns = tuple(Column(str(row[0]), uncollated(str(row[1]))) for row in rows)
    return Shape(columns, tuple(str(row[0]) for row in rows if row[3] == "PRI"))


def keyed_shape(connection: Connection, table: str, at: str) -> Shape:
    """The shape of a table that has a key.

    Raises:
        TableNotFoundError: It is not there.
        NoKeyError: It has no key.
    """
    found = shape(connection, table, at)
    if found is None:
        raise TableNotFoundError(f"`{connection.database}` has no table `{table}` at commit {at}.")
    if not found.key:
        raise NoKeyError(
            f"The table `{table}` of `{connection.database}` has no primary key, so that none of its rows can be "
            "followed from one commit to another.",
            f"`doltflow trace {table}` shows where the whole table came from.",
        )
    return found


def find_column(of: Shape, name: str, table: str, database: str) -> str:
    """A column's name as the table spells it.

    Raises:
        ColumnNotFoundError: There is none.
    """
    column = of.column(name)
    if column is None:
        raise ColumnNotFoundError(
            f"The table `{table}` of `{database}` has no column `{name}`.", nearest(name, of.names)
        )
    return column.name


def key_of(of: Shape, given: Mapping[str, Any], table: str, database: str) -> dict[str, Any]:
    """A key as a user gave it, as values of the key's columns.

    Raises:
        ColumnNotFoundError: A column is not there.
        UsageError: A column is no part of the key, or a part is missing.
        BadValueError: A value is none of the column's type.
    """
    names = [find_column(of, name, table, database) for name in given]
    whole = f"The key of `{table}` is {', '.join(f'`{name}`' for name in of.key)}."
    for name in names:
        if name not in of.key:
            raise UsageError(f"`{name}` is no part of the key of `{table}`.", f"{whole} `--where` takes any column.")
        if names.count(name) > 1:
            raise UsageError(f"The key's column `{name}` is given twice.", whole)
    missing = [name for name in of.key if name not in names]
    if missing:
        raise UsageError(
            f"The key lacks {', '.join(f'`{name}`' for name in missing)}.", f"{whole} `--where` takes a part of it."
        )
    values = dict(zip(names, given.values(), strict=True))
    return {name: _typed(of.column(name), values[name]) for name in of.key}


def _typed(column: Column | None, value: Any) -> Any:
    """A value as one of the column's type."""
    if column is None or not isinstance(value, str):
        return value
    text = value.strip()
    try:
        if column.base in _INTEGERS:
            return int(text)
        if column.base == "decimal":
            number = Decimal(text)
            if not number.is_finite():
                raise ValueError(text)
            return number
        if column.base in ("float", "double"):
            return float(text)
        if column.base == "date":
            return date.fromisoformat(text)
        if column.base in ("datetime", "timestamp"):
            return datetime.fromisoformat(text)
        if column.base in BYTES:
            return bytes.fromhex(text[2:]) if text.lower().startswith("0x") else value.encode()
        value.encode()
    except (ValueError, InvalidOperation) as error:
        raise BadValueError(f"The column `{column.name}` is {column.type}, which {value!r} is not.") from error
    return value


def matching(connection: Connection, table: str, at: str, where: str, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The keys of the rows that a predicate takes, in the key's order.

    Args:
        connection: Where to ask.
        table: The table, as the database spells it.
        at: Full hash of the commit.
        where: The predicate, checked by the caller.
        limit: At most so many keys.

    Returns:
        The keys, and how many rows there are in all.

    Raises:
        NoKeyError: The table has no key.
        ColumnNotFoundError, QueryError: The predicate names what is not there, or Dolt refuses it.
    """
    of = keyed_shape(connection, table, at)
    connection.use(at)
    source = f"from {quote(table)} where ({where})"
    order = ", ".join(quote(name) for name in of.key)
    try:
        rows = connection.rows(f"select {_selected(of, of.key)} {source} order by {order} limit {limit:d}")
        total = int(connection.value(f"select count(*) {source}")) if len(rows) == limit else len(rows)
    except ColumnNotFoundError as error:
        unknown = _UNKNOWN.search(error.message)
        if unknown is not None:
            find_column(of, unknown[1].rpartition(".")[2], table, connection.database)
        raise
    except TableNotFoundError as error:
        raise QueryError(
            f"The predicate names another table than `{table}`. {error.message}", "A predicate is about one table."
        ) from error
    except DoltError as error:
        raise QueryError(f"Dolt cannot take the rows that match `{where}`. {error.message}", error.hint) from error
    return [dict(zip(of.key, map(plain, row), strict=True)) for row in rows], total


def removed(connection: Connection, table: str, at: str, where: str, limit: int) -> list[dict[str, Any]]:
    """The keys of rows that a predicate took when they were removed, and that are not there at a commit.

    Args:
        connection: Where to ask.
        table: The table, as the database spells it.
        at: Full hash of the commit.
        where: A predicate that `matching` takes.
        limit: At most so many removals are looked at.
    """
    of = keyed_shape(connection, table, at)
    connection.use(at)
    before = ", ".join(f"{quote(f'from_{name}')} as {quote(name)}" for name in of.names)
    source = f"(select {before} from {quote(f'dolt_diff_{table}')} where diff_type = 'removed') as {quote(table)}"
    try:
        rows = connection.rows(f"select distinct {_selected(of, of.key)} from {source} where ({where}) limit {limit:d}")
    except DoltError:  # In a shallow clone it cannot be told.
        return []
    keys = [dict(zip(of.key, map(plain, values), strict=True)) for values in rows]
    return [key for key in keys if row(connection, table, at, of, key) is None]


def row(connection: Connection, table: str, at: str, of: Shape, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """The one row that has these values at a commit; None where there is none, or several.

    Raises:
        BadValueError: Dolt cannot compare the values with the columns.
    """
    if not key or any(of.column(name) is None for name in key):
        return None
    connection.use(at)
    try:
        found = connection.rows(
            f"select {marked(_selected(of, of.names))} from {marked(quote(table))} where {condition(key)} limit 2",
            bound(of, key),
        )
    except (TableNotFoundError, ColumnNotFoundError):
        raise
    except DoltError as error:
        raise BadValueError(f"The row cannot be looked up. {error.message}", "Check the values of the key.") from error
    return dict(zip(of.names, map(plain, found[0]), strict=True)) if len(found) == 1 else None


def condition(names: Sequence[str] | Mapping[str, Any], prefix: str = "") -> str:
    """The condition that columns have values, which take the marks' places."""
    return " and ".join(f"{marked(quote(prefix + name))} = %s" for name in names)


def marked(text: str) -> str:
    """SQL for a statement with marks: a `%` of its own is doubled."""
    return text.replace("%", "%%")


def bound(of: Shape, key: Mapping[str, Any]) -> list[Any]:
    """A key's values as they are given to Dolt: a text is compared with a text, so that an index can be used."""
    values: list[Any] = []
    for name, value in key.items():
        column = of.column(name)
        kind = column.base if column is not None else ""
        is_text = kind not in (*_INTEGERS, *BYTES, "decimal", "float", "double")
        if kind == "float" and isinstance(value, int | float):
            values.append(_single(value))
        else:
            values.append(str(value) if is_text and isinstance(value, int | Decimal | float) else value)
    return values


def _single(value: float) -> float:
    """What a number becomes in a column of four bytes: Dolt's own tables of differences compare with just that."""
    try:
        found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:  # No such column holds it.
        return value
    return found


def _selected(of: Shape, names: Sequence[str]) -> str:
    parts = []
    for name in names:
        column = of.column(name)
        # The driver does not read a BIT as it should.
        is_bit = column is not None and column.base == "bit"
        parts.append(f"cast({quote(name)} as unsigned)" if is_bit else quote(name))
    return ", ".join(parts)


def plain(value: Any) -> Any:
    """A value of a row: a TIME is a text."""
    return time_text(value) if isinstance(value, timedelta) else value


def time_text(span: timedelta) -> str:
    """A TIME as Dolt prints it: `-26:00:01.500000`, without a fraction that is zero."""
    sign, whole = ("-", -span) if span < timedelta(0) else ("", span)
    minutes, seconds = divmod(whole // timedelta(seconds=1), 60)
    fraction = f".{whole.microseconds:06d}" if whole.microseconds else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{fraction}"
