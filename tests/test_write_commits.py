"""A write is one commit on one branch, and nothing else changes: not where it fails, not beside other writers."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import dolt, folder_of, make_database
from conftest import sql as cli_sql
from writing import AUTHOR, opened, rows_of, sql, steady, uncommitted, write

from doltflow.errors import BadValueError, DatabaseLockedError, DirtyTableError, DoltError, RefNotFoundError
from doltflow.sources.dolt import Database, Session
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.write import Write, branch, commit_writes, prepare, store


def arrow(**columns: Any) -> pa.Table:
    return pa.table(columns)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("commits")) as session:
        yield session


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the branches `main` and `other`."""
    folder = make_database(tmp_path_factory.mktemp("template") / "db", *SETUP)
    dolt(folder, "branch", "other")
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "db"))


# What the user has not committed

SETUP = [
    "create table target (id int primary key, v int)",
    "insert into target values (1, 1)",
    "create table staged (id int primary key)",
    "create table parts (id int primary key, s varchar(99), j json, d double, b blob)",
    "create table dropped (id int primary key)",
    "create table old_name (id int primary key)",
    "create table dropped_too (id int primary key)",
    "create table old_name_too (id int primary key)",
    "create table parent (id int primary key)",
    "create table child (id int primary key, p int)",
    "insert into dropped values (5)",
    "insert into dolt_ignore values ('ignored%', true)",
]
PART = r"""insert into parts values (1, 'it''s\\ \n\t%s é', '{"a": "x''y"}', 0.1, 'bytes')"""
DIRTY: dict[str, list[str]] = {
    "nothing": [],
    "rows, schemas, new tables, views": [
        "insert into staged values (1)",
        "alter table child add column more varchar(9) collate utf8mb4_0900_ai_ci",
        "create table fresh (i int)",
        "insert into fresh values (1), (1)",
        "create view sight as select 1",
        "create table ignored_one (i int)",
    ],
    "staged": [
        "insert into staged values (1)",
        "create table fresh (i int)",
        "create view sight as select 1",
        "call dolt_add('staged', 'fresh', 'dolt_schemas')",
        "insert into parent values (1)",
    ],
    "staged in part": [
        PART,
        "create table fresh (i int primary key)",
        "call dolt_add('parts', 'fresh')",
        "update parts set s = 'other', d = 1e300",
        "insert into parts values (2, null, null, null, null)",
        "insert into fresh values (1)",
    ],
    "staged and taken back": ["insert into staged values (1)", "call dolt_add('staged')", "delete from staged"],
    "dropped and renamed": ["drop table dropped", "rename table old_name to new_name"],
    "dropped and renamed, staged": [
        "drop table dropped_too",
        "rename table old_name_too to new_name_too",
        "call dolt_add('-A')",
        "drop table dropped",
    ],
    "foreign keys": [
        "alter table child add constraint fk foreign key (p) references parent (id)",
        "create table grandchild (id int primary key, c int, foreign key (c) references child (id))",
    ],
    "foreign keys, staged": [
        "alter table child add constraint fk foreign key (p) references parent (id)",
        "call dolt_add('child')",
        PART,
        "call dolt_add('parts')",
        "insert into parts values (2, null, null, null, null)",
    ],
}


@pytest.mark.parametrize("name", DIRTY)
def test_what_is_uncommitted_stays_as_it_is(folder: Path, name: str) -> None:
    if DIRTY[name]:
        dolt(folder, "sql", stdin=";\n".join(DIRTY[name]))
    before = steady(folder)
    with Database.at(folder).open() as session:
        write(session, arrow(id=[2], v=[2]), "target", mode="append")
        write(session, arrow(id=[3], more=["x"]), "target", mode="append")
        write(session, arrow(id=[1]), "made", "id")
        write(session, arrow(id=[1]), "made elsewhere", "id", branch="other")
        for mode, frame in (("append", arrow(id=[2])), ("replace", arrow(id=[1], v=["x"]))):
            with pytest.raises(DoltError, match="`target`"):
                session.commit_writes("main", [Write("target", prepare(frame), mode)], "m", AUTHOR)
        assert rows_of(session, "target") == [(1, 1, None), (2, 2, None), (3, None, "x")]
        assert rows_of(session, "made elsewhere", "other") == [(1,)]
    assert steady(folder) == before
    assert [row["v"] for row in cli_sql(folder, "select v from target where v is not null")] == [1, 2]


