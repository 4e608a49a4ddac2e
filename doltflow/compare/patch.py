"""A patch in SQL: what makes the later version of a table of the earlier one, down to its content hash."""

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from doltflow.compare.changed import Comparison
from doltflow.compare.literals import literals
from doltflow.compare.merging import Side
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.definition import Definition
from doltflow.sources.dolt.differing import DIFF_TYPE

_ROWS = 200
"""So many rows are in one INSERT."""
_NEXT = re.compile(r"AUTO_INCREMENT=(\d+)")
# Of these a literal is equal to what is stored; FLOAT is compared as a double, JSON as something else than text.
_EQUALS = {"tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal", "double", "date", "datetime"}
_EQUALS |= {"timestamp", "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "binary", "varbinary"}
_EQUALS |= {"tinyblob", "blob", "mediumblob", "longblob", "time", "enum"}


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
    if not of.is_in_one_database and before.definition.create != after.definition.create:
        yield f"DROP TABLE {quote(before.definition.name)};"
        yield from _made_anew(after)
    else:
        if of.is_in_one_database:
            yield from _schema(of, before, after)
        if _is_told_by_rows(of):
            yield from _rows(of, after)
        else:
            yield f"DELETE FROM {quote(after.definition.name)};"
            yield from _inserted(after)
    yield from _counter(before.definition, after.definition)
    yield "SET FOREIGN_KEY_CHECKS = 1;"


def _is_told_by_rows(of: Comparison) -> bool:
    """Whether rows can be changed one by one: by their key, or by all that is in them."""
    columns = [of.of.pairs[place].after for place in of.of.key] or [pair.after for pair in of.of.pairs]
    return of.of.is_same_key and all(column.base in _EQUALS and not column.folds for column in columns)


def _made_anew(side: Side) -> Iterator[str]:
    yield f"{side.definition.create};"
    yield from _inserted(side)


# The declaration


def _schema(of: Comparison, before: Side, after: Side) -> Iterator[str]:
    """Dolt's statements, and what they leave out: defaults, the order of columns, checks."""
    name, table = after.definition.name, quote(after.definition.name)
    statements = after.session.schema_statements(name, before.commit, after.commit)
    yield from (statement.rstrip(";") + ";" for statement in statements)
    told = "\n".join(statements)
    lines = after.definition.lines
    earlier = before.definition.lines
    for pair in of.of.pairs:
        own = earlier[pair.before.name].removeprefix(quote(pair.before.name))
        is_told = re.search(rf"MODIFY COLUMN {re.escape(quote(pair.name))} ", told, re.IGNORECASE)
        if own != lines[pair.name].removeprefix(quote(pair.name)) and not is_told:
            yield f"ALTER TABLE {table} MODIFY COLUMN {lines[pair.name]};"
    yield from _checks(before.definition, after.definition, table, told)
    names = {pair.before.name: pair.name for pair in of.of.pairs}
    order = [names[column.name] for column in before.definition.columns if column.name in names]
    order += [column.name for column in of.of.after_only]
    for place, column in enumerate(after.definition.columns):
        if order[place] != column.name:
            order.remove(column.name)
            order.insert(place, column.name)
            where = f"AFTER {quote(order[place - 1])}" if place else "FIRST"
            yield f"ALTER TABLE {table} MODIFY COLUMN {lines[column.name]} {where};"


def _checks(before: Definition, after: Definition, table: str, told: str) -> Iterator[str]:
    """What Dolt's own statements say nothing of."""
    old, new = _constraints(before), _constraints(after)
    for name, line in old.items():
        if new.get(name) != line and not re.search(rf"DROP (CONSTRAINT|CHECK) {re.escape(name)}", told, re.IGNORECASE):
            yield f"ALTER TABLE {table} DROP CONSTRAINT {name};"
    for name, line in new.items():
        if old.get(name) != line and f"CONSTRAINT {name}" not in told:
            yield f"ALTER TABLE {table} ADD {line};"


def _constraints(of: Definition) -> dict[str, str]:
    """The lines of checks, by their quoted names."""
    found = re.finditer(r"^  (CONSTRAINT (`(?:[^`]|``)+`) CHECK .*?),?$", of.create, re.MULTILINE)
    return {match[2]: match[1] for match in found}


def _counter(before: Definition, after: Definition) -> Iterator[str]:
    """The next value of AUTO_INCREMENT, which is part of a table's content."""
    old, new = (_NEXT.search(of.create.rpartition("\n")[2]) for of in (before, after))
    if new is not None and (old is None or old[1] != new[1]):
        yield f"ALTER TABLE {quote(after.name)} AUTO_INCREMENT = {new[1]};"


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


def _rows(of: Comparison, after: Side) -> Iterator[str]:
    """The rows that differ: where a value may stand only once, all that go before all that come."""
    if any(column.unique for column in after.definition.columns):
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
        # What a change of its type made of a value is not known here, nor what a new column has by default.
        is_sure = pair is not None and pair.before.type == pair.after.type
        old = _values(taken, f"from_{pair.before.name}", pair.before) if pair is not None and is_sure else None
        sets.append((quote(column.name), old, new))
    table = quote(after.definition.name)
    for row, found in enumerate(_conditions(of, taken)):
        changed = [f"{name} = {new[row]}" for name, old, new in sets if old is None or old[row] != new[row]]
        if changed:
            yield f"UPDATE {table} SET {', '.join(changed)} WHERE {found};"
