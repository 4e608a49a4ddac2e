"""Many writers of one database at once: every commit lands, or its task fails with the reason; none waits for ever."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import dolt, sql
from flows.harness import World, commits, is_served, left_running, rows, wait_for, world
from torture import tell
from writing import AUTHOR, rows_of, write
from writing import sql as sql_of

from doltflow.errors import DatabaseLockedError, DirtyTableError
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.locks import lock_key
from doltflow.sources.dolt.turns import turn
from doltflow.sources.dolt.write import Write, branch, prepare
from doltflow.sources.dolt.write.branch import branch_lock

MODES = ("update", "append", "replace")
ROWS = 5


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "here") as place:
        yield place


def subjects(database: Path) -> Counter[str]:
    """How often each subject is in the log."""
    return Counter(commit["message"].partition("\n")[0] for commit in commits(database))


def written(database: Path) -> Counter[str]:
    """How many commits wrote each table, by their trailers."""
    lines = [line for commit in commits(database) for line in commit["message"].splitlines()]
    found = [json.loads(line.partition(": ")[2]) for line in lines if line.startswith("Doltflow-Write: ")]
    return Counter(one["table"] for one in found)


@pytest.mark.long
def test_sixteen_tasks_on_one_database(here: World) -> None:
    shared = [f"{kind}_{mode}" for kind in ("rows", "same") for mode in MODES]
    database = here.database("numbers", *(f"create table {name} (id int primary key, v int)" for name in shared))
    run = here.run("writers_flow.py", "--max-workers", "16", "--max-num-splits", "16", check=False)
    assert run.returncode == 0, run.output
    refusals = here.artifacts(run, "refusals")
    refused = next(found["refusals"] for found in refusals.values() if "refusals" in found)
    # Sixteen append the same keys: one of them is the first, and the others are told why not.
    assert sorted(map(str, refused.values())) == sorted(["[]"] + ["['bad-value']"] * 15)
    winner = next(int(number) for number, codes in refused.items() if not codes)

    told = subjects(database)
    tasks = {subject: count for subject, count in told.items() if subject.startswith("Run: ")}
    assert {subject.split("/")[2] for subject in tasks} == {"work"}
    assert sorted(tasks.values()) == [8] * 15 + [9]
    assert set(told) - set(tasks) == {"setup", "Initialize data repository"}
    own = {f"own_{mode}_{number}": 1 for mode in MODES for number in range(16)}
    assert written(database) == own | dict.fromkeys(shared, 16) | {"same_append": 1}

    for name in own:
        assert rows(database, name) == table(int(name.split("_")[2]))
    everyone = [row for number in range(16) for row in table(number, 1000 * number)]
    assert rows(database, "rows_update") == rows(database, "rows_append") == everyone
    for name in ("rows_replace", "same_replace", "same_update"):
        # One of them was the last, and the table is that one's alone.
        last = rows(database, name)[0]["v"]
        assert rows(database, name) == table(last, 1000 * last if name.startswith("rows") else 0)
    assert rows(database, "same_append") == table(winner)

    wait_for(lambda: not is_served(database) and not left_running(here), "the end of the server")
    assert [row["name"] for row in sql(database, "select name from dolt_branches")] == ["main"]
    assert "nothing to commit" in dolt(database, "status")


def table(number: int, first: int = 0) -> list[dict[str, int]]:
    """The rows that a task writes."""
    return [{"id": first + place, "v": number} for place in range(ROWS)]


@pytest.mark.parametrize("count", [pytest.param(5, id="few"), pytest.param(100, id="many", marks=pytest.mark.torture)])
def test_eight_processes_and_all_their_commits(here: World, count: int) -> None:
    began = time.monotonic()
    database = here.database("numbers", "create table counted (id int primary key, v int)")
    more = ["--tasks", "8", "--commits", str(count), "--shared", "false"]
    run = here.run("writers_flow.py", "--max-workers", "8", *more)
    told = subjects(database)
    tasks = {subject: times for subject, times in told.items() if subject.startswith(f"Run: {run.pathspec}/work/")}
    assert sorted(tasks.values()) == [count] * 8
    assert sum(told.values()) == 8 * count + 2
    assert rows(database, "counted") == [{"id": 1000 * n + c, "v": c} for n in range(8) for c in range(count)]
    # Each commit brought the one row that it says.
    changes = sql(database, "select count(*) as n from dolt_diff_counted where from_id is null group by to_commit")
    assert changes == [{"n": 1}] * (8 * count)
    if count == 100:
        tell(
            3, "8 tasks of one flow with 100 commits each, to one table", "800 commits, none lost, none doubled", began
        )


WRITE = """
import sys
import pyarrow as pa
from writing import write
from doltflow.sources.dolt import Database
folder, number = sys.argv[1], int(sys.argv[2])
with Database.at(folder).open() as session:
    write(session, pa.table({"id": [number], "v": [number]}), "t", mode="append", message=f"Run: Flow/1/step/{number}")
