"""The index of a history: the same answers with it, without it, and whatever has become of its file."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import make_database
from writing import uncommitted

from doltflow.audit import audit
from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.model.pathspec import Pathspec
from doltflow.sources.dolt import Database, Session
from doltflow.trace import trace_table
from doltflow.workspace import commits as commits_module
from doltflow.workspace.index import Index, Made, index_file

Edges = list[tuple[str, str]]


@pytest.fixture
def session() -> Iterator[Session]:
    """A database with two tables, and a store that is empty, so that nothing is warned of."""
    Path(".metaflow").mkdir()
    make_database(Path("db").absolute(), "create table s (id int primary key, v int)", "insert into s values (1, 0)")
    with Database.at("db").open() as session:
        yield session


def commit(session: Session, number: int, table: str = "s", *reads: str, branch: str = "main") -> str:
    """A commit that changes a table: by hand, or where it read something by a run."""
    connection = session._connection
    connection.use(branch)
    connection.rows(f"create table if not exists {table} (id int primary key, v int)")
    connection.rows(f"replace into {table} values (1, {number})")
    message = f"by hand {number}"
    if reads:
        head = str(connection.value("select dolt_hashof('HEAD')"))
        read = ReadTrailer("db", head, reads, branch)
        task = Pathspec("Flow", str(number), "start", "1")
        message = encode_message(task, attempt=0, writes=[WriteTrailer(table, "replace", 1)], reads=[read])
    return str(connection.value("call dolt_commit('-Am', %s, '--author', 'Bea <bea@example.com>')", [message]))


def edges(table: str = "t", at: str | None = None) -> Edges:
    result = trace_table(table, at=at)
    assert result.warnings == ()
    return sorted(result.graph.edges)


def plain(session: Session, table: str = "t", at: str | None = None) -> Edges:
    """The trace without any index."""
    file = index_file(session.database.location.identity)
    kept = file.read_bytes() if file.exists() else None
    file.unlink(missing_ok=True)
    found = edges(table, at)
    file.unlink()
    if kept is not None:
        file.write_bytes(kept)
    return found


def test_a_history_that_grows(session: Session) -> None:
    seen = []
    for number in range(1, 4):
        commit(session, number)
        made = commit(session, number, "t", "s")
        seen.append(edges())
        assert (f"Flow/{number}", f"db/t@{made}") in seen[-1]
        assert edges() == seen[-1] == plain(session)
    index = Index(index_file(session.database.location.identity))
    assert [one.task for one in index.made()] == [f"Flow/{number}/start/1" for number in (3, 2, 1)]
    assert index.tips() == {session.branch_head("main")}
    index.close()


def test_a_history_that_is_rewritten(session: Session) -> None:
    commit(session, 1, "t", "s")
    first = edges()
    commit(session, 2, "t", "s")
    assert edges() != first
    session._connection.use("main")
    session._connection.rows("call dolt_reset('--hard', 'HEAD~1')")
    assert edges() == first
    index = Index(index_file(session.database.location.identity))
    assert [one.run for one in index.made()] == ["Flow/1"]
    index.close()


def test_a_run_that_no_branch_has_any_more_is_not_listed(session: Session) -> None:
    from doltflow.runs import runs

    session._connection.use("main")
    session._connection.rows("call dolt_branch('side')")
    commit(session, 1, "t", "s")
    commit(session, 2, "u", "s", branch="side")
    assert [run.run_id for run in runs().runs] == ["2", "1"]
    session._connection.use("main")
    session._connection.rows("call dolt_branch('-D', 'side')")
    assert [run.run_id for run in runs().runs] == ["1"]
    assert edges("t") == plain(session, "t")


@pytest.mark.parametrize("damage", ["cut off", "no database", "empty", "another version", "no table", "a folder"])
def test_a_damaged_file_is_made_anew(session: Session, damage: str) -> None:
    commit(session, 1, "t", "s")
    expected = edges()
    file = index_file(session.database.location.identity)
    match damage:
        case "cut off":
            file.write_bytes(file.read_bytes()[:5000])
        case "no database":
            file.write_bytes(b"nothing that SQLite knows" * 100)
        case "empty":
            file.write_bytes(b"")
        case "another version":
            with sqlite3.connect(file) as raw:
                raw.execute("pragma user_version = 99")
        case "no table":
            with sqlite3.connect(file) as raw:
                raw.execute("drop table made")
        case _:
            file.unlink()
            file.mkdir()
    assert edges() == expected
    assert edges() == expected
    index = Index(file)
    assert [one.run for one in index.made()] == ([] if damage == "a folder" else ["Flow/1"])
    index.close()


def test_a_cache_that_cannot_be_written(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(session, 1, "t", "s")
    expected = edges()
    Path("file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("file").absolute()))
    assert edges() == expected


def test_a_file_that_another_process_holds(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doltflow.workspace.cache.WAIT", 0.05)
    commit(session, 1, "t", "s")
    edges()
    commit(session, 2, "t", "s")
    with sqlite3.connect(index_file(session.database.location.identity), isolation_level=None) as raw:
        raw.execute("begin exclusive")
        held = edges()
        raw.execute("rollback")
    assert held == edges() == plain(session)


def _advance(file: str, number: int) -> None:
    index = Index(Path(file))
    for step in range(20):
        made = Made(f"{number:016}{step:016}", f"Flow/{number}/start/{step}", float(step))
        while not index.advance(index.tips(), [made.hash], [made], anew=False):
            pass
        index.remember([("t", made.hash, made.hash)])
    index.close()


def test_two_processes_add_at_the_same_time(tmp_path: Path) -> None:
    file = tmp_path / "index" / "one.sqlite"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_advance, args=(str(file), number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    index = Index(file)
    assert sorted(one.task for one in index.made()) == sorted(
        f"Flow/{n}/start/{s}" for n in range(2) for s in range(20)
    )
    assert all(index.change("t", one.hash) == one.hash for one in index.made())
    index.close()


def test_many_questions_are_answered_from_the_whole_history(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions and commits are told alike one by one and all at once, over merges too."""
    connection = session._connection
    commit(session, 1, "t", "s")
    connection.rows("call dolt_branch('side')")
    commit(session, 2, "t", "s")
    commit(session, 3, "u", "s", "t", branch="side")
    commit(session, 4, "s", branch="side")
    connection.use("main")
    connection.rows("call dolt_merge('--no-ff', '-m', 'both', 'side')")
    commit(session, 5, "t", "u", "s")
    connection.rows("drop table s")
    connection.rows("call dolt_commit('-Am', 'gone')")
    commit(session, 6, "s")
    commit(session, 7, "t", "s", "u")
    asked = [(table, at) for at in ("main", "main~1", "main~3", "side") for table in ("t", "u")]
    single = [plain(session, table, at) for table, at in asked]
    monkeypatch.setattr(commits_module, "FEW_COMMITS", 0)
    monkeypatch.setattr(commits_module, "FEW_VERSIONS", 0)
    assert [plain(session, table, at) for table, at in asked] == single


