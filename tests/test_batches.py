"""Reads in batches: the same as whole, few rows held at a time, and nothing left behind."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from flows.harness import World, is_served, left_running, rows, world
from writing import opened

from doltflow import DoltConfig, DoltDT
from doltflow.errors import BadValueError, ColumnNotFoundError, DoltflowError, UsageError
from doltflow.sources.dolt import Session, batches, fetch, relay, stream
from doltflow.sources.dolt.bulk import BulkError, bounded_batches

ROWS, NEVER = 10_000, 10**9
# From how many rows on the bulk reader is asked, and the relay.
WAYS = {"plain": (NEVER, NEVER), "bulk": (1_000, NEVER), "relay": (1_000, 0)}
DIGIT = " union all ".join(f"select {digit}{' as d' if digit == 0 else ''}" for digit in range(10))
STATEMENTS = (
    "create table digits (d int primary key)",
    f"insert into digits {DIGIT}",
    "create table many (k varchar(9), n int, is_odd boolean, is_three boolean, price decimal(12,2),"
    " wide decimal(40,4), d date, t datetime(6), s varchar(20), primary key (k, n))",
    "insert into many select concat('k', n % 100), n, n % 2, n % 3 + 1, if(n % 7, n / 8, null), n / 7,"
    " if(n % 5, '2020-02-29', null), '2020-02-29 12:34:56.789', concat('é', n % 11)"
    " from (select a.d + 10 * b.d + 100 * c.d + 1000 * e.d as n from digits a, digits b, digits c, digits e) as t",
    "create table moments (id int primary key, t time, span time)",
    "insert into moments values (1, '00:00:00', '-00:00:01'), (2, '23:59:59.999999', '24:00:00'), (3, null, null)",
    "create table nothing (id int primary key, flag boolean, t time, price decimal(12,2))",
    "create table keyless (v int)",
    "insert into keyless select n from many where n < 3000",
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("batches"), *STATEMENTS) as found:
        yield found


def ways(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(stream, "BULK_MOST", WAYS[way][1])
    for module in (stream, fetch):
        monkeypatch.setattr(module, "BULK_ROWS", WAYS[way][0])
    monkeypatch.setattr(batches, "ROWS", 2_000)


def whole(found: batches.Batches) -> pa.Table:
    pieces = list(found.batches)
    assert max((piece.num_rows for piece in pieces), default=0) <= 5_000
    return pa.Table.from_batches(pieces, found.schema)


@pytest.mark.parametrize("way", WAYS)
def test_a_table_in_batches_is_the_table(session: Session, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ways(monkeypatch, way)
    at = session.resolve("main")
    asked: list[tuple[str, list[str] | None, str | None]] = [
        ("many", None, None),
        ("many", ["price", "n", "is_three"], "n % 3 > 0"),
        ("many", ["is_odd", "s"], "n < 0"),
        ("moments", None, None),
        ("moments", ["span"], "id = 3"),
        ("nothing", None, None),
        ("keyless", None, None),
    ]
    for table, columns, where in asked:
        found = session.read_batches(table, at, columns, where)
        expected = session.read(table, at, columns, where)
        assert found.rows == (None if where else expected.num_rows)
        got = whole(found)
        assert got.schema == expected.schema
        for a in got.column_names:
            assert got[a].to_pylist() == expected[a].to_pylist(), (table, a)


@pytest.mark.parametrize("way", ["plain", "relay"])
def test_a_query_in_batches_is_its_result(session: Session, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ways(monkeypatch, way)
    at = session.resolve("main")
    for query in (
        "select n, s, t as moment, n as n from many order by n desc",
        "select k, sum(price) as total from many group by k order by k",
        "select n from many where n < 0",
    ):
        assert whole(session.query_batches(query, at)).equals(session.query(query, at))
    spans = whole(session.query_batches("select t from moments where id < 3", at))
    assert spans.column("t").cast(pa.int64()).to_pylist() == [0, 86_399_999_999]
    with pytest.raises(BadValueError, match="`total`"):
        list(session.query_batches("select abs(cast('99.99' as decimal(4,2))) * 1000 + 0.5 as total", at).batches)


def test_few_rows_are_held_however_slowly_they_are_taken(session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    connection = session._connection
    connection.use(session.resolve("main"))
    endless = "select a.n from many a, many b, many c"  # a million millions
    found = bounded_batches(connection.url(), endless, 1_000)
    taken = sum(next(found).num_rows for _ in range(3))
    # What comes when nothing passes any more was held.
    (process,) = relays()
    os.kill(process, signal.SIGKILL)
    is_cut = False
    try:
        taken += sum(batch.num_rows for batch in found)
    except BulkError:
        is_cut = True
    assert is_cut
    assert 3_000 <= taken < 2_000_000
    assert not relays()
    while [row for row in connection.rows("show processlist") if "many a" in str(row[-1])]:
        pass  # The server notices it when it sends on.


def relays() -> list[int]:
    """The relays that this process has started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # A thread that has just ended, or a process.
            for process in (task / "children").read_text().split():
                if Path(relay.__file__).name.encode() in Path(f"/proc/{process}/cmdline").read_bytes():
                    found.append(int(process))
    return found


