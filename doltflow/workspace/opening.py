"""A database that is being opened by a thread: what takes time is its server's start, and others start meanwhile."""

import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager

from doltflow.sources.dolt import Database, Session

_PATIENCE = 3.0  # seconds for a server that is just starting; a database that another process holds may take minutes


class Opening:
    """The opening of one database, and in the end its closing."""

    def __init__(self, database: Database) -> None:
        self._context: AbstractContextManager[Session] = database.open()
        self._session: Session | None = None
        self._error: BaseException | None = None
        self._is_done = threading.Event()
        self._lock = threading.Lock()
        self._is_closed = False
        # A daemon: one that waits for a locked database must not keep the program that was interrupted.
        threading.Thread(target=self._run, name=f"doltflow-open-{database.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            session = self._context.__enter__()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                if self._is_closed:
                    self._context.__exit__(None, None, None)
                self._session = session
        finally:
            self._is_done.set()

    def session(self) -> Session:
        """The session, once the database is open.

        Raises:
            DoltError: It cannot be opened; see `Database.open`.
        """
        self._is_done.wait()
        if self._session is None:
            raise self._error or RuntimeError("not opened")
        return self._session

    def close(self) -> None:
        """Closes the database; where it takes long to open, has it closed as soon as it is open."""
        self._is_done.wait(_PATIENCE)
        with self._lock:
            if self._session is not None and not self._is_closed:
                self._context.__exit__(None, None, None)
            self._is_closed = True


def close_all(openings: Iterable[Opening]) -> None:
    """Closes databases all at once: each waits for the end of its server."""
    errors: list[BaseException] = []

    def close(opening: Opening) -> None:
        try:
            opening.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=close, args=(opening,), daemon=True) for opening in openings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
