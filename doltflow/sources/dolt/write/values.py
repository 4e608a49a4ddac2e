"""Values as the text that Dolt reads back exactly, and as the lines of a file that it loads in bulk."""

from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.sources.dolt.column import BYTES, Column

_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\x00", "\\0"))
_SPECIAL = r"[\\\t\n\r\x00]"
_NULL = "\\N"
_LINES = 100_000
_LARGE = pa.large_string()  # The lines of wide rows may be more than 2 GB together.
_HEXADECIMAL = (*BYTES, "bit")


def sql_text(array: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Each value as SQL text; bytes and bits as hexadecimal digits, BOOLEAN as 0 and 1."""
    kind, t = array.type, pa.types
    if t.is_string(kind):
        return array
    if t.is_null(kind):
        return pa.chunked_array([pa.nulls(len(array), pa.string())])
    if t.is_binary(kind):
        return _texts(None if value is None else value.hex() for value in array.to_pylist())
    if column.base == "bit":
        digits = (column.size + 7) // 8 * 2
        return _texts(None if value is None else f"{value:0{digits}x}" for value in array.to_pylist())
    if t.is_boolean(kind):
        return array.cast(pa.int8()).cast(pa.string())
    if t.is_duration(kind):
        return _texts(None if value is None else _span(value) for value in array.cast(pa.int64()).to_pylist())
    return array.cast(pa.string())


def _texts(values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def _span(microseconds: int) -> str:
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    sign = "-" if microseconds < 0 else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"


def expression(column: Column, text: str) -> str:
    """The SQL that makes a column's value of its text."""
    if column.base in _HEXADECIMAL:
        return f"unhex({text})"
    return f"cast({text} as signed)" if column.base == "year" else text  # YEAR takes the text 0 for 2000.


def loads_as_text(column: Column) -> bool:
    """Whether a bulk load may put a text straight into the column; of an empty one it makes NULL for ENUM and SET."""
    return column.base not in (*_HEXADECIMAL, "year", "enum", "set")


def unloadable(texts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray | None:
    """Which rows hold the text NULL, which a bulk load cannot tell from no value; None where there are none."""
    mask = None
    for text in texts:
        equal = pc.fill_null(pc.equal(pc.utf8_upper(text), "NULL"), False)
        if pc.any(equal).as_py():
            mask = equal if mask is None else pc.or_(mask, equal)
    return mask


def write_lines(file: BinaryIO, texts: Sequence[pa.ChunkedArray]) -> None:
    r"""Rows as lines for LOAD DATA: columns apart by tabs, `\` before what is special, `\N` for NULL."""
    table = pa.Table.from_arrays(list(texts), names=[str(number) for number in range(len(texts))])
    for batch in table.to_batches(max_chunksize=_LINES):
        if batch.num_rows == 0:
            continue
        cells = [pc.fill_null(_escaped(column), _NULL).cast(_LARGE) for column in batch.columns]
        cells[-1] = pc.binary_join_element_wise(cells[-1], pa.scalar("", _LARGE), pa.scalar("\n", _LARGE))
        lines = cells[0] if len(cells) == 1 else pc.binary_join_element_wise(*cells, pa.scalar("\t", _LARGE))
        # The lines stand one behind the other in the array's own buffer: the file is that buffer.
        _, offsets, data = lines.buffers()
        ends = pa.Array.from_buffers(pa.int64(), len(lines) + 1, [None, offsets], offset=lines.offset)
        file.write(memoryview(data)[ends[0].as_py() : ends[-1].as_py()])


def _escaped(column: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(column, _SPECIAL)).as_py():
        return column
    for character, escape in _ESCAPES:
        column = pc.replace_substring(column, character, escape)
    return column