# In a context


@dataclass(frozen=True)
class Recorded:
    world: World
    database: Path
    artifacts: dict[str, Any]

    @property
    def read_in(self) -> DoltDT:
        return DoltDT(config=DoltConfig(database=str(self.database)))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with world(tmp_path_factory.mktemp("recorded")) as here:
        database = here.database(
            "numbers", "create table source (id int primary key, v int)", "insert into source values (1, 10), (2, 20)",
            *STATEMENTS[:4],
        )  # fmt: skip
        run = here.run("batches_flow.py")
        (task,) = [found for name, found in here.artifacts(run, "dolt", "rows", "other", "half").items()
                   if name.startswith("start/")]  # fmt: skip
        yield Recorded(here, database, task)


def test_each_is_one_read_with_its_rows(recorded: Recorded) -> None:
    assert (recorded.artifacts["rows"], recorded.artifacts["other"]) == ([20, 10, 20, 10, 20], 2)
    accesses = recorded.artifacts["dolt"]["accesses"]
    told = {a["key"]: (a["kind"], a["query"], a["rows"], a["columns"]) for a in accesses}
    v = {"source": ["v"]}
    assert told == {
        "one": ("read", "SELECT * FROM `source`", 2, {"source": None}),
        "two": ("read", "SELECT `v` FROM `source` WHERE v > 15", 1, v),
        "query": ("read", "select v from source order by id", 2, {"source": ["id", "v"]}),
        "other": ("read", "SELECT * FROM `source`", 2, {"source": None}),
        "source": ("read", "SELECT * FROM `source`", 2, {"source": None}),
        "half": ("read", "SELECT * FROM `source` WHERE v > 5", None, {"source": None}),
        "copied": ("write", "SELECT * FROM `copied`", 2, {}),
    }
    assert len(accesses) == len(told)
    assert len({access["commit"] for access in accesses if access["kind"] == "read"}) == 1
    assert [row["v"] for row in rows(recorded.database, "copied")] == [10, 20]


def test_an_earlier_run_is_read_in_batches(recorded: Recorded) -> None:
    code = """
with DoltDT(run=Run("BatchesFlow/" + sorted(run.id for run in Flow("BatchesFlow"))[0])) as dolt:
    readers = [dolt.read(key, as_="arrow", batches=True) for key in ("two", "query", "copied")]
    result = [row["v"] for reader in readers for batch in reader for row in batch.to_pylist()]
"""
    assert recorded.world.notebook(code) == [20, 10, 20, 10, 20]


def test_nothing_is_left_of_what_is_dropped_or_half_read(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ways(monkeypatch, "relay")
    with recorded.read_in as dolt:
        dropped, half, ended = (
            dolt.read("many", key, as_="arrow", batches=True) for key in ("dropped", "half", "ended")
        )
        unread = dolt.read("many", "unread", as_="arrow", batches=True)
        for reader in (dropped, half):
            assert reader.read_next_batch().num_rows == 2_000
        assert len(relays()) == 2
        del dropped, reader
        gc.collect()
        assert len(relays()) == 1
        assert sum(batch.num_rows for batch in ended) == ROWS
        assert len(dolt.read("many", columns=["n"])) == ROWS
    assert not relays()
    for reader in (half, unread):
        with pytest.raises(UsageError, match="has ended"):
            reader.read_next_batch()
    assert list(ended) == []
    assert not is_served(recorded.database)
    assert left_running(recorded.world) == []
    assert capfd.readouterr() == ("", "")


Refused = tuple[Callable[[DoltDT], Any], type[DoltflowError], str]
REFUSED: list[Refused] = [
    (lambda dt: dt.read("source", batches=True), UsageError, "as_='arrow'"),
    (lambda dt: dt.read("source", as_="polars", batches=True), UsageError, "as_='arrow'"),
    (lambda dt: dt.sql("select 1", "q", batches=True), UsageError, "as_='arrow'"),
    (lambda dt: dt.read("source", columns="w", as_="arrow", batches=True), ColumnNotFoundError, "`w`"),
    (lambda dt: dt.read("source", where="w > 1", as_="arrow", batches=True), ColumnNotFoundError, "w"),
]


def test_what_is_refused(recorded: Recorded) -> None:
    with recorded.read_in as dolt:
        for ask, error, words in REFUSED:
            with pytest.raises(error, match=words):
                ask(dolt)
    with pytest.raises(UsageError, match="outside of a `with`"):
        recorded.read_in.read("source", as_="arrow", batches=True)
    assert not is_served(recorded.database)
