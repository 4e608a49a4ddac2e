"""Rows of tables to compare: those that differ between two commits of one database, or all in a certain order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from doltflow.model.quoting import quote
from doltflow.sources.dolt.between import between
from doltflow.sources.dolt.column import INTEGERS, TEXTS, Column
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.stream import BATCH_ROWS, Item, stream

DIFF_TYPE = "diff_type"
MATCHES = "matches"
_FLAG = Column(MATCHES, "tinyint")
DIFF_COLUMN = Column(DIFF_TYPE, "varchar(8)")
_MINE = "doltflow_"
"""What the names of a query's own columns begin with, where a predicate about the table's is to be understood."""


@dataclass(frozen=True, slots=True)
class Both:
    """A column of a table at two commits, by the name and type that it has at each; None where it is not there."""

    before: Column | None
    after: Column | None

    @property
    def name(self) -> str:
        """Its name, the later one where it has two."""
        column = self.after or self.before
        return column.name if column is not None else ""


Names = tuple[tuple[str, str | None], ...]
"""The names that a predicate may use, each with the column that it means; None where it is as if it were NULL."""


@dataclass(frozen=True, slots=True)
class Where:
    """A predicate, checked by the caller, that a row must fulfil at one commit at least.

    Attributes:
        text: SQL.
        before, after: The names that it may use, each with the column that it means at either commit; None where there
            is none, which is as if it were NULL.
    """

    text: str
    before: Names
    after: Names


def differing(
    connection: Connection,
    table: str,
    ends: tuple[str, str],
    columns: Sequence[Both],
    where: Where | None = None,
    *,
    only_columns: bool = False,
    rows: int = BATCH_ROWS,
) -> Iterator[pa.Table]:
    """The rows of a table that differ between two commits, in the order of the key, as Dolt's `dolt_diff` has them.

    The key must be the same at both, by its columns' order and types too: else Dolt's answer is wrong.

    Args:
        connection: Where to ask.
        table: The table, as the database spells it.
        ends: Full hashes of the commits, from and to.
        columns: What to take; the table has them all at the commit that is meant.
        where: Which rows.
        only_columns: Whether modified rows may be left out where none of `columns` differs: after a change of its
            columns a table has every row modified.
        rows: About how many rows a piece has.

    Returns:
        Tables with the columns `diff_type` (`added`, `removed` or `modified`) and, for each column, `from_` and `to_`
        before its name at either commit.
    """
    connection.use(ends[1])
    asked = [(DIFF_TYPE, DIFF_COLUMN), *named(columns)]
    source = f"from {between(*ends, table)}"
    if only_columns:
        pairs = [(both.before, both.after) for both in columns if both.before and both.after]
        if all(_is_comparable(*pair) for pair in pairs):
            changed = [f"not {_exact('from_', before)} <=> {_exact('to_', after)}" for before, after in pairs]
            source += f" where {quote(DIFF_TYPE)} <> 'modified'" + "".join(f" or {text}" for text in changed)
    if where is None:
        yield from stream(
            connection, [Item(quote(name), name, of, is_outer=True) for name, of in asked], source, rows=rows
        )
        return
    items, numbered = list[Item](), list[str]()
    for number, (name, of) in enumerate(asked):
        mine = quote(f"{_MINE}{number}")
        numbered.append(f"{quote(name)} as {mine}")
        items.append(Item(mine, name, of, is_outer=True))
    # One query inside the other, so that in each the table's columns have just the names that the predicate knows.
    name, flag = quote(table), quote(_MINE)
    ends_known = dict.fromkeys(
        [f"to_{own}" for _, own in where.after if own is not None]
        + [f"from_{own}" for _, own in where.before if own is not None]
    )
    # Of a NULL that is a constant Dolt's planner loses the place.
    nothing = quote(f"{_MINE}null")
    aliases = {own: quote(f"{_MINE}{own}") for own in ends_known}
    kept = [f"{quote(own)} as {alias}" for own, alias in aliases.items()]
    kept.append(f"nullif({quote(DIFF_TYPE)}, {quote(DIFF_TYPE)}) as {nothing}")
    outer = ", ".join([*(item.expression for item in items), *aliases.values(), nothing])
    inner = f"select {', '.join([*numbered, *kept])} {source}"
    first = f"select {outer}, {_named('to_', where.after, aliases, nothing)} from ({inner}) as {name}"
    # A row that is not there is no row whose columns are all NULL.
    kind = items[0].expression
    second = f"select {outer}, ({where.text}) is true and {kind} <> 'removed' as {flag} from ({first}) as {name}"
    third = f"select {outer}, {flag}, {_named('from_', where.before, aliases, nothing)} from ({second}) as {name}"
    rest = f"from ({third}) as {name} where {flag} or (({where.text}) and {kind} <> 'added')"
    yield from stream(connection, items, rest, rows=rows)


def _is_comparable(before: Column, after: Column) -> bool:
    """Whether Dolt tells equal values from others: it takes 030 for 30, and of two scales the smaller one."""
    bases = {before.base, after.base}
    return before.type == after.type or bases <= {*INTEGERS} or bases <= {*TEXTS}


def _exact(prefix: str, column: Column) -> str:
    """A column, so that texts which its collation takes for equal are not."""
    name = quote(prefix + column.name)
    return f"cast({name} as char) collate utf8mb4_0900_bin" if column.folds else name


def named(columns: Sequence[Both]) -> list[tuple[str, Column]]:
    """The columns of rows that differ, as they are called there: `from_` and `to_` before the name at either commit."""
    found = []
    for both in columns:
        if both.before is not None:
            found.append((f"from_{both.before.name}", both.before))
        if both.after is not None:
            found.append((f"to_{both.after.name}", both.after))
    return found


def _named(prefix: str, names: Names, aliases: Mapping[str, str], nothing: str) -> str:
    meant = ((name, nothing if own is None else aliases[prefix + own]) for name, own in names)
    return ", ".join(f"{own} as {quote(name)}" for name, own in meant)


def ordered(
    connection: Connection,
    table: str,
    at: str,
    columns: Sequence[Column],
    order: Sequence[tuple[str, bool]],
    where: str | None = None,
    others: Sequence[tuple[str, str | None]] = (),
    *,
    rows: int = BATCH_ROWS,
) -> Iterator[pa.Table]:
    """All rows of a table at a commit.

    Args:
        connection: Where to ask.
        table: The table, as the database spells it.
        at: Full hash of the commit.
        columns: What to take.
        order: SQL expressions to order the rows by, each with whether it is a text, which is given too, as `order_0`
            and so on.
        where: A predicate, checked by the caller: whether a row fulfils it is given as `matches`.
        others: Names that the predicate may use and the table does not have, each with the column that it means; None
            where there is none, which is as if it were NULL.
        rows: About how many rows a piece has.
    """
    connection.use(at)
    items = [Item(quote(column.name), f"value_{number}", column) for number, column in enumerate(columns)]
    items += [Item(sql, f"order_{number}", DIFF_COLUMN) for number, (sql, is_text) in enumerate(order) if is_text]
    if where is not None:
        items.append(Item(f"({where}) is true", MATCHES, _FLAG))
    by = f" order by {', '.join(sql for sql, _ in order)}" if order else ""
    source = _with_others(table, others if where is not None else ())
    is_sorted = any(is_text for _, is_text in order)
    yield from stream(connection, items, f"from {source}{by}", once=is_sorted, rows=rows)


def check_where(
    connection: Connection, table: str, at: str, where: str, others: Sequence[tuple[str, str | None]]
) -> None:
    """Makes sure that a predicate can be applied to a table at a commit, as `ordered` does.

    Raises:
        ColumnNotFoundError, QueryError: It cannot.
    """
    connection.use(at)
    connection.rows(f"select 1 from {_with_others(table, others)} where ({where}) limit 0")


def _with_others(table: str, others: Sequence[tuple[str, str | None]]) -> str:
    """A table with more names for its columns, and with columns that are NULL."""
    name = quote(table)
    if not others:
        return name
    more = ", ".join(f"{'NULL' if own is None else quote(own)} as {quote(other)}" for other, own in others)
    return f"(select *, {more} from {name}) as {name}"
