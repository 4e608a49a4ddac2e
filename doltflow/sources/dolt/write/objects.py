"""Columns of Python objects as Arrow arrays: one kind of value in each, none changed on the way."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from doltflow.errors import BadValueError, SchemaMismatchError

_SHOWN = 5
# By the names of classes, a subclass before its base: NumPy's scalars count without NumPy being imported.
_KINDS = (
    ("bool", {"bool", "bool_"}),
    ("int", {"int", "integer"}),
    ("float", {"float", "floating"}),
    ("Decimal", {"Decimal"}),
    ("str", {"str"}),
    ("bytes", {"bytes", "bytearray", "memoryview"}),
    ("datetime", {"datetime", "datetime64"}),
    ("date", {"date"}),
    ("time", {"time"}),
    ("timedelta", {"timedelta", "timedelta64"}),
    ("UUID", {"UUID"}),
    ("json", {"dict", "list", "tuple", "set", "frozenset", "ndarray"}),
)
_MISSING = ("NAType", "NaTType")
_TOGETHER = ({"int", "float"}, {"int", "Decimal"})


def object_array(name: str, values: Sequence[Any]) -> tuple[pa.ChunkedArray, bool]:
    """A column of Python objects as an Arrow array, and whether it is JSON text.

    Raises:
        SchemaMismatchError: The objects are of several kinds, or of one that SQL does not know.
        BadValueError: One of them cannot be stored.
    """
    types = _types(values)
    kinds = {_kind(type_) for type_ in types}
    if "json" in kinds and _kind(type(next(value for value in values if not missing(value)))) == "json":
        return json_texts(name, values), True
    if len(kinds) > 1 and kinds not in _TOGETHER:
        raise _mixed(name, types)
    _check(name, kinds, values)
    if kinds == {"UUID"}:
        values = [None if missing(value) else str(value) for value in values]
    try:
        return pa.chunked_array([_array(values, kinds)]), False
    except UnicodeEncodeError:
        raise _unwritable(name, values) from None
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _mixed(name, types, str(error)) from error


def _types(values: Iterable[Any]) -> set[type]:
    """The types of the values that are there."""
    types = {type_ for type_ in set(map(type, values)) if type_ is not type(None) and type_.__name__ not in _MISSING}
    floats = {type_ for type_ in types if issubclass(type_, float)}
    if floats < types and all(missing(value) for value in values if type(value) in floats):
        types -= floats
    return types


def _kind(type_: type) -> str:
    names = {base.__name__ for base in type_.__mro__}
    return next((kind for kind, classes in _KINDS if classes & names), type_.__name__)


def _array(values: Sequence[Any], kinds: set[str]) -> pa.Array:
    try:
        array = pa.array(values, from_pandas=True)
    except OverflowError:
        if kinds != {"int"}:
            raise
        array = pa.array(values, pa.uint64(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _check(name: str, kinds: set[str], values: Iterable[Any]) -> None:
    """Refuses what Arrow would change silently: infinite decimals and zones of time."""
    if not kinds & {"Decimal", "datetime", "time"}:
        return
    zones = set()
    for row, value in enumerate(values):
        if missing(value):
            continue
        if "Decimal" in kinds and not isinstance(value, int) and value.is_infinite():
            raise BadValueError(
                f"Row {row} of the column `{name}` is {value}, and SQL has no infinity (rows count from 0).",
                "Replace it by NULL or by a number.",
            )
        zones.add(getattr(value, "tzinfo", None) is not None)
    if len(zones) > 1:
        raise SchemaMismatchError(f"The column `{name}` holds times both with and without a zone.", "Convert them.")
    if "time" in kinds and True in zones:
        raise SchemaMismatchError(f"The column `{name}` holds times of day with a zone, which SQL does not know.")


def _mixed(name: str, types: Iterable[type], reason: str = "") -> SchemaMismatchError:
    kinds = sorted({type_.__name__ for type_ in types})
    return SchemaMismatchError(
        f"The column `{name}` holds values that have no one SQL type: {', '.join(kinds[:_SHOWN])}"
        f"{f' ({reason})' if reason else ''}.",
        "Convert it to one type first, `frame[column].astype(...)`.",
    )


def _unwritable(name: str, texts: Iterable[Any]) -> BadValueError:
    for row, text in enumerate(texts):
        try:
            str(text).encode()
        except UnicodeEncodeError:
            return BadValueError(
                f"Row {row} of the column `{name}` is {text!r}, half of a character, which no text in UTF-8 can hold "
                "(rows count from 0)."
            )
    return BadValueError(f"The column `{name}` cannot be written in UTF-8.")


def json_texts(name: str, values: Iterable[Any]) -> pa.ChunkedArray:
    """Lists and dictionaries as JSON text.

    Raises:
        SchemaMismatchError: One of them is not JSON.
    """
    texts: list[str | None] = []
    try:
        for value in values:
            text = None if missing(value) else json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
            texts.append(text)
        return pa.chunked_array([pa.array(texts, pa.string())])
    except UnicodeEncodeError:
        raise _unwritable(name, texts) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaMismatchError(f"The column `{name}` holds values that are not JSON: {error}.") from error


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def missing(value: object) -> bool:
    """Whether an object stands for no value: None, NaN, NaT or pandas' NA."""
    if value is None or type(value).__name__ in _MISSING:  # pandas' NA has no truth value.
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124  # only NaN is not itself
