"""Pulling, pushing and cloning: real databases, with a folder as their remote."""

import fcntl
import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import dolt, folder_of, head, isolated, make_database
from conftest import sql as rows_by_dolt
from writing import AUTHOR, rows_of, sql, steady, uncommitted, write

from doltflow.errors import (
    DatabaseLockedError,
    DirtyTableError,
    DivergedError,
    DoltflowError,
    RemoteError,
    UsageError,
)
from doltflow.recorder.config import DoltConfig
from doltflow.sources.dolt import Database, Session
from doltflow.sources.dolt.clone import clone
from doltflow.sources.dolt.remotes import Remote, choose
from doltflow.sources.dolt.server import runtime_folder

TABLES = ("a", "b", "c")


@dataclass
class Hub:
    """A remote in a folder, and clones of it, each with a session."""

    folder: Path
    stack: ExitStack
    sessions: dict[str, Session] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"file://{self.folder / 'hub' / 'numbers'}"

    def clone(self, name: str) -> Session:
        """A clone called `numbers` in a folder of its own."""
        clone(self.url, self.folder / name / "numbers")
        self.sessions[name] = self.stack.enter_context(Database.at(self.folder / name / "numbers").open())
        return self.sessions[name]

    def heads(self) -> dict[str, str]:
        """The heads of the remote's branches."""
        looker = self.sessions.get("looker") or self.clone("looker")
        looker.fetch(looker.remote())
        looker._connection.use()
        listed = looker._connection.rows("select name, hash from dolt_remote_branches")
        return {str(name).removeprefix("remotes/origin/"): str(hash_) for name, hash_ in listed}

    def rows(self, table: str, branch: str = "main") -> list[tuple[Any, ...]]:
        """The rows that the remote has."""
        at = self.heads()[branch]
        return rows_of(self.sessions["looker"], table, at)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with ExitStack() as stack:
        here = Hub(tmp_path / "hubs", stack)
        (here.folder / "hub" / "numbers").mkdir(parents=True)
        made = [f"create table {table} (id int primary key, v int)" for table in TABLES]
        made += [f"insert into {table} values (1, 1)" for table in TABLES]
        first = make_database(here.folder / "first" / "numbers", *made)
        dolt(first, "remote", "add", "origin", here.url)
        dolt(first, "push", "origin", "main")
        yield here


def put(session: Session, table: str, *values: int, branch: str = "main", mode: Any = "replace") -> str:
    """A commit that makes a table of some values."""
    return write(session, pd.DataFrame({"id": range(1, len(values) + 1), "v": values}), table, mode=mode,
                 branch=branch).commit  # fmt: skip


def pull(session: Session, branch: str = "main") -> None:
    session.pull(session.remote(), branch, AUTHOR)


def push(session: Session, branch: str = "main") -> None:
    session.push(session.remote(), branch, AUTHOR)


def message(error: pytest.ExceptionInfo[DoltflowError]) -> tuple[str, str]:
    return error.value.message, error.value.hint


# Pulling


