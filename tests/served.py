"""Databases that somebody serves: a `dolt sql-server` over a folder of databases, as a team has it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pymysql.cursors
import pytest

CONFIG = """\
log_level: warning
listener:
  host: 127.0.0.1
  port: {port}
{tls}data_dir: '{data}'
cfg_dir: '{own}'
privilege_file: '{own}/privileges.db'
branch_control_file: '{own}/branch_control.db'
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A server that runs.

    Attributes:
        data: The folder of the databases.
        port: Where it listens on the loopback address.
        pid: Its process.
    """

    data: Path
    port: int
    pid: int

    def address(self, name: str = "", user: str = "root", more: str = "") -> str:
        """The address of a database, or of the server."""
        return f"mysql://{user}@127.0.0.1:{self.port}/{name}{more}".removesuffix("/")

    def run(self, *statements: str, database: str | None = None, **login: object) -> list[tuple[object, ...]]:
        """Runs statements as its administrator; the rows of the last one."""
        who = {"user": "root", **login}
        raw = pymysql.connect(host="127.0.0.1", port=self.port, database=database, autocommit=True, **who)
        try:
            with raw.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            raw.close()

    def select(self, database: str, query: str) -> list[dict[str, object]]:
        """The rows of a query on a database, as the dolt program gives them as JSON."""
        raw = pymysql.connect(host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True)
        try:
            with raw.cursor(pymysql.cursors.DictCursor) as cursor:
                cursor.execute(query)
                return [
                    {name: _plain(value) for name, value in row.items() if value is not None}
                    for row in cursor.fetchall() or ()
                ]
        finally:
            raw.close()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str | int | float) else str(value)


servers: list[Server] = []
"""The servers of these tests that run."""


def server_of(folder: Path) -> Server | None:
    """The server of these tests that has the database of a folder."""
    return next((server for server in servers if server.data == folder.parent), None)


@contextmanager
def served(data: Path, tls: str = "", port: int | None = None) -> Iterator[Server]:
    """A server over a folder of databases, for as long as the context lasts."""
    port = port or free_port()
    own = data.parent / f"{data.name}-server"
    own.mkdir(exist_ok=True)
    data.mkdir(exist_ok=True)
    config = own / "config.yaml"
    config.write_text(CONFIG.format(port=port, data=data, own=own, tls=tls))
    with (own / "log").open("ab") as log:
        process = subprocess.Popen(
            ["dolt", "sql-server", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "TZ": "UTC"},
        )
    try:
        _wait(process, port, own / "log")
        server = Server(data, port, process.pid)
        servers.append(server)
        try:
            yield server
        finally:
            servers.remove(server)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)


class Backend:
    """The server of a test or of a world, started when it is first asked for.

    Args:
        data: The folder of its databases.
        environment: Where its address is put, for commands and flows to find it.
    """

    is_on = False  # whether tests run on servers

    def __init__(self, data: Path, environment: MutableMapping[str, str]) -> None:
        self.data = data
        self._environment = environment
        self._stack = ExitStack()
        self._server: Server | None = None

    def start(self) -> Server:
        """The server."""
        if self._server is None:
            self._server = self._stack.enter_context(served(self.data))
            others = self._environment.get("DOLTFLOW_DATABASES")
            self._environment["DOLTFLOW_DATABASES"] = ":".join(filter(None, [others, self._server.address()]))
            self._environment["TEST_DATABASES"] = str(self.data)
        return self._server

    def close(self) -> None:
        """Ends the server."""
        self._stack.close()
        for name in ("DOLTFLOW_DATABASES", "TEST_DATABASES"):
            self._environment.pop(name, None)


@contextmanager
def backend(folder: Path, environment: MutableMapping[str, str]) -> Iterator[Backend | None]:
    """A backend with its databases in a folder; None where tests run on databases in folders."""
    if not Backend.is_on:
        yield None
        return
    made = Backend(folder / "served", environment)
    try:
        yield made
    finally:
        made.close()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                if connection.recv(1):
                    return
        except OSError:
            time.sleep(0.01)
    pytest.fail(f"the server is not ready: {log.read_text()}")