def test_what_is_uncommitted_elsewhere_stays_as_it_is(folder: Path) -> None:
    dolt(folder, "checkout", "-b", "work")
    dolt(folder, "sql", "-q", "insert into target values (9, 9)")
    dolt(folder, "add", "target")
    before = steady(folder)
    with Database.at(folder).open() as session:
        write(session, arrow(id=[2], v=[2]), "target", mode="append")
        assert rows_of(session, "target") == [(1, 1), (2, 2)]
        assert rows_of(session, "target", "work") == [(1, 1)]
    assert steady(folder) == before


TARGET_DIRTY: dict[str, list[str]] = {
    "changed": ["insert into target values (2, 2)"],
    "staged": ["insert into target values (2, 2)", "call dolt_add('target')"],
    "staged and taken back": ["delete from target", "call dolt_add('target')", "insert into target values (1, 1)"],
    "another schema": ["alter table target add column x int"],
    "dropped": ["drop table target"],
    "renamed away": ["rename table target to elsewhere"],
    "renamed to": ["drop table target", "call dolt_commit('-am', 'gone')", "rename table parent to target"],
    "new": ["drop table target", "call dolt_commit('-am', 'gone')", "create table target (id int primary key)"],
    "new and ignored": [
        "drop table target",
        "insert into dolt_ignore values ('target', true)",
        "call dolt_commit('-am', 'gone')",
        "create table target (id int primary key)",
    ],
}


@pytest.mark.parametrize("name", TARGET_DIRTY)
def test_a_table_with_uncommitted_changes_is_refused_before_anything_is_touched(folder: Path, name: str) -> None:
    with Database.at(folder).open() as session:
        sql(session, *TARGET_DIRTY[name])
        before, heads = uncommitted(session), session.branches()
        one = Write("target", prepare(arrow(id=[5], v=[5])), "replace")
        for refused in (
            lambda: session.check_write(one, "main"),
            lambda: session.commit_writes("main", [one], "m", AUTHOR),
        ):
            with pytest.raises(DirtyTableError, match="`target` has uncommitted changes on the branch `main`"):
                refused()
        assert (uncommitted(session), session.branches()) == (before, heads)
        write(session, arrow(id=[5], v=[5]), "target", branch="other")
        assert rows_of(session, "target", "other") == [(5, 5)]
        assert uncommitted(session) == before


def test_a_table_that_is_staged_in_part_with_another_schema_is_refused(folder: Path) -> None:
    with Database.at(folder).open() as session:
        add = "call dolt_add('staged')"
        sql(session, "insert into staged values (1)", add, "alter table staged add column x int")
        before, heads = uncommitted(session), session.branches()
        with pytest.raises(
            DirtyTableError, match="`staged` is staged in part on the branch `main`, in a way that cannot"
        ):
            write(session, arrow(id=[2], v=[2]), "target", mode="append")
        assert (uncommitted(session), session.branches()) == (before, heads)


def test_a_merge_that_is_under_way_is_left_alone(folder: Path) -> None:
    dolt(folder, "sql", stdin="call dolt_checkout('other'); update target set v = 2; call dolt_commit('-am', 'x')")
    dolt(folder, "sql", stdin="update target set v = 3; call dolt_commit('-am', 'y')")
    subprocess.run(["dolt", "merge", "other"], cwd=folder, capture_output=True, check=False)
    status = dolt(folder, "status")
    assert "still merging" in status or "unmerged" in status.lower()
    with Database.at(folder).open() as session:
        head = session.resolve("main")
        with pytest.raises(DoltError, match="merg"):
            write(session, arrow(id=[1]), "made", "id")
        assert session.branches() == {"main": head, "other": session.resolve("other")}
    assert dolt(folder, "status") == status


# Branches


