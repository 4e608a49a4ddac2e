"""Results of any length as a stream of Arrow tables, exact, of which only one is held at a time.

As in `fetch`, a result begins on the plain connection and, if it is long, is asked for again from the bulk reader. That
one does not wait for who takes the rows, and so gets only the first ones of a very long result by itself; the others
come through a relay. The types are known before the values: a TIME is a span and a BOOLEAN an integer, whatever the
values.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from doltflow.model.quoting import quote
from doltflow.sources.dolt.bulk import BulkError, batches, bounded_batches
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Connection, Field, Stream
from doltflow.sources.dolt.fetch import cast, spans, text_batch
from doltflow.sources.dolt.types import bulk_column, column_type
from doltflow.sources.dolt.weighed import BATCH_BYTES, HELD_BYTES, First, plain_piece

BATCH_ROWS = 20_000
GEOMETRIES = {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
GEOMETRIES |= {"geometrycollection", "geomcollection"}
BULK_ROWS = 5_000
"""From so many rows on it pays to import the bulk reader and to ask again."""
BULK_MOST = 125_000
"""So many rows, if they are short, the bulk reader may have read that nobody has taken yet. Beyond them it pays to
start a relay."""


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

    def sql(self, *, bulk: bool, bare: bool = False) -> str:
        """The item of a SELECT's list: what the reader cannot read as it is goes as text.

        Of a bare column Dolt gives what it refuses in an expression, infinity; but a query around one is a trap: of a
        table without a key, with a limit, it has no rows.
        """
        is_inexact = not bulk_column(self.column) or (self.is_outer and self.column.base == "decimal")
        is_text = self.column.base == "bit" or (bulk and is_inexact)
        text = f"cast({self.expression} as char)" if is_text else self.expression
        # Dolt says of all columns of `dolt_diff` that they hold no NULL, and the bulk reader takes it at its word.
        text = f"if(true, {text}, NULL)" if bulk and self.is_outer else text
        return text if bare and text == quote(self.name) else f"{text} as {quote(self.name)}"


def stream(
    connection: Connection,
    items: Sequence[Item],
    rest: str,
    *,
    once: bool = False,
    at_most: int | None = None,
    rows: int = BATCH_ROWS,
) -> Iterator[pa.Table]:
    """The result of a query at the connection's revision, piece by piece.

    The connection may be used for something else meanwhile, as this one is read on one of its own.

    Args:
        connection: At the revision that is to be read when the first piece is asked for.
        items: What to select.
        rest: The query from FROM on.
        once: Whether the query is dear, and is to be asked but once.
        at_most: The number of rows that it has, or more than that; where it is known.
        rows: About how many rows a piece has; fewer where they are long.

    Returns:
        Tables with the items' names; none where there is no row.

    Raises:
        BadValueError: A date is none, such as 0000-00-00.
    """

    def query(*, bulk: bool, done: int | None = None, limit: int = 2**62) -> str:
        listed = ", ".join(item.sql(bulk=bulk, bare=at_most is not None and done is None) for item in items)
        whole = f"select {listed} {rest}"
        # Around the query: with an order in it, Dolt would reserve memory for as many rows as the limit says.
        return (
            whole if done is None else f"select * from ({whole}) as t limit {limit}{f' offset {done}' if done else ''}"
        )

    # Dolt cannot turn a TIME into text.
    is_bulk = not once and not any(item.column.base in ("time", *GEOMETRIES) for item in items)
    url = connection.url()
    with connection.stream(query(bulk=False)) as found:
        fields = found.fields()
        first = First.of(found, min(BULK_ROWS, rows))
        if not is_bulk or not first.bulk_pays(BULK_ROWS):
            pieces = _plain(found, fields, first.rows, items, rows)
            del first
            yield from pieces
            return
        found.abandon()
        revision = connection.revision.partition("/")[2]
    rows, most = first.fitting(BATCH_BYTES, rows), first.fitting(HELD_BYTES, BULK_MOST)
    done, is_whole = 0, True
    if at_most <= most if at_most is not None else not first.is_full:
        first_ones = query(bulk=True) if at_most is not None else query(bulk=True, done=0, limit=most)
        done, is_whole = yield from _bulk(batches(url, [first_ones], rows), items)
        if is_whole and (at_most is not None or done < most):
            return
    if is_whole:
        others = bounded_batches(url, query(bulk=True, done=done or None), rows)
        more, is_whole = yield from _bulk(others, items)
        if is_whole:
            return
        done += more
    connection.use(revision or None)
    with connection.stream(query(bulk=False, done=done or None)) as found:
        yield from _plain(found, found.fields(), [], items, rows)


def _plain(
    found: Stream, fields: Sequence[Field], taken: Sequence[tuple[object, ...]], items: Sequence[Item], rows: int
) -> Iterator[pa.Table]:
    taken = taken or plain_piece(found, rows)
    while taken:
        table = _finished(text_batch(taken, fields), items)
        taken = ()  # Only one piece is held, and only once.
        yield table
        del table
        taken = plain_piece(found, rows)


def _bulk(found: Iterator[pa.RecordBatch], items: Sequence[Item]) -> Generator[pa.Table, None, tuple[int, bool]]:
    """The result by the bulk reader. Returns how many rows that were, and whether it could read to the end."""
    done = 0
    try:
        for batch in found:
            done += batch.num_rows
            yield _finished(pa.Table.from_batches([batch]), items)
    except BulkError:
        return done, False
    return done, True


def _finished(table: pa.Table, items: Sequence[Item]) -> pa.Table:
    arrays = [_values(array, item) for array, item in zip(table.columns, items, strict=True)]
    return pa.Table.from_arrays(arrays, names=[item.name for item in items])


def _values(array: pa.ChunkedArray, item: Item) -> pa.ChunkedArray:
    if item.column.base != "time":
        return cast(array, stream_type(item.column), item.name)
    return spans(array)


def stream_type(column: Column) -> pa.DataType:
    """The Arrow type that a column's values have in a stream."""
    if column.base in GEOMETRIES:
        return pa.binary()
    return pa.duration("us") if column.base == "time" else column_type(column)
