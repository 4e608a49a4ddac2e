"""Rows of a table as CSV, JSON lines and Parquet, a batch at a time: exact, and never as one long text.

CSV has nothing for NULL and `""` for an empty text. In both texts numbers are as Dolt prints them, dates and times are
in ISO's form with a space between them, and binary values are hexadecimal, `0x00ff`.
"""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from doltflow.render.text import escaped_json

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS, _BYTES = 20_000, 2**26
_PARQUET_ROWS = 100_000


def csv_rows(table: "pa.Table", *, header: bool = True) -> Iterator[str]:
    """The lines of a CSV file, the columns' names first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if header:
        yield ",".join(_quoted(pa.array(table.column_names, pa.large_string())).to_pylist()) + "\n"
    comma = pa.scalar(",", pa.large_string())
    for batch in _batches(table):
        lines = pc.binary_join_element_wise(*(_quoted(_texts(column)) for column in batch.columns), comma)
        yield "\n".join([*lines.to_pylist(), ""])


def json_rows(table: "pa.Table") -> Iterator[str]:
    """One JSON object a line: booleans, integers and floats as such, all other values as text."""
    names = [json.dumps(name, ensure_ascii=False) for name in table.column_names]
    for batch in _batches(table):
        columns = [
            [f"{name}: {value}" for value in json_values(column)]
            for name, column in zip(names, batch.columns, strict=True)
        ]
        yield escaped_json("".join(f"{{{', '.join(fields)}}}\n" for fields in zip(*columns, strict=True)))


def parquet_rows(table: "pa.Table") -> Iterator[bytes]:
    """A Parquet file with the table's own types."""
    import pyarrow.parquet

    sink = _Sink()
    with pyarrow.parquet.ParquetWriter(sink, table.schema) as writer:
        for start in range(0, table.num_rows, _PARQUET_ROWS):
            writer.write_table(table.slice(start, _PARQUET_ROWS))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that is only written, and gives what was written since it was last asked."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._length += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._length

    def taken(self) -> bytes:
        """What was written since this was last asked."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _batches(table: "pa.Table") -> Iterator[Any]:
    size = max(1, min(_ROWS, _BYTES * table.num_rows // max(table.nbytes, 1)))
    return iter(table.to_batches(max_chunksize=size))


def _texts(array: Any) -> Any:
    """The values of an array as text, NULL as NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())  # As Dolt prints them, and as a condition names them.
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return _mapped(array, lambda value: f"0x{value.hex()}")
    if pa.types.is_duration(array.type):
        return _mapped(array, _span)
    texts = array.cast(pa.large_string())
    if pa.types.is_decimal(array.type) and pc.any(pc.match_substring(texts, "E")).as_py():
        return _mapped(texts, lambda text: format(Decimal(text), "f"))
    if pa.types.is_timestamp(array.type) or pa.types.is_time(array.type):
        return pc.replace_substring_regex(texts, r"\.0+$", "")
    return texts


def _mapped(array: Any, text: Any) -> Any:
    import pyarrow as pa

    return pa.array([None if value is None else text(value) for value in array.to_pylist()], pa.large_string())


def _span(value: timedelta) -> str:
    """`-100:00:00.5` as Dolt prints it, with six digits where there is a fraction."""
    microseconds = abs(value) // timedelta(microseconds=1)
    seconds, fraction = divmod(microseconds, 1_000_000)
    sign = "-" if value < timedelta() else ""
    shown = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{shown}.{fraction:06}" if fraction else shown


def _quoted(texts: Any) -> Any:
    """The texts as fields of CSV."""
    import pyarrow as pa
    import pyarrow.compute as pc

    quote, nothing = (pa.scalar(text, pa.large_string()) for text in ('"', ""))
    doubled = pc.replace_substring(texts, '"', '""')
    inside = pc.binary_join_element_wise(quote, doubled, quote, nothing)
    return pc.fill_null(pc.if_else(pc.match_substring_regex(texts, r'[",\r\n]|^$'), inside, texts), nothing)


def json_values(array: Any) -> Iterator[str]:
    """The values of an array as JSON: booleans, integers and floats as such, all others as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(array.type):
        return ("null" if value is None else json.dumps(value) for value in array.to_pylist())
    texts = _texts(array)
    if pa.types.is_floating(array.type):
        # `1` and `-0` would be taken for integers.
        texts = pc.replace_substring_regex(texts, r"^(-?\d+)$", r"\1.0")
    is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if is_number:
        return (text or "null" for text in texts.to_pylist())
    return ("null" if text is None else json.dumps(text, ensure_ascii=False) for text in texts.to_pylist())
