"""One connection to a Dolt server; the only module that uses the MySQL driver. Foreign errors are translated here."""

import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from doltflow.errors import (
    FREE_SPACE,
    AccessDeniedError,
    BadValueError,
    ColumnNotFoundError,
    ConnectionLostError,
    DiskFullError,
    DoltError,
    QueryError,
    RefNotFoundError,
    ServerUnreachableError,
    SettingsError,
    TableNotFoundError,
)
from doltflow.sources.dolt.endpoint import Endpoint
from doltflow.sources.dolt.program import check_version

_LOST = {1053, 2006, 2013}
_NO_TABLE, _NO_COLUMN, _NO_DATABASE, _SYNTAX = 1146, 1054, 1049, 1064
# Duplicates, values that a type or a constraint does not take.
_VALUE = {1048, 1062, 1264, 1265, 1292, 1364, 1366, 1406, 1451, 1452, 3140, 3819}
_VALUE_MESSAGE = re.compile(
    r"^duplicate (primary|unique) key|^Check constraint .* violated|outside of \w+ range|out of range for|"
    r"is not a valid|too large for column|^Invalid JSON text|beyond the maximum value"
)
_UNREACHABLE = {2003, 2026}  # Nobody is there, or has no TLS.
_DENIED = {1044, 1142, 1143, 1227, 1370, 2059}
_GREETING_SECONDS = 30
_RIGHT = "Does it run, and is the address right (host, port, `ssl-mode`)?"
_CLEAR, _WRONG_PASSWORD = 2059, 1045
_NEEDED = (
    "To read, an account needs SELECT on all databases of the server, as Dolt checks its functions against the name of "
    "a revision, `database/branch`; to write, and to replay and back-test, which make branches, all privileges."
)
_STATEMENT_LENGTH = 1_000_000


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a result, as the MySQL protocol describes it.

    Attributes:
        name: The column's name.
        code: MySQL's type code.
        unsigned, binary: The flag, and whether the character set is binary.
        length, scale: Display length in bytes, and digits after the point.
    """

    name: str
    code: int
    unsigned: bool
    binary: bool
    length: int
    scale: int


class Connection:
    """A connection to one database of a server, in autocommit mode, at a revision that `use` chooses."""

    before_stream: ClassVar[tuple[str, ...]] = ()
    """Statements that the connection of a stream begins with."""

    def __init__(self, endpoint: Endpoint, database: str, renew: Callable[[], Endpoint] | None = None) -> None:
        self._endpoint = endpoint
        self._renew = renew
        self.database = database
        self._revision: str | None = None
        with translated():
            self._raw = _connect(endpoint)

    def close(self) -> None:
        """Closes the connection; what was not committed is rolled back."""
        if self._raw.open:
            self._raw.close()

    def abort(self) -> None:
        """Ends the connection under a statement that another thread waits for."""
        with suppress(OSError):
            self._raw._sock.shutdown(socket.SHUT_RDWR)

    @property
    def endpoint(self) -> Endpoint:
        """Where the server is that it is connected to."""
        return self._endpoint

    def is_alive(self) -> bool:
        """Whether the server still answers."""
        try:
            self._raw.ping(reconnect=False)
        except (pymysql.err.Error, OSError):
            return False
        return True

    def beside(self) -> "Connection":
        """Another connection to the same database, at its default branch."""
        return Connection(self._endpoint, self.database)

    @property
    def revision(self) -> str:
        """The name of the database at the revision that is used."""
        return self._revision or self.database

    def reconnect(self) -> None:
        """Connects anew after the connection was lost or interrupted; to another server where that one is gone."""
        self.close()
        if self._renew is not None:
            self._endpoint = self._renew()
        with translated():
            self._raw = _connect(self._endpoint)
        self._revision = None

    def check_version(self) -> str:
        """Dolt's version.

        Raises:
            DoltVersionError: It is older than doltflow supports.
        """
        version = str(self.value("select dolt_version()"))
        check_version(version)
        return version

    def databases(self) -> list[str]:
        """The databases of the server, without MySQL's own."""
        names = [str(row[0]) for row in self.rows("show databases")]
        return [name for name in names if name not in ("information_schema", "mysql", "performance_schema", "sys")]

    def use(self, revision: str | None = None) -> None:
        """Makes statements see a branch's working set, or a commit (read-only); None is the default branch."""
        name = self.database if revision is None else f"{self.database}/{revision}"
        if name == self._revision:
            return
        with translated():
            self._raw.select_db(name)
        self._revision = name

    def rows(self, query: str | bytes, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a result, as Python values."""
        with translated(query), self._raw.cursor() as cursor:
            cursor.execute(query, tuple(args) or None)
            return list(cursor.fetchall())

    def value(self, query: str, args: Sequence[object] = ()) -> Any:
        """The first column of the first row, or None where there is no row."""
        rows = self.rows(query, args)
        return rows[0][0] if rows else None

    def insert(self, head: str, marks: str, rows: Iterable[Sequence[object]]) -> None:
        """Inserts rows, many in each statement.

        Args:
            head: The statement up to its first row, as it is sent.
            marks: A row, `(%s, unhex(%s))`.
            rows: What takes the marks' places.
        """
        with translated(head), self._raw.cursor() as cursor:
            batch: list[str] = []
            length = 0
            for row in rows:
                text = cursor.mogrify(marks, row)
                if batch and length + len(text) > _STATEMENT_LENGTH:
                    cursor.execute(head + ", ".join(batch))
                    batch, length = [], 0
                batch.append(text)
                length += len(text)
            if batch:
                cursor.execute(head + ", ".join(batch))

    @contextmanager
    def stream(self, query: str) -> Iterator["Stream"]:
        """A result that is read row by row, on a connection of its own, as text exactly as Dolt prints it."""
        with translated(query):
            raw = _connect(self._endpoint, database=self._revision, conv=encoders)
            try:
                with raw.cursor(SSCursor) as cursor:
                    for statement in self.before_stream:
                        cursor.execute(statement)
                    cursor.execute(query)
                    found = Stream(raw, cursor)
                    try:
                        yield found
                    except BaseException:  # Who stops in the middle does not wait for the rest, which may be long.
                        found.abandon()
                        raise
            finally:
                if raw.open:
                    raw.close()

    def url(self) -> str:
        """Where the bulk reader finds this database at this revision; it holds the secret and is never shown."""
        user, password = quote(self._endpoint.user, safe=""), quote(self._endpoint.password, safe="")
        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        place = f"{host}:{self._endpoint.port}/{quote(self._revision or '', safe='')}"
        return f"mysql://{user}:{password}@{place}?{urlencode(self._bulk_options(), quote_via=quote)}"

    def _bulk_options(self) -> dict[str, str]:
        mode, ca = self._endpoint.ssl_mode, self._endpoint.ssl_ca
        if mode == "PREFERRED":  # The bulk reader is to do as this connection did.
            mode = "REQUIRED" if self._raw._secure else "DISABLED"
        return {"ssl-mode": mode} | ({"ssl-ca": ca} if ca is not None and mode != "DISABLED" else {})


class Stream:
    """The rows of one result, in order."""

    def __init__(self, raw: Any, cursor: Any) -> None:
        self._raw = raw
        self._cursor = cursor

    def fields(self) -> list[Field]:
        """The columns of the result."""
        flag_unsigned, charset_binary = 32, 63
        return [
            Field(f.name, f.type_code, bool(f.flags & flag_unsigned), f.charsetnr == charset_binary, f.length, f.scale)
            for f in self._cursor._result.fields
        ]

    def take(self, count: int, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows, at most `count`; fewer only at the end, or once they have `size` bytes."""
        if size is None:
            return list(self._cursor.fetchmany(count))
        rows: list[tuple[Any, ...]] = []
        while len(rows) < count and size > 0 and (row := self._cursor.fetchone()) is not None:
            rows.append(row)
            size -= weight((row,))
        return rows

    def abandon(self) -> None:
        """Drops the connection, so that the rows that were not taken are not sent."""
        self._cursor._result.unbuffered_active = False
        self._raw._force_close()


def weight(rows: Iterable[Sequence[Any]]) -> int:
    """About how many bytes rows of texts have."""
    return sum(sum(map(len, filter(None, row))) for row in rows)


def _connect(endpoint: Endpoint, **options: Any) -> Any:
    try:
        raw: Any = pymysql.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.password.encode(),
            ssl=_tls(endpoint),
            ssl_disabled=endpoint.ssl_mode == "DISABLED",
            auth_plugin_map=dict.fromkeys(("mysql_clear_password", "dialog"), _Kept),
            autocommit=True,
            charset="utf8mb4",
            read_timeout=_GREETING_SECONDS,
            **options,
        )
    except UnicodeError as error:
        raise ServerUnreachableError(f"`{endpoint.host}` is no name of a host.", _RIGHT) from error
    except pymysql.err.OperationalError as error:
        number = error.args[0] if error.args else 0
        if number in _LOST:
            text = f"What listens at {endpoint.host}:{endpoint.port} does not answer as a server of Dolt's."
            raise ServerUnreachableError(text, _RIGHT) from error
        if number in _UNREACHABLE:
            text = f"The server at {endpoint.host}:{endpoint.port} is not reached: {error.args[-1]}."
            raise ServerUnreachableError(text, _RIGHT) from error
        raise
    raw._read_timeout = None  # A query may take long; only the greeting may not.
    return raw


