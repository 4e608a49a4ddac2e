"""How a frame fits a table: which columns are made, widened or left, and why one does not fit.

The schema of a table that is there stands where the frame's *values* fit it. A column is widened where they do not and
the wider type holds all that the narrower one held; it is never narrowed, and never changed from one kind to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import BadValueError, SchemaMismatchError, UsageError
from doltflow.model.access import Mode
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.write.fit import fit, new_type
from doltflow.sources.dolt.write.frame import PreparedFrame, listed

_SHOWN = 5
_ROW_BYTES = 65_000  # Dolt refuses a declared row of 65,504 bytes or more.
_SYNONYMS = {"boolean": "tinyint(1)", "bool": "tinyint(1)", "integer": "int", "numeric": "decimal", "real": "double"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a write does to a table.

    Attributes:
        table: The table's name.
        statements: DDL, in order; empty where the schema stands.
        columns: The table's columns that the frame fills, in the frame's order, as they are after the DDL.
        values: The frame's columns, converted to what those columns hold.
        keys: The primary key's columns afterwards.
        partial: Whether the table has more columns than the frame.
    """

    table: str
    statements: tuple[str, ...]
    columns: tuple[Column, ...]
    values: pa.Table
    keys: tuple[str, ...]
    partial: bool


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
    overrides = {name.casefold(): kind for name, kind in (types or {}).items()}
    unknown = [name for name in types or {} if name.casefold() not in map(str.casefold, frame.table.column_names)]
    if unknown:
        raise UsageError(f"`types` names {listed(unknown)}, which the frame for `{table}` does not have.")
    made = _create(frame, table, overrides) if existing is None else _evolve(frame, table, existing, mode, overrides)
    if mode == "update" and not made.keys:
        raise SchemaMismatchError(
            f"The table `{table}` has no key, so rows cannot be updated by key.", "Give `pks=[...]`, or use append."
        )
    _check_nulls(made)
    _check_unique(made)
    return made


def _create(frame: PreparedFrame, table: str, overrides: Mapping[str, str]) -> Plan:
    keys = frame.keys or ()
    arrays = dict(zip(frame.table.column_names, frame.table.columns, strict=True))
    kinds = {
        name: _override(overrides, name)
        or new_type(array, json=name in frame.json, loose=name in frame.loose, key=name in keys)
        for name, array in arrays.items()
    }
    _shrink(kinds, keys, overrides)
    columns, values = [], []
    for name, array in arrays.items():
        place = keys.index(name) if name in keys else None
        column = Column(name, kinds[name], nullable=place is None, key=place)
        kind, converted = fit(table, array, column, json=name in frame.json)
        columns.append(Column(name, column.type if _override(overrides, name) else kind, column.nullable, place))
        values.append(converted)
    lines = [_definition(column) for column in columns]
    if keys:
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, keys))})")
    statement = f"CREATE TABLE {quote(table)} ({', '.join(lines)})"
    return Plan(table, (statement,), tuple(columns), _table(columns, values), keys, partial=False)


def _evolve(
    frame: PreparedFrame, table: str, existing: Sequence[Column], mode: Mode, overrides: Mapping[str, str]
) -> Plan:
    known = {column.name.casefold(): column for column in existing}
    keys = tuple(c.name for c in sorted((c for c in existing if c.key is not None), key=lambda c: c.key or 0))
    _check_keys(frame, table, keys)
    statements, columns, values = [], [], []
    for name, array in zip(frame.table.column_names, frame.table.columns, strict=True):
        column = known.get(name.casefold())
        json = name in frame.json
        if column is None:
            kind = _override(overrides, name) or new_type(array, json=json, loose=name in frame.loose, key=False)
            column = Column(name, kind)
            statements.append(f"ALTER TABLE {quote(table)} ADD COLUMN {_definition(column)}")
            _, converted = fit(table, array, column, json=json)
        else:
            override = _override(overrides, name)
            wanted = Column(column.name, override or column.type, column.nullable, column.key, column.default)
            kind, converted = fit(table, array, wanted, json=json)
            if kind != column.type:
                column = Column(column.name, kind, column.nullable, column.key, column.default)
                statements.append(f"ALTER TABLE {quote(table)} MODIFY COLUMN {_definition(column)}")
        columns.append(column)
        values.append(converted)
    absent = [column for column in existing if column.name.casefold() not in {c.name.casefold() for c in columns}]
    if mode == "replace":
        statements += [f"ALTER TABLE {quote(table)} DROP COLUMN {quote(column.name)}" for column in absent]
        absent = []
    elif needed := [column.name for column in absent if not column.nullable and not column.default]:
        raise SchemaMismatchError(
            f"The frame lacks {listed(needed)}, which the table `{table}` requires (NOT NULL, no default)."
        )
    return Plan(table, tuple(statements), tuple(columns), _table(columns, values), keys, partial=bool(absent))


