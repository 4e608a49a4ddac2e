"""Everything that is read back as a text or a record: parsed, or refused by an error that explains."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from amount import amount
from hostile import HOSTILE, NAMES, STEERING, WHERE
from hypothesis import given
from hypothesis import strategies as st

from doltflow.cli.entry import asked_output
from doltflow.cli.options import listed_names
from doltflow.compare.tolerance import Tolerance
from doltflow.errors import DoltflowError, QueryError, nearest, shortened
from doltflow.model.access import Access, TaskRecord
from doltflow.model.artifact import DatabaseConfig, Record, decode_artifact, encode_artifact, merge_records
from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message, parse_message
from doltflow.model.moment import parse_moment, parse_span
from doltflow.model.pathspec import Pathspec
from doltflow.model.pins import Pins
from doltflow.render.plain import plain
from doltflow.render.text import exact, safe, value
from doltflow.sources.dolt.folder import Folder
from doltflow.sources.dolt.made import forget_made, made_in
from doltflow.sql import analyse, check_predicate, derive, is_aggregate, tables_of
from doltflow.workspace.settings import load_settings

texts = st.one_of(
    st.text(max_size=40), st.sampled_from([*NAMES, STEERING, "", "x" * 10_000, "\udcff", "a/b/c/d", "main"])
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.integers(10**18, 10**400), st.floats(), texts)
plain_data = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
pathspecs = st.one_of(st.sampled_from(["Flow/1/start/1", "Flow/1", "Flow/latest~3", "F/1/a/2/b", "/", "F//a/1"]), texts)


def among(names: str, values: st.SearchStrategy[Any] = plain_data) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings with some of the names that a record has, and any values."""
    return st.dictionaries(st.one_of(st.sampled_from(names.split()), texts), st.one_of(values, plain_data), max_size=9)


