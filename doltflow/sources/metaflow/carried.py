"""How the steps of a rerun find their pins: in a file that the environment names, or carried along from the store.

The environment reaches every step on this machine. A step on another machine does not inherit it; there the decorator
of `doltflow.sources.metaflow.remote` takes the pins out of Metaflow's datastore. Nothing is imported here that a bare
container may lack.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VARIABLE = "DOLTFLOW_PINS"
"""Names the file of the pins, in the environment of a rerun's steps."""

SCHEME = "sha1:"
"""Stands before the key of pins in the datastore; a key that looks like a number would be read as one."""

_LOCAL = {"card", "catch", "conda", "environment", "parallel", "pypi", "resources", "retry", "secrets", "timeout"}
_carried: list[str] = []


def may_leave(graph: Mapping[str, Any]) -> bool:
    """Whether a step of a flow may run on another machine: it has a decorator that is not known to leave it here.

    Args:
        graph: The flow's structure as Metaflow noted it.
    """
    from metaflow.metaflow_config import DEFAULT_DECOSPECS

    if os.environ.get("METAFLOW_DEFAULT_DECOSPECS") or DEFAULT_DECOSPECS:  # What every run gets by `--with`.
        return True
    decorators = (one for step in graph.get("steps", {}).values() for one in step.get("decorators", ()))
    return any(decorator.get("name") not in _LOCAL for decorator in decorators)


def decorator(key: str) -> str:
    """What `--with` takes for pins that are kept in the datastore under a key."""
    return f"doltflow.sources.metaflow.remote.pins:key={SCHEME}{key}"


def carry(text: str) -> None:
    """Gives this process the pins of its step."""
    _carried[:] = [text]


def drop() -> None:
    """Takes them away again."""
    _carried.clear()


def pins_file() -> Path | None:
    """The file that the environment names, whether it is there or not."""
    path = os.environ.get(VARIABLE)
    return Path(path) if path else None


def pins_text() -> str | None:
    """The text of the pins, where this process has any.

    Raises:
        OSError: The environment names a file that cannot be read.
    """
    file = pins_file()
    if _carried:
        return _carried[0]
    return file.read_text(encoding="utf-8") if file is not None else None
