"""Frames as exact Arrow tables: what pandas, polars or Arrow hold, with NULL where a value is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import BadValueError, SchemaMismatchError
from doltflow.sources.dolt.write.objects import json_texts, object_array

_SHOWN = 5
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A frame that can be written.

    Attributes:
        table: Its columns; floats without NaN, infinity and negative zero, no dictionaries, no nested types, times in
            microseconds.
        keys: The key's columns: those that were asked for, else the named index levels, else None.
        keys_asked: Whether they were asked for.
        json: The columns whose values were lists or dictionaries, as JSON text here.
        loose: The columns whose precision was taken from Python's `Decimal` values, not from a type.
    """

    table: pa.Table
    keys: tuple[str, ...] | None
    keys_asked: bool
    json: frozenset[str]
    loose: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Columns:
    """A frame's columns as Arrow arrays, before they are brought to the types that a table can hold."""

    names: list[str]
    arrays: list[pa.ChunkedArray]
    index: tuple[str, ...] = ()
    json: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()


def listed(names: Sequence[str]) -> str:
    """The first few names, in backticks."""
    return ", ".join(f"`{name}`" for name in names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


def prepare(frame: Any, pks: Sequence[str] | str | None = None) -> PreparedFrame:
    """The frame, ready to be written.

    Args:
        frame: A pandas or polars DataFrame, an Arrow table or a pandas Series. Named index levels become columns.
        pks: The key's columns; without them the named index levels are the key.

    Raises:
        SchemaMismatchError: A column has no name, two have one, or its values are of no type that SQL knows.
        BadValueError: A value is infinite, or loses digits.
    """
    asked = None if pks is None else (pks,) if isinstance(pks, str) else tuple(pks)
    columns = _columns(frame)
    if missing := [str(key) for key in asked or () if key not in columns.names]:
        raise SchemaMismatchError(
            f"The key column {listed(missing)} is not in the frame, whose columns are {listed(columns.names)}."
        )
    if asked is not None and len(set(asked)) < len(asked):
        raise SchemaMismatchError(f"The key ({', '.join(asked)}) names a column twice.")
    arrays, json = [], set(columns.json)
    for name, array in zip(columns.names, columns.arrays, strict=True):
        plain, is_json = _plain(name, array)
        arrays.append(plain)
        if is_json:
            json.add(name)
    keys = asked if asked is not None else columns.index or None
    table = pa.Table.from_arrays(arrays, names=columns.names)
    return PreparedFrame(table, keys, asked is not None, frozenset(json), columns.loose)


def _columns(frame: Any) -> _Columns:
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        return _Columns(_names(frame.column_names), frame.columns)
    package, kind = type(frame).__module__.partition(".")[0], type(frame).__name__
    if package == "polars" and kind == "DataFrame":
        return _from_polars(frame)
    if package == "pandas" and hasattr(frame, "index") and hasattr(frame, "iloc"):
        return _from_pandas(frame)
    hint = "`.collect()` it first." if kind == "LazyFrame" else "Give a pandas or polars DataFrame or an Arrow table."
    raise SchemaMismatchError(f"A {kind} cannot be written.", hint)


def _from_polars(frame: Any) -> _Columns:
    arrays = []
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        try:
            if str(dtype) == "Object":  # Arrow would get the addresses of the objects.
                raise pa.ArrowInvalid("Python objects")
            arrays.append(frame.select(name).to_arrow().column(0))
        except pa.ArrowInvalid as error:
            raise _no_type(name, dtype) from error
    return _Columns(_names(frame.columns), arrays)


def _levels(index: Any) -> list[Any]:
    """The levels of a pandas index, each as an index of its own."""
    return [index.get_level_values(number) for number in range(index.nlevels)]


def _from_pandas(frame: Any) -> _Columns:
    if frame.ndim == 1:
        frame = frame.to_frame(frame.name if frame.name is not None else "value")
    if frame.columns.nlevels > 1:
        raise SchemaMismatchError(
            "The frame's columns have several levels.", "Give each column one name, `frame.columns = [...]`."
        )
    index = [str(name) for name in frame.index.names if name is not None]
    if clash := [name for name in index if name in map(str, frame.columns)]:
        raise SchemaMismatchError(f"{listed(clash)} is both an index level and a column of the frame.")
    if not index and len(frame) and any(level.dtype.kind not in "iu" for level in _levels(frame.index)):
        raise SchemaMismatchError(
            "The frame's index has no name, and is not the number of a row.",
            "Name it (`frame.index.name = ...`) to make it a column, or drop it (`frame.reset_index(drop=True)`).",
        )
    if index:
        unnamed = [level for level, name in enumerate(frame.index.names) if name is None]
        frame = (frame.droplevel(unnamed) if unnamed else frame).reset_index()
    names = _names(frame.columns)
    arrays = []
    json: set[str] = set()
    loose: set[str] = set()
    for place, name in enumerate(names):
        series = frame.iloc[:, place]
        if series.dtype != object:
            arrays.append(_typed(name, series))
            continue
        array, is_json = object_array(name, series.array)
        arrays.append(array)
        (json if is_json else loose).add(name)
    return _Columns(names, arrays, tuple(index), frozenset(json), frozenset(loose))


def _typed(name: str, series: Any) -> pa.ChunkedArray:
    if str(series.dtype).startswith("Sparse"):
        series = series.sparse.to_dense()
    try:
        # A copy: what the caller does to the frame afterwards is not written.
        array = pa.array(series.copy(), from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _no_type(name, series.dtype) from error
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _names(names: Sequence[Any]) -> list[str]:
    """The columns' names, checked."""
    if len(names) == 0:
        raise SchemaMismatchError("The frame has no columns.", "A table has at least one.")
    seen: dict[str, str] = {}
    for name in names:
        text = "" if name is None else str(name)
        if not text:
            raise SchemaMismatchError("A column of the frame has no name.")
        if len(text) > _LONGEST_NAME:
            raise SchemaMismatchError(f"The name of the column `{text}` has more than {_LONGEST_NAME} characters.")
        if (other := seen.get(text.lower())) is not None:
            same = "have one name" if other == text else "are one column to SQL, which does not tell case apart"
            raise SchemaMismatchError(f"The columns `{other}` and `{text}` of the frame {same}.", "Rename one.")
        seen[text.lower()] = text
    return list(seen.values())


def _no_type(name: str, kind: object) -> SchemaMismatchError:
    return SchemaMismatchError(f"The column `{name}` is of type {kind}, which has no SQL type.", "Convert it first.")


def _plain(name: str, column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, bool]:
    """The column in one of the types that a table can hold, and whether it is JSON text."""
    kind, t = column.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _extension(name, column)
    if t.is_dictionary(kind):
        return _plain(name, column.cast(kind.value_type))
    if t.is_run_end_encoded(kind):
        return _plain(name, pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type))
    if t.is_nested(kind):
        return json_texts(name, column.to_pylist(maps_as_pydicts="strict")), True
    if t.is_floating(kind):
        return _finite(name, column.cast(pa.float32()) if t.is_float16(kind) else column), False
    target = _target(kind)
    if target is None:
        raise _no_type(name, kind)
    try:
        return (column if target == kind else column.cast(target)), False
    except pa.ArrowInvalid as error:
        raise BadValueError(f"{_lossy(name, column)} loses digits as {target}: {error}.") from error


def _extension(name: str, column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, bool]:
    kind = column.type
    if kind.extension_name == "arrow.uuid":
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())]), False
    if kind.extension_name not in ("arrow.json", "arrow.bool8"):
        raise _no_type(name, kind)
    storage = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
    if kind.extension_name == "arrow.bool8":
        return storage.cast(pa.bool_()), False
    return storage.cast(pa.string()), True