def spoiled(text: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts with a piece cut out, doubled, or put in."""

    @st.composite
    def cut(draw: st.DrawFn) -> str:
        whole = draw(text)
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
        return whole[:start] + draw(st.one_of(texts, st.just(whole[start:end] * 2), st.just(""))) + whole[end:]

    return st.one_of(text, cut())


trailers = st.builds(
    "Doltflow-{}: {}".format,
    st.sampled_from(["Version", "Attempt", "Write", "Read", "Rerun-Of", "Else"]),
    st.one_of(
        plain_data.map(json.dumps),
        among("table mode rows database branch commit tables pathspec kind").map(json.dumps),
        texts,
        st.just("[" * 100_000),
        st.just("1" * 5_000),
    ),
)
messages = st.builds(
    "Run: {}{}{}".format,
    pathspecs,
    st.sampled_from(["\n\n", "\r\n", " ", ""]),
    st.lists(trailers, max_size=5).map("\n".join),
)


@amount(200, 1.0)
@given(message=st.one_of(spoiled(messages), texts))
def test_trailers(message: str) -> None:
    found = parse_message(message)
    if found is None:
        return
    assert isinstance(found.attempt, int)
    again = encode_message(
        found.pathspec, attempt=found.attempt, writes=found.writes, reads=found.reads, rerun_of=found.rerun_of
    )
    read = parse_message(again)
    assert read is not None
    assert (read.pathspec, read.writes) == (found.pathspec, found.writes)


@amount(100, 0.5)
@given(
    tables=st.lists(st.text(max_size=30), max_size=3),
    database=st.text(max_size=30),
    branch=st.none() | st.text(max_size=30),
)
def test_trailers_of_any_names(tables: list[str], database: str, branch: str | None) -> None:
    writes = tuple(WriteTrailer(table, "replace", 1) for table in tables)
    reads = (ReadTrailer(database, "a" * 32, tuple(sorted(set(tables))), branch),)
    text = encode_message(Pathspec("F", "1", "s", "2"), attempt=0, writes=writes, reads=reads)
    assert text.isascii()
    found = parse_message(text)
    assert found is not None
    assert (found.writes, found.reads, found.broken) == (writes, reads, ())


ACCESS = " ".join(Access.__dataclass_fields__)
CONFIG = " ".join(DatabaseConfig.__dataclass_fields__)
TASK = " ".join(TaskRecord.__dataclass_fields__)
ACTION = "key config_id pathspec table_name kind query commit artifact_name timestamp"
artifacts = st.fixed_dictionaries(
    {},
    optional={
        "version": plain_data,
        "actions": st.one_of(st.dictionaries(texts, among(ACTION), max_size=3), plain_data),
        "configs": st.one_of(st.dictionaries(texts, among(CONFIG), max_size=3), plain_data),
        "accesses": st.one_of(st.lists(among(ACCESS), max_size=3), plain_data),
        "tasks": st.one_of(st.lists(among(TASK), max_size=3), plain_data),
    },
)  # fmt: skip


@amount(300, 1.0)
@given(artifact=st.one_of(artifacts, plain_data))
def test_artifacts(artifact: Any) -> None:
    with suppress(DoltflowError):
        record = decode_artifact(artifact, tables_of=tables_of)
        assert decode_artifact(encode_artifact(record), tables_of=tables_of) is not None
        merge_records([record, record])
        json.dumps([plain(access.summary()) for access in record.accesses])


accesses = st.builds(
    Access,
    kind=st.sampled_from(["read", "write"]),
    key=texts,
    database=st.sampled_from(["db"]),
    branch=st.none() | texts,
    commit=st.none() | texts,
    tables=st.none() | st.tuples(texts),
    pathspec=st.just("F/1/s/2"),
    query=st.none() | texts,
    config_id=st.just("c"),
    rows=st.none() | st.integers(0, 9),
)


@amount(100, 0.5)
@given(given_=st.lists(accesses, max_size=3))
def test_artifacts_of_any_names(given_: list[Access]) -> None:
    record = Record(tuple(given_), (DatabaseConfig("c", "db"),), (TaskRecord("F/1/s/2"),))
    assert decode_artifact(encode_artifact(record), tables_of=tables_of).accesses == record.accesses


PINS = {"version": 1, "kind": "replay", "of": "F/1", "databases": [], "reads": []}
pins = st.one_of(
    plain_data,
    st.builds(
        lambda databases, reads: {**PINS, "databases": databases, "reads": reads},
        st.one_of(st.lists(among("database folder branch commit"), max_size=2), plain_data),
        st.one_of(st.lists(among("step foreach key database tables commit own ends"), max_size=2), plain_data),
    ),
).map(json.dumps)


@amount(200, 1.0)
@given(text=spoiled(pins))
def test_pins(text: str) -> None:
    with suppress(DoltflowError):
        found = Pins.decode(text)
        assert Pins.decode(found.encode()) == found
        found.database("db")


@contextmanager
def file_of(name: str, text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogateescape" if text.isprintable() else "surrogatepass"))
        yield Path(folder)


made = st.one_of(
    plain_data, st.dictionaries(texts, among("kind commit made of", st.just("2026-01-01T00:00:00+00:00")), max_size=3)
)


@amount(100, 1.0)
@given(text=spoiled(made.map(json.dumps)))
def test_the_file_of_made_branches(text: str) -> None:
    with file_of(".dolt/doltflow-branches.json", text) as folder, suppress(DoltflowError):
        known = made_in(Folder(folder))
        for name in known:
            forget_made(Folder(folder), name)
        assert made_in(Folder(folder)) == {}


toml = st.one_of(
    texts,
    st.builds("databases = {}".format, plain_data.map(json.dumps)),
    st.builds("[tool.doltflow]\ndatabases = {}".format, st.lists(texts, max_size=3).map(json.dumps)),
    st.builds("[tool]\ndoltflow = {}".format, plain_data.map(json.dumps)),
    st.builds("{} = 1".format, texts.map(json.dumps)),
)


@amount(100, 1.0)
@given(text=spoiled(toml), name=st.sampled_from(["doltflow.toml", "pyproject.toml"]))
def test_settings(text: str, name: str) -> None:
    with file_of(name, text) as folder, suppress(DoltflowError):
        load_settings(folder)


dates = st.one_of(
    st.datetimes(timezones=st.none() | st.timezones()).map(str),
    st.dates().map(str),
    st.sampled_from(["0001-01-01", "9999-12-31T23:59:59-23:59"]),
    texts,
)


@amount(200, 1.0)
@given(first=spoiled(dates), last=spoiled(dates), end=st.booleans())
def test_dates(first: str, last: str, end: bool) -> None:
    with suppress(DoltflowError):
        assert parse_moment(first, end=end).tzinfo is not None
    with suppress(DoltflowError):
        parse_span(first, last)


@amount(200, 1.0)
@given(text=st.one_of(spoiled(pathspecs), texts))
def test_small_texts(text: str) -> None:
    found = Pathspec.parse(text)
    if found is not None:
        assert str(found) == text
        assert found.back is None or found.back >= 0
        assert Pathspec.parse(found.run) is not None
    with suppress(DoltflowError):
        Tolerance.parse(text)
    with suppress(DoltflowError):
        assert all(listed_names(text))
    asked_output([text, "--output"])
    nearest(text, [text, "a", text[:3]])
    assert len(shortened(text)) <= max(len(text), 4_001)
    assert safe(text).isprintable() or "\n" not in safe(text)
    exact(text)
    value(text)


WORDS = """
SELECT FROM t u WHERE a b = 1 'x' `q` ( ) , ; . * AS OF WITH UNION JOIN ON IN NOT NULL CASE WHEN END count( sum( OVER
PARTITION BY ORDER LIMIT GROUP HAVING EXISTS INTO OUTFILE DELETE UPDATE /* */ -- # ` ' " @ @@ := /*! INTERVAL DAY
json_table( dolt_log( dolt_diff( 'main' VALUES ROW( TABLE LATERAL WINDOW RECURSIVE CAST( COLLATE BINARY 0x 1e9 x'
"""
words = st.sampled_from(WORDS.split())
queries = st.one_of(
    st.lists(words, max_size=25).map(" ".join),
    spoiled(st.sampled_from(HOSTILE + WHERE)),
    spoiled(
        st.sampled_from(
            [
                "WITH q AS (SELECT a, count(*) AS n FROM t GROUP BY a) SELECT q.a, u.b FROM q JOIN u ON u.a = q.a",
                "SELECT * FROM t AS OF 'main' x, `db/v1`.u WHERE x.a IN (SELECT b FROM u) ORDER BY 1 LIMIT 3",
                "(SELECT a FROM t) UNION ALL (TABLE u) LIMIT 3 OFFSET 4;",
                "SELECT sum(a) OVER (PARTITION BY b), CASE WHEN a THEN 'x;--' END FROM dolt_diff('a', 'b', 't')",
            ]
        )
    ),
    texts,
)
SCHEMA = {"t": ["a", "b"], "u": ["a", "b"], "it's": ["x`y"]}


@amount(300, 1.0)
@given(query=queries)
def test_queries(query: str) -> None:
    for schema in (None, SCHEMA):
        with suppress(QueryError):
            found = analyse(query, schema)
            assert (
                not {"into", "delete", "update"} & set(query.lower().split())
                or "'" in query
                or '"' in query
                or "`" in query
                or "--" in query
                or "#" in query
                or "/*" in query
            )
            assert found.tables == tuple(sorted(found.tables))
    with suppress(QueryError):
        derive(query, SCHEMA)
    tables_of(query)


@amount(200, 1.0)
@given(text=queries)
def test_predicates(text: str) -> None:
    with suppress(QueryError):
        check_predicate(text)
    with suppress(QueryError):
        is_aggregate(text)


@pytest.mark.parametrize("text", ["", "x" * 10_000, "\x00"])
def test_errors_are_short(text: str) -> None:
    assert len(DoltflowError(f"There is no table `{text}`.").message) < 300
