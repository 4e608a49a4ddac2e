"""Values as literals of SQL that Dolt reads back exactly."""

import re
from decimal import Decimal

import pyarrow as pa

from doltflow.model.quoting import literal
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.rowkeys import time_text

# What could be lost between here and the database, or steers a terminal.
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\r]")

NEGATIVE_ZERO = "'-0'"
_GREATEST = "3.4028234663852886e+38"
# The shortest text of the greatest FLOAT is a little more than it, which Dolt does not take; and -0e0 is 0 to it.
_ODD_NUMBERS = {
    "3.4028235e+38": _GREATEST,
    "-3.4028235e+38": f"-{_GREATEST}",
    "-0": NEGATIVE_ZERO,
    "-0.0": NEGATIVE_ZERO,
}


def literals(array: pa.Array, column: Column) -> list[str]:
    """Each value of an array as a literal for a column of a table."""
    if pa.types.is_floating(array.type):
        # A number without an exponent is a decimal to SQL. As text Arrow has just the digits that are needed.
        return [_number(text) for text in array.cast(pa.string()).to_pylist()]
    return [_literal(value, column) for value in array.to_pylist()]


def _number(text: str | None) -> str:
    if text is None:
        return "NULL"
    return _ODD_NUMBERS.get(text) or (text if "e" in text else f"{text}e0")


def _literal(value: object, column: Column) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(int(value))
        case Decimal():
            return format(value, "f")
        case bytes():
            return f"0x{value.hex()}" if value else "''"
        case str():
            return text_literal(value)
        case _:
            return literal(time_text(value) if column.base == "time" else str(value))  # type: ignore[arg-type]


def text_literal(text: str) -> str:
    """A text as a literal on one line, whatever is in it."""
    if _ODD.search(text):
        return f"CONVERT(0x{text.encode().hex()} USING utf8mb4)"
    return literal(text).replace("\n", "\\n").replace("\t", "\\t")
