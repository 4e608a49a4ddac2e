"""Results as Arrow tables: exact whatever the types, and in bulk where the types allow it.

A result begins on the plain connection, as text. If it is long, it is fetched again by the bulk reader, which is four
times as fast but cannot read every type; a table's query casts those to text, a user's query is left as it is and stays
on the plain connection where its types need that. What the bulk reader gives is wider than the result, and becomes that
batch by batch, so that both are never there as a whole.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import BadValueError, DoltError, SchemaMismatchError
from doltflow.model.quoting import literal, quote
from doltflow.sources.dolt.bulk import BulkError, batches
from doltflow.sources.dolt.column import INTEGERS, Column
from doltflow.sources.dolt.connection import Connection, Field, Stream
from doltflow.sources.dolt.definition import existing_columns
from doltflow.sources.dolt.types import (
    bulk_column,
    bulk_safe,
    column_type,
    decimal_type,
    field_type,
    is_bit,
    is_time,
)

BULK_ROWS = 1_000
_BATCH = 20_000
_BULK_BATCH = 100_000
_MICROSECONDS_A_DAY = 86_400_000_000


def fetch_table(connection: Connection, table: str, columns: Sequence[Column], rest: str = "") -> pa.Table:
    """Columns of a table, at the connection's revision.

    Args:
        connection: At the revision that is to be read.
        table: The table's name.
        columns: The columns to take, in order.
        rest: SQL behind the table's name, such as a WHERE clause.

    Returns:
        A table with the columns' names and Arrow's types for them; BOOLEAN and TIME columns as `bool` and `time64`
        where their values allow it, else as `int8` and `duration`.

    Raises:
        BadValueError: A date is none, such as 0000-00-00.
    """
    source = quote(table)
    keys = list[int]()

    def bulk(_: Sequence[Field]) -> Sequence[str]:
        if any(column.base == "time" for column in columns):  # Dolt cannot turn a TIME into text.
            return ()
        halves = [rest]
        if not rest and (key := _ordering_key(connection, table, columns)) is not None:
            keys.append(key[0])
            halves = _halves(connection, source, key[1])
        return [_select(source, [_readable(column, bulk=True) for column in columns], half) for half in halves]

    query = _select(source, [_readable(c, bulk=False) for c in columns], rest)
    found, _ = _fetch(connection, query, bulk, [column_type(column) for column in columns])
    for key in keys:
        found = _in_order(found, key)
    arrays = [_finish_column(array, column) for array, column in zip(found.columns, columns, strict=True)]
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
    if column.base == "bit" or (bulk and not bulk_column(column)):
        return f"CAST({name} AS CHAR) AS {name}"
    return name


def _ordering_key(connection: Connection, table: str, columns: Sequence[Column]) -> tuple[int, Column] | None:
    """The place and the column that a table is ordered by, where it is taken and Dolt orders its values as Python does.

    That is by no folding collation, and without digits after the point.
    """
    place = next((place for place, column in enumerate(columns) if column.key == 0), None)
    if place is not None and columns[place].base in INTEGERS:
        return place, columns[place]
    with suppress(SchemaMismatchError):  # It is a view.
        known = {column.name: column for column in existing_columns(connection, table) or []}
        for place, column in enumerate(columns):
            own = known[column.name]
            is_text = own.base in ("varchar", "char") and (own.collation or "").endswith("_bin")
            if own.key == 0 and (is_text or own.base in INTEGERS):
                return place, own
    return None


def _halves(connection: Connection, source: str, key: Column) -> list[str]:
    """WHERE clauses that part a table in two, so that two of the server's threads can read it."""
    name = quote(key.name)
    first, last = (
        connection.value(f"select {name} from {source} order by {name} {way} limit 1") for way in ("asc", "desc")
    )
    if key.base in INTEGERS:
        middle = str((int(first) + int(last)) // 2)
    elif (first + last).isascii():
        middle = literal(_between(first, last))
    else:
        return [""]
    return [f"WHERE {name} <= {middle}", f"WHERE {name} > {middle}"]


def _between(first: str, last: str) -> str:
    """A text about half-way between two, taken for digits of numbers."""
    digits = max(len(first), len(last))
    ends = [int.from_bytes(text.encode().ljust(digits, b"\0")) for text in (first, last)]
    found = (sum(ends) // 2).to_bytes(digits)
    # What is no character ends it.
    return found[: next((place for place, byte in enumerate(found) if not 32 <= byte < 127), digits)].decode()


def _in_order(table: pa.Table, key: int) -> pa.Table:
    """The batches in the order of the key; within each the rows are."""
    found = [batch for batch in table.to_batches() if batch.num_rows]
    ordered = sorted(found, key=lambda batch: batch.column(key)[0].as_py())
    return pa.Table.from_batches(ordered, table.schema)


def _fetch(
    connection: Connection,
    query: str,
    bulk: Callable[[Sequence[Field]], Sequence[str]],
    types: Sequence[pa.DataType] | None = None,
) -> tuple[pa.Table, list[Field]]:
    """A result, and how the protocol describes it; from the bulk reader of these types, else of the described ones."""
    with connection.stream(query) as stream:
        fields = stream.fields()
        check_readable(fields)
        rows = stream.take(BULK_ROWS)
        parts = bulk(fields) if len(rows) == BULK_ROWS else ()
        if not parts:
            return _read(stream, fields, rows), fields
        stream.abandon()
    table = _bulk(connection, parts, types or [field_type(field) for field in fields])
    if table is None:
        with connection.stream(query) as stream:
            table = _read(stream, fields, [])
    return table, fields


def check_readable(fields: Sequence[Field]) -> None:
    """Makes sure that the columns of a query can be read.

    Raises:
        DoltError: One is a BIT.
    """
    if (bit := next((field.name for field in fields if is_bit(field)), None)) is not None:
        raise DoltError(
            f"The column `{bit}` of the query is a BIT, which cannot be read.", f"Select `CAST({bit} AS UNSIGNED)`."
        )


def _read(stream: Stream, fields: Sequence[Field], rows: Sequence[Sequence[object]]) -> pa.Table:
    """All rows of a result, those that were taken already included."""
    found = [text_batch(rows, fields)]
    while rows := stream.take(_BATCH):
        found.append(text_batch(rows, fields))
    return pa.concat_tables(found)


def text_batch(rows: Sequence[Sequence[object]], fields: Sequence[Field]) -> pa.Table:
    """Rows as Dolt prints them, as a table of texts (or bytes) whose columns are numbered."""
    columns: Sequence[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    arrays = [
        pa.array(values, pa.binary() if pa.types.is_binary(field_type(field)) else pa.string())
        for values, field in zip(columns, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[str(number) for number in range(len(fields))])


def _bulk(connection: Connection, parts: Sequence[str], types: Sequence[pa.DataType]) -> pa.Table | None:
    """The results of queries, batches of all in any order; None where the bulk reader cannot read them."""
    found = []
    try:
        for batch in batches(connection.url(), parts, _BULK_BATCH):
            columns = zip(batch.columns, types, batch.schema.names, strict=True)
            arrays = [cast(pa.chunked_array([array]), type_, name) for array, type_, name in columns]
            found.append(pa.Table.from_arrays(arrays, names=[str(number) for number in range(len(types))]))
            del batch, arrays
    except BulkError:
        return None
    return pa.concat_tables(found)


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
    found = spans(array)
    values = found.cast(pa.int64())
    extremes = pc.min_max(values)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    of_day = low is None or (low >= 0 and high < _MICROSECONDS_A_DAY)
    return values.cast(pa.time64("us")) if of_day else found


def spans(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """TIMEs, as Dolt prints them, as spans of up to 838 hours."""
    values = [None if text is None else microseconds(text) for text in array.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.int64()).cast(pa.duration("us"))])


def microseconds(text: str) -> int:
    """How many a TIME is, as Dolt prints it: `[-]h:mm:ss[.ffffff]`."""
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(whole))
    found = span // timedelta(microseconds=1) + int(fraction.ljust(6, "0") or 0)
    return -found if text.startswith("-") else found