"""


@contextmanager
def held(database: Path) -> Iterator[Path]:
    """The lock on `main`, and the folder of the tickets of those who wait for it."""
    with Database.at(database).open() as session, branch_lock(session._connection, "main"):
        queues = session._connection.endpoint.queues
        assert queues is not None
        yield queues / lock_key(session._connection, "main")


def start_writer(database: Path, queue: Path, number: int) -> "subprocess.Popen[str]":
    """A process that writes the row of its number, and that waits in the queue by now."""
    before = len(tickets(queue))
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(database), str(number)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(lambda: len(tickets(queue)) > before, f"writer {number} in the queue")
    return process


def tickets(queue: Path) -> list[str]:
    return sorted(path.name for path in queue.iterdir() if not path.name.startswith("."))


def test_the_dead_hold_nobody_up(here: World) -> None:
    database = here.database("numbers", "create table t (id int primary key, v int)")
    with held(database) as queue:
        writers = [start_writer(database, queue, number) for number in range(8)]
        for number in (1, 4):  # The dead hold nobody up: one that asks for the lock already, and one far behind.
            writers[number].send_signal(signal.SIGKILL)
            writers[number].wait()
    outputs = [writer.communicate()[0] for writer in writers]
    assert [(writer.returncode, output) for writer, output in zip(writers, outputs, strict=True)] == [
        (-signal.SIGKILL if number in (1, 4) else 0, "") for number in range(8)
    ]
    # Two may ask for the lock at a time, so that neighbours may change places.
    order = [int(commit["message"].rpartition("/")[2]) for commit in reversed(commits(database)[:6])]
    assert sorted(order) == [0, 2, 3, 5, 6, 7]
    assert rows(database, "t") == [{"id": number, "v": number} for number in (0, 2, 3, 5, 6, 7)]
    assert tickets(queue) == []


def test_only_the_two_that_have_waited_longest_may_ask_for_the_lock(tmp_path: Path) -> None:
    queue, entered, leave = tmp_path / "queue", [], [threading.Event() for _ in range(6)]

    def wait(number: int) -> None:
        with turn(queue, time.monotonic() + 60) as before:
            assert before <= 1
            entered.append(number)
            assert leave[number].wait(60)

    queue.mkdir()
    with ThreadPoolExecutor(6) as threads:
        waiting = []
        for number in range(6):
            waiting.append(threads.submit(wait, number))
            wait_for(lambda number=number: len(tickets(queue)) == number + 1, "the ticket")
        for number in range(6):
            wait_for(lambda number=number: len(entered) == min(number + 2, 6), "the next one's turn")
            assert sorted(entered) == list(range(min(number + 2, 6)))
            leave[number].set()
            waiting[number].result(60)
    assert tickets(queue) == []


def test_a_writer_waits_no_longer_than_it_may(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    database = here.database("numbers", "create table t (id int primary key, v int)")
    with held(database) as queue:
        writer = start_writer(database, queue, 1)
        monkeypatch.setenv("DOLTFLOW_LOCK_TIMEOUT", "0.2")
        text = (
            "Other writers have held the branch `main` of `numbers` for longer than 0.2 s, and 2 of them were still "
            "before this one. Nothing was written. Run it again, or raise DOLTFLOW_LOCK_TIMEOUT."
        )
        with Database.at(database).open() as session, pytest.raises(DatabaseLockedError) as raised:
            write(session, pa.table({"id": [5], "v": [5]}), "t", mode="append")
        assert str(raised.value) == text
    assert (writer.communicate()[0], writer.returncode) == ("", 0)
    assert rows(database, "t") == [{"id": 1, "v": 1}]


def test_a_branch_that_moves_while_it_is_looked_at_is_not_dirty(here: World) -> None:
    """Between the looks at the branch and at its table another writer's commit may land."""
    ignoring = "insert into dolt_ignore values ('scratch_%', true)"  # So that tables are looked at themselves.
    database = here.database("numbers", "create table t (id int primary key, v int)", ignoring)
    with Database.at(database).open() as session, Database.at(database).open() as other:
        asked = branch.hash_of

        def late(connection: Connection, ref: str) -> str:
            found = asked(connection, ref)
            if waiting:
                write(other, waiting.pop(), "t", mode="append")
            return found

        waiting = [pa.table({"id": [2], "v": [2]})]
        one = Write("t", prepare(pa.table({"id": [1], "v": [1]}), None), "append")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(branch, "hash_of", late)
            session.check_write(one, "main")
        session.commit_writes("main", [one], "Run: Flow/1/step/1", AUTHOR)
        assert rows_of(session, "t") == [(1, 1), (2, 2)]
        sql_of(session, "insert into t values (3, 3)")
        with pytest.raises(DirtyTableError):
            session.check_write(one, "main")
