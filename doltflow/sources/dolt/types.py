"""Types of values: how Dolt's columns become Arrow's and Arrow's become Dolt's, exactly."""

import pyarrow as pa

from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.connection import Field

# MySQL's protocol type codes.
_DECIMAL, _TINY, _SHORT, _LONG, _FLOAT, _DOUBLE, _NULL = 0, 1, 2, 3, 4, 5, 6
_TIMESTAMP, _LONGLONG, _INT24, _DATE, _TIME, _DATETIME, _YEAR = 7, 8, 9, 10, 11, 12, 13
_BIT, _JSON, _NEWDECIMAL, _GEOMETRY = 16, 245, 246, 255
_DIGITS_128, _DIGITS_MOST = 38, 65
_BULK_SCALE, _BULK_WHOLE = 10, 18
_INTEGERS = {_TINY: (pa.int8(), pa.uint8()), _SHORT: (pa.int16(), pa.uint16()), _LONG: (pa.int32(), pa.uint32())}
_INTEGERS |= {_INT24: (pa.int32(), pa.uint32()), _LONGLONG: (pa.int64(), pa.uint64())}


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """The Arrow type that holds a DECIMAL of up to 65 digits."""
    return pa.decimal128(precision, scale) if precision <= _DIGITS_128 else pa.decimal256(precision, scale)


def column_type(column: Column) -> pa.DataType:
    """The Arrow type of a table's column; TIME is text here, its values decide what it becomes."""
    match column.base:
        case "tinyint" | "smallint" | "mediumint" | "int" | "bigint":
            bits = {"tinyint": 8, "smallint": 16, "mediumint": 32, "int": 32, "bigint": 64}[column.base]
            return getattr(pa, f"{'u' if column.unsigned else ''}int{bits}")()
        case "decimal":
            return decimal_type(*column.digits)
        case "float":
            return pa.float32()
        case "double":
            return pa.float64()
        case "date":
            return pa.date32()
        case "datetime" | "timestamp":
            return pa.timestamp("us")
        case "year":
            return pa.int16()
        case "bit":
            return pa.uint64()
        case "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob":
            return pa.binary()
        case _:
            return pa.string()


def field_type(field: Field) -> pa.DataType:
    """The Arrow type of a result's column; TIME is text here, its values decide what it becomes."""
    if field.code in _INTEGERS:
        return _INTEGERS[field.code][field.unsigned]
    match field.code:
        case 0 | 246:
            # The length counts the sign and the point where there is one.
            precision = field.length - (2 if field.scale else 1)
            return decimal_type(max(1, field.scale, min(precision, _DIGITS_MOST)), field.scale)
        case 4:
            return pa.float32()
        case 5:
            return pa.float64()
        case 6:
            return pa.null()
        case 10:
            return pa.date32()
        case 7 | 12:
            return pa.timestamp("us")
        case 13:
            return pa.int16()
        case 16:
            return pa.uint64()
        case 245:
            return pa.string()
        case _:
            return pa.binary() if field.binary else pa.string()


def is_time(field: Field) -> bool:
    """Whether a result's column is a TIME."""
    return field.code == _TIME


def is_bit(field: Field) -> bool:
    """Whether a result's column is a BIT, which no driver reads as it should."""
    return field.code == _BIT


def bulk_safe(field: Field) -> bool:
    """Whether the bulk reader gives this column exactly."""
    return field.code not in (_DECIMAL, _NEWDECIMAL, _TIME, _BIT, _NULL, _GEOMETRY)


def bulk_column(column: Column) -> bool:
    """Whether the bulk reader gives a table's column exactly: of a DECIMAL all digits, of which it takes 28."""
    if column.base != "decimal":
        return True
    precision, scale = column.digits
    return scale <= _BULK_SCALE and precision - scale <= _BULK_WHOLE
