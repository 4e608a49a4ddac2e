"""Rows and cells of any type, for people and as JSON."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from doltflow.model.quoting import quote
from doltflow.model.row import Row
from doltflow.render.plain import plain
from doltflow.render.text import safe, value

_PLAIN = re.compile(r"[^\W\d][\w$.-]*")
_LONGEST = 400
_IN_KEY = 60


def exact_row(row: Row | None) -> dict[str, Any] | None:
    """A row as JSON holds it without loss."""
    return None if row is None else {name: exact(data) for name, data in row.items()}


def exact(data: Any) -> Any:
    """A value of a cell as JSON holds it without loss: a DECIMAL, a date and bytes (`0x00ff`) as text."""
    if isinstance(data, Decimal):
        return format(data, "f")
    if isinstance(data, bytes):
        return f"0x{data.hex()}"
    if isinstance(data, datetime):
        return data.isoformat(sep=" ")
    return plain(data)


def name_text(name: str) -> str:
    """A column's name, in backticks where it could be read as something else."""
    return safe(name) if _PLAIN.fullmatch(name) else safe(quote(name))


def key_text(key: Row) -> str:
    """`state=TX  code=0001A`."""
    return "  ".join(f"{name_text(name)}={value(exact(data), _IN_KEY)}" for name, data in key.items())


def cell(row: Row, name: str, longest: int = _LONGEST) -> str:
    """A cell as people read it: NULL apart from the text that says so."""
    if name not in row:
        return "(no such column)"
    data = exact(row[name])
    if data is None:
        return "NULL"
    # A text that says NULL is none.
    return '"NULL"' if data == "NULL" else value(data, longest)
