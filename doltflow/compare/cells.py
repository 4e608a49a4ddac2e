"""Cells of two versions of a column, as Arrow arrays: which of them differ, and by how much numbers do."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.compare.tolerance import Tolerance
from doltflow.sources.dolt.rowkeys import time_text

_MOST_DIGITS = 76
_MOST = Fraction(sys.float_info.max)
_INTEGER = pa.decimal256(20, 0)
_OFF = 2.0**-51


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers, of which one can tell by how much they differ."""
    t = pa.types
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind))


def differs(before: pa.Array, after: pa.Array, tolerance: Tolerance | None = None) -> pa.Array:
    """For each pair of cells whether they differ: NULL equals NULL, and what a tolerance allows is equal.

    Where the types differ, numbers are compared as numbers, and all else by what it is as text.
    """
    nulls = pc.xor(pc.is_null(before), pc.is_null(after))
    left, right = alike(before, after)
    unequal = pc.fill_null(pc.not_equal(left, right), False)
    if tolerance is not None and is_numeric(before.type) and is_numeric(after.type):
        unequal = pc.and_(unequal, _beyond(before, after, tolerance))
    return pc.or_(nulls, unequal)


def alike(before: pa.Array, after: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Both arrays in one type, in which equal values are equal."""
    if before.type == after.type:
        return before, after
    t = pa.types
    one, other = before.type, after.type
    if is_numeric(one) and is_numeric(other):
        if t.is_floating(one) or t.is_floating(other):
            return floats(before), floats(after)
        with suppress(pa.ArrowInvalid):
            return _decimals(before, after)
        return _digits(before), _digits(after)
    if {t.is_floating(one), t.is_floating(other)} == {True, False} and (t.is_string(one) or t.is_string(other)):
        with suppress(pa.ArrowInvalid):  # A text that is a number is compared as one.
            return floats(before), floats(after)
    if t.is_binary(one) or t.is_binary(other):
        return tuple(array if t.is_binary(array.type) else _text(array).cast(pa.binary()) for array in (before, after))
    if {one, other} == {pa.date32(), pa.timestamp("us")}:
        return before.cast(pa.timestamp("us")), after.cast(pa.timestamp("us"))
    return _text(before), _text(after)


def difference(before: pa.Array, after: pa.Array) -> pa.Array:
    """By how much the numbers of one array are more than those of another, NULL where one is: exact for decimals."""
    if all(pa.types.is_integer(array.type) for array in (before, after)):
        with suppress(pa.ArrowInvalid):  # Of what does not fit the decimals below take care.
            return pc.subtract_checked(after.cast(pa.int64()), before.cast(pa.int64()))
    return _exact_difference(before, after)


def _exact_difference(before: pa.Array, after: pa.Array) -> pa.Array:
    """The difference as decimals, unless one of both is a float."""
    t = pa.types
    if not t.is_floating(before.type) and not t.is_floating(after.type):
        with suppress(pa.ArrowInvalid):
            left, right = _decimals(before, after)
            return pc.subtract(right, left)
    return pc.subtract(floats(as_printed(after)), floats(as_printed(before)))


def _beyond(before: pa.Array, after: pa.Array, tolerance: Tolerance) -> pa.Array:
    """For each pair of numbers whether they lie farther apart than a tolerance allows."""
    apart = pc.abs(_exact_difference(before, after))
    amount = tolerance.amount
    if pa.types.is_decimal(apart.type):
        # In whole numbers, so that what lies just at the border is on its right side.
        try:
            if tolerance.is_relative:
                limit = pc.multiply(pc.abs(_decimal(before)), _scalar(Decimal(amount.numerator)))
            else:
                limit = _scalar(Decimal(amount.numerator))
            scaled = pc.multiply(apart, _scalar(Decimal(amount.denominator)))
            return pc.fill_null(pc.greater(scaled, limit), False)
        except (ValueError, pa.ArrowNotImplementedError):  # More digits than Arrow's decimals have.
            return _exactly_beyond(before, apart, tolerance)
    # A tolerance may be more than a double can be; times zero that must still be zero.
    double = float(min(amount, _MOST))
    sizes = [pc.abs(floats(as_printed(array))) for array in (before, after)]
    limit = pc.multiply(sizes[0], double) if tolerance.is_relative else pa.scalar(double)
    # 1.1 - 1.0 is more than 0.1, by what doubles are off.
    slack = pc.multiply(pc.max_element_wise(*sizes), _OFF)
    return pc.fill_null(pc.greater(apart, pc.add(limit, slack)), False)


def _exactly_beyond(before: pa.Array, apart: pa.Array, tolerance: Tolerance) -> pa.Array:
    limits = (abs(Fraction(old or 0)) if tolerance.is_relative else 1 for old in before.to_pylist())
    by = apart.to_pylist()
    found = [number is not None and number > tolerance.amount * limit for number, limit in zip(by, limits, strict=True)]
    return pa.array(found, pa.bool_())


def _scalar(number: Decimal) -> pa.Scalar:
    return pa.scalar(number, pa.decimal256(max(len(number.as_tuple().digits), 1), 0))


def _decimal(array: pa.Array) -> pa.Array:
    return array.cast(_INTEGER) if pa.types.is_integer(array.type) else array


def _decimals(before: pa.Array, after: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Integers and decimals as decimals of one scale, with a digit to spare.

    Raises:
        pa.ArrowInvalid: There are too many digits.
    """
    arrays = [_decimal(array) for array in (before, after)]
    scale = max(array.type.scale for array in arrays)
    whole = max(array.type.precision - array.type.scale for array in arrays)
    kind = pa.decimal256(min(whole + scale + 1, _MOST_DIGITS - 1), scale)
    return arrays[0].cast(kind), arrays[1].cast(kind)


def _digits(array: pa.Array) -> pa.Array:
    """Integers and decimals as texts, without zeros that say nothing."""
    texts = (None if number is None else format(number, "f") for number in array.to_pylist())
    return pa.array([text and (text.rstrip("0").rstrip(".") if "." in text else text) for text in texts], pa.string())


def floats(array: pa.Array) -> pa.Array:
    """Numbers as the nearest doubles."""
    # Arrow's own way from a decimal to a double is off by a bit; from its text it is not.
    is_decimal = pa.types.is_decimal(array.type)
    return array.cast(pa.string()).cast(pa.float64()) if is_decimal else array.cast(pa.float64(), safe=False)


def as_printed(array: pa.Array) -> pa.Array:
    """Floats of four bytes as the numbers that Dolt prints, which have fewer digits than the nearest doubles."""
    return array.cast(pa.string()).cast(pa.float64()) if pa.types.is_float32(array.type) else array


def _text(array: pa.Array) -> pa.Array:
    """The values as Dolt prints them."""
    if pa.types.is_duration(array.type):
        return pa.array([None if span is None else time_text(span) for span in array.to_pylist()], pa.string())
    texts = array if pa.types.is_string(array.type) else array.cast(pa.string())
    return pc.replace_substring_regex(texts, r"\.0+$", "") if pa.types.is_timestamp(array.type) else texts


def joined(arrays: Sequence[pa.Array]) -> pa.Array:
    """What stands in the arrays as one binary value a row, different where any of it is."""
    parts = []
    for array in arrays:
        whole = array.cast(pa.int64()) if pa.types.is_duration(array.type) else array
        text = whole if pa.types.is_binary(whole.type) else whole.cast(pa.string()).cast(pa.binary())
        text = pc.replace_substring(pc.replace_substring(text, b"\\", b"\\\\"), b"\x1f", b"\\s")
        parts.append(pc.fill_null(text, b"\\N"))
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, pa.scalar(b"\x1f", pa.binary()))