def test_repair_makes_the_index_anew_and_touches_no_data(session: Session) -> None:
    commit(session, 1, "t", "s")
    expected = edges()
    file = index_file(session.database.location.identity)
    with sqlite3.connect(file) as raw:
        raw.execute("update made set run = 'Flow/other', task = 'Flow/other/start/1'")
        raw.execute("update changes set hash = at where name = 's'")
    before = uncommitted(session), session.branches()
    audit(repair_index=True)
    assert (uncommitted(session), session.branches()) == before
    assert edges() == expected
    index = Index(file)
    assert [one.run for one in index.made()] == ["Flow/1"]
    index.close()


def test_a_table_that_no_run_wrote_is_not_searched_for_one_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, mine = commit(session, 1), commit(session, 2, "t", "s")
    later = [commit(session, number) for number in range(3, 9)]
    searched = []
    changes = Session.changes

    def counted(self: Session, table: str, at: str) -> list[str]:
        searched.append(table)
        return changes(self, table, at)

    monkeypatch.setattr(Session, "changes", counted)
    commits = commits_module.Commits(session, Index(index_file(session.database.location.identity)))
    assert [commits.newest_by_run("s", [at]) for at in [first, *later]] == [None] * 7
    assert searched == ["s"]
    assert [commits.newest_by_run("t", [at]) for at in [first, mine, *later]] == [None] + [mine] * 7
    again = commit(session, 9, "s", "t")
    commits.refresh()
    assert [commits.newest_by_run("s", [at]) for at in (later[-1], again, again)] == [None, again, again]
    commits.close()
