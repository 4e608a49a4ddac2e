"""Results of any length as a stream of Arrow tables, exact, of which only one is held at a time.

As in `fetch`, a result begins on the plain connection and, if it is long, is asked for again from the bulk reader. That
one does not wait for who takes the rows, and so gets only the first ones of a very long result; the plain connection
has the others. The types are known before the values: a TIME is a span and a BOOLEAN an integer, whatever the values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection, Field, Stream
from doltflow.sources.dolt.fetch import cast, microseconds, text_batch
from doltflow.sources.dolt.types import column_type

BATCH_ROWS = 20_000
GEOMETRIES = {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
GEOMETRIES |= {"geometrycollection", "geomcollection"}
BULK_ROWS = 5_000
"""From so many rows on it pays to import the bulk reader and to ask again."""
PLAIN_ROWS = 5_000
"""So many rows are at most in a piece of the plain connection, which holds each value as an object of Python's."""
BULK_MOST = 125_000
"""So many rows the bulk reader may have read that nobody has taken yet."""


@dataclass(frozen=True, slots=True)
class Item:
    """What is selected.

    Attributes:
        expression: SQL.
        name: What it is called in the result.
        column: A column of a table that it has the type of.
        is_outer: Whether it is of `dolt_diff`.
    """

    expression: str
    name: str
    column: Column
    is_outer: bool = False

    def sql(self, *, bulk: bool) -> str:
        """The item of a SELECT's list: what the reader cannot read as it is goes as text."""
        is_text = self.column.base == "bit" or (bulk and self.column.base == "decimal")
        text = f"cast({self.expression} as char)" if is_text else self.expression
        # Dolt says of all columns of `dolt_diff` that they hold no NULL, and the bulk reader takes it at its word.
        text = f"if(true, {text}, NULL)" if bulk and self.is_outer else text
        return f"{text} as {quote(self.name)}"


def stream(
    connection: Connection, items: Sequence[Item], rest: str, *, once: bool = False, rows: int = BATCH_ROWS
) -> Iterator[pa.Table]:
    """The result of a query at the connection's revision, piece by piece.

    The connection may be used for something else meanwhile, as this one is read on one of its own.

    Args:
        connection: At the revision that is to be read when the first piece is asked for.
        items: What to select.
        rest: The query from FROM on.
        once: Whether the query is dear, and is to be asked but once.
        rows: About how many rows a piece has.

    Returns:
        Tables with the items' names; none where there is no row.

    Raises:
        BadValueError: A date is none, such as 0000-00-00.
    """
    plain, bulk = (f"select {', '.join(item.sql(bulk=is_bulk) for item in items)} {rest}" for is_bulk in (False, True))
    # Dolt cannot turn a TIME into text.
    is_bulk = not once and not any(item.column.base in ("time", *GEOMETRIES) for item in items)
    url = connection.url()
    with connection.stream(plain) as found:
        fields = found.fields()
        first = found.take(min(BULK_ROWS, rows))
        if len(first) < BULK_ROWS or not is_bulk:
            yield from _plain(found, fields, first, items, rows)
            return
        found.abandon()
        revision = connection.revision.partition("/")[2]
    done = 0
    for table in _bulk(url, f"select * from ({bulk}) as t limit {BULK_MOST}", items, rows):
        if table is None:
            break
        done += table.num_rows
        yield table
    else:
        if done < BULK_MOST:
            return
    connection.use(revision or None)
    # Around the query: with an order in it, Dolt would reserve memory for as many rows as the limit says.
    with connection.stream(f"select * from ({plain}) as t limit {2**62} offset {done}") as found:
        yield from _plain(found, found.fields(), [], items, rows)


def _plain(
    found: Stream, fields: Sequence[Field], first: list[tuple[object, ...]], items: Sequence[Item], rows: int
) -> Iterator[pa.Table]:
    taken = first or found.take(min(rows, PLAIN_ROWS))
    while taken:
        yield _finished(text_batch(taken, fields), items)
        taken = found.take(min(rows, PLAIN_ROWS))


def _bulk(url: str, query: str, items: Sequence[Item], rows: int) -> Iterator[pa.Table | None]:
    """The result by the bulk reader; None where it cannot read on, as it cannot dates before the year 1000."""
    import connectorx  # 0.1 s to import, so only where it pays

    try:
        reader: Any = connectorx.read_sql(url, [query], return_type="arrow_stream", batch_size=rows)
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            yield _finished(pa.Table.from_batches([batch]), items)
    except BaseException as error:
        # Its panics are no `Exception`; in the middle of a stream it is Arrow that passes its errors on.
        if isinstance(error, RuntimeError | OSError | pa.ArrowException) or type(error).__name__ == "PanicException":
            yield None
            return
        raise


def _finished(table: pa.Table, items: Sequence[Item]) -> pa.Table:
    arrays = [_values(array, item) for array, item in zip(table.columns, items, strict=True)]
    return pa.Table.from_arrays(arrays, names=[item.name for item in items])


def _values(array: pa.ChunkedArray, item: Item) -> pa.ChunkedArray:
    if item.column.base != "time":
        return cast(array, stream_type(item.column), item.name)
    spans = [None if text is None else microseconds(text) for text in array.to_pylist()]
    return pa.chunked_array([pa.array(spans, pa.int64()).cast(pa.duration("us"))])


def stream_type(column: Column) -> pa.DataType:
    """The Arrow type that a column's values have in a stream."""
    if column.base in GEOMETRIES:
        return pa.binary()
    return pa.duration("us") if column.base == "time" else column_type(column)
