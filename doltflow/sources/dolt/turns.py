"""Waiting in the order in which one came, between the processes of this machine.

A lock that is asked for again and again goes to whoever happens to ask next, and one of many may wait for long. So each
first takes a ticket: a file, locked for as long as it waits and works, which the kernel unlocks when its process dies.
The two whose tickets are the oldest that are locked may ask for the lock itself: one has it, and the other one takes it
without a pause when it is free. This is about order alone: the lock keeps others out.
"""

import fcntl
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_ONCE = 2
_STEP_SECONDS = 0.002
_MOST_SECONDS = 0.05


@contextmanager
def turn(queue: Path, deadline: float) -> Iterator[int]:
    """A place in a queue, given up afterwards.

    Args:
        queue: The folder of its tickets; made where it is not there.
        deadline: Until when to wait, as `time.monotonic` counts.

    Yields:
        How many are still before this one: more than one only where the time is up.
    """
    try:
        descriptor, ticket = _draw(queue)
    except OSError:  # A full disk, say: then it goes without an order.
        yield 0
        return
    try:
        before = _before(ticket)
        while before > _AT_ONCE - 1 and time.monotonic() < deadline:
            # Who stands far behind need not look often.
            wait = min(_STEP_SECONDS * before, _MOST_SECONDS) * random.uniform(0.5, 1)  # noqa: S311
            time.sleep(min(wait, max(deadline - time.monotonic(), 0)))
            before = _before(ticket)
        yield before
    finally:
        ticket.unlink(missing_ok=True)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # By word, as a child that was forked meanwhile has the same open file.
        os.close(descriptor)


def _draw(queue: Path) -> tuple[int, Path]:
    """Makes a ticket and locks it."""
    queue.mkdir(mode=0o700, exist_ok=True)
    # That clock is the same for all processes and never goes back.
    name = f"{time.monotonic_ns():020}-{os.getpid()}-{threading.get_ident()}"
    ticket, new = queue / name, queue / f".{name}"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(ticket)  # Only now, as others take an unlocked ticket for that of a dead process.
    except BaseException:
        os.close(descriptor)
        new.unlink(missing_ok=True)
        raise
    return descriptor, ticket


def _before(ticket: Path) -> int:
    """How many stand before a ticket. Those of dead processes go away."""
    names = (path.name for path in ticket.parent.iterdir())
    older = sorted(name for name in names if not name.startswith(".") and name < ticket.name)
    while older and not _is_held(ticket.parent / older[0]):
        older.pop(0)
    return len(older)


def _is_held(ticket: Path) -> bool:
    try:
        descriptor = os.open(ticket, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        ticket.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)
