"""How a frame fits a table: which columns are made, widened or left, and why one does not fit.

The schema of a table that is there stands where the frame's *values* fit it. A column is widened where they do not and
the wider type holds all that the narrower one held; it is never narrowed, and only `types` of a write that replaces all
rows changes it from one kind to another.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from doltflow.errors import SchemaMismatchError, UsageError
from doltflow.model.access import Mode
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column, spelled
from doltflow.sources.dolt.write.fit import fit, new_type, tightest_text
from doltflow.sources.dolt.write.frame import PreparedFrame, listed
from doltflow.sources.dolt.write.keys import check_nulls, check_unique
from doltflow.sources.dolt.write.widen import widened

_ROW_BYTES = 65_504  # Dolt refuses a declared row of that many.
_ROOMY_BYTES = 48_000  # Leaves room for columns to come.
_NOW = re.compile(r"((?:DEFAULT|ON UPDATE) )CURRENT_TIMESTAMP(?:\(\d*\))?")
_CHARACTER_BYTES, _OTHER_BYTES = 4, 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a write does to a table.

    Attributes:
        table: The table's name.
        statements: DDL, in order; empty where the schema stands.
        columns: The table's columns that the frame fills, in the frame's order, as they are after the DDL.
        values: The frame's columns, converted to what those columns hold.
        keys: The primary key's columns afterwards.
        required: The table's columns that the frame lacks and that have neither NULL nor a default.
        joins: Whether an update has to look for each row: rows cannot just be replaced where the table has columns that
            the frame lacks, or where another row may stand in the way of one.
    """

    table: str
    statements: tuple[str, ...]
    columns: tuple[Column, ...]
    values: pa.Table
    keys: tuple[str, ...]
    required: tuple[str, ...] = ()
    joins: bool = False


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A column of the frame in its place in the table.

    Attributes:
        column: As it is afterwards.
        values: The frame's values.
        before: The column as it is in the table, None for a new one.
        fixed: Whether `types` gave its type.
    """

    column: Column
    values: pa.ChunkedArray
    before: Column | None = None
    fixed: bool = False

    @property
    def changes(self) -> bool:
        return self.before is None or self.before.type != self.column.type


def plan(
    frame: PreparedFrame,
    table: str,
    existing: Sequence[Column] | None,
    mode: Mode,
    types: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of writing a frame to a table.

    Args:
        frame: The frame.
        table: The table's name.
        existing: The table's columns, or None where there is no such table.
        mode: `replace`, `update` or `append`.
        types: SQL types that override what would be chosen.

    Raises:
        SchemaMismatchError: A column does not fit, or the key differs.
        BadValueError: The key has NULL or duplicates, or a NOT NULL column a NULL.
        UsageError: `types` names a column that the frame does not have.
    """
    names = {name.lower() for name in frame.table.column_names}
    if unknown := [name for name in types or {} if name.lower() not in names]:
        raise UsageError(f"`types` names {listed(unknown)}, which the frame for `{table}` does not have.")
    asked = {name.lower(): kind for name, kind in (types or {}).items()}
    made = _create(frame, table, asked) if existing is None else _evolve(frame, table, existing, mode, asked)
    if mode == "update" and not made.keys:
        raise SchemaMismatchError(
            f"The table `{table}` has no key, so rows cannot be updated by key.", "Give `pks=[...]`, or use append."
        )
    check_nulls(table, made.columns, made.values)
    check_unique(table, made.keys, made.values)
    return made


def _create(frame: PreparedFrame, table: str, asked: Mapping[str, str]) -> Plan:
    keys = frame.keys or ()
    fitted = [_new(frame, table, name, asked, keys) for name in frame.table.column_names]
    fitted = _short_enough(table, fitted, ())
    lines = [_definition(one.column) for one in fitted]
    if keys:
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, keys))})")
    statement = f"CREATE TABLE {quote(table)} ({', '.join(lines)})"
    return Plan(table, (statement,), tuple(one.column for one in fitted), _values(fitted), keys)


def _new(frame: PreparedFrame, table: str, name: str, asked: Mapping[str, str], keys: Sequence[str] = ()) -> _Fitted:
    array, json = frame.table[frame.table.column_names.index(name)], name in frame.json
    place = keys.index(name) if name in keys else None
    rest = "" if place is None else " NOT NULL"
    wish = asked.get(name.lower())
    if wish is None:
        kind = new_type(array, json=json, loose=name in frame.loose, key=place is not None)
    else:
        kind, more = spelled(wish)
        rest = more + rest
    column = Column(name, kind, place is None, place, rest=rest, indexed=place is not None)
    needed, values = fit(table, array, column, json=json)
    if wish is not None and needed != kind:
        raise _too_narrow(table, column, wish, needed)
    return _Fitted(replace(column, type=needed), values, fixed=wish is not None)


def _too_narrow(table: str, column: Column, wish: str, needed: str) -> SchemaMismatchError:
    return SchemaMismatchError(
        f"`types` asks for `{table}`.`{column.name}` to be {wish}, and the frame's values need {needed}."
    )