class _Kept:
    """The password stays here where a server asks for it in clear."""

    def __init__(self, _: object) -> None:
        pass

    def authenticate(self, _: object) -> None:
        """Refuses.

        Raises:
            OperationalError: Always.
        """
        raise pymysql.err.OperationalError(_CLEAR, "the server asks for the password in clear, which is not sent")


def _tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    """What is asked of the server; None where nothing is."""
    if endpoint.ssl_mode in ("DISABLED", "PREFERRED"):
        return None
    try:
        context = ssl.create_default_context(cafile=endpoint.ssl_ca)
    except OSError as error:
        raise SettingsError(
            f"The certificates in {endpoint.ssl_ca} cannot be read: {error}.", "`ssl-ca` of the address names the file."
        ) from error
    context.check_hostname = endpoint.ssl_mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_NONE if endpoint.ssl_mode == "REQUIRED" else ssl.CERT_REQUIRED
    return context


@contextmanager
def translated(query: str | bytes = "") -> Iterator[None]:
    """Turns the driver's errors into doltflow's, the cause chained."""
    try:
        yield
    except pymysql.err.Error as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        message = str(error.args[1] if len(error.args) > 1 else error)
        raise _translate(number, message, query) from error
    except UnicodeEncodeError as error:
        raise DoltError("A text is no UTF-8, so that Dolt cannot be asked about it.") from error


