"""Whether a column of a frame fits a column of a table, by its values; and the type that a new column gets."""

import json as json_
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.errors import BadValueError, SchemaMismatchError
from doltflow.sources.dolt.column import INTEGERS, Column
from doltflow.sources.dolt.types import decimal_type
from doltflow.sources.dolt.write.widen import BLOB_BYTES, MOST_DIGITS, TEXT_BYTES, integer_range, widened

_LENGTHS = (32, 255, 1023, 4095)
_ROOM = 255
_MOST_SCALE, _LOOSE_DIGITS = 30, 38
_EXACT_INTEGER = {"double": 2**53, "float": 2**24}
_LONGEST_TIME = (838 * 3600 + 59 * 60 + 59) * 1_000_000 + 999_999
_DAYS = (-719_528, (date(9999, 12, 31) - date(1970, 1, 1)).days)
_DATETIMES = (-719_528 * 86_400_000_000, (_DAYS[1] + 1) * 86_400_000_000 - 1)
_TIMESTAMPS = (1_000_000, 2**31 * 1_000_000 - 1)

Fit = tuple[str, pa.ChunkedArray]
"""The SQL type that the column must have, and the values as that type holds them."""
_Needs = tuple[str | None, pa.ChunkedArray]
"""The type that the values need where the column's is not enough, and the values."""


class _Misfit(Exception):
    """Why values do not fit; the column and the table are added by `fit`."""


def new_type(array: pa.ChunkedArray, *, json: bool, loose: bool, key: bool) -> str:
    """The SQL type of a new column for these values: `json`, `decimal(38,2)`, `varchar(255)` and so on.

    Args:
        array: The values.
        json: Whether they are JSON text.
        loose: Whether a decimal's precision came from its values, so that more room is left.
        key: Whether the column is part of the key, which TEXT and BLOB cannot be.
    """
    kind, t = array.type, pa.types
    if json:
        return "json"
    if t.is_boolean(kind):
        return "tinyint(1)"
    if t.is_integer(kind):
        word = {8: "tinyint", 16: "smallint", 32: "int", 64: "bigint"}[kind.bit_width]
        return word + (" unsigned" if t.is_unsigned_integer(kind) else "")
    if t.is_decimal(kind):
        scale = max(kind.scale, 0)
        digits = max(kind.precision + scale - kind.scale, scale, _LOOSE_DIGITS if loose else 1)
        # What is too much for SQL is told by `fit`, by the values.
        return f"decimal({min(digits, MOST_DIGITS)},{min(scale, _MOST_SCALE)})"
    if t.is_string(kind) or t.is_null(kind):
        return _text_type(max(_longest(array), _LENGTHS[0] + 1), key=key)
    if t.is_binary(kind):
        return _binary_type(_longest(array), key=key)
    simple: list[tuple[Callable[[pa.DataType], bool], str]] = [
        (t.is_float32, "float"),
        (t.is_floating, "double"),
        (t.is_date, "date"),
        (t.is_timestamp, "datetime(6)"),
        (t.is_time, "time(6)"),
        (t.is_duration, "time(6)"),
    ]
    return next(word for test, word in simple if test(kind))


def tightest_text(array: pa.ChunkedArray) -> str:
    """The type of a new text column that leaves little room to grow."""
    return _text_type(_longest(array), key=False)


def _longest(array: pa.ChunkedArray) -> int:
    if pa.types.is_null(array.type):
        return 0
    lengths = pc.utf8_length(array) if pa.types.is_string(array.type) else pc.binary_length(array)
    return int(pc.max(lengths).as_py() or 0)


def _bucket(length: int) -> int | None:
    return next((size for size in _LENGTHS if length <= size), None)


def _text_type(length: int, *, key: bool) -> str:
    # Room to grow without a change of schema; TEXT is several times as slow and cannot be a key.
    size = _bucket(length)
    return f"varchar({size or length})" if size or key else "longtext"


