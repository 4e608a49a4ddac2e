"""A patch in SQL: what makes the later version of a table of the earlier one, row for row and column for column."""

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from doltflow.compare.alterations import alterations, needs_empty
from doltflow.compare.changed import Comparison
from doltflow.compare.literals import NEGATIVE_ZERO, literals
from doltflow.compare.merging import Side
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import BYTES, INTEGERS, TEXTS, Column
from doltflow.sources.dolt.definition import Definition
from doltflow.sources.dolt.differing import DIFF_TYPE

_ROWS = 200
"""So many rows are in one INSERT."""
_NEXT = re.compile(r"AUTO_INCREMENT=(\d+)")
# Of these a literal is equal to what is stored; FLOAT is compared as a double, JSON as something else than text.
_EQUALS = {*INTEGERS, *TEXTS, *BYTES, "year", "decimal", "double", "date", "datetime", "timestamp", "time", "enum"}


def patch(of: Comparison) -> Iterator[str]:
    """The statements, one a line but for declarations; none where the versions are identical.

    Args:
        of: Both versions, of which all is asked.
    """
    if of.is_identical:
        return
    before, after = of.before, of.after
    if after is None:
        yield f"DROP TABLE {quote(before.definition.name if before else '')};"
        return
    if before is None:
        yield from _made_anew(after)
        return
    yield "SET FOREIGN_KEY_CHECKS = 0;"
    counts = " AUTO_INCREMENT" in after.definition.create.upper()
    if counts:  # A 0 is a value like any other.
        yield "SET @doltflow_sql_mode = @@sql_mode;"
        yield "SET @@sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO');"
    if not of.is_in_one_database and before.definition.create != after.definition.create:
        yield f"DROP TABLE {quote(before.definition.name)};"
        yield from _made_anew(after)
    else:
        yield from _renamed(before, after)
        yield from _altered(of, before, after)
    yield from _counter(before.definition, after.definition)
    if counts:
        yield "SET @@sql_mode = @doltflow_sql_mode;"
    yield "SET FOREIGN_KEY_CHECKS = 1;"


def _renamed(before: Side, after: Side) -> Iterator[str]:
    """The table's later name; Dolt takes one that differs only in case for the same, so that another comes between."""
    old, new = before.definition.name, after.definition.name
    between = f"renamed_{before.commit}" if old.casefold() == new.casefold() else new
    for one, other in ((old, between), (between, new)):
        if one != other:
            yield f"RENAME TABLE {quote(one)} TO {quote(other)};"


def _altered(of: Comparison, before: Side, after: Side) -> Iterator[str]:
    """Changes of the declaration around those of the rows; where rows could be in its way, all rows anew."""
    by_rows = _is_told_by_rows(of)
    table = quote(after.definition.name)
    if not by_rows:
        yield f"DELETE FROM {table};"
    hints = (
        after.session.schema_statements(after.definition.name, before.commit, after.commit)
        if of.is_in_one_database
        else ()
    )
    statements = alterations(before.definition, after.definition, of.of, hints)
    yield from statements.before
    yield from _rows(of, before, after) if by_rows else _inserted(after)
    yield from statements.after


def _is_told_by_rows(of: Comparison) -> bool:
    """Whether rows can be changed one by one: by their key, or by all that is in them."""
    columns = [of.of.pairs[place].after for place in of.of.key] or [pair.after for pair in of.of.pairs]
    is_found = all(column.base in _EQUALS and not column.folds for column in columns)
    # In two databases a walk tells of no more than what both have, which is all where the declarations are the same.
    is_told = of.is_walked or (not of.is_in_one_database and of.of.is_same_key)
    return is_told and is_found and not needs_empty(of.of)


def _made_anew(side: Side) -> Iterator[str]:
    yield f"{side.definition.create};"
    yield from _inserted(side)


def _counter(before: Definition, after: Definition) -> Iterator[str]:
    """The next value of AUTO_INCREMENT, which is part of a table's content."""
    old, new = (_NEXT.search(of.options) for of in (before, after))
    if new is not None or old is not None:
        yield f"ALTER TABLE {quote(after.name)} AUTO_INCREMENT = {new[1] if new is not None else 1};"


# The rows


def _stored(columns: Sequence[Column]) -> list[Column]:
    """The columns that are given values; others make their own."""
    return [column for column in columns if not column.generated]


def _inserted(side: Side) -> Iterator[str]:
    """All rows of a version."""
    columns = _stored(side.definition.columns)
    for rows in side.session.ordered(side.definition.name, side.commit, columns, ()):
        values = [
            literals(rows.column(f"value_{number}").combine_chunks(), column) for number, column in enumerate(columns)
        ]
        yield from _insert(side.definition.name, columns, list(zip(*values, strict=True)))