def _check_keys(frame: PreparedFrame, table: str, keys: Sequence[str]) -> None:
    names = {name.casefold() for name in frame.table.column_names}
    missing = [key for key in keys if key.casefold() not in names]
    if missing:
        raise SchemaMismatchError(f"The frame lacks {listed(missing)} of the key of the table `{table}`.")
    asked = frame.keys if frame.keys_asked else None
    if asked is not None and {key.casefold() for key in asked} != {key.casefold() for key in keys}:
        has = f"the key ({', '.join(keys)})" if keys else "no key"
        wants = f"({', '.join(asked)})" if asked else "none"
        raise SchemaMismatchError(
            f"The table `{table}` has {has}, and the frame asks for {wants}.",
            "Leave `pks` out to keep the table's key; to change it, drop the table first.",
        )


def _override(overrides: Mapping[str, str], name: str) -> str | None:
    kind = overrides.get(name.casefold())
    if kind is None:
        return None
    word = kind.strip().partition("(")[0].partition(" ")[0].lower()
    return _SYNONYMS[word] + kind.strip()[len(word) :] if word in _SYNONYMS else _lowered(kind.strip())


def _lowered(kind: str) -> str:
    """The type as Dolt spells it: in lower case, but for the values of an ENUM."""
    word, bracket, rest = kind.partition("(")
    if word.strip().lower() in ("enum", "set"):
        return word.strip().lower() + bracket + rest
    return ",".join(part.strip() for part in kind.lower().split(","))


def _definition(column: Column) -> str:
    return f"{quote(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"


def _shrink(kinds: dict[str, str], keys: Sequence[str], overrides: Mapping[str, str]) -> None:
    """Makes the widest texts LONGTEXT until the declared row is short enough for Dolt."""

    def width(kind: str) -> int:
        column = Column("", kind)
        return int(column.arguments) * 4 if column.base == "varchar" else 10

    while sum(width(kind) for kind in kinds.values()) > _ROW_BYTES:
        free = [
            n
            for n, kind in kinds.items()
            if kind.startswith("varchar") and n not in keys and n.casefold() not in overrides
        ]
        if not free:
            return
        kinds[max(free, key=lambda name: width(kinds[name]))] = "longtext"


def _table(columns: Sequence[Column], values: Sequence[pa.ChunkedArray]) -> pa.Table:
    return pa.Table.from_arrays(list(values), names=[column.name for column in columns])


def _check_nulls(made: Plan) -> None:
    keys = {key.casefold() for key in made.keys}
    for column, array in zip(made.columns, made.values.columns, strict=True):
        is_key = column.name.casefold() in keys
        if (is_key or not column.nullable) and array.null_count:
            rows = [row for row, value in enumerate(array.is_null().to_pylist()) if value]
            what = f"the key column `{column.name}`" if is_key else f"`{column.name}`, which is NOT NULL,"
            raise BadValueError(
                f"{what.capitalize() if is_key else what} of `{made.table}` is NULL in {_count(len(rows), 'row')} of "
                f"the frame (rows count from 0): {_rows(made, rows)}"
            )


def _check_unique(made: Plan) -> None:
    if not made.keys or made.values.num_rows < 2:
        return
    keys = [name for name in made.values.column_names if name.casefold() in {k.casefold() for k in made.keys}]
    counted = made.values.select(keys).append_column("", pa.array(range(made.values.num_rows), pa.int64()))
    grouped = counted.group_by(keys, use_threads=True).aggregate([("", "count"), ("", "min"), ("", "max")])
    if grouped.num_rows == made.values.num_rows:
        return
    doubled = grouped.filter(pc.greater(grouped["_count"], 1)).sort_by("_min")
    rows = [row for pair in zip(doubled["_min"].to_pylist(), doubled["_max"].to_pylist(), strict=True) for row in pair]
    raise BadValueError(
        f"{_count(doubled.num_rows, 'key')} of `{made.table}` ({', '.join(made.keys)}) stand in several rows of the "
        f"frame (rows count from 0): {_rows(made, rows)}",
        "Drop the duplicates, or add a column to `pks`.",
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rows(made: Plan, rows: Sequence[int]) -> str:
    shown = [f"row {row}: {made.values.slice(row, 1).to_pylist()[0]}" for row in rows[:_SHOWN]]
    return "; ".join(shown) + (" …" if len(rows) > _SHOWN else "")