def _evolve(frame: PreparedFrame, table: str, existing: Sequence[Column], mode: Mode, asked: Mapping[str, str]) -> Plan:
    known = {column.name.lower(): column for column in existing}
    keys = tuple(c.name for c in sorted((c for c in existing if c.key is not None), key=lambda c: c.key or 0))
    _check_keys(frame, table, [known[key.lower()] for key in keys], mode)
    fitted = [
        _old(frame, table, name, known[name.lower()], asked.get(name.lower()), mode)
        if name.lower() in known
        else _new(frame, table, name, asked)
        for name in frame.table.column_names
    ]
    names = {one.column.name.lower() for one in fitted}
    absent = [column for column in existing if column.name.lower() not in names and not column.generated]
    required = tuple(column.name for column in absent if not column.nullable and not column.default)
    if mode == "append" and required:
        raise SchemaMismatchError(
            f"The frame lacks {listed(required)}, which the table `{table}` requires (NOT NULL, no default)."
        )
    dropped = absent if mode == "replace" else []
    fitted = _short_enough(table, fitted, [column for column in absent if column not in dropped])
    columns = tuple(one.column for one in fitted)
    return Plan(
        table,
        tuple(_statements(table, fitted, dropped)),
        columns,
        _values(fitted),
        keys,
        required if mode == "update" else (),
        joins=mode == "update"
        and (bool(absent) or any(c.unique for c in existing) or any(known[key.lower()].folds for key in keys)),
    )


def _check_keys(frame: PreparedFrame, table: str, keys: Sequence[Column], mode: Mode) -> None:
    names = {name.lower() for name in frame.table.column_names}
    # Rows that are appended may leave their key to AUTO_INCREMENT.
    missing = [k.name for k in keys if k.name.lower() not in names and not (mode == "append" and k.default)]
    if missing:
        raise SchemaMismatchError(f"The frame lacks {listed(missing)} of the key of the table `{table}`.")
    asked = frame.keys if frame.keys_asked else None
    if asked is not None and {key.lower() for key in asked} != {key.name.lower() for key in keys}:
        has = f"the key ({', '.join(key.name for key in keys)})" if keys else "no key"
        wants = f"({', '.join(asked)})" if asked else "none"
        raise SchemaMismatchError(
            f"The table `{table}` has {has}, and the frame asks for {wants}.",
            "Leave `pks` out to keep the table's key; to change it, drop the table first.",
        )


def _old(frame: PreparedFrame, table: str, name: str, column: Column, wish: str | None, mode: Mode) -> _Fitted:
    if column.generated:
        raise SchemaMismatchError(
            f"`{table}`.`{column.name}` is computed from other columns, so it cannot be written.",
            "Leave it out of the frame.",
        )
    array = frame.table[frame.table.column_names.index(name)]
    wanted = column if wish is None else _wished(table, column, wish, mode)
    needed, values = fit(table, array, wanted, json=name in frame.json)
    if wish is not None and needed != wanted.type:
        raise _too_narrow(table, column, wish, needed)
    after = replace(wanted, type=needed)
    return _Fitted(replace(after, rest=_default_of(after)), values, column, fixed=wish is not None)


def _default_of(column: Column) -> str:
    """What stands behind the column's type, the present moment with as many digits as the type has."""
    if column.base not in ("datetime", "timestamp") or not column.size:
        return column.rest
    return _NOW.sub(rf"\1CURRENT_TIMESTAMP({column.size})", column.rest)


def _wished(table: str, column: Column, wish: str, mode: Mode) -> Column:
    """The column with room for what `types` asks for."""
    kind, rest = spelled(wish)
    wider = widened(column, kind)
    if wider is not None:
        return replace(column, type=wider)
    if mode != "replace":
        raise SchemaMismatchError(
            f"`types` asks for `{table}`.`{column.name}` to be {wish}, and it is {column.type}, whose rows stay.",
            "Only `mode='replace'` can change a column from one kind to another.",
        )
    return replace(column, type=kind, rest=rest if column.nullable else f"{rest} NOT NULL")


def _statements(table: str, fitted: Sequence[_Fitted], dropped: Sequence[Column]) -> list[str]:
    alter = f"ALTER TABLE {quote(table)}"
    changed = [
        f"{alter} {'ADD' if one.before is None else 'MODIFY'} COLUMN {_definition(one.column)}"
        for one in fitted
        if one.changes
    ]
    return changed + [f"{alter} DROP COLUMN {quote(column.name)}" for column in dropped]


def _definition(column: Column) -> str:
    return f"{quote(column.name)} {column.type}{column.rest}"


def _values(fitted: Sequence[_Fitted]) -> pa.Table:
    return pa.Table.from_arrays([one.values for one in fitted], names=[one.column.name for one in fitted])


def _short_enough(table: str, fitted: Sequence[_Fitted], others: Sequence[Column]) -> list[_Fitted]:
    """The columns, new texts with less room or as LONGTEXT where the declared row would be too long for Dolt."""
    result = list(fitted)
    fixed = sum(map(_width, others))
    for shorten in (_tightest, _longtext):
        free = [place for place, one in enumerate(result) if _may_shrink(one)]
        for place in sorted(free, key=lambda place: -_width(result[place].column)):
            if fixed + sum(_width(one.column) for one in result) < _ROOMY_BYTES:
                return result
            result[place] = shorten(result[place])
    if any(one.changes for one in result) and fixed + sum(_width(one.column) for one in result) >= _ROW_BYTES:
        raise SchemaMismatchError(
            f"The columns of `{table}` are too wide: with 4 bytes for a character they declare more than "
            f"{_ROW_BYTES:,} bytes, the most that a row has in Dolt.",
            "Shorten the texts of the key, or make fewer columns.",
        )
    return result


def _tightest(one: _Fitted) -> _Fitted:
    return replace(one, column=replace(one.column, type=tightest_text(one.values)))


def _longtext(one: _Fitted) -> _Fitted:
    return replace(one, column=replace(one.column, type="longtext"))


def _may_shrink(one: _Fitted) -> bool:
    return one.changes and not one.fixed and one.column.base == "varchar" and one.column.may_be_text


def _width(column: Column) -> int:
    if column.base in ("varchar", "char"):
        return column.size * _CHARACTER_BYTES
    return column.size if column.base in ("varbinary", "binary") else _OTHER_BYTES
