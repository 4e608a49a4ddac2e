"""One Dolt database: where it is, and a session with it while somebody reads or writes it."""

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from doltflow.errors import AccessDeniedError, DatabaseNotFoundError, DoltError, UsageError, nearest
from doltflow.passwords import without_password
from doltflow.sources.dolt.address import Address, is_address
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.endpoint import Endpoint
from doltflow.sources.dolt.folder import Folder, databases_in, folder_of, is_database
from doltflow.sources.dolt.leftovers import remove_leftovers
from doltflow.sources.dolt.server import served_at
from doltflow.sources.dolt.session import Session

Location = Folder | Address
VARIABLE = "DOLTFLOW_DATABASES"
_TRIES, _PAUSE_SECONDS = 10, 0.1
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PLACES = re.compile(r"mysql://(?:[^/]*@)?(?:\[[^\]]*\]|[^/:]*)(?::\d+)?(?:[/?][^:]*)?|[^:]+")


@dataclass(frozen=True, slots=True)
class Database:
    """A Dolt database.

    Attributes:
        name: What it is called: as its folder, or as on its server.
        location: Where it is.
    """

    name: str
    location: Location

    @classmethod
    def at(cls, place: str | os.PathLike[str]) -> "Database":
        """The database in a folder, or at an address, which is not asked yet.

        Raises:
            DatabaseNotFoundError: There is no such folder, or it is not a Dolt database.
            UsageError: The address is none.
        """
        text = os.fspath(place)
        if is_address(text):
            address = Address.parse(text)
            if not address.database:
                raise UsageError(f"`{text}` names a server and no database on it.", f"Name one: `{address}NAME`.")
            return cls(address.name, address)
        shown = without_password(text, is_address=True)  # Of what was meant as an address, say.
        try:
            folder = folder_of(place)
            if not folder.exists():
                there = [p.name for p in databases_in(folder.parent)] if folder.parent.is_dir() else []
                raise DatabaseNotFoundError(f"There is no folder `{shown}`.", nearest(folder.name, there))
            if not is_database(folder):
                raise DatabaseNotFoundError(
                    f"The folder `{shown}` is not a Dolt database: it has no `.dolt/noms`.",
                    "`dolt init` there makes it one.",
                )
            folder = folder.resolve()
            str(folder).encode()  # Dolt and Metaflow take names in UTF-8 alone.
        except (OSError, RuntimeError, ValueError) as error:  # Links in a circle, what is no name.
            raise DatabaseNotFoundError(f"`{shown}` cannot be opened as a database: {error}.") from error
        return cls(folder.name, Folder(folder))

    @classmethod
    def find(cls, place: str, base: Path | None = None) -> "Database | None":
        """The database at a place that the user names; None where no folder of a database is there.

        Args:
            place: An address, which is not asked yet, or a path.
            base: What the path is relative to; the current folder without it.

        Raises:
            UsageError: It is an address that is none.
        """
        if is_address(place):
            return cls.at(place)
        folder = (base or Path.cwd()) / folder_of(place)
        return cls.at(folder) if is_database(folder) else None

    @classmethod
    def recorded(cls, place: str, own: Iterable[Location], base: Path | None = None) -> "Database | None":
        """The database at a place that a record names; None where there is none that may be asked.

        Whoever wrote a record must not have us log in at a server of his: an address counts only where the user has
        named that server, and then with the user's account and certificates.

        Args:
            place: An address or a path.
            own: Where the databases are that the user has named.
            base: What the path is relative to; the current folder without it.
        """
        if not is_address(place):
            return cls.find(place, base)
        with suppress(UsageError):
            asked = Address.parse(place)
            for location in own:
                if isinstance(location, Address) and location.server == asked.server and asked.database:
                    return cls(asked.name, location.of(asked.database))
        return None

    @contextmanager
    def open(self) -> Iterator[Session]:
        """A session with the database; a server that was started for it is gone when the last session ends.

        Raises:
            DoltError: It cannot be served, or the server does not answer or let us in.
        """
        with self.location.serving() as endpoint:
            connection = self._connected(endpoint)
            try:
                version = connection.check_version()
                connection.database = self._served_name(connection.databases())
                remove_leftovers(connection)
                session = Session(self, connection, version)
                try:
                    yield session
                finally:
                    session.close()
            finally:
                connection.close()

    def _connected(self, endpoint: Endpoint) -> Connection:
        location, left = self.location, _TRIES
        while True:
            try:
                return Connection(endpoint, location.name, location.served_again)
            except AccessDeniedError:
                left -= 1
                if isinstance(location, Address) or not left:
                    raise
            # The note was of a server that has just ended, and another one has its port by now.
            time.sleep(_PAUSE_SECONDS)
            endpoint = location.served_again()

    def _served_name(self, names: Sequence[str]) -> str:
        # Dolt replaces some characters of a folder's name; a server that somebody else runs may hold more databases.
        name = self.location.name
        same = [known for known in names if known.casefold() == name.casefold()]
        if same or (len(names) == 1 and isinstance(self.location, Folder)):
            if (found := (same or list(names))[0]) == "":
                raise DoltError(
                    f"Dolt does not serve a folder of the name `{name}`.", "Rename it; a colon or a % is too much."
                )
            return found
        where = f"that runs on {self.location}" if isinstance(self.location, Folder) else f"at {self.location.of('')}"
        raise DatabaseNotFoundError(f"The server {where} has no database `{name}`.", nearest(name, names))


