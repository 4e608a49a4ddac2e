"""The type that holds all that two types hold. A column only ever grows to such a type."""

from collections.abc import Callable

from doltflow.sources.dolt.column import INTEGERS, Column

TEXT_BYTES = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215, "longtext": 2**32 - 1}
BLOB_BYTES = {"tinyblob": 255, "blob": 65_535, "mediumblob": 16_777_215, "longblob": 2**32 - 1}
MOST_DIGITS = 65
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_CHARACTER_BYTES = 4


def integer_range(kind: Column) -> tuple[int, int]:
    """The least and the greatest integer of an integer type."""
    bits = _BITS[kind.base]
    return (0, 2**bits - 1) if kind.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def widened(column: Column, other: str) -> str | None:
    """The type that holds what the column and another type hold: the column's own where that is enough.

    Returns:
        None where they are of different kinds, or where SQL has no type that is wide enough.
    """
    wanted = Column(column.name, other)
    if column.type == other:
        return column.type
    for bases, widen in _FAMILIES:
        if column.base in bases:
            return widen(column, wanted) if wanted.base in bases else None
    return None


def _integer(column: Column, wanted: Column) -> str | None:
    (low, high), (bottom, top) = integer_range(column), integer_range(wanted)
    suffix = " unsigned" if column.unsigned and wanted.unsigned else ""
    for base in INTEGERS:
        floor, ceiling = integer_range(Column("", base + suffix))
        if floor <= min(low, bottom) and max(high, top) <= ceiling:
            return base + suffix
    return None


def _decimal(column: Column, wanted: Column) -> str | None:
    (precision, scale), (other_precision, other_scale) = column.digits, wanted.digits
    after = max(scale, other_scale)
    total = max(precision - scale, other_precision - other_scale) + after
    return f"decimal({total},{after})" if total <= MOST_DIGITS else None


def _float(column: Column, wanted: Column) -> str:
    return column.type if wanted.base == "float" else "double" if column.base == "float" else column.type


def _text(column: Column, wanted: Column) -> str:
    if _text_bytes(wanted) <= _text_bytes(column):
        return column.type
    if column.base in TEXT_BYTES and wanted.base not in TEXT_BYTES:
        return "mediumtext"  # A VARCHAR is shorter than 65,536 bytes.
    return f"varchar({wanted.size})" if wanted.base == "char" else wanted.type


def _text_bytes(kind: Column) -> int:
    return TEXT_BYTES.get(kind.base) or kind.size * _CHARACTER_BYTES


def _binary(column: Column, wanted: Column) -> str:
    if _binary_bytes(wanted) <= _binary_bytes(column):
        return column.type
    if column.base in BLOB_BYTES and wanted.base not in BLOB_BYTES:
        return "blob"
    return f"varbinary({wanted.size})" if wanted.base == "binary" else wanted.type


def _binary_bytes(kind: Column) -> int:
    return BLOB_BYTES.get(kind.base) or kind.size


def _sized(column: Column, wanted: Column) -> str:
    size = max(column.size, wanted.size)
    return f"{column.base}({size})" if size else column.base


def _values(column: Column, wanted: Column) -> str | None:
    """ENUM and SET keep the places of their values, so that only new ones may be added, and only behind."""
    ours, theirs = column.values, wanted.values
    if set(theirs) <= set(ours):
        return column.type
    return wanted.type if theirs[: len(ours)] == ours else None


_FAMILIES: tuple[tuple[tuple[str, ...], Callable[[Column, Column], str | None]], ...] = (
    (INTEGERS, _integer),
    (("decimal",), _decimal),
    (("float", "double"), _float),
    (("varchar", "char", *TEXT_BYTES), _text),
    (("varbinary", "binary", *BLOB_BYTES), _binary),
    *(((base,), _sized) for base in ("datetime", "timestamp", "time", "date", "year", "json", "bit")),
    *(((base,), _values) for base in ("enum", "set")),
)