def test_a_branch_that_is_not_there_is_named(session: Session) -> None:
    one = Write("t", prepare(arrow(id=[1])), "replace")
    for asked in (lambda: session.check_write(one, "mian"), lambda: session.commit_writes("mian", [one], "m", AUTHOR)):
        with pytest.raises(RefNotFoundError, match=r"`db` has no branch `mian`. Did you mean `main`?"):
            asked()


@pytest.mark.parametrize("name", ["feature/one", "x' or `y", "--x", "a.b", "é"])
def test_names_of_branches(session: Session, name: str) -> None:
    connection = session._connection
    connection.use()
    try:
        connection.rows("call dolt_branch(%s, 'main')", [name])
    except DoltError:
        assert name in ("x' or `y", "--x", "é")
        return
    commit = write(session, arrow(id=[1]), "on a branch", "id", branch=name).commit
    assert session.branches()[name] == commit
    connection.rows("call dolt_branch('-D', %s)", [name])


def test_what_a_killed_writer_left_is_not_written(session: Session) -> None:
    write(session, arrow(id=[1]), "survivor", "id")
    sql(session, "call dolt_branch('doltflow-tmp/main', 'main')")
    sql(session, "insert into survivor values (99)", "create table junk (i int)", branch="doltflow-tmp/main")
    write(session, arrow(id=[2]), "survivor", mode="append")
    assert rows_of(session, "survivor") == [(1,), (2,)]
    assert "junk" not in session.tables(session.resolve("main"))
    assert session.query("select name from dolt_branches", session.resolve("main")).to_pydict() == {"name": ["main"]}


