"""Tables and results of any length as Arrow batches with the types that `fetch` gives them, few held at a time."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from doltflow.errors import BadValueError, DoltError
from doltflow.model.quoting import quote
from doltflow.sources.dolt import fetch
from doltflow.sources.dolt.bulk import BulkError, bounded_batches
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection, Field, Stream
from doltflow.sources.dolt.stream import Item, stream
from doltflow.sources.dolt.types import bulk_safe, field_type, is_time
from doltflow.sources.dolt.weighed import BATCH_BYTES, PLAIN_ROWS, First, plain_piece

ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Batches:
    """A result that is read as it is asked for.

    Attributes:
        schema: Its columns.
        rows: How many rows it has, where that is known before.
        batches: The rows. Who stops before their end closes it.
    """

    schema: pa.Schema
    rows: int | None
    batches: Generator[pa.RecordBatch, None, None]


def table_batches(connection: Connection, table: str, columns: Sequence[Column], rest: str = "") -> Batches:
    """Columns of a table, as `fetch_table` gives them.

    Args:
        connection: At the revision that is to be read; nobody else uses it until the batches have ended.
        table: The table's name.
        columns: The columns to take, in order.
        rest: A WHERE clause.
    """
    source = f"from {quote(table)} {rest}"
    # What depends on the values is asked before: a BOOLEAN that is none, a TIME that is no time of day.
    odd = [
        (place, f"max({quote(column.name)} < {first} or {quote(column.name)} {last})")
        for place, column in enumerate(columns)
        for first, last in (_usual(column),)
        if first
    ]
    schema = fetch.fetch_table(connection, table, columns, f"{rest} limit 0").schema
    found = connection.rows(f"select {', '.join(sql for _, sql in odd)} {source}")[0] if odd else ()
    for (place, _), is_odd in zip(odd, found, strict=True):
        if is_odd:
            kind = pa.int8() if columns[place].boolean else pa.duration("us")
            schema = schema.set(place, pa.field(columns[place].name, kind))
    count = int(connection.value(f"select count(*) from {quote(table)}"))
    items = [Item(quote(column.name), column.name, column) for column in columns]
    found_batches = _fitted(stream(connection, items, source, at_most=count, rows=ROWS), schema)
    return (
        Batches(schema, None, found_batches) if rest else Batches(schema, count, _counted(found_batches, count, table))
    )


def _counted(
    found: Generator[pa.RecordBatch, None, None], count: int, table: str
) -> Generator[pa.RecordBatch, None, None]:
    """The batches of a table, of which none is missing at the end."""
    rows = 0
    with closing(found):
        for batch in found:
            rows += batch.num_rows
            yield batch
    if rows != count:
        raise DoltError(f"Of the {count:,} rows of `{table}` Dolt gave {rows:,}.", "Read it without `batches`.")


def _usual(column: Column) -> tuple[str, str]:
    """Below what and beyond what a value of such a column is none of the usual ones; empty where all are."""
    if column.boolean:
        return "0", "> 1"
    return ("'00:00:00'", ">= '24:00:00'") if column.base == "time" else ("", "")


def query_batches(connection: Connection, query: str) -> Batches:
    """The result of any query, as `fetch_query` gives it, but that a TIME is a span whatever the values.

    Args:
        connection: At the revision that is to be read; nobody else uses it until the batches have ended.
        query: The query, which reaches Dolt as it is.
    """
    found = _query(connection, query)
    return Batches(next(found), None, found)


def _query(connection: Connection, query: str) -> Generator[Any, None, None]:
    """The schema, and then the batches: the query, which may be dear, is asked once for both."""
    with connection.stream(query) as found:
        fields = found.fields()
        fetch.check_readable(fields)
        schema = pa.schema([(of.name, pa.duration("us") if is_time(of) else field_type(of)) for of in fields])
        yield schema
        first = First.of(found, min(fetch.BULK_ROWS, PLAIN_ROWS))
        if not first.bulk_pays(fetch.BULK_ROWS) or not all(bulk_safe(field) for field in fields):
            pieces = _plain(found, fields, first.rows)
            del first
            yield from _fitted(pieces, schema)
            return
        found.abandon()
    yield from _fitted(_long(connection, query, fields, first), schema)


def _plain(found: Stream, fields: Sequence[Field], taken: Sequence[tuple[object, ...]]) -> Iterator[pa.Table]:
    taken = taken or plain_piece(found)
    while taken:
        table = fetch.text_batch(taken, fields)
        taken = ()  # Only one piece is held, and only once.
        yield table
        del table
        taken = plain_piece(found)


def _long(connection: Connection, query: str, fields: Sequence[Field], first: First) -> Iterator[pa.Table]:
    is_begun = False
    try:
        for batch in bounded_batches(connection.url(), query, first.fitting(BATCH_BYTES, ROWS)):
            is_begun = True
            yield pa.Table.from_batches([batch])
    except BulkError as error:
        # Asked again, the rows of a query may come in another order.
        if is_begun:
            raise DoltError(
                f"The query's result cannot be read on in batches: {error}.", "Read it without `batches`."
            ) from error
        with connection.stream(query) as found:
            yield from _plain(found, fields, [])


def _fitted(pieces: Iterator[pa.Table], schema: pa.Schema) -> Generator[pa.RecordBatch, None, None]:
    """Pieces of a result with the types of its schema."""
    for piece in pieces:
        pairs = zip(piece.columns, schema, strict=True)
        fitted = pa.Table.from_arrays([_fit(array, field) for array, field in pairs], schema=schema)
        yield from fitted.combine_chunks().to_batches()


def _fit(array: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if array.type == field.type:
        return array
    if pa.types.is_duration(array.type):
        return array.cast(pa.int64()).cast(field.type)
    if pa.types.is_duration(field.type):
        return fetch.spans(array)
    try:
        return fetch.cast(array, field.type, field.name).cast(field.type)
    except pa.ArrowInvalid as error:
        raise BadValueError(
            f"The column `{field.name}` is declared as {field.type}, and has a value that is none: {error}.",
            f"Read `CAST({quote(field.name)} AS …)` of a wider type, or without `batches`.",
        ) from error
