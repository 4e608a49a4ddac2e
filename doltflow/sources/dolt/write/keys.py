"""What must not be in a key, nor in a column that is NOT NULL; told with the rows where it is."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import BadValueError
from doltflow.sources.dolt.column import Column

_SHOWN, _SHOWN_COLUMNS, _SHOWN_CHARACTERS = 5, 6, 60


def check_nulls(table: str, columns: Sequence[Column], values: pa.Table) -> None:
    """Makes sure that no column which is NOT NULL, as those of a key are, has a NULL.

    Raises:
        BadValueError: One has.
    """
    for column, array in zip(columns, values.columns, strict=True):
        if column.nullable or not array.null_count:
            continue
        rows = pc.indices_nonzero(array.is_null()).to_pylist()
        what = "The key column" if column.key is not None else "The NOT NULL column"
        raise BadValueError(
            f"{what} `{column.name}` of `{table}` is NULL in {_count(len(rows), 'row')} of the frame (rows count from "
            f"0): {_rows(values, rows, [column.name])}."
        )


def check_unique(table: str, keys: Sequence[str], values: pa.Table) -> None:
    """Makes sure that no key stands in two rows.

    Raises:
        BadValueError: One does.
    """
    names = {name.lower(): name for name in values.column_names}
    if not keys or values.num_rows < 2 or any(key.lower() not in names for key in keys):
        return
    mine = [names[key.lower()] for key in keys]
    # By number: Arrow takes a dot in a column's name for a path.
    numbered = {str(number): values.column(values.column_names.index(name)) for number, name in enumerate(mine)}
    if not _has_doubles(pa.table(numbered)):
        return
    counted = pa.table({**numbered, "row": pa.array(range(values.num_rows), pa.int64())})
    grouped = counted.group_by(list(numbered)).aggregate([("row", "count"), ("row", "min"), ("row", "max")])
    doubled = grouped.filter(pc.greater(grouped["row_count"], 1)).sort_by("row_min")
    ends = zip(doubled["row_min"].to_pylist(), doubled["row_max"].to_pylist(), strict=True)
    rows = [row for pair in ends for row in pair]
    one = doubled.num_rows == 1
    raise BadValueError(
        f"{_count(doubled.num_rows, 'key')} of `{table}` ({', '.join(keys)}) {'is' if one else 'are'} in several rows "
        f"of the frame (rows count from 0): {_rows(values, rows, mine)}.",
        "Drop the duplicates, or add a column to `pks`.",
    )


def _has_doubles(keys: pa.Table) -> bool:
    ordered = keys.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names]))
    same = pa.scalar(True)
    for column in ordered.columns:  # Three times as fast as to group them.
        same = pc.and_(same, pc.equal(column.slice(1), column.slice(0, len(column) - 1)))
    return bool(pc.any(same).as_py())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rows(values: pa.Table, rows: Sequence[int], first: Sequence[str]) -> str:
    names = [*first, *(name for name in values.column_names if name not in first)][:_SHOWN_COLUMNS]
    places = [values.column_names.index(name) for name in names]
    shown = []
    for row in rows[:_SHOWN]:
        cells = [f"{name}={_cell(values.column(place)[row])}" for name, place in zip(names, places, strict=True)]
        shown.append(f"row {row}: {', '.join(cells)}{' …' if values.num_columns > len(names) else ''}")
    return "; ".join(shown) + (" …" if len(rows) > _SHOWN else "")


def _cell(value: pa.Scalar) -> str:
    plain = value.as_py()
    if plain is None:
        return "NULL"
    if not isinstance(plain, str | bytes):
        return str(plain)
    return repr(plain) if len(plain) <= _SHOWN_CHARACTERS else f"{plain[:_SHOWN_CHARACTERS]!r}…"