def _insert(table: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    names = ", ".join(quote(column.name) for column in columns)
    for start in range(0, len(rows), _ROWS):
        listed = ", ".join(f"({', '.join(row)})" for row in rows[start : start + _ROWS])
        yield f"INSERT INTO {quote(table)} ({names}) VALUES {listed};"


def _rows(of: Comparison, before: Side, after: Side) -> Iterator[str]:
    """The rows that differ: where a value may stand only once, all that go before all that come."""
    columns = (*before.definition.columns, *after.definition.columns)
    # An UPDATE takes for done what a collation takes for equal.
    if any(column.unique or column.folds for column in columns):
        for rows in _differing(of):
            yield from _removed(of, after, rows, ("removed", "modified"))
        for rows in _differing(of):
            yield from _added(of, after, rows, ("added", "modified"))
        return
    for rows in _differing(of):
        yield from _removed(of, after, rows, ("removed",))
        yield from _updated(of, after, rows)
        yield from _added(of, after, rows, ("added",))


def _differing(of: Comparison) -> Iterator[pa.Table]:
    """All rows that differ in anything, a column that only the later version has included."""
    before, after = of.before, of.after
    if before is not None and after is not None and of.is_walked:
        yield from after.session.differing(after.definition.name, (before.commit, after.commit), of.of.columns)
    else:
        yield from (piece.rows for piece in of.changed())


def _of_kind(rows: pa.Table, kinds: Sequence[str]) -> pa.Table:
    wanted = [place for place, kind in enumerate(rows.column(DIFF_TYPE).to_pylist()) if kind in kinds]
    return rows.take(pa.array(wanted, pa.int64()))


def _values(rows: pa.Table, name: str, column: Column) -> list[str]:
    return literals(rows.column(name).combine_chunks(), column)


def _conditions(of: Comparison, rows: pa.Table) -> Iterator[str]:
    """For each row what it is found by, after the declaration has been changed."""
    pairs = [of.of.pairs[place] for place in of.of.key] or list(of.of.pairs)
    sign = "=" if of.of.key else "<=>"
    names = [quote(pair.name) for pair in pairs]
    values = [_values(rows, f"from_{pair.before.name}", pair.before) for pair in pairs]
    for row in zip(*values, strict=True):
        yield " AND ".join(f"{name} {sign} {value}" for name, value in zip(names, row, strict=True))


def _removed(of: Comparison, after: Side, rows: pa.Table, kinds: Sequence[str]) -> Iterator[str]:
    table = quote(after.definition.name)
    last = "" if of.of.key else " LIMIT 1"
    yield from (f"DELETE FROM {table} WHERE {found}{last};" for found in _conditions(of, _of_kind(rows, kinds)))


def _added(of: Comparison, after: Side, rows: pa.Table, kinds: Sequence[str]) -> Iterator[str]:
    columns = _stored(after.definition.columns)
    taken = _of_kind(rows, kinds)
    values = [_values(taken, f"to_{column.name}", column) for column in columns]
    yield from _insert(after.definition.name, columns, list(zip(*values, strict=True)))


def _updated(of: Comparison, after: Side, rows: pa.Table) -> Iterator[str]:
    taken = _of_kind(rows, ("modified",))
    key = set(of.key)
    sets = []
    for column in _stored(after.definition.columns):
        if column.name in key:
            continue
        pair = next((pair for pair in of.of.pairs if pair.name == column.name), None)
        new = _values(taken, f"to_{column.name}", column)
        old = _values(taken, f"from_{pair.before.name}", pair.before) if pair is not None else ["NULL"] * len(new)
        sets.append((quote(column.name), old, new))
    table = quote(after.definition.name)
    dated = {quote(column.name) for column in after.definition.columns if " ON UPDATE " in column.rest.upper()}
    for row, found in enumerate(_conditions(of, taken)):
        changed = [f"{name} = {new[row]}" for name, old, new in sets if old[row] != new[row]]
        if changed:  # Dolt sets these to now where an UPDATE says nothing of them.
            changed += [f"{name} = {new[row]}" for name, old, new in sets if name in dated and old[row] == new[row]]
        # An UPDATE takes a zero for what it is, whatever its sign.
        zeros = [name for name, old, new in sets if {old[row], new[row]} == {NEGATIVE_ZERO, "0e0"}]
        if zeros:
            yield f"UPDATE {table} SET {', '.join(f'{name} = 1e0' for name in zeros)} WHERE {found};"
        if changed:
            yield f"UPDATE {table} SET {', '.join(changed)} WHERE {found};"
