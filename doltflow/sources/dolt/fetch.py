"""Results as Arrow tables: exact whatever the types, and in bulk where the types allow it.

A result begins on the plain connection, as text. If it is long, it is fetched again by the bulk reader, which is four
times as fast but cannot read every type; a table's query casts those to text, a user's query is left as it is and stays
on the plain connection where its types need that.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import BadValueError, DoltError
from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import INTEGERS, Column
from doltflow.sources.dolt.connection import Connection, Field, Stream
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

    Raises:
        BadValueError: A date is none, such as 0000-00-00.
    """

    def bulk(_: Sequence[Field]) -> Sequence[str]:
        if any(column.base == "time" for column in columns):  # Dolt cannot turn a TIME into text.
            return ()
        halves = [rest] if key is None else _halves(connection, source, columns[key].name)
        return [_select(source, [_readable(column, bulk=True) for column in columns], half) for half in halves]

    # Only such a key does not depend on what else it is compared by: a collation, digits after the point.
    keys = [place for place, column in enumerate(columns) if column.key == 0 and column.base in INTEGERS]
    key = keys[0] if keys and not rest else None
    table, _ = _fetch(connection, _select(source, [_readable(c, bulk=False) for c in columns], rest), bulk)
    if key is not None:
        table = _in_order(table, key)
    arrays = [_finish_column(array, column) for array, column in zip(table.columns, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=[column.name for column in columns])


def fetch_query(connection: Connection, query: str) -> pa.Table:
    """The result of any query, at the connection's revision, its text untouched.

    Raises:
        BadValueError: A date is none, such as 0000-00-00.
    """

    def bulk(fields: Sequence[Field]) -> Sequence[str]:
        return [query] if all(bulk_safe(field) for field in fields) else ()

    table, fields = _fetch(connection, query, bulk)
    arrays = [_finish_field(array, field) for array, field in zip(table.columns, fields, strict=True)]
    return pa.Table.from_arrays(arrays, names=[field.name for field in fields])


def _select(source: str, columns: Sequence[str], rest: str) -> str:
    return f"SELECT {', '.join(columns)} FROM {source}{' ' if rest else ''}{rest}"


def _readable(column: Column, *, bulk: bool) -> str:
    name = quote(column.name)
    if column.base == "bit" or (bulk and column.base == "decimal"):
        return f"CAST({name} AS CHAR) AS {name}"
    return name


def _halves(connection: Connection, source: str, key: str) -> list[str]:
    """WHERE clauses that part a table in two, so that two of the server's threads can read it."""
    name = quote(key)
    ends = [connection.value(f"select {name} from {source} order by {name} {way} limit 1") for way in ("asc", "desc")]
    middle = sum(map(int, ends)) // 2
    return [f"WHERE {name} <= {middle}", f"WHERE {name} > {middle}"]


def _in_order(table: pa.Table, key: int) -> pa.Table:
    """The batches in the order of the key; within each the rows are."""
    batches = [batch for batch in table.to_batches() if batch.num_rows]
    ordered = sorted(batches, key=lambda batch: int(batch.column(key)[0].as_py()))
    return pa.Table.from_batches(ordered, table.schema)


def _fetch(
    connection: Connection, query: str, bulk: Callable[[Sequence[Field]], Sequence[str]]
) -> tuple[pa.Table, list[Field]]:
    with connection.stream(query) as stream:
        fields = stream.fields()
        if (bit := next((field.name for field in fields if is_bit(field)), None)) is not None:
            raise DoltError(
                f"The column `{bit}` of the query is a BIT, which cannot be read.", f"Select `CAST({bit} AS UNSIGNED)`."
            )
        rows = stream.take(BULK_ROWS)
        parts = bulk(fields) if len(rows) == BULK_ROWS else ()
        if not parts:
            return _read(stream, fields, rows), fields
        stream.abandon()
    table = _bulk(connection, parts)
    if table is None:
        with connection.stream(query) as stream:
            table = _read(stream, fields, [])
    return table, fields


def _read(stream: Stream, fields: Sequence[Field], rows: Sequence[Sequence[object]]) -> pa.Table:
    """All rows of a result, those that were taken already included."""
    batches = [text_batch(rows, fields)]
    while rows := stream.take(_BATCH):
        batches.append(text_batch(rows, fields))
    return pa.concat_tables(batches)


def text_batch(rows: Sequence[Sequence[object]], fields: Sequence[Field]) -> pa.Table:
    """Rows as Dolt prints them, as a table of texts (or bytes) whose columns are numbered."""
    columns: Sequence[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    arrays = [
        pa.array(values, pa.binary() if pa.types.is_binary(field_type(field)) else pa.string())
        for values, field in zip(columns, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[str(number) for number in range(len(fields))])


def _bulk(connection: Connection, parts: Sequence[str]) -> pa.Table | None:
    """The results of queries, batches of all in any order; None where the bulk reader cannot read them.

    As it cannot dates before the year 1000.
    """
    import connectorx  # 0.1 s to import, so only where it pays

    try:
        return connectorx.read_sql(connection.url(), list(parts), return_type="arrow")
    except BaseException as error:
        # Its panics are no `Exception`.
        if isinstance(error, RuntimeError) or type(error).__name__ == "PanicException":
            return None
        raise


def _finish_column(array: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if column.base == "time":
        return _time(array)
    values = cast(array, column_type(column), column.name)
    return _boolean(values) if column.boolean else values


def _finish_field(array: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    return _time(array) if is_time(field) else cast(array, field_type(field), field.name)


def cast(array: pa.ChunkedArray, target: pa.DataType, name: str) -> pa.ChunkedArray:
    """The texts, or what the bulk reader made of them, as values of a type.

    Raises:
        BadValueError: A date is none, such as 0000-00-00.
    """
    if array.type == target or (pa.types.is_binary(array.type) and pa.types.is_string(target)):
        return array  # Bytes stay bytes, whatever the type of the column is called.
    if pa.types.is_null(target):
        return pa.chunked_array([pa.nulls(len(array))])
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        if pa.types.is_decimal(target):
            return _decimal(array, target)
        if pa.types.is_temporal(target) and pa.types.is_string(array.type):
            return _early(array, target, name)
        raise


def _decimal(array: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Decimals of an expression, whose declared digits may be fewer than those of its values."""
    with suppress(pa.ArrowInvalid):
        return array.cast(decimal_type(65, target.scale))
    return pa.chunked_array([pa.array([None if text is None else Decimal(text) for text in array.to_pylist()])])


def _early(array: pa.ChunkedArray, target: pa.DataType, name: str) -> pa.ChunkedArray:
    """Dates before the year 1000, which Dolt prints with fewer than four digits."""
    texts = [None if text is None else _padded(text) for text in array.to_pylist()]
    try:
        return pa.chunked_array([pa.array(texts, pa.string()).cast(target)])
    except pa.ArrowInvalid as error:
        raise BadValueError(
            f"The column `{name}` holds a date that is none: {error}.", f"Read `CAST({quote(name)} AS CHAR)`."
        ) from error


def _padded(text: str) -> str:
    year, dash, rest = text.partition("-")
    return year.zfill(4) + dash + rest


def _boolean(array: pa.ChunkedArray) -> pa.ChunkedArray:
    extremes = pc.min_max(array)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    return array.cast(pa.bool_()) if low is None or (low >= 0 and high <= 1) else array


def _time(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """TIME is a time of day where all values are, else a span of up to 838 hours."""
    values = [
        None if text is None else microseconds(text)
        for text in chain.from_iterable(c.to_pylist() for c in array.chunks)
    ]
    of_day = all(value is None or 0 <= value < _MICROSECONDS_A_DAY for value in values)
    spans = pa.array(values, pa.int64())
    return pa.chunked_array([spans.cast(pa.time64("us") if of_day else pa.duration("us"))])


def microseconds(text: str) -> int:
    """How many a TIME is, as Dolt prints it: `[-]h:mm:ss[.ffffff]`."""
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(whole))
    found = span // timedelta(microseconds=1) + int(fraction.ljust(6, "0") or 0)
    return -found if text.startswith("-") else found
