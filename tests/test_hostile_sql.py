"""Queries that mean harm: refused before they reach Dolt, and powerless where they reach it all the same."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from doltflow.errors import DoltflowError, QueryError
from doltflow.sources.dolt import Database, Session
from doltflow.sources.dolt.differing import Where
from doltflow.sources.dolt.reading import READER
from doltflow.sql import analyse, check_predicate
from tests.conftest import dolt, sql
from tests.hostile import HOSTILE, WHERE
from tests.test_server import free_port, info, wait_until

MakeDatabase = Callable[..., Path]
# What a user's own query may well need.
READS = [
    "SELECT * FROM t",
    "SELECT * FROM vw",
    "(SELECT id FROM t) UNION (SELECT 7) ORDER BY 1;",
    "WITH q AS (SELECT max(id) AS m FROM t) SELECT * FROM q",
    "-- told\nSELECT 1 -- why",
    "TABLE t",
    "VALUES ROW(1, 2), ROW(3, 4)",
    "VALUES ROW(1);",
    "SELECT * FROM t AS OF 'other'",
    "SELECT * FROM `db/other`.t",
    "SELECT count(*) FROM dolt_log('main')",
    "SELECT * FROM dolt_diff('main~1', 'main', 't')",
    "SELECT count(*) FROM dolt_patch('main~1', 'main')",
    "SELECT count(*) FROM dolt_diff_stat('main~1', 'main')",
    "SELECT count(*) FROM dolt_schema_diff('main~1', 'main')",
    "SELECT count(*) FROM dolt_history_t",
    "SELECT count(*) FROM dolt_blame_t",
    "SELECT * FROM json_table('[1]', '$[*]' columns (n int path '$')) j",
    "SELECT id AS a, id AS a FROM t",
    "SELECT 'x INTO OUTFILE y; DELETE FROM t' AS s",
    "SELECT '\\'; DELETE FROM t; -- '",
]


@pytest.fixture
def folder(database: MakeDatabase) -> Path:
    folder = database(
        "db", "create table t (id int primary key, v varchar(20))", "insert into t values (1, 'a'), (2, 'b')"
    )
    dolt(
        folder,
        "sql",
        stdin="create view vw as select * from t; create procedure change_it() delete from t; "
        "insert into t values (3, 'c'); call dolt_commit('-Am', 'more'); call dolt_branch('other'); "
        "call dolt_tag('v1'); insert into t values (4, 'uncommitted');",
    )
    with Database.at(folder).open():  # A folder's first server notes its name in the configuration.
        pass
    return folder


@contextmanager
def served_by_others(folder: Path, log: Path) -> Iterator[None]:
    """A server that is not doltflow's, on which it has the account that may do everything."""
    with log.open("wb") as out:
        command = ["dolt", "sql-server", "--host", "127.0.0.1", "--port", str(free_port())]
        server = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        try:
            wait_until(info(folder).exists)
            yield
        finally:
            server.terminate()
            server.wait()


def state(folder: Path, *others: Path) -> dict[str, Any]:
    """All that a query could have changed: refs, working sets, accounts, and the bytes of every file around."""
    asked = {
        "branches": "select name, hash, dirty from dolt_branches order by name",
        "tags": "select tag_name, tag_hash from dolt_tags order by tag_name",
        "working": "select * from t order by id",
        "other": "select * from `db/other`.t order by id",
        "databases": "show databases",
        "tables": "show full tables",
        "accounts": "select user, host from mysql.user order by user, host",
        "status": "select * from dolt_status",
        "remotes": "select name, url from dolt_remotes",
        "backups": "select name, url from dolt_backups",
        "stashes": "select name from dolt_stashes",
    }
    found: dict[str, Any] = {name: sql(folder, query) for name, query in asked.items()}
    # A server's own notes, and the store, whose refs and tables are above.
    left_out = {"sql-server.info", "LOCK", "noms"}
    for top in (folder, *others):
        found[str(top)] = {
            str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(top.rglob("*"))
            if not left_out & set(path.relative_to(top).parts)
        }
    return found


def attack(session: Session, texts: list[str], folder: Path, out: Path, ask: Callable[[str], object]) -> list[str]:
    """Asks in spite of all; the texts that Dolt took."""
    load = session._connection.endpoint.load_folder or folder / ".dolt" / "temptf"
    taken = []
    for text in texts:
        filled = text.replace("{out}", str(out)).replace("{folder}", str(folder)).replace("{load}", str(load))
        with suppress(DoltflowError, UnicodeError):
            ask(filled)
            taken.append(text)
    return taken


