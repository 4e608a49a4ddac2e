"""What a session is: a database, and the connections with it."""

from typing import TYPE_CHECKING

from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.reading import reading

if TYPE_CHECKING:  # Arrow and the writing of frames take half a second to import, and most commands need neither.
    from doltflow.sources.dolt.database import Database


class Core:
    """A database that is open, and the connections with it."""

    def __init__(self, database: "Database", connection: Connection, version: str) -> None:
        self.database = database
        self.version = version
        self._connection = connection
        self._reading: Connection | None = None
        self._reads_at = connection.endpoint

    def close(self) -> None:
        """Closes what the session has opened itself."""
        if self._reading is not None:
            self._reading.close()

    def _asking(self, written: str | None, at: str | None = None) -> Connection:
        """The connection for a statement: where a user has written a part of it, the one that can only read.

        Args:
            written: What a user has written.
            at: The commit to use.
        """
        asking = self._connection if written is None else self._read_only()
        if at is not None:
            asking.use(at)
        return asking

    def _read_only(self) -> Connection:
        if self._reading is None or self._reads_at != self._connection.endpoint:  # The server is another one by now.
            self.close()
            self._reading, self._reads_at = reading(self._connection), self._connection.endpoint
        return self._reading

    @property
    def name(self) -> str:
        """The database's name."""
        return self.database.name

    def is_alive(self) -> bool:
        """Whether the server still answers."""
        return self._connection.is_alive()

    def author(self) -> str | None:
        """`Name <mail>` as Dolt is configured here, or None where nobody configured it."""
        return self.database.location.author()
