"""The JSON envelope: `{"schema": "doltflow.<command>/1", "data": {…}}`."""

import json
from collections.abc import Mapping
from typing import Any

from doltflow.render.plain import plain
from doltflow.render.text import escaped_json

VERSION = 1


def envelope(command: str, data: Mapping[str, Any]) -> str:
    """What a command prints under `--output json`: one envelope, with a line break at its end."""
    return _dumps({"schema": f"doltflow.{command}/{VERSION}", "data": data}, indent=2)


def line(data: Mapping[str, Any]) -> str:
    """One line of `--output jsonl`."""
    return _dumps(data, indent=None)


def compact(value: Any) -> str:
    """A value as JSON on one line, without a line break, to stand in another form."""
    return _dumps(value, indent=None)[:-1]


def error_envelope(code: str, message: str, hint: str, *, one_line: bool = False) -> str:
    """What is printed instead of an answer when a command that was asked for JSON fails."""
    error = {"code": code, "message": message, "hint": hint}
    return _dumps({"schema": f"doltflow.error/{VERSION}", "error": error}, indent=None if one_line else 2)


def _dumps(data: Any, indent: int | None) -> str:
    text = json.dumps(plain(data), ensure_ascii=False, indent=indent, allow_nan=False)
    return escaped_json(text) + "\n"