def by_every_route(session: Session, folder: Path, out: Path) -> dict[str, list[str]]:
    """Gives hostile texts to every question that takes SQL of a user's, past what checks it; those that were taken."""
    at, before = session.resolve("main"), session.resolve("main~1")
    columns = session.definition("t", at)
    assert columns is not None
    names = (("id", "id"), ("v", "v"))
    routes: dict[str, tuple[list[str], Callable[[str], object]]] = {
        "query": (HOSTILE, lambda text: session.query(text, at)),
        "read": (WHERE, lambda text: session.read("t", at, where=text)),
        "matching": (WHERE, lambda text: session.matching_keys("t", at, text, 9)),
        "removed": (WHERE, lambda text: session.removed_keys("t", at, text, 9)),
        "ordered": (WHERE, lambda text: list(session.ordered("t", at, [], [("`id`", False)], text))),
        "check": (WHERE, lambda text: session.check_where("t", at, text, [])),
        "differing": (WHERE, lambda text: list(session.differing("t", (before, at), [], Where(text, names, names)))),
    }
    taken = {name: attack(session, texts, folder, out, ask) for name, (texts, ask) in routes.items()}
    del taken["removed"]  # It finds nothing where Dolt refuses the question.
    return taken


WRITES = {"SET", "CALL", "DELETE", "INSERT", "REPLACE", "UPDATE", "CREATE", "ALTER", "DROP", "USE", "ANALYZE", "KILL"}


def test_what_reaches_dolt_all_the_same_is_powerless(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    before = state(folder, out)
    with Database.at(folder).open() as session:
        taken = by_every_route(session, folder, out)
        assert not WRITES & {query.split()[0] for query in taken["query"]}
        assert not [query for texts in taken.values() for query in texts if "{" in query]
    assert state(folder, out) == before


def test_so_it_is_on_a_server_of_others(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with served_by_others(folder, tmp_path / "log"):
        before = state(folder, out)
        with Database.at(folder).open() as session:
            assert session._connection.endpoint.load_folder is None
            taken = by_every_route(session, folder, out)
            assert not [query for texts in taken.values() for query in texts if "{" in query]
        assert state(folder, out) == before
        # No account was made there.
        assert sql(folder, f"select user from mysql.user where user = '{READER}'") == []


@pytest.mark.parametrize("ours", [True, False])
def test_reads_are_not_in_its_way(folder: Path, tmp_path: Path, ours: bool) -> None:
    with suppress_if(ours, served_by_others(folder, tmp_path / "log")), Database.at(folder).open() as session:
        at = session.resolve("main")
        for query in READS:
            analyse(query)
            session._connection.use(at)
            cursor_rows = session._connection.rows(query)
            assert session.query(query, at).num_rows == len(cursor_rows), query


@contextmanager
def suppress_if(skipped: bool, context: Any) -> Iterator[None]:
    if skipped:
        yield
        return
    with context:
        yield


def test_an_error_is_dolts_own(folder: Path) -> None:
    with Database.at(folder).open() as session:
        at = session.resolve("main")
        with pytest.raises(QueryError, match=r"^Dolt says: syntax error at position 27 near 'select'") as caught:
            session.query("select * from t wit select", at)
        assert caught.value.hint == "The query was: select * from t wit select"


def test_the_account_is_made_once_and_by_need(folder: Path) -> None:
    accounts = f"select user, host from mysql.user where user = '{READER}'"
    with Database.at(folder).open() as first, Database.at(folder).open() as second:
        at = first.resolve("main")
        assert first.read("t", at).num_rows == 3
        assert first._connection.rows(accounts) == []
        assert first.read("t", at, where="id > 1").num_rows == 2
        assert second.query("select 1", at).num_rows == 1
        assert first._connection.rows(accounts) == [(READER, "%")]
        # The user's own dolt goes on beside it, with all its rights.
        dolt(folder, "branch", "mine")
        dolt(folder, "branch", "-d", "mine")
    assert sql(folder, accounts) == []


def test_the_folder_of_loads_is_there_only_while_it_is_needed(folder: Path) -> None:
    with Database.at(folder).open() as session:
        load = session._connection.endpoint.load_folder
        assert load is not None
        assert not load.exists()
        folder_is = session._connection.value("select @@secure_file_priv")
        assert folder_is == str(load)


@pytest.mark.parametrize("query", HOSTILE)
def test_refused_before_it_reaches_dolt(query: str) -> None:
    with pytest.raises(QueryError) as caught:
        analyse(query)
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("text", WHERE)
def test_predicates_are_too(text: str) -> None:
    with pytest.raises(QueryError):
        check_predicate(text)