def test_an_interrupted_writer_leaves_no_branch_and_no_lock(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    write(session, arrow(id=[1]), "interrupted", "id")
    head = session.resolve("main")

    def interrupt(connection: Connection, *_: object) -> None:
        connection._raw._force_close()  # as the driver does when Ctrl-C comes while it waits
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "fill", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(session, arrow(id=[2]), "interrupted", mode="append")
    names = session.query("select name from dolt_branches", head).to_pydict()["name"]
    assert (session.resolve("main"), names) == (head, ["main"])
    write(session, arrow(id=[3]), "interrupted", mode="append")
    assert rows_of(session, "interrupted") == [(1,), (3,)]


def test_after_a_failure_the_session_goes_on(session: Session) -> None:
    write(session, arrow(id=[1]), "again", "id")
    with pytest.raises(BadValueError):
        write(session, arrow(id=[1]), "again", mode="append")
    sql(session, "insert into again values (5)")  # in no transaction that hangs over
    with Database.at(folder_of(session)).open() as other:
        assert sql(other, "select count(*) from again") == "2"
    sql(session, "call dolt_reset('--hard')")
    assert rows_of(session, "again") == [(1,)]


# Taking back what a failed attempt did


def attempts(
    session: Session, table: str, first: list[Write], second: list[Write], between: Callable[[], object]
) -> str:
    """The commit of the second attempt, when other commits have come since the first."""
    undo, _ = session.commit_writes("main", first, "Run: Flow/1/step/2\n\nDoltflow-Attempt: 0", AUTHOR)
    between()
    commit, _ = session.commit_writes("main", second, "Run: Flow/1/step/2\n\nDoltflow-Attempt: 1", AUTHOR, [undo])
    return commit


def test_a_second_attempt_ends_where_a_single_success_would(session: Session) -> None:
    def rows(*pairs: tuple[int, int]) -> Any:
        return prepare(arrow(id=[pair[0] for pair in pairs], v=[pair[1] for pair in pairs]), "id")

    ends = {}
    for name in ("retried", "single"):
        write(session, arrow(id=[1, 2, 3], v=[1, 2, 3]), name, "id")
        second = [Write(name, rows((4, 40)), "append"), Write(name, rows((1, 10)), "update")]

        def sibling(name: str = name) -> None:
            write(session, arrow(id=[9], v=[9]), name, mode="append")
            write(session, arrow(id=[2], v=[22]), name, mode="update")

        if name == "retried":
            first = [Write(name, rows((4, 4), (5, 5)), "append"), Write(name, rows((3, 33)), "update")]
            attempts(session, name, first, second, sibling)
        else:
            sibling()
            session.commit_writes("main", second, "m", AUTHOR)
        ends[name] = rows_of(session, name)
    assert ends["retried"] == ends["single"] == [(1, 10), (2, 22), (3, 3), (4, 40), (9, 9)]


def test_tables_that_only_the_failed_attempt_wrote_are_as_before(session: Session) -> None:
    write(session, arrow(id=[1]), "only first", "id")
    before = session.table_hash("only first", session.resolve("main"))
    first = [
        Write("only first", prepare(arrow(id=[2])), "replace"),
        Write("made and gone", prepare(arrow(id=[1])), "replace"),
    ]
    second = [Write("only second", prepare(arrow(id=[1])), "replace")]
    commit = attempts(session, "", first, second, lambda: write(session, arrow(id=[5]), "bystander"))
    assert session.table_hash("only first", commit) == before
    assert "made and gone" not in session.tables(commit)
    assert {"only first", "only second", "bystander"} <= set(session.tables(commit))


def test_attempts_that_made_a_table_changed_a_schema_or_did_nothing(session: Session) -> None:
    frame = prepare(arrow(id=[1], v=["x"]), "id")
    attempts(session, "", [Write("made twice", frame, "append")], [Write("made twice", frame, "append")], lambda: None)
    assert rows_of(session, "made twice") == [(1, "x")]

    wider = prepare(arrow(id=[2], v=["y" * 300], more=[1]))
    attempts(session, "", [Write("made twice", wider, "append")], [Write("made twice", wider, "append")], lambda: None)
    assert rows_of(session, "made twice") == [(1, "x", None), (2, "y" * 300, 1)]

    same = prepare(session.read("made twice", session.resolve("main")))
    commit = attempts(
        session, "", [Write("made twice", same, "replace")], [Write("other", frame, "append")], lambda: None
    )
    assert (rows_of(session, "made twice"), rows_of(session, "other")) == (
        [(1, "x", None), (2, "y" * 300, 1)],
        [(1, "x")],
    )
    assert len(session.commit(commit).parents) == 1


def test_a_table_that_the_failed_attempt_made_and_others_have_filled(session: Session) -> None:
    def fill(id_: int, v: str) -> Write:
        return Write("shared", prepare(arrow(id=[id_], v=[v]), "id"), "update")

    first, _ = session.commit_writes("main", [fill(1, "attempt 0")], "Run: Flow/1/step/2", AUTHOR)
    session.commit_writes("main", [fill(2, "sibling")], "Run: Flow/1/step/3", AUTHOR)
    second, _ = session.commit_writes("main", [fill(3, "attempt 1")], "Run: Flow/1/step/2", AUTHOR, [first])
    assert rows_of(session, "shared") == [(2, "sibling"), (3, "attempt 1")]
    third, _ = session.commit_writes("main", [fill(1, "attempt 2")], "m", AUTHOR, [second, first])
    assert rows_of(session, "shared") == [(1, "attempt 2"), (2, "sibling")]
    assert session.commit(third).parents == (second,)


def test_rows_of_others_in_a_table_that_the_failed_attempt_made_are_kept(session: Session) -> None:
    made = write(session, arrow(id=[1, 2], v=["attempt 0", "attempt 0"]), "kept rows", "id").commit
    write(session, arrow(id=[1], v=["sibling"]), "kept rows", mode="update")
    heads = session.branches()
    with pytest.raises(DoltError, match="cannot be taken back: others have changed the same rows since"):
        write(session, arrow(id=[2], v=["attempt 1"]), "kept rows", mode="update", undo=[made])
    assert (session.branches(), rows_of(session, "kept rows")) == (heads, [(1, "sibling"), (2, "attempt 0")])
    write(session, arrow(id=[2], v=["attempt 1"]), "kept rows", undo=[made])
    assert rows_of(session, "kept rows") == [(2, "attempt 1")]


def test_three_attempts(session: Session) -> None:
    write(session, arrow(id=[1], v=[0]), "thrice", "id")
    made: list[str] = []
    for attempt in range(3):
        one = Write("thrice", prepare(arrow(id=[10 + attempt], v=[attempt])), "append")
        commit, stored = session.commit_writes("main", [one], f"attempt {attempt}", AUTHOR, list(reversed(made)))
        made.append(commit)
        assert stored[0].changed
    assert rows_of(session, "thrice") == [(1, 0), (12, 2)]


def test_an_identical_second_attempt_counts_as_the_change_that_it_is(session: Session) -> None:
    one = Write("repeated", prepare(arrow(id=[1]), "id"), "replace")
    first, _ = session.commit_writes("main", [one], "attempt 0", AUTHOR)
    second, stored = session.commit_writes("main", [one], "attempt 1", AUTHOR, [first])
    assert stored[0].changed
    assert session.last_change("repeated", second) == first


def test_what_others_have_changed_since_cannot_be_taken_back(session: Session) -> None:
    write(session, arrow(id=[1], v=[0]), "contested", "id")
    first = write(session, arrow(id=[1], v=[1]), "contested", mode="update").commit
    write(session, arrow(id=[1], v=[2]), "contested", mode="update")
    heads = session.branches()
    with pytest.raises(
        DoltError, match=rf"The commit {first} of this task's failed attempt cannot be taken back: others"
    ):
        write(session, arrow(id=[5], v=[5]), "contested", mode="append", undo=[first])
    assert (session.branches(), rows_of(session, "contested")) == (heads, [(1, 2)])


@pytest.mark.parametrize("more", [[], ["drop table dropped"]])
def test_what_is_uncommitted_is_not_taken_back(folder: Path, more: list[str]) -> None:
    with Database.at(folder).open() as session:
        first = write(session, arrow(id=[1]), "staged", mode="append").commit
        sql(session, "insert into staged values (2)", *more)
        before, heads = uncommitted(session), session.branches()
        with pytest.raises(DirtyTableError, match="`staged` has uncommitted changes on the branch `main`"):
            write(session, arrow(id=[2], v=[2]), "target", mode="append", undo=[first])
        assert (uncommitted(session), session.branches()) == (before, heads)


# Beside others


def together(folder: Path, *jobs: Callable[[Session], None]) -> None:
    """Runs each job in a thread and a session of its own, all at once."""
    ready, errors = threading.Barrier(len(jobs)), []

    def run(job: Callable[[Session], None]) -> None:
        try:
            with Database.at(folder).open() as session:
                ready.wait()
                job(session)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_replacements_at_once_end_as_one_of_them_whole(session: Session) -> None:
    frames = [arrow(id=list(range(n, n + 50)), v=[n] * 50) for n in (0, 1000)]
    write(session, frames[0], "raced", "id")
    start = session.resolve("main")

    def job(frame: pa.Table) -> Callable[[Session], None]:
        return lambda mine: [write(mine, frame, "raced") for _ in range(5)] and None

    together(folder_of(session), *map(job, frames))
    whole = [[tuple(row.values()) for row in frame.to_pylist()] for frame in frames]
    commits = session.query(f"select commit_hash from dolt_log('main', '^{start}')", session.resolve("main"))
    made = commits.to_pydict()["commit_hash"]
    assert len(made) == 10
    assert all(rows_of(session, "raced", commit) in whole for commit in made)


def test_increments_at_once_are_all_counted(session: Session) -> None:
    write(session, arrow(id=[0], v=[0]), "counted", "id")

    def job(number: int) -> Callable[[Session], None]:
        def run(mine: Session) -> None:
            for n in range(4):
                write(mine, arrow(id=[number * 10 + n], v=[number]), "counted", mode="append")

        return run

    together(folder_of(session), *map(job, (1, 2, 3)))
    assert [row[0] for row in rows_of(session, "counted")] == [
        0,
        *(number * 10 + n for number in (1, 2, 3) for n in range(4)),
    ]


WRITER = """
import sys
import pyarrow as pa
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.write import Write, prepare
folder, table = sys.argv[1:]
with Database.at(folder).open() as session:
    for n in range(4):
        frame = pa.table({"id": [n], "v": [table]})
        session.commit_writes("main", [Write(table, prepare(frame, "id"), "append")], f"{table} {n}", "A <a@x>")
"""


def test_processes_that_write_different_tables_both_land(tmp_path: Path) -> None:
    folder = make_database(tmp_path / "db")
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), table], stderr=subprocess.PIPE, text=True)
        for table in ("one", "two")
    ]
    for process in running:
        _, complaints = process.communicate()
        assert (process.returncode, complaints) == (0, "")
    with Database.at(folder).open() as session:
        assert [rows_of(session, table) for table in ("one", "two")] == [
            [(n, t) for n in range(4)] for t in ("one", "two")
        ]
        subjects = sorted(commit.subject for commit in session.log())
        assert subjects[1:] == [f"{table} {n}" for table in ("one", "two") for n in range(4)]
        assert session.branches().keys() == {"main"}