def _binary_type(length: int, *, key: bool) -> str:
    return f"varbinary({_bucket(length) or length})" if key else "longblob"


def fit(table: str, array: pa.ChunkedArray, column: Column, *, json: bool) -> Fit:
    """The type that the column must have to hold the values, the column's own where it can, and the values.

    Raises:
        SchemaMismatchError: They are of another kind.
        BadValueError: One of them is out of the range of every type of that kind.
    """
    if pa.types.is_null(array.type):
        return column.type, array
    try:
        needed, values = _family(column.base)(array, column, json)
        kind = column.type if needed is None else widened(column, needed)
        if kind is None:
            raise _Misfit(f"the values need {needed}, and no type of SQL holds both that and what the column holds")
        return kind, values
    except _Misfit as misfit:
        raise SchemaMismatchError(
            f"The column `{column.name}` of the frame ({'JSON' if json else array.type}) does not fit "
            f"`{table}`.`{column.name}` ({column.type}): {misfit}."
        ) from None


def _family(base: str) -> Callable[[pa.ChunkedArray, Column, bool], _Needs]:
    families = {
        **dict.fromkeys(INTEGERS, _fit_integer),
        "bit": _fit_bit,
        "year": _fit_year,
        "decimal": _fit_decimal,
        **dict.fromkeys(("float", "double"), _fit_float),
        **dict.fromkeys(("varchar", "char", *TEXT_BYTES), _fit_text),
        **dict.fromkeys(("enum", "set"), _fit_values),
        "json": _fit_json,
        **dict.fromkeys(("varbinary", "binary", *BLOB_BYTES), _fit_binary),
        "date": _fit_date,
        **dict.fromkeys(("datetime", "timestamp"), _fit_datetime),
        "time": _fit_time,
    }
    return families.get(base, _fit_nothing)


