"""Locks of a server on the branches that are written. They end with the connection that has them."""

import hashlib
from contextlib import suppress

from doltflow.errors import DoltError
from doltflow.sources.dolt.connection import Connection


def take_lock(connection: Connection, branch: str, seconds: float) -> bool:
    """Takes the lock on a branch, which the server frees when the connection ends."""
    return bool(connection.value("select get_lock(%s, %s)", [_lock_name(connection, branch), seconds]) == 1)


def free_lock(connection: Connection, branch: str) -> None:
    """Gives the lock on a branch back."""
    with suppress(DoltError):  # A lost connection has freed it.
        connection.rows("select release_lock(%s)", [_lock_name(connection, branch)])


def _lock_name(connection: Connection, branch: str) -> str:
    return "doltflow:" + lock_key(connection, branch)


def lock_key(connection: Connection, branch: str) -> str:
    """What the lock on a branch is called, in letters and digits."""
    return hashlib.sha256(f"{connection.database}/{branch}".encode()).hexdigest()[:40]