def _target(kind: pa.DataType) -> pa.DataType | None:
    t = pa.types
    if t.is_boolean(kind) or t.is_integer(kind) or t.is_decimal(kind) or t.is_null(kind):
        return kind
    if t.is_string(kind) or t.is_large_string(kind) or str(kind) == "string_view":
        return pa.string()
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) or str(kind) == "binary_view":
        return pa.binary()
    if t.is_date(kind):
        return pa.date32()
    if t.is_timestamp(kind):
        return pa.timestamp("us")  # Of a zone's times the instant, in UTC: SQL's DATETIME has no zone.
    if t.is_time(kind):
        return pa.time64("us")
    if t.is_duration(kind):
        return pa.duration("us")
    return None


def _lossy(name: str, column: pa.ChunkedArray) -> str:
    """Where the digits are that microseconds cannot keep."""
    numbers = column.cast(pa.int64()) if getattr(column.type, "unit", "") == "ns" else None
    if numbers is None:
        return f"The column `{name}` of type {column.type}"
    kept = pc.multiply(pc.divide(numbers, 1000), 1000)
    row = pc.index(pc.fill_null(pc.not_equal(numbers, kept), False), True).as_py()
    return f"Row {row} of the column `{name}` of type {column.type} (rows count from 0)"


def _finite(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.is_inf(column)).as_py():
        row = pc.index(pc.fill_null(pc.is_inf(column), False), True).as_py()
        raise BadValueError(
            f"Row {row} of the column `{name}` is {column[row].as_py()}, and SQL has no infinity (rows count from 0).",
            "Replace it by NULL or by a number.",
        )
    # SQL has one zero: -0.0 + 0.0 is 0.0.
    zero, null = pa.scalar(0, column.type), pa.scalar(None, column.type)
    return pc.if_else(pc.is_nan(column), null, pc.add(column, zero))
