"""Any Python value as plain data that JSON can hold."""

import math
import numbers
from collections.abc import Mapping, Set
from datetime import date, datetime, time
from pathlib import PurePath
from typing import Any


def plain(data: Any) -> Any:
    """The value as `dict`, `list`, `str`, `int`, `float`, `bool` and None only.

    Parameters can be anything that Metaflow can pickle. What JSON has no form for (an infinity too) becomes its `repr`.
    """
    try:
        return _plain(data)
    except RecursionError:  # It contains itself, or is nested deeper than anyone reads.
        return _repr(data)


def fields(record: Any) -> dict[str, Any]:
    """A record by the names of its fields."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _plain(data: Any) -> Any:
    if data is None or isinstance(data, bool | str):
        return data
    if isinstance(data, numbers.Integral):  # NumPy's too.
        return int(data)
    if isinstance(data, numbers.Real):
        try:
            number = float(data)
        except OverflowError:
            return _repr(data)
        return number if math.isfinite(number) else _repr(data)
    if isinstance(data, Mapping):
        return {key if isinstance(key, str) else str(_plain(key)): _plain(item) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    if isinstance(data, Set):
        return sorted((_plain(item) for item in data), key=repr)
    if isinstance(data, datetime | date | time):
        return data.isoformat()
    if isinstance(data, PurePath):
        return str(data)
    return _repr(data)


def _repr(data: Any) -> str:
    try:
        return repr(data)
    except Exception:  # It is the user's code.
        return f"<{type(data).__name__}>"
