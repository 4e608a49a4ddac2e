"""The address of a database on a server: `mysql://user@host:port/database`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import get_args
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from doltflow.errors import SettingsError, UsageError, nearest
from doltflow.passwords import has_password, without_password
from doltflow.sources.dolt.author import configured_author
from doltflow.sources.dolt.endpoint import Endpoint, SslMode
from doltflow.sources.dolt.server import runtime_folder

SCHEME = "mysql://"
_DEFAULT_PORT, _DEFAULT_USER = 3306, "root"
_FORM = "An address is `mysql://user@host:port/database`."
_PASSWORD, _PASSWORD_FILE = "DOLTFLOW_PASSWORD", "DOLTFLOW_PASSWORD_FILE"
_OPTIONS = ("password-file", "ssl-ca", "ssl-mode")
_MODES: tuple[SslMode, ...] = get_args(SslMode)


@dataclass(frozen=True, slots=True)
class Address:
    """A database on a server that somebody runs. It holds no password, but may name the file of one.

    Attributes:
        host, port: Name or number of the machine, and TCP port.
        database: The database's name; empty where all of the server are meant.
        user: The account.
        ssl_mode: Whether the connection is encrypted, and what is asked of the server's certificate.
        ssl_ca: File with the certificates of the authorities that are trusted; the system's without it.
        password_file: File that the account's password is in.
    """

    host: str
    port: int
    database: str
    user: str = _DEFAULT_USER
    ssl_mode: SslMode = "PREFERRED"
    ssl_ca: str | None = None
    password_file: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address that a text is.

        Raises:
            UsageError: It is none, or has a password in it.
        """
        if has_password(text):  # Before it is taken apart: what is wrong with a part would be told with the part.
            shown = without_password(text, is_address=True)
            raise UsageError(
                f"`{shown}` has a password in it, which would stand in the records of runs.",
                f"Leave it out, and put it into the variable {_PASSWORD}, or into a file that {_PASSWORD_FILE} or "
                "`?password-file=` of the address names.",
            )
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port or _DEFAULT_PORT
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError as error:
            raise UsageError(f"`{text}` is no address of a database: {error}.", _FORM) from error
        database = _database(parts, text)
        if not host:
            raise UsageError(f"`{text}` names no host.", _FORM)
        if unknown := [name for name in options if name not in _OPTIONS]:
            raise UsageError(f"`{text}` has an option `{unknown[0]}`, which is none.", nearest(unknown[0], _OPTIONS))
        mode = options.get("ssl-mode", "PREFERRED").upper().replace("-", "_")
        found = next((known for known in _MODES if known == mode), None)
        if found is None:
            raise UsageError(f"`{text}` asks for the `ssl-mode` {mode}.", f"It is one of {', '.join(_MODES)}.")
        user = unquote(parts.username or _DEFAULT_USER)
        return cls(host, port, database, user, found, options.get("ssl-ca"), options.get("password-file"))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        given = {"ssl-mode": self.ssl_mode, "ssl-ca": self.ssl_ca, "password-file": self.password_file}
        options = {name: value for name, value in given.items() if value is not None and value != "PREFERRED"}
        query = f"?{urlencode(options, quote_via=quote, safe='/')}" if options else ""
        place = f"{SCHEME}{quote(self.user, safe='')}@{host}:{self.port}"
        return f"{place}/{quote(self.database, safe='')}{query}"

    @property
    def name(self) -> str:
        """The database's name."""
        return self.database

    @property
    def server(self) -> tuple[str, int]:
        """Where the server listens."""
        return self.host, self.port

    @property
    def identity(self) -> str:
        """What tells the database from others, whoever asks for it and however."""
        return f"{SCHEME}{self.host}:{self.port}/{self.database}"

    @property
    def made_file(self) -> Path:
        """The list of the branches that doltflow made there from this machine."""
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return state / "doltflow" / f"branches-{sha256(self.identity.encode()).hexdigest()[:32]}.json"

    def of(self, database: str) -> "Address":
        """The address of a database on the same server."""
        return replace(self, database=database)

    def head_branch(self) -> str | None:
        """None: the server tells its default branch."""
        return None

    def author(self) -> str | None:
        """`Name <mail>` as Dolt is configured for the user here, or None where nobody configured it."""
        return configured_author()

    @contextmanager
    def serving(self) -> Iterator[Endpoint]:
        """The server, for as long as the context lasts; it is neither started nor ended.

        Raises:
            SettingsError: The password cannot be read.
        """
        yield self.served_again()

    def served_again(self) -> Endpoint:
        """The server of `serving`, after the connection to it was lost.

        Raises:
            SettingsError: The password cannot be read.
        """
        queues = runtime_folder(self.identity)
        return Endpoint(self.host, self.port, self.user, self._password(), None, self.ssl_mode, self.ssl_ca, queues)

    def _password(self) -> str:
        file = self.password_file or os.environ.get(_PASSWORD_FILE)
        if file is None:
            return os.environ.get(_PASSWORD, "")
        try:
            return Path(file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError, RuntimeError) as error:
            raise SettingsError(
                f"The password for {self} cannot be read: {error}.",
                f"`password-file` of the address or {_PASSWORD_FILE} names the file.",
            ) from error


def is_address(text: str) -> bool:
    """Whether a text is meant as an address."""
    return text.startswith(SCHEME)


def _database(parts: SplitResult, text: str) -> str:
    database = unquote(parts.path.removeprefix("/"))
    if "/" in database:
        raise UsageError(
            f"`{text}` names `{database}`, which is more than a database.",
            "Name branch and commit beside the address: `branch=`, `commit=`, `--at`.",
        )
    if parts.fragment:
        raise UsageError(f"`{text}` has a part behind a `#`.", _FORM)
    return database
