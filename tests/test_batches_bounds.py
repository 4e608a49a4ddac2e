"""What batches cost: a query is asked once, few bytes are held, and who stops early has read little."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from test_batches import relays
from writing import opened

from doltflow.sources.dolt import Session, batches, stream
from doltflow.sources.dolt.connection import Connection, Stream

DIGIT = " union all ".join(f"select {digit}{' as d' if digit == 0 else ''}" for digit in range(10))
# Rows of 15 kB in one value, and of 1.2 kB in four.
STATEMENTS = (
    "create table digits (d int primary key)",
    f"insert into digits {DIGIT}",
    "create view numbers as select a.d + 10 * b.d + 100 * c.d + 1000 * e.d as n"
    " from digits a, digits b, digits c, digits e",
    "create table wide (n int primary key, t longtext)",
    "insert into wide select n, repeat(concat('abcdefghi', n % 10), 1500) from numbers where n < 2000",
    "create table broad (n int, m int, a varchar(400), b varchar(400), c varchar(400), d varchar(400),"
    " primary key (n, m))",
    "insert into broad select n, d, repeat('a', 300), repeat('b', 300), repeat('c', 300), repeat('d', 300)"
    " from numbers, digits where d < 4",
)
MEGABYTE = 1 << 20
# A way to a server that tells how many bytes the server has sent on it.
COUNTER = """
import select, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", int(sys.argv[1])))
passed, others = 0, {client: server, server: client}
try:
    while True:
        for one in select.select(list(others), [], [])[0]:
            data = one.recv(1 << 17)
            passed += len(data) * (one is server)
            others[one].sendall(data)
            if not data:
                raise OSError
except OSError:
    print(passed)
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("bounds"), *STATEMENTS) as found:
        yield found


def sizes(found: batches.Batches) -> list[tuple[int, int]]:
    """How many rows and bytes each batch has."""
    return [(batch.num_rows, batch.nbytes) for batch in found.batches]


def test_batches_of_wide_rows_have_fewer(session: Session) -> None:
    at = session.resolve("main")
    for found in (
        session.read_batches("wide", at),
        session.read_batches("wide", at, None, "n >= 0"),
        session.query_batches("select * from wide", at),
    ):
        told = sizes(found)
        assert sum(rows for rows, _ in told) == 2_000
        assert max(size for _, size in told) < 5 * MEGABYTE
    for found in (
        session.read_batches("broad", at),
        session.read_batches("broad", at, None, "n >= 0"),
        session.query_batches("select * from broad", at),
    ):
        first = next(found.batches)
        assert len(relays()) == 1
        told = [(first.num_rows, first.nbytes), *sizes(found)]
        assert not relays()
        assert sum(rows for rows, _ in told) == 40_000
        assert max(size for _, size in told) < 20 * MEGABYTE


@pytest.mark.parametrize("where", [None, "n >= 0"])
def test_who_stops_early_has_read_little(
    session: Session, where: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a predicate, by an account that may do nothing but SELECT."""
    monkeypatch.setattr(batches, "ROWS", 2_000)
    monkeypatch.setattr(stream, "BULK_ROWS", 1_000)
    monkeypatch.setattr(stream, "BULK_MOST", 0)
    with counted(session, monkeypatch) as counter:
        found = session.read_batches("broad", session.resolve("main"), None, where)
        assert next(found.batches).num_rows == 2_000
        assert len(relays()) == 1
        found.batches.close()
        assert counter.stdout is not None
        assert int(counter.stdout.readline()) < 25 * MEGABYTE  # Of fifty; much of it was in the system's buffers.
    assert not relays()
    while asked_now(session):  # The server notices it when it sends on.
        pass
    assert capfd.readouterr() == ("", "")


@contextmanager
def counted(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[str]"]:
    """Has the bulk reader find the server on a way that counts."""
    port, url = session._connection.endpoint.port, Connection.url
    command = [sys.executable, "-c", COUNTER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as counter:
        assert counter.stdout is not None
        way = int(counter.stdout.readline())

        def counted_url(self: Connection) -> str:
            parts = urlsplit(url(self))
            return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{port}", f":{way}")))

        monkeypatch.setattr(Connection, "url", counted_url)
        try:
            yield counter
        finally:
            counter.kill()


def asked_now(session: Session) -> list[str]:
    """The queries that the server is answering."""
    texts = [str(row[-1]) for row in session._connection.rows("show processlist")]
    return [text for text in texts if "broad" in text]


def test_a_short_result_is_asked_for_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, streamed = [], Connection.stream

    @contextmanager
    def told(self: Connection, query: str) -> Iterator[Stream]:
        asked.append(query)
        with streamed(self, query) as found:
            yield found

    monkeypatch.setattr(Connection, "stream", told)
    at = session.resolve("main")
    for query in ("select sum(n) as total from broad", "select n from wide where n < 999"):
        rows = 1 if "sum" in query else 999
        assert [(batch.num_rows) for batch in session.query_batches(query, at).batches] == [rows]
    assert asked == ["select sum(n) as total from broad", "select n from wide where n < 999"]


def test_a_query_that_nobody_reads_ends(session: Session) -> None:
    at = session.resolve("main")
    endless = "select a.n from broad a, broad b, broad c"
    found = session.query_batches(endless, at)
    assert len(asked_now(session)) == 1
    found.batches.close()
    while asked_now(session):  # The server notices it when it sends on.
        pass
