"""The sessions of a context, given back while nobody uses them.

A step may compute for hours between two reads. Its pin is a commit and needs no open database, so the database is let
go after a moment: meanwhile the user's own `dolt checkout` or `dolt table import` works.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import RLock, Timer

from doltflow.errors import DoltflowError
from doltflow.sources.dolt import Database, Location, Session

LINGER_SECONDS = 0.25


class Sessions:
    """Sessions by database folder: opened when asked for, closed when nobody has asked for a moment."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._stack = ExitStack()
        self._sessions: dict[Location, Session] = {}
        self._timer: Timer | None = None

    @contextmanager
    def session(self, database: Database) -> Iterator[Session]:
        """A session with a database, for the length of the context."""
        with self._lock:
            self._stop_timer()
            try:
                kept = self._sessions.get(database.location)
                if kept is not None and not kept.is_alive():
                    self._forget()  # Its server was killed.
                if database.location not in self._sessions:
                    self._sessions[database.location] = self._stack.enter_context(database.open())
                yield self._sessions[database.location]
            finally:
                self._start_timer()

    def close(self) -> None:
        """Ends all sessions; a later question opens them again."""
        with self._lock:
            self._stop_timer()
            self._forget()

    def _forget(self) -> None:
        self._sessions.clear()
        self._stack.close()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = Timer(LINGER_SECONDS, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        # There is nobody to tell: what is wrong with the database shows at the next question.
        with suppress(DoltflowError, OSError):
            self.close()