def is_same(one: Location, other: Location) -> bool:
    """Whether two places are of one database: the same place, or a folder and its address on the server that has it."""
    if isinstance(one, Folder) and isinstance(other, Address):
        is_here = other.host in _LOOPBACK and other.name.casefold() == one.name.casefold()
        return is_here and other.port in served_at(one.path)
    if isinstance(one, Address) and isinstance(other, Folder):
        return is_same(other, one)
    return one.identity == other.identity


def name_of(place: str) -> str:
    """The name of the database that is or would be at a path or an address."""
    return Address.parse(place).name if is_address(place) else folder_of(place).resolve().name


def databases_at(place: str) -> list[Database]:
    """The databases that a place stands for: one, or all of a server that is named without a database.

    Raises:
        DatabaseNotFoundError: There is none.
        UsageError: An address is none.
        DoltError: A server does not answer, or does not let us in.
    """
    if not is_address(place):
        return [Database.at(place)]
    address = Address.parse(place)
    if address.database:
        return [Database.at(place)]
    with address.serving() as endpoint:
        connection = Connection(endpoint, "")
        try:
            names = connection.databases()
        finally:
            connection.close()
    return [Database(name, address.of(name)) for name in names]


def places_set() -> list[str]:
    """What the variable `DOLTFLOW_DATABASES` names: folders and addresses, parted by colons."""
    # The colons of an address part nothing: behind its scheme, and before its port.
    return [found.group() for found in _PLACES.finditer(os.environ.get(VARIABLE, ""))]


def addresses_set() -> list[Address]:
    """The addresses that the variable `DOLTFLOW_DATABASES` names.

    Raises:
        UsageError: One is none.
    """
    return [Address.parse(place) for place in places_set() if is_address(place)]


def database_set(name: str) -> Database | None:
    """The database of a name that the variable `DOLTFLOW_DATABASES` names; None where it names none.

    Raises:
        DoltError: A server that it names does not answer.
    """
    for place in places_set():
        if is_address(place) and not Address.parse(place).database:
            found = next((database for database in databases_at(place) if database.name == name), None)
        else:
            found = Database.find(place) if name_of(place) == name else None
        if found is not None:
            return found
    return None


def configured_database(place: str) -> Database:
    """The database that a step's configuration means: at a place, or of a name that `DOLTFLOW_DATABASES` names.

    Raises:
        DatabaseNotFoundError, UsageError, DoltError: As for `Database.at`.
    """
    is_name = not is_address(place) and "/" not in place and not folder_of(place).exists()
    if is_name and (found := database_set(place)) is not None:
        return found
    try:
        return Database.at(place)
    except DatabaseNotFoundError as error:
        if not is_name or not places_set():
            raise
        text = f"{error.message} Nor does a place that {VARIABLE} names hold a database that is called so."
        raise DatabaseNotFoundError(text, error.hint) from error


def check_place(place: str) -> None:
    """Makes sure that a place can be one of a database, without looking whether there is one.

    Raises:
        UsageError: It is an address that is none, or that holds a password.
    """
    if is_address(place):
        Database.at(place)
