"""A long load in two halves at once: what one load would have made, or nothing."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from conftest import folder_of
from writing import opened, rows_of, sql, steady, uncommitted, write

from doltflow.errors import BadValueError
from doltflow.sources.dolt import Session
from doltflow.sources.dolt.write import halves, rows

ROWS = 60_000


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("halves")) as session:
        yield session


@pytest.fixture
def halved(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each load could be put in in halves."""
    told: list[bool] = []

    def can_be_halved(*args: object) -> bool:
        told.append(halves.can_be_halved(*args))  # type: ignore[arg-type]
        return told[-1]

    monkeypatch.setattr(rows, "can_be_halved", can_be_halved)
    return told


def frame(begin: int, end: int, text: str = "c") -> pa.Table:
    """Rows in the wrong order, one of which holds what only INSERT can put in."""
    numbers = list(reversed(range(begin, end)))
    return pa.table({"id": numbers, "t": ["NULL" if n == begin else f"{text}{n}" for n in numbers]})


def content(session: Session, table: str) -> str | None:
    return session.table_hash(table, session.branch_head("main"))


@pytest.mark.parametrize("mode", ["replace", "update", "append"])
def test_halves_make_what_one_load_makes(
    session: Session, mode: str, halved: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = ROWS if mode == "append" else ROWS // 2
    table = f"made_{mode}"

    def contents() -> str | None:
        sql(session, f"drop table if exists {table}", "call dolt_commit('-Am', 'gone', '--allow-empty')")
        write(session, frame(0, ROWS, "old"), table, "id")
        before = uncommitted(session)
        done = write(session, frame(begin, begin + ROWS), table, "id", mode)  # type: ignore[arg-type]
        assert done.changed == [True]
        assert uncommitted(session) == before
        log = {commit.hash: commit for commit in session.log()}
        assert [len(log[done.commit].parents), log[log[done.commit].parents[0]].subject] == [1, "Run: Flow/1/step/2"]
        return content(session, table)

    in_halves = contents()
    assert halved == [True, True]
    monkeypatch.setattr(rows, "HALVES_ROWS", 10**9)
    assert contents() == in_halves


@pytest.mark.parametrize("bad", [0, ROWS - 1], ids=["first half", "second half"])
def test_a_row_that_is_refused_leaves_nothing(session: Session, bad: int, halved: list[bool]) -> None:
    table = f"checked_{bad}"
    sql(session, f"create table {table} (id bigint primary key, t text, check (id <> {bad}))")
    sql(session, "call dolt_commit('-Am', 'checked')")
    before = steady(folder_of(session))
    with pytest.raises(BadValueError, match="Check constraint"):
        write(session, frame(0, ROWS), table, "id", "append")
    assert halved == [True]
    assert steady(folder_of(session)) == before
    assert rows_of(session, table) == []


def test_a_key_that_is_there_is_refused_in_halves_too(session: Session, halved: list[bool]) -> None:
    write(session, frame(ROWS - 1, ROWS), "taken", "id")
    with pytest.raises(BadValueError, match="59999"):
        write(session, frame(0, ROWS), "taken", "id", "append")
    assert halved == [True]
    assert rows_of(session, "taken") == [(ROWS - 1, "NULL")]


@pytest.mark.parametrize(
    "statements",
    [
        ["create table t (id bigint primary key, t varchar(20), unique (t))"],
        ["create table t (id bigint primary key, t varchar(20), key (t))"],
        ["create table t (id bigint primary key, t varchar(20), p bigint, foreign key (p) references t (id))"],
        ["create table t (id bigint primary key, t varchar(20))", "create table s (a bigint references t (id))",
         "alter table s add foreign key (a) references t (id)"],
        ["create table t (id bigint, t varchar(20) collate utf8mb4_0900_ai_ci, primary key (t))"],
        ["create table t (id bigint, t varchar(20))"],
    ],
    ids=["unique", "index", "foreign key", "referred to", "collation", "no key"],
)  # fmt: skip
def test_rows_that_concern_others_are_put_in_by_one_load(
    session: Session, statements: list[str], halved: list[bool]
) -> None:
    sql(session, "set foreign_key_checks = 0")
    sql(session, "drop table if exists s", "drop table if exists t")
    sql(session, *statements, "call dolt_commit('-Am', 'a table')", "set foreign_key_checks = 1")
    write(session, frame(0, ROWS), "t", mode="append")
    assert halved == [False]
    assert len(rows_of(session, "t")) == ROWS


def test_triggers_are_fired_by_long_frames_too_and_what_they_write_belongs_to_the_commit(session: Session) -> None:
    sql(session, "create table watched (id bigint primary key, t varchar(20))")
    sql(session, "create table log (id bigint primary key)")
    sql(session, "create trigger noted after insert on watched for each row insert into log values (new.id)")
    sql(session, "call dolt_commit('-Am', 'a trigger')")
    before = uncommitted(session)
    write(session, frame(0, 3_000), "watched", mode="append")
    assert [len(rows_of(session, "watched")), len(rows_of(session, "log"))] == [3_000, 3_000]
    assert uncommitted(session) == before
