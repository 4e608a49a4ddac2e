"""One Dolt database: a folder, and its server while somebody reads or writes it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doltflow.errors import DatabaseNotFoundError, nearest
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.server import serving
from doltflow.sources.dolt.session import Session


@dataclass(frozen=True, slots=True)
class Database:
    """A Dolt database in a folder.

    Attributes:
        name: The folder's name.
        folder: Absolute path, links resolved.
    """

    name: str
    folder: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> "Database":
        """The database in a folder.

        Raises:
            DatabaseNotFoundError: There is no such folder, or it is not a Dolt database.
        """
        folder = Path(path).expanduser()
        try:
            if not folder.exists():
                there = [p.name for p in databases_in(folder.parent)] if folder.parent.is_dir() else []
                raise DatabaseNotFoundError(f"There is no folder `{path}`.", nearest(folder.name, there))
            if not is_database(folder):
                raise DatabaseNotFoundError(
                    f"The folder `{path}` is not a Dolt database: it has no `.dolt/noms`.",
                    "`dolt init` there makes it one.",
                )
            folder = folder.resolve()
        except (OSError, ValueError) as error:
            raise DatabaseNotFoundError(f"`{path}` cannot be opened as a database: {error}.") from error
        return cls(folder.name, folder)

    def head_branch(self) -> str | None:
        """The branch that is checked out in the folder, as `repo_state.json` says."""
        try:
            head = str(json.loads((self.folder / ".dolt" / "repo_state.json").read_text())["head"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else None

    @contextmanager
    def open(self) -> Iterator[Session]:
        """A session with the database; the server behind it is gone when the last session ends.

        Raises:
            DoltError: It cannot be served; see `serving`.
        """
        with serving(self.folder) as endpoint:
            connection = Connection(endpoint, self.name)
            try:
                version = connection.check_version()
                connection.database = self._served_name(connection.databases())
                yield Session(self, connection, endpoint, version)
            finally:
                connection.close()

    def _served_name(self, names: Sequence[str]) -> str:
        # Dolt replaces some characters of a folder's name; a server that somebody else runs may hold more databases.
        same = [name for name in names if name.casefold() == self.name.casefold()]
        if same or len(names) == 1:
            return (same or list(names))[0]
        raise DatabaseNotFoundError(
            f"The server that runs on {self.folder} has no database `{self.name}`.", nearest(self.name, names)
        )


def is_database(folder: Path) -> bool:
    """Whether a folder holds a Dolt database."""
    return (folder / ".dolt" / "noms").is_dir()


def databases_in(folder: Path) -> list[Path]:
    """The databases in a folder and just below it."""
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and is_database(path))
    except OSError:
        below = []
    return ([folder] if is_database(folder) else []) + below