def _fit_nothing(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    raise _Misfit("doltflow does not write this type")


def _extremes(values: pa.ChunkedArray) -> tuple[Any, Any]:
    """The least and the greatest value; 0 and 0 where there is none."""
    extremes = pc.min_max(values)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    return (0, 0) if low is None or high is None else (low, high)


def _check_range(column: Column, integers: pa.ChunkedArray, shown: pa.ChunkedArray, limits: tuple[int, int]) -> None:
    low, high = _extremes(integers)
    if limits[0] <= low and high <= limits[1]:
        return
    outside = pc.fill_null(pc.or_(pc.less(integers, limits[0]), pc.greater(integers, limits[1])), False)
    row = pc.index(outside, True).as_py()
    raise BadValueError(
        f"Row {row} of the column `{column.name}` is {_shown(shown[row])}, which is outside of the range of "
        f"{column.type.upper()} (rows count from 0)."
    )


def _shown(value: pa.Scalar) -> str:
    # Arrow's text for what Python's `date` cannot be, and Python's for spans, which Arrow has no text for.
    return str(value.as_py() if pa.types.is_duration(value.type) else value.cast(pa.string()).as_py())


def _integers(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values as integers, where each is one."""
    kind, t = array.type, pa.types
    if t.is_boolean(kind):
        return array.cast(pa.int8())
    if t.is_integer(kind):
        return array
    if t.is_floating(kind) or t.is_decimal(kind):
        for target in (pa.int64(), pa.uint64()):
            try:
                return array.cast(target)
            except pa.ArrowInvalid:
                continue
        raise _Misfit("not every value is an integer of 64 bits")
    raise _Misfit("it holds no numbers")


def _fit_integer(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    values = _integers(array)
    low, high = _extremes(values)
    floor, ceiling = integer_range(column)
    # BOOLEAN is a TINYINT to SQL; 2 would fit it, but it would not be a BOOLEAN any more.
    if floor <= low and high <= ceiling and (not column.boolean or (low >= 0 and high <= 1)):
        return None, values
    for suffix in (" unsigned", "") if column.unsigned else ("", " unsigned"):
        for base in INTEGERS:
            bottom, top = integer_range(Column("", base + suffix))
            if bottom <= low and high <= top:
                return base + suffix, values
    raise _Misfit(f"no integer type holds both {low} and {high}")


def _fit_bit(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    values = _integers(array)
    low, high = _extremes(values)
    if low < 0:
        raise _Misfit(f"{low} is negative")
    bits = int(high).bit_length()
    return None if bits <= column.size else f"bit({bits})", values


def _fit_year(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    values = _integers(array).cast(pa.int64())
    # SQL reads 1 to 99 as 2001 to 1999.
    _check_range(column, pc.if_else(pc.equal(values, 0), 1901, values), values, (1901, 2155))
    return None, values


def _fit_decimal(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    kind, t = array.type, pa.types
    if t.is_floating(kind):
        values = pa.chunked_array([_decimals(array, column.digits[1])])
    elif t.is_decimal(kind):
        values = array
    elif t.is_integer(kind):
        values = array.cast(pa.decimal128(20, 0))
    else:
        raise _Misfit("it holds no numbers")
    try:
        return None, values.cast(decimal_type(*column.digits))
    except pa.ArrowInvalid:
        return _wider_decimal(values, column.digits[1])


def _wider_decimal(values: pa.ChunkedArray, scale: int) -> _Needs:
    low, high = _extremes(values)
    before = max(len(str(abs(int(value)))) if int(value) else 0 for value in (low, high))
    for after in range(min(scale, max(values.type.scale, 0)), _MOST_SCALE + 1):
        if before + after > MOST_DIGITS:
            break
        try:
            exact = values.cast(decimal_type(max(before + after, 1), after))
        except pa.ArrowInvalid:
            continue
        return f"decimal({before + after},{after})", exact
    raise _Misfit(f"DECIMAL has up to {MOST_DIGITS} digits, {_MOST_SCALE} of them after the point, and this needs more")


def _decimals(array: pa.ChunkedArray, scale: int) -> pa.Array:
    """Binary floats as the decimals that they print as, where the column keeps all their digits."""
    numbers = [None if value is None else Decimal(repr(value)) for value in array.to_pylist()]
    for row, number in enumerate(numbers):
        if number is not None and -number.normalize().as_tuple().exponent > scale:  # type: ignore[operator]
            raise _Misfit(f"{number} in row {row} has more than {scale} digits after the point; round it first")
    try:
        return pa.array(numbers, decimal_type(MOST_DIGITS, scale))
    except pa.ArrowInvalid:
        raise _Misfit("its values are too large") from None


def _fit_float(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    kind, t = array.type, pa.types
    if t.is_floating(kind):
        # A short text for 32 bits may be another number of 64, and the greatest one is out of Dolt's range.
        values = array.cast(pa.float64())
    elif t.is_integer(kind):
        low, high = _extremes(array)
        if max(abs(low), abs(high)) > _EXACT_INTEGER["double"]:
            raise _Misfit("it holds integers that a binary float cannot")
        values = array.cast(pa.float64())
    elif t.is_decimal(kind):
        values = pa.chunked_array([pa.array(_floats(array), pa.float64())])
    else:
        raise _Misfit("it holds no numbers")
    return None if column.base == "double" or _is_single(values) else "double", values


def _floats(array: pa.ChunkedArray) -> list[float | None]:
    numbers = array.to_pylist()
    for row, number in enumerate(numbers):
        if number is not None and Decimal(repr(float(number))) != number:
            raise _Misfit(f"{number} in row {row} loses digits as a binary float; `.astype(float)` it to accept that")
    return [None if number is None else float(number) for number in numbers]


def _is_single(values: pa.ChunkedArray) -> bool:
    """Whether FLOAT, which has 32 bits, holds the values."""
    single = values.cast(pa.float32()).cast(pa.float64())
    return bool(pc.all(pc.equal(single, values)).as_py() is not False)


def _fit_text(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    if not pa.types.is_string(array.type):
        raise _Misfit("it holds no text; `.astype(str)` it first")
    if column.base in ("varchar", "char"):
        longest = _longest(array)
        return None if longest <= column.size else _text_type(longest, key=not column.may_be_text), array
    longest = int(pc.max(pc.binary_length(array)).as_py() or 0)
    return None if longest <= TEXT_BYTES[column.base] else "longtext", array


def _fit_values(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    if not pa.types.is_string(array.type):
        raise _Misfit("it holds no text")
    used = {value for value in pc.unique(array).to_pylist() if value is not None}
    parts = used if column.base == "enum" else {part for value in used for part in value.split(",") if part}
    if unknown := sorted(parts - set(column.values)):
        raise _Misfit(f"{unknown[0]!r} is none of {', '.join(map(repr, column.values))}")
    return None, array


def _fit_json(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    if not pa.types.is_string(array.type):
        raise _Misfit("it holds neither JSON text nor dictionaries")
    for row, text in enumerate(array.to_pylist()):
        if text is not None:
            _check_json(text, row)
    return None, array


def _check_json(text: str, row: int) -> None:
    def integer(digits: str) -> int:
        # Dolt keeps numbers in JSON as binary floats.
        if abs(number := int(digits)) > _EXACT_INTEGER["double"]:
            raise _Misfit(f"{number} in row {row} loses digits in JSON, whose integers go to 2^53; make it a string")
        return number

    try:
        value = json_.loads(text, parse_int=integer, parse_constant=_not_json)
        if "\\ud" in text.lower():  # A character beyond 16 bits, or half of one, which Dolt would replace.
            json_.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise _Misfit(f"the text in row {row} is not JSON") from None


def _not_json(word: str) -> None:
    raise ValueError(word)


def _fit_binary(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    if not pa.types.is_binary(array.type):
        raise _Misfit("it holds no bytes")
    longest = _longest(array)
    if column.base in BLOB_BYTES:
        return None if longest <= BLOB_BYTES[column.base] else "longblob", array
    shortest = pc.min(pc.binary_length(array)).as_py()
    if column.base == "binary" and shortest is not None and shortest < column.size:
        raise _Misfit(f"a value has {shortest} bytes, and {column.type.upper()} would fill it up with zeros")
    return None if longest <= column.size else _binary_type(longest, key=not column.may_be_text), array


def _fit_date(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    kind = array.type
    days = array
    if pa.types.is_timestamp(kind):
        days = array.cast(pa.date32(), safe=False)
        if pc.any(pc.not_equal(days.cast(kind), array)).as_py():
            raise _Misfit("some of its values have a time of day")
    elif not pa.types.is_date(kind):
        raise _Misfit("it holds no dates; `pandas.to_datetime` makes them from text")
    _check_range(column, days.cast(pa.int32()), days, _DAYS)
    return None, days


def _fit_datetime(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    kind = array.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise _Misfit("it holds no times; `pandas.to_datetime` makes them from text")
    values = array.cast(pa.timestamp("us"))
    microseconds = values.cast(pa.int64())
    _check_range(column, microseconds, values, _DATETIMES if column.base == "datetime" else _TIMESTAMPS)
    return _with_fraction(column, microseconds), values


def _fit_time(array: pa.ChunkedArray, column: Column, json: bool) -> _Needs:
    if not (pa.types.is_time(array.type) or pa.types.is_duration(array.type)):
        raise _Misfit("it holds no times of day and no spans of time")
    microseconds = array.cast(pa.int64())
    _check_range(column, microseconds, array, (-_LONGEST_TIME, _LONGEST_TIME))
    return _with_fraction(column, microseconds), array


def _with_fraction(column: Column, microseconds: pa.ChunkedArray) -> str | None:
    """The type with as many digits of a second as the values need, where the column has fewer."""
    step = 10 ** (6 - column.size)
    kept = pc.multiply(pc.divide(microseconds, step), step)
    return f"{column.base}(6)" if pc.any(pc.not_equal(kept, microseconds)).as_py() else None
