"""Kills, a full disk, a server that goes, a clock that goes back, a Dolt too old: what is left, and what is said."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import dolt, head, sql
from dated import commit, dated_database, run_message
from flows.harness import is_served, wait_for, world
from torture import VICTIMS, build, tell, torture, torture_flow
from writing import rows_of, steady, uncommitted, write

from doltflow.audit import audit
from doltflow.errors import ConnectionLostError, DirtyTableError, DiskFullError, DoltVersionError
from doltflow.model.commit import ReadTrailer
from doltflow.recorder.sessions import Sessions
from doltflow.sources.dolt import Database, Session, program
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.server import runtime_folder
from doltflow.sources.dolt.write import branch, store
from doltflow.sources.metaflow import store as runs_store

MakeDatabase = Callable[..., Path]
ONE = ("create table t (id int primary key, v int)", "insert into t values (1, 1)")


def test_a_few_kills(tmp_path: Path) -> None:
    lines = torture(tmp_path / "kills", len(VICTIMS), 7)
    assert len(lines) == len(VICTIMS)


def seed() -> int:
    return int(os.environ.get("TORTURE_SEED") or random.randrange(10**6))


def kills() -> int:
    return int(os.environ.get("TORTURE_KILLS") or 100)


@pytest.mark.torture
def test_many_kills(tmp_path: Path) -> None:
    began = time.monotonic()
    lines = torture(tmp_path / "kills", kills(), seed())
    assert len(lines) == kills()
    what = f"{kills()} kills of a writer, its server, its supervisor or all three, at random moments"
    tell(1, what, "each time the table as before or as after, whole; nothing left behind", began)


@pytest.mark.torture
def test_many_kills_of_a_flow(tmp_path: Path) -> None:
    began = time.monotonic()
    with world(tmp_path / "here") as here:
        lines = torture_flow(here, kills(), seed())
    assert len(lines) == kills() + 1
    landed = sum("artifact missing" in line and " 0 of its" not in line for line in lines)
    what = f"{kills()} kills of a flow's step, at random moments, and the flow run again"
    tell(2, what, f"each run again succeeds; the audit named all {landed} runs whose commits had no artifact", began)


def kill_server(session: Session) -> None:
    """Kills the server of a session, and waits until it is gone."""
    folder = session.database.location.path
    os.kill(int((folder / ".dolt" / "sql-server.info").read_text().split(":")[0]), signal.SIGKILL)
    wait_for(lambda: not session.is_alive(), "the end of the server")


@pytest.mark.parametrize("moment", ["before the commit", "before the move", "after the move"])
def test_a_commit_whose_server_is_killed_lands_once(
    database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    folder = database("db", *ONE)
    start, left = head(folder), [moment]
    with Database.at(folder).open() as session:
        make, move = store._commit, branch.move

        def commit_(connection: Connection, message: str, author: str) -> str:
            if left == ["before the commit"]:
                kill_server(session)
                left.clear()
            return make(connection, message, author)

        def moved(*arguments: Any) -> bool:
            if left == ["before the move"]:
                kill_server(session)
            done = move(*arguments)
            if left == ["after the move"]:
                kill_server(session)
                left.clear()
                arguments[0].rows("select 1")  # Before it has answered.
            return done

        def once(*arguments: Any) -> bool:
            try:
                return moved(*arguments)
            finally:
                left.clear()

        monkeypatch.setattr(store, "_commit", commit_)
        monkeypatch.setattr(store, "move", once)
        done = write(session, pa.table({"id": [2], "v": [2]}), "t", mode="append", message="Run: Flow/1/step/2")
        assert left == []
        assert rows_of(session, "t") == [(1, 1), (2, 2)]
        assert uncommitted(session)["status"] == []
    log = sql(folder, f"select commit_hash, message from dolt_log('{start}..main')")
    assert log == [{"commit_hash": done.commit, "message": "Run: Flow/1/step/2"}]
    assert [stored.changed for stored in done.stored] == [True]
    assert [row["name"] for row in sql(folder, "select name from dolt_branches")] == ["main"]


def test_a_server_that_never_comes_back_leaves_no_doubt_unsaid(
    database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = database("db", *ONE)
    with Database.at(folder).open() as session:
        made: list[str] = []
        move = branch.move

        def last(connection: Connection, *arguments: Any) -> bool:
            done = move(connection, *arguments)
            made.append(arguments[-1])
            kill_server(session)
            monkeypatch.setenv("PATH", str(folder))  # No other server can be started.
            connection.rows("select 1")  # Before it has answered.
            return done

        with monkeypatch.context() as patch:
            patch.setattr(store, "move", last)
            with pytest.raises(Exception, match="no `dolt` program on PATH") as raised:
                write(session, pa.table({"id": [2], "v": [2]}), "t", mode="append")
            assert f"Whether `main` has the commit {made[0]} by now, `dolt log` tells." in str(raised.value)
            patch.undo()


def test_a_read_whose_server_is_killed_is_served_by_another_one(database: MakeDatabase) -> None:
    folder = database("db", *ONE)
    one, sessions = Database.at(folder), Sessions()
    with sessions.session(one) as session:
        kill_server(session)
        with pytest.raises(ConnectionLostError, match=r"connection to Dolt's server is lost.* Run it again"):
            session.tables("main")
    with sessions.session(one) as session:
        assert session.tables("main") == ["t"]
    sessions.close()
    assert not is_served(folder)


def test_a_move_that_was_cut_off_is_brought_to_its_end(database: MakeDatabase) -> None:
    """The head of the branch was moved, and what its user sees there was not yet."""
    folder = database("db", *ONE, "create table mine (id int primary key)")
    dolt(folder, "sql", "-q", "insert into mine values (1); call dolt_add('mine'); insert into mine values (2)")
    with Database.at(folder).open() as session:
        start = session.branch_head("main")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "move", lambda *_: True)
            patch.setattr(branch, "_remove", lambda *_: None)
            done = write(session, pa.table({"id": [2], "v": [2]}), "t", mode="append", message="Run: Flow/1/step/2")
        assert session.branch_head("main") == start
    dolt(folder, "sql", "-q", f"call dolt_reset('--soft', '{done.commit}')")
    assert "t" in {row["table_name"] for row in sql(folder, "select table_name from dolt_status")}
    with Database.at(folder).open() as session:
        assert rows_of(session, "t") == [(1, 1), (2, 2)]
        assert write(session, pa.table({"id": [3], "v": [3]}), "t", mode="append").changed == [True]
    assert sql(folder, "select id from t") == [{"id": 1}, {"id": 2}, {"id": 3}]
    # What was staged is still there, though no longer staged: Dolt has forgotten that.
    assert sql(folder, "select id from mine") == [{"id": 1}, {"id": 2}]
    assert sql(folder, "select table_name, staged from dolt_status") == [{"table_name": "mine", "staged": 0}]
    assert [row["name"] for row in sql(folder, "select name from dolt_branches")] == ["main"]


def test_what_a_user_changed_back_by_hand_is_kept(database: MakeDatabase) -> None:
    folder = database("db", *ONE)
    with Database.at(folder).open() as session:
        write(session, pa.table({"id": [2], "v": [2]}), "t", mode="append", message="Run: Flow/1/step/2")
    dolt(folder, "checkout", "HEAD~1", "t")
    with Database.at(folder).open() as session, pytest.raises(DirtyTableError):
        write(session, pa.table({"id": [3], "v": [3]}), "t", mode="append")
    assert sql(folder, "select id from t") == [{"id": 1}]


def test_the_audit_names_a_commit_whose_task_stored_no_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path / "here") as here:
        database = here.database("numbers", "create table source (id int primary key)", "insert into source values (1)")
        run = here.run("killed_flow.py")
        assert audit().findings == ()
        kept = here.folder / ".metaflow" / run.pathspec
        for file in (kept / "start").glob("*/0.DONE.lock"):
            file.unlink()
        shutil.rmtree(kept / "end")
        # It could still run for a while after its last sign of life.
        assert audit().findings == ()
        monkeypatch.setattr(runs_store, "QUIET", runs_store.QUIET * 0)
        (found,) = audit().findings
        made = head(database)
        task = (
            sql(database, "select message from dolt_log limit 1")[0]["message"].partition("\n")[0].removeprefix("Run: ")
        )
        assert (found.kind, found.run, found.database, found.commit) == (
            "artifact-missing",
            run.pathspec,
            "numbers",
            made,
        )
        assert found.message == (
            f"The commit {made} of `numbers` is of {task}, which stored no artifact: it was ended after it had "
            "committed."
        )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB, where this process may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    database = build(small_disk / "db", "staged")
    before, start = steady(database), head(database)
    filling = small_disk / "filling"
    descriptor = os.open(filling, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(descriptor, bytes(1024))
    os.close(descriptor)
    count = 40_000
    texts = [random.Random(number).randbytes(40).hex() for number in range(count)]
    with pytest.raises(DiskFullError) as raised, Database.at(database).open() as session:
        write(session, pa.table({"id": range(count), "v": texts}), "texts", ["id"])
    assert "Free some space there, then run it again: no table is half-written." in str(raised.value)
    filling.unlink()
    with Database.at(database).open() as session:
        assert session.branch_head("main") == start
    dolt(database, "fsck")
    assert steady(database) == before
    with Database.at(database).open() as session:
        few = pa.table({"id": range(10), "v": texts[:10]})
        assert write(session, few, "texts", ["id"]).changed == [True]
        assert rows_of(session, "texts") == list(enumerate(texts[:10]))
    dolt(database, "fsck")


@pytest.mark.parametrize("name", ["pid", "config.yaml", "server.log", "starting", "privileges.db", "branch_control.db"])
def test_files_of_the_server_that_are_damaged(database: MakeDatabase, name: str) -> None:
    folder = database("db", *ONE)
    with Database.at(folder).open():
        pass
    file = runtime_folder(folder.resolve()) / name
    if file.is_dir():
        shutil.rmtree(file)
    file.write_bytes(random.Random(1).randbytes(300))
    with Database.at(folder).open() as session:
        assert rows_of(session, "t") == [(1, 1)]
    assert not is_served(folder)


OLD = """#!/bin/sh
case "$1" in
version) echo "dolt version 1.40.2" ;;
*) echo "error: unknown option \\`skip-root-user-initialization'" >&2; exit 1 ;;
esac
"""


def test_a_dolt_that_is_too_old_to_be_started(
    database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = database("db", *ONE)
    (tmp_path / "bin").mkdir()
    old = tmp_path / "bin" / "dolt"
    old.write_text(OLD)
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    told = r"This is Dolt 1\.40\.2; doltflow needs 1\.83\.0 or later\. Install a newer Dolt"
    with pytest.raises(DoltVersionError, match=told), Database.at(folder).open():
        pass


def test_a_server_that_is_too_old(database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = database("db", *ONE)
    with Database.at(folder).open() as session:
        version = session.version
    monkeypatch.setattr(program, "OLDEST", (99, 1, 0))
    told = f"This is Dolt {version}; doltflow needs 99.1.0 or later."
    with pytest.raises(DoltVersionError, match=told), Database.at(folder).open():
        pass
    assert not is_served(folder)


def test_a_clock_that_goes_back(tmp_path: Path) -> None:
    """What came after what is told by the commits' parents, whatever their dates are."""
    folder = dated_database(tmp_path / "work" / "db", "2021-06-01T00:00:00")
    first = commit(folder, "2099-01-01T00:00:00", run_message("Flow/1/step/1", "t"), *ONE)
    second = commit(folder, "2021-01-01T00:00:00", run_message("Flow/2/step/1", "t"), "insert into t values (2, 2)")
    read = ReadTrailer("db", second, ("t",), "main")
    third = commit(
        folder, "2020-01-01T00:00:00", run_message("Flow/3/step/1", "u", read), "create table u (id int primary key)"
    )
    assert [found["hash"] for found in told("log", "db")["commits"]][:3] == [third, second, first]
    nodes = {(node["kind"], node.get("run_id"), node.get("commit")) for node in told("trace", "u")["nodes"]}
    assert nodes >= {("run", "3", None), ("run", "2", None), ("table", None, third), ("table", None, second)}
    assert ("run", "1", None) not in nodes
    # Runs that nothing but their dates orders are in the order of the dates.
    assert [run["run_id"] for run in told("runs")["runs"]] == ["1", "2", "3"]
    assert told("audit")["findings"] == []


def told(*arguments: str) -> dict[str, Any]:
    """What a command answers, as JSON."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("doltflow")), *arguments, "--output", "json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout)["data"])
