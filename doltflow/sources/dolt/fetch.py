"""Results as Arrow tables: exact whatever the types, and in bulk where the types allow it.

A result begins on the plain connection, as text. Is it long, it is fetched again by the bulk reader, which is four times
as fast but cannot read every type; a table's query casts those to text, a user's query is left as it is and stays on
the plain connection where its types need that.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import DoltError
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection, Field
from doltflow.sources.dolt.types import bulk_safe, column_type, decimal_type, field_type, is_bit, is_time

BULK_ROWS = 1_000
_BATCH = 20_000
_MICROSECONDS_A_DAY = 86_400_000_000


def fetch_table(connection: Connection, source: str, columns: Sequence[Column], rest: str = "") -> pa.Table:
    """Columns of a table, at the connection's revision.

    Args:
        connection: At the revision that is to be read.
        source: The table's name, quoted.
        columns: The columns to take, in order.
        rest: SQL behind the table's name, such as a WHERE clause.

    Returns:
        A table with the columns' names and Arrow's types for them; BOOLEAN and TIME columns as `bool` and `time64`
        where their values allow it, else as `int8` and `duration`.
    """

    def bulk(_: Sequence[Field]) -> str | None:
        if any(column.base == "time" for column in columns):  # Dolt cannot turn a TIME into text.
            return None
        return _select(source, [_readable(column, bulk=True) for column in columns], rest)

    table, _ = _fetch(connection, _select(source, [_readable(c, bulk=False) for c in columns], rest), bulk)
    arrays = [_finish_column(array, column) for array, column in zip(table.columns, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=[column.name for column in columns])


def fetch_query(connection: Connection, query: str) -> pa.Table:
    """The result of any query, at the connection's revision, its text untouched."""

    def bulk(fields: Sequence[Field]) -> str | None:
        return query if all(bulk_safe(field) for field in fields) else None

    table, fields = _fetch(connection, query, bulk)
    arrays = [_finish_field(array, field) for array, field in zip(table.columns, fields, strict=True)]
    return pa.Table.from_arrays(arrays, names=[field.name for field in fields])


def _select(source: str, columns: Sequence[str], rest: str) -> str:
    return f"SELECT {', '.join(columns)} FROM {source}{' ' if rest else ''}{rest}"


def _readable(column: Column, *, bulk: bool) -> str:
    name = quote(column.name)
    if column.base == "bit":
        return f"CAST({name} + 0 AS CHAR) AS {name}"
    if bulk and column.base == "decimal":
        return f"CAST({name} AS CHAR) AS {name}"
    return name


def _fetch(
    connection: Connection, query: str, bulk: Callable[[Sequence[Field]], str | None]
) -> tuple[pa.Table, list[Field]]:
    with connection.stream(query) as stream:
        fields = stream.fields()
        if (bit := next((field.name for field in fields if is_bit(field)), None)) is not None:
            raise DoltError(f"The column `{bit}` of the query is a BIT, which cannot be read.", f"Select `{bit} + 0`.")
        rows = stream.take(BULK_ROWS)
        if len(rows) == BULK_ROWS and (bulk_query := bulk(fields)) is not None:
            stream.abandon()
            return _bulk(connection, bulk_query), fields
        batches = [_batch(rows, fields)]
        while rows := stream.take(_BATCH):
            batches.append(_batch(rows, fields))
    return pa.concat_tables(batches), fields


def _batch(rows: Sequence[Sequence[object]], fields: Sequence[Field]) -> pa.Table:
    columns: Sequence[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    arrays = [
        pa.array(values, pa.binary() if pa.types.is_binary(field_type(field)) else pa.string())
        for values, field in zip(columns, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[str(number) for number in range(len(fields))])


def _bulk(connection: Connection, query: str) -> pa.Table:
    import connectorx  # 0.1 s to import, so only where it pays

    try:
        return connectorx.read_sql(connection.url(), query, return_type="arrow")
    except RuntimeError as error:
        raise DoltError(f"The bulk reader cannot read the result: {error}.") from error


def _finish_column(array: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if column.base == "time":
        return _time(array)
    cast = _cast(array, column_type(column))
    return _boolean(cast) if column.boolean else cast


def _finish_field(array: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    return _time(array) if is_time(field) else _cast(array, field_type(field))


def _cast(array: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if array.type == target:
        return array
    if pa.types.is_null(target):
        return pa.chunked_array([pa.nulls(len(array))])
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        if pa.types.is_decimal(target):  # An expression's declared precision may be smaller than its values.
            return array.cast(decimal_type(65, target.scale))
        raise


def _boolean(array: pa.ChunkedArray) -> pa.ChunkedArray:
    extremes = pc.min_max(array)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    return array.cast(pa.bool_()) if low is None or (low >= 0 and high <= 1) else array


def _time(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """TIME is a time of day where all values are, else a span of up to 838 hours."""
    values = [
        None if text is None else _span(text) for text in chain.from_iterable(c.to_pylist() for c in array.chunks)
    ]
    of_day = all(value is None or 0 <= value < _MICROSECONDS_A_DAY for value in values)
    spans = pa.array(values, pa.int64())
    return pa.chunked_array([spans.cast(pa.time64("us") if of_day else pa.duration("us"))])


def _span(text: str) -> int:
    """Microseconds of `[-]h:mm:ss[.ffffff]`."""
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(whole))
    microseconds = span // timedelta(microseconds=1) + int(fraction.ljust(6, "0") or 0)
    return -microseconds if text.startswith("-") else microseconds
