"""The server on demand: shared, gone with its last user, and never in the user's way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from doltflow import DoltConfig, DoltDT
from doltflow.errors import DatabaseLockedError, DatabaseNotFoundError, DoltError, DoltNotFoundError, SettingsError
from doltflow.recorder.sessions import LINGER_SECONDS
from doltflow.sources.dolt import Database, server
from tests.conftest import dolt, footprint, sql

MakeDatabase = Callable[..., Path]
HOLD = """
import sys, time
from doltflow.sources.dolt import Database
with Database.at(sys.argv[1]).open() as session:
    print(session._connection.endpoint.port, flush=True)
    sys.stdin.readline()
"""


def info(folder: Path) -> Path:
    return folder / ".dolt" / "sql-server.info"


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for what another process does, with a bound."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


@contextmanager
def holder(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the database open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_gone_with_the_last_user(database: MakeDatabase) -> None:
    folder = database("db", "create table t (id int primary key)")
    before = footprint(folder)
    with Database.at(folder).open() as session:
        assert session.tables("main") == ["t"]
        assert info(folder).exists()
    assert not info(folder).exists()
    # What needs the database for itself works at once.
    dolt(folder, "checkout", "-b", "other")
    dolt(folder, "checkout", "main")
    dolt(folder, "branch", "-d", "other")
    assert footprint(folder) == before


def test_shared_between_processes(database: MakeDatabase) -> None:
    folder = database("db")
    with holder(folder) as first, holder(folder) as second:
        assert port(first) == port(second)
        first.communicate("\n")
        assert info(folder).exists()
        second.communicate("\n")
    assert not info(folder).exists()


def test_ended_when_its_last_user_is_killed(database: MakeDatabase) -> None:
    folder = database("db", "create table t (id int primary key)")
    with holder(folder) as process:
        port(process)
        # What a killed writer leaves behind.
        dolt(folder, "branch", "doltflow-tmp/main")
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not info(folder).exists())
    wait_until(lambda: len(sql_when_free(folder)) == 1)
    with Database.at(folder).open() as session:
        assert session.tables("main") == ["t"]


def sql_when_free(folder: Path) -> list[dict[str, object]]:
    """The branches, temporary ones included."""
    return sql(folder, "select name from dolt_branches")


def test_server_of_the_user_is_used_and_left(database: MakeDatabase, tmp_path: Path) -> None:
    folder = database("db", "create table t (id int primary key)")
    log = (tmp_path / "log").open("wb")
    server = subprocess.Popen(
        ["dolt", "sql-server", "--host", "127.0.0.1", "--port", str(free_port())], cwd=folder, stdout=log, stderr=log
    )
    try:
        wait_until(info(folder).exists)
        mine = info(folder).read_text()
        with Database.at(folder).open() as session:
            assert session.tables("main") == ["t"]
        assert info(folder).read_text() == mine
        assert server.poll() is None
    finally:
        server.terminate()
        server.wait()
        log.close()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_stale_note_of_a_dead_server(database: MakeDatabase) -> None:
    folder = database("db", "create table t (id int primary key)")
    info(folder).write_text("999999:1:secret")
    with Database.at(folder).open() as session:
        assert session.tables("main") == ["t"]
    assert not info(folder).exists()


def test_waits_no_longer_than_it_may(database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = database("db")
    with holder(folder) as process:
        port(process)
        # A server whose note is gone holds the database and cannot be found.
        server = int(info(folder).read_text().split(":")[0])
        info(folder).unlink()
        monkeypatch.setenv("DOLTFLOW_LOCK_TIMEOUT", "0.2")
        try:
            with pytest.raises(DatabaseLockedError, match=r"longer than 0\.2 s"), Database.at(folder).open():
                pass
        finally:
            os.kill(server, signal.SIGTERM)


def test_bad_timeout(database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = database("db")
    monkeypatch.setenv("DOLTFLOW_LOCK_TIMEOUT", "soon")
    with pytest.raises(SettingsError, match="DOLTFLOW_LOCK_TIMEOUT is `soon`"), Database.at(folder).open():
        pass


@pytest.mark.parametrize("kills", [1, 100])
def test_one_that_is_killed_while_it_starts_is_started_again(
    database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    folder, killed, spawn = database("db"), [], server._spawn

    def spawned(arguments: list[str], *rest: Any) -> int:
        pid = spawn(arguments, *rest)
        if "sql-server" in arguments and len(killed) < kills:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        return pid

    monkeypatch.setattr(server, "_spawn", spawned)
    if kills == 1:
        with Database.at(folder).open() as session:
            assert session.branches().keys() == {"main"}
    else:
        with pytest.raises(DoltError, match="killed its server again and again"), Database.at(folder).open():
            pass
    assert len(killed) == min(kills, 5)
    assert not info(folder).exists()


def test_no_dolt(database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = database("db")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DoltNotFoundError, match="no `dolt` program on PATH"), Database.at(folder).open():
        pass


def test_no_database(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(DatabaseNotFoundError, match=r"is not a Dolt database: it has no `\.dolt/noms`"):
        Database.at(tmp_path / "plain")
    with pytest.raises(DatabaseNotFoundError, match="There is no folder"):
        Database.at(tmp_path / "none")
    assert list((tmp_path / "plain").iterdir()) == []


def test_let_go_while_a_step_computes(database: MakeDatabase) -> None:
    folder = database("db", "create table t (id int primary key)", "insert into t values (1)")
    with DoltDT(config=DoltConfig(database=str(folder))) as context:
        first = context.read("t")
        wait_until(lambda: not info(folder).exists())
        dolt(folder, "sql", "-q", "insert into t values (2); call dolt_commit('-am', 'more')")
        dolt(folder, "checkout", "-b", "other")
        assert context.read("t").equals(first)
    assert LINGER_SECONDS < 1
    assert not info(folder).exists()