def after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, action: Callable[[], object]) -> list[int]:
    """Does something of the user's at the first call of a function, just before it; counts the calls."""
    real, calls = getattr(module, name), []

    def first(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            action()
        return real(*args)

    monkeypatch.setattr(module, name, first)
    return calls


def test_a_branch_that_the_user_moves_meanwhile_is_written_on_top(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Database.at(folder).open() as session, Database.at(folder).open() as user:
        commit = "call dolt_commit('-am', 'of the user')"
        tries = after(
            monkeypatch,
            store,
            "move",
            lambda: sql(user, "insert into target values (7, 7)", "insert into staged values (7)", commit),
        )
        done = write(session, arrow(id=[2], v=[2]), "target", mode="append")
        assert (len(tries), rows_of(session, "target"), rows_of(session, "staged")) == (
            2,
            [(1, 1), (2, 2), (7, 7)],
            [(7,)],
        )
        log = session.log()
        assert [one.subject for one in log[:2]] == ["Run: Flow/1/step/2", "of the user"]
        assert session.commit(done.commit).parents == (log[1].hash,)
        assert session.branches().keys() == {"main", "other"}


def test_a_commit_of_the_user_is_never_overwritten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database.at(folder).open() as session, Database.at(folder).open() as user:
        sql(user, "drop table dropped", "insert into staged values (1)", "call dolt_add('staged')")
        commit = "call dolt_commit('--allow-empty', '-m', 'of the user')"
        after(
            monkeypatch,
            branch,
            "_merge_keeps",
            lambda: sql(user, "call dolt_reset()", commit, "call dolt_add('staged')"),
        )
        before = uncommitted(session)
        write(session, arrow(id=[2], v=[2]), "target", mode="append")
        assert uncommitted(session) == before
        assert [one.subject for one in session.log()[:3]] == ["Run: Flow/1/step/2", "of the user", "setup"]
        assert rows_of(session, "target") == [(1, 1), (2, 2)]


def test_a_branch_that_never_stands_still_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database.at(folder).open() as session, Database.at(folder).open() as user:
        real = store.move

        def moved(*args: Any) -> bool:
            sql(user, "call dolt_commit('--allow-empty', '-m', 'again')")
            return real(*args)

        monkeypatch.setattr(store, "move", moved)
        with pytest.raises(DoltError, match="The branch `main` was moved by others 5 times"):
            write(session, arrow(id=[2], v=[2]), "target", mode="append")
        assert (session.log()[0].subject, session.branches().keys()) == ("again", {"main", "other"})


def test_who_waits_too_long_is_told(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLTFLOW_LOCK_TIMEOUT", "0")
    with (
        Database.at(folder_of(session)).open() as other,
        branch.branch_lock(other._connection, "main"),
    ):
        with pytest.raises(DatabaseLockedError, match=r"held the branch `main` of `[\w-]+` for longer than 0 s"):
            write(session, arrow(id=[1]), "late", "id")
        sql(session, "call dolt_branch('beside', 'main')")
        write(session, arrow(id=[1]), "late", "id", branch="beside")
    write(session, arrow(id=[1]), "late", "id")


def test_the_order_of_writes_counts_not_that_of_tables(session: Session) -> None:
    writes = [Write(name, prepare(arrow(n=[place])), "replace") for place, name in enumerate("zay")]
    commit, _ = commit_writes(session._connection, "main", writes, "m", AUTHOR)
    assert [rows_of(session, name, commit) for name in "zay"] == [[(0,)], [(1,)], [(2,)]]