def _translate(number: int, message: str, query: str | bytes) -> DoltError:
    if not message or number in _LOST or message == "context canceled":
        return ConnectionLostError(
            f"The connection to Dolt's server is lost{': ' if message else ''}{message.strip().rstrip('.')}.",
            "Run it again. Did something end the server, or did memory run out?",
        )
    if "no space left on device" in message:
        return DiskFullError(f"The disk of the database is full. Dolt says: {message.strip().rstrip('.')}.", FREE_SPACE)
    text = f"Dolt says: {message.strip().rstrip('.')}."
    if number == _WRONG_PASSWORD:
        return AccessDeniedError(text, "Are account and password right (DOLTFLOW_PASSWORD, DOLTFLOW_PASSWORD_FILE)?")
    if number in _DENIED or "command denied" in message:
        return AccessDeniedError(text, _NEEDED)
    if number == _NO_TABLE or message.startswith("table not found"):
        return TableNotFoundError(text)
    if number == _NO_COLUMN or re.search(r"column .* could not be found", message):
        return ColumnNotFoundError(text)
    if number in _VALUE or _VALUE_MESSAGE.search(message):
        return BadValueError(text)
    if number == _NO_DATABASE or re.search(r"branch not found|invalid ref spec|target commit not found", message):
        return RefNotFoundError(text)
    if number == _SYNTAX or "syntax error" in message:
        return QueryError(text, f"The query was: {query[:300]}" if isinstance(query, str) and query else "")
    return DoltError(text)