def test_a_pull_moves_the_branch_alone_and_keeps_what_is_not_committed(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    sql(two, "call dolt_branch('mine')", "insert into b values (2, 2)", "call dolt_add('b')",
        "insert into b values (3, 3)", "create table d (id int primary key)")  # fmt: skip
    before = uncommitted(two)
    put(one, "a", 5, 6)
    push(one)
    pull(two)
    assert two.branches() == {"main": one.branch_head("main"), "mine": two.branch_head("mine")}
    assert two.branch_head("mine") != two.branch_head("main")
    assert rows_of(two, "a") == [(1, 5), (2, 6)]
    assert uncommitted(two) == before
    pull(two)
    assert uncommitted(two) == before


def test_a_pull_into_a_table_with_uncommitted_changes_is_refused(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    sql(two, "insert into a values (2, 2)")
    before, at = uncommitted(two), two.branch_head("main")
    put(one, "a", 5, 6)
    push(one)
    with pytest.raises(DirtyTableError) as error:
        pull(two)
    assert message(error) == (
        f"The branch `main` was not pulled: the remote `origin` at {hub.url} has changed what is not committed here. "
        "The table `a` has uncommitted changes on the branch `main`, so it was not written.",
        "Commit them (`dolt commit`) or drop them (`dolt checkout TABLE`), or write to another branch.",
    )
    assert (uncommitted(two), two.branch_head("main")) == (before, at)


def test_what_both_sides_did_to_different_tables_is_merged(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    sql(two, "insert into c values (9, 9)")
    before = uncommitted(two)
    theirs, ours = put(one, "a", 5), put(two, "b", 6)
    push(one)
    pull(two)
    merged = two.commit(two.branch_head("main"))
    assert (merged.parents, merged.message) == ((ours, theirs), f"Merge branch 'main' of {hub.url} into main")
    assert f"{merged.author} <{merged.email}>" == AUTHOR
    assert {table: rows_of(two, table) for table in TABLES} == {"a": [(1, 5)], "b": [(1, 6)], "c": [(1, 1)]}
    assert uncommitted(two) == before
    push(two)
    assert hub.heads() == {"main": merged.hash}


def test_what_both_sides_did_to_one_table_is_nobodys_to_merge(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    put(one, "a", 5, 6)
    put(one, "b", 7)
    push(one)
    # Dolt would merge these rows: other keys.
    sql(two, "delete from a", "insert into a values (10, 10)", "call dolt_commit('-am', 'by hand')")
    put(two, "b", 7)
    before, at = uncommitted(two), two.branch_head("main")
    with pytest.raises(DivergedError) as error:
        pull(two)
    remote = f"`origin` at {hub.url}"
    theirs = one.branch_head("main")
    resolve = (
        "Merge by hand, in the database's folder: `dolt fetch origin`, `dolt checkout main`, `dolt merge origin/main`; "
        "where that tells of conflicts, `dolt conflicts resolve --ours TABLE` (or `--theirs`) and `dolt commit`. Where "
        f"both have changed a table Dolt takes rows of both: `dolt checkout {at} a` and `dolt commit -am MESSAGE` make "
        f"it this side's whole, `dolt checkout {theirs} a` the remote's. Then `dolt push origin main`."
    )
    what = f"since it and the remote {remote} parted, both have changed `a`."
    assert message(error) == (f"The branch `main` was not pulled: {what}", resolve)
    assert error.value.code == "diverged"
    with pytest.raises(DivergedError) as error:
        push(two)
    assert message(error) == (f"The branch `main` was not pushed: {what}", resolve)
    assert (uncommitted(two), two.branch_head("main")) == (before, at)
    assert hub.heads() == {"main": one.branch_head("main")}


@pytest.mark.parametrize("kind", ["rows that Dolt mixes", "rows in conflict"])
def test_the_way_out_that_is_told_leads_out(hub: Hub, kind: str) -> None:
    for name, value in (("name", "Bea"), ("email", "bea@example.com")):
        dolt(Path.cwd(), "config", "--global", "--add", f"user.{name}", value)
    one, folder = hub.clone("one"), hub.folder / "two" / "numbers"
    clone(hub.url, folder)
    statement = "insert into a values (3, 3)" if kind == "rows that Dolt mixes" else "update a set v = 3"
    sql(one, statement, "call dolt_commit('-am', 'theirs')")
    push(one)
    with Database.at(folder).open() as two:
        put(two, "a", 5, 6)
        with pytest.raises(DivergedError) as error:
            push(two)
    told = [command.split() for command in re.findall("`dolt ([^`]*)`", error.value.hint)]
    fetch, checkout, merge, resolve, commit, ours, commit_ours, _, push_it = told
    for command in (fetch, checkout):
        dolt(folder, *command)
    merged = subprocess.run(["dolt", *merge], cwd=folder, capture_output=True)
    if kind == "rows that Dolt mixes":
        assert merged.returncode == 0
        assert [row["id"] for row in rows_by_dolt(folder, "select id from a")] == [1, 2, 3]
        dolt(folder, *ours)
        dolt(folder, *commit_ours)
    else:
        assert merged.returncode == 1
        dolt(folder, *[part.replace("TABLE", "a") for part in resolve])
        dolt(folder, *commit, "-m", "merged")
    dolt(folder, *push_it)
    assert hub.heads() == {"main": head(folder)}
    assert hub.rows("a") == [(1, 5), (2, 6)]


def test_one_change_made_on_both_sides_is_one(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    for session in (one, two):
        put(session, "a", 7, 8)
        sql(session, "drop table c", "call dolt_commit('-am', 'no c')")
    put(two, "b", 6)
    push(one)
    push(two)
    assert (hub.rows("a"), hub.rows("b")) == ([(1, 7), (2, 8)], [(1, 6)])
    assert "c" not in two.tables(hub.heads()["main"])


def test_what_dolt_cannot_merge_is_told(hub: Hub) -> None:
    one = hub.clone("one")
    sql(one, "create table child (id int primary key, a int, foreign key (a) references a (id))",
        "call dolt_commit('-Am', 'child')")  # fmt: skip
    push(one)
    two = hub.clone("two")
    sql(one, "delete from a", "call dolt_commit('-am', 'no parent')")
    push(one)
    sql(two, "insert into child values (1, 1)", "call dolt_commit('-am', 'a child')")
    before, at = uncommitted(two), two.branch_head("main")
    with pytest.raises(DivergedError, match=r"Dolt cannot merge what they have done .*constraint"):
        push(two)
    assert (uncommitted(two), two.branch_head("main")) == (before, at)
    assert hub.heads() == {"main": one.branch_head("main")}


def test_a_branch_that_only_the_remote_has_is_made_and_tracks_it(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    sql(one, "call dolt_branch('feature/x')")
    put(one, "a", 5, branch="feature/x")
    push(one, "feature/x")
    main = two.branch_head("main")
    pull(two, "feature/x")
    assert two.branches() == {"main": main, "feature/x": one.branch_head("feature/x")}
    assert two.database.location.head_branch() == "main"
    state = json.loads((folder_of(two) / ".dolt" / "repo_state.json").read_text())
    assert state["branches"]["feature/x"] == {"head": "refs/heads/feature/x", "remote": "origin"}


def test_a_branch_that_only_is_here_stays_and_is_pushed(hub: Hub) -> None:
    one = hub.clone("one")
    sql(one, "call dolt_branch('mine')")
    commit = put(one, "a", 5, branch="mine")
    pull(one, "mine")
    assert one.branch_head("mine") == commit
    pull(one, "nowhere")
    pull(one, "--prune")
    assert sorted(one.branches()) == ["main", "mine"]
    push(one, "mine")
    assert hub.heads() == {"main": one.branch_head("main"), "mine": commit}


def test_a_deleted_branch_of_the_remote_leaves_the_one_here(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    sql(one, "call dolt_branch('gone')", "call dolt_push('origin', 'gone')")
    pull(two, "gone")
    sql(one, "call dolt_push('origin', ':gone')")
    commit = put(two, "a", 5, branch="gone")
    pull(two, "gone")
    assert two.branch_head("gone") == commit


# Pushing


def test_a_push_brings_the_remote_what_the_branch_has_and_no_other_branch(hub: Hub) -> None:
    one = hub.clone("one")
    sql(one, "call dolt_branch('mine')")
    put(one, "a", 5, branch="mine")
    commit = put(one, "a", 6)
    push(one)
    push(one)
    assert hub.heads() == {"main": commit}


def test_a_rejected_push_merges_and_tries_again(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    sql(two, "insert into c values (9, 9)")
    before = uncommitted(two)
    theirs = put(one, "a", 5)
    push(one)
    ours = put(two, "b", 6)
    push(two)
    merged = two.commit(two.branch_head("main"))
    assert (merged.parents, merged.message) == ((ours, theirs), f"Merge branch 'main' of {hub.url} into main")
    assert hub.heads() == {"main": merged.hash}
    assert (hub.rows("a"), hub.rows("b")) == ([(1, 5)], [(1, 6)])
    assert uncommitted(two) == before
    assert [two.last_change(table, merged.hash) for table in ("a", "b")] == [theirs, ours]
    pull(one)
    assert one.branch_head("main") == merged.hash


def test_what_is_not_committed_keeps_no_push_back(hub: Hub) -> None:
    one, two = hub.clone("one"), hub.clone("two")
    put(one, "a", 5)
    push(one)
    sql(two, "insert into a values (2, 2)")
    before = uncommitted(two)
    commit = put(two, "b", 6)
    push(two)
    assert (hub.rows("a"), hub.rows("b")) == ([(1, 5)], [(1, 6)])
    # The remote's `a` does not go over what the user has there.
    assert (two.branch_head("main"), uncommitted(two)) == (commit, before)
    with pytest.raises(DirtyTableError):
        pull(two)
    later = put(two, "b", 7)
    push(two)
    assert (two.branch_head("main"), hub.rows("a"), hub.rows("b")) == (later, [(1, 5)], [(1, 7)])
    sql(two, "call dolt_checkout('a')")
    pull(two)
    assert two.branch_head("main") == hub.heads()["main"]


def test_who_pushes_at_once_loses_nothing(hub: Hub) -> None:
    sessions = [hub.clone(name) for name in ("one", "two", "three")]

    def work(session: Session, table: str) -> None:
        for number in range(3):
            put(session, table, *range(number + 2))
            push(session)

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(work, *pair) for pair in zip(sessions, TABLES, strict=True)]:
            done.result()
    assert [hub.rows(table) for table in TABLES] == [[(1, 0), (2, 1), (3, 2), (4, 3)]] * 3
    looker = hub.sessions["looker"]
    log = looker._connection.rows("select message from dolt_log(%s)", [hub.heads()["main"]])
    assert sum(text.startswith("Run: ") for (text,) in log) == 9


def test_histories_without_a_common_commit_are_not_merged(hub: Hub) -> None:
    other = make_database(hub.folder / "other" / "numbers", "create table a (id int primary key, v int)")
    dolt(other, "remote", "add", "origin", hub.url)
    before, at = steady(other), head(other)
    with Database.at(other).open() as session:
        for do, what in ((pull, "pulled"), (push, "pushed")):
            with pytest.raises(DivergedError) as error:
                do(session)
            assert message(error) == (
                f"The branch `main` was not {what}: here and at the remote `origin` at {hub.url} it has no commit in "
                "common.",
                "Is it another database? Push to another branch, or clone origin anew.",
            )
    assert (steady(other), head(other)) == (before, at)


# Which remote, and whether it is there


def test_a_remote_whose_folder_is_gone_is_not_made_anew(hub: Hub) -> None:
    one = hub.clone("one")
    (hub.folder / "hub").rename(hub.folder / "elsewhere")
    for do in (pull, push, lambda session: session.fetch(session.remote())):
        with pytest.raises(RemoteError) as error:
            do(one)
        assert message(error) == (
            f"There is no folder for the remote {hub.url}.",
            "Is its disk mounted? `mkdir` makes it for a new remote.",
        )
    assert not (hub.folder / "hub").exists()


@pytest.mark.long  # Dolt tries for six seconds.
def test_a_server_that_does_not_answer_is_named(hub: Hub) -> None:
    one = hub.clone("one")
    sql(one, "call dolt_remote('add', 'far', 'http://127.0.0.1:9/numbers')")
    with pytest.raises(RemoteError) as error:
        one.push(one.remote("far"), "main", AUTHOR)
    text, hint = message(error)
    assert text.startswith("The remote `far` at http://127.0.0.1:9/numbers cannot be reached or refuses. Dolt says: ")
    assert "connection refused" in text
    assert hint.startswith("Is its address right (`dolt remote -v`), and may you use it (`dolt login` for DoltHub;")
    assert hint.endswith("Push it later: `dolt push far main`.")


def test_the_remote_that_is_meant(hub: Hub) -> None:
    one = hub.clone("one")
    add = "call dolt_remote('add', %s, %s)"

    def remote(asked: str | None = None) -> str:
        return one.remote(asked).name

    assert remote() == remote("origin") == remote(hub.url) == remote(f"{hub.url}/") == remote("someone/numbers")
    one._connection.rows(add, ["hub", "https://doltremoteapi.dolthub.com/owner/numbers"])
    one._connection.rows(add, ["server", "http://ann@example.com:50051/numbers"])
    assert (remote(), remote("server"), remote("owner/numbers")) == ("origin", "server", "hub")
    assert remote("http://example.com:50051/numbers") == "server"
    assert [one.remote(asked).user for asked in ("server", "hub", "http://bo@example.com:50051/numbers")] == [
        "ann", None, "bo",
    ]  # fmt: skip
    there = (
        f"it has `origin` at {hub.url}, `hub` at https://doltremoteapi.dolthub.com/owner/numbers, `server` at "
        "http://ann@example.com:50051/numbers."
    )
    with pytest.raises(RemoteError) as error:
        remote("https://example.com/numbers")
    assert message(error) == (
        f"The database `numbers` has no remote https://example.com/numbers; {there}",
        "Is it another database of that name? Give its folder's path, and `remote=` with what to clone.",
    )
    sql(one, "call dolt_remote('remove', 'origin')")
    with pytest.raises(RemoteError) as error:
        remote()
    assert message(error) == (
        "The database `numbers` has several remotes, and none is called `origin`; it has "
        "`hub` at https://doltremoteapi.dolthub.com/owner/numbers, `server` at http://ann@example.com:50051/numbers.",
        "Say which with `remote=`.",
    )
    sql(one, "call dolt_remote('remove', 'hub')")
    assert remote() == "server"
    sql(one, "call dolt_remote('remove', 'server')")
    with pytest.raises(RemoteError) as error:
        remote()
    assert message(error) == (
        "The database `numbers` has no remote.", "`dolt remote add origin URL` in its folder adds one.",
    )  # fmt: skip


def test_a_fork_is_not_taken_for_what_was_asked_for(hub: Hub) -> None:
    one = hub.clone("one")
    sql(one, "call dolt_remote('remove', 'origin')",
        "call dolt_remote('add', 'origin', 'https://doltremoteapi.dolthub.com/me/numbers')")  # fmt: skip
    with pytest.raises(RemoteError, match=r"has no remote them/numbers; it has `origin` at https://.*/me/numbers"):
        one.remote("them/numbers")


@pytest.mark.parametrize(
    ("url", "asked", "is_meant"),
    [
        ("file:///srv/prices", "dolthub/prices", True),
        ("file:///srv/a%20b/prices/", "dolthub/prices", True),
        ("aws://[table:bucket]/prices", "dolthub/prices", True),
        ("file:///srv/something-else", "dolthub/prices", False),
        ("file:///srv/other-prices", "dolthub/prices", False),
        ("git+ssh://git@github.com/dolthub/prices.git", "dolthub/prices", True),
        ("git+ssh://git@github.com/else/other.git", "dolthub/prices", False),
        ("git+ssh://git@github.com/else/prices.git", "dolthub/prices", False),
        ("git+https://github.com/else/prices", "dolthub/prices", False),
    ],
)
def test_a_remote_of_another_name_is_not_taken_for_a_copy(url: str, asked: str, is_meant: bool) -> None:
    known = [Remote("origin", url)]
    if is_meant:
        assert choose(known, asked, "prices") == known[0]
        return
    with pytest.raises(RemoteError) as error:
        choose(known, asked, "prices")
    assert message(error) == (
        f"The database `prices` has no remote {asked}; it has `origin` at {url}.",
        "Is it another database of that name? Give its folder's path, and `remote=` with what to clone.",
    )


# Passwords


def test_no_password_is_taken_or_shown(hub: Hub) -> None:
    for address in ("http://ann:secret@example.com:50051/numbers", "https://ann:se@cr/et@example.com/numbers"):
        for given in ({"database": address}, {"database": "numbers", "remote": address}):
            with pytest.raises(UsageError) as error:
                DoltConfig(**given, dolthub_remote=True)
            name = address.partition("ann")[0]
            host = "example.com:50051" if "50051" in address else "example.com"
            assert message(error) == (
                f"There is a password in {name}ann:…@{host}/numbers.",
                "Leave it out: Dolt takes it from DOLT_REMOTE_PASSWORD, and for DoltHub from `dolt login`.",
            )
    one = hub.clone("one")
    sql(one, "call dolt_remote('remove', 'origin')",
        "call dolt_remote('add', 'origin', 'http://ann:secret@127.0.0.1:9/numbers')")  # fmt: skip
    with pytest.raises(UsageError, match=r"There is a password in http://ann:…@127.0.0.1:9/numbers"):
        one.remote()
    with pytest.raises(RemoteError, match=r"it has `origin` at http://ann:…@127"):
        one.remote("other")


# Cloning


def test_a_clone_is_there_whole_once(hub: Hub) -> None:
    folder = hub.folder / "new" / "numbers"
    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(clone, hub.url, folder) for _ in range(3)]:
            done.result()
    assert [path.name for path in folder.parent.iterdir()] == ["numbers"]
    assert rows_by_dolt(folder, "select * from a") == [{"id": 1, "v": 1}]
    assert rows_by_dolt(folder, "select name, url from dolt_remotes") == [{"name": "origin", "url": hub.url}]


def test_a_clone_waits_no_longer_than_it_may(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub.folder / "new" / "numbers"
    monkeypatch.setenv("DOLTFLOW_LOCK_TIMEOUT", "0.1")
    with (runtime_folder(folder) / "clone.lock").open("a+") as lock, ThreadPoolExecutor() as threads:
        fcntl.flock(lock, fcntl.LOCK_EX)
        late = threads.submit(clone, hub.url, folder)
        try:
            error = late.exception(timeout=20)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
    assert isinstance(error, DatabaseLockedError)
    assert (error.message, error.hint) == (
        f"Another doltflow process has held {folder} for longer than 0.1 s.",
        "Wait for it, or raise DOLTFLOW_LOCK_TIMEOUT.",
    )
    assert not folder.exists()


def test_what_cannot_be_cloned_leaves_nothing(hub: Hub) -> None:
    empty = hub.folder / "empty"
    empty.mkdir()
    folder = hub.folder / "new" / "numbers"
    with pytest.raises(RemoteError) as error:
        clone(f"file://{empty}", folder)
    assert message(error) == (
        f"file://{empty} cannot be cloned. Dolt says: clone failed; remote at that url contains no Dolt data.",
        "Is the address right, and may you read it (`dolt login` for DoltHub; DOLT_REMOTE_PASSWORD, and the user in "
        "the URL, for a server)?",
    )
    with pytest.raises(RemoteError, match=r"There is no folder for the remote file:.*/nowhere\."):
        clone(f"file://{hub.folder}/nowhere", folder)
    assert list(folder.parent.iterdir()) == []
    assert not (hub.folder / "nowhere").exists()


def test_a_configuration_says_which_folder_and_what_to_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in isolated(tmp_path / "home").items():
        monkeypatch.setenv(name, value)

    def where(database: str, remote: str | None = None) -> tuple[str, str | None, str | None]:
        config = DoltConfig(database, dolthub_remote=True, remote=remote)
        return str(config.folder), config.address, config.asked_remote

    assert where("dolthub/hospital-prices") == ("hospital-prices", *["dolthub/hospital-prices"] * 2)
    assert where("file:///srv/a%20b/prices/") == ("prices", *["file:///srv/a%20b/prices/"] * 2)
    assert where("aws://[table:bucket]/prices") == ("prices", *["aws://[table:bucket]/prices"] * 2)
    assert where("prices") == ("prices", None, None)
    assert where("./data/prices", "owner/prices") == ("data/prices", *["owner/prices"] * 2)
    assert where("data/prices", "backup") == ("data/prices", None, "backup")
    make_database(Path.cwd() / "data" / "prices")
    assert where("data/prices") == ("data/prices", None, None)
    assert DoltConfig("data/other").folder == Path("data/other")
    for database, text in (
        ("file:///", "file:/// names no database."),
        ("http://h:1", "http://h:1 names no database."),
    ):
        with pytest.raises(UsageError, match=text):
            DoltConfig(database, dolthub_remote=True)
    with pytest.raises(UsageError, match=r"The database is file:///x, a remote. `dolthub_remote=True` clones it"):
        DoltConfig("file:///x", push_on_commit=True)
    with pytest.raises(UsageError, match="The remote is `origin`, and nothing is to be done with it"):
        DoltConfig("x", remote="origin")
