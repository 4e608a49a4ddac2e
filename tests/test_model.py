"""The codecs of the two records: what they write they read back, and what they cannot read they say."""

import json
import pickle
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doltflow.errors import RecordError
from doltflow.model import (
    Access,
    Commit,
    DatabaseConfig,
    Pathspec,
    ReadTrailer,
    Record,
    TaskRecord,
    WriteTrailer,
    decode_artifact,
    encode_artifact,
    encode_message,
    merge_records,
    parse_message,
)
from doltflow.model.artifact import database_name
from doltflow.model.run import rerun_of

TASK = Pathspec("Flow", "1617811645255563", "start", "1")

names = st.text(min_size=1, max_size=12) | st.sampled_from(
    [
        "prices",
        "a b",
        "`x`",
        'say "hi"',
        "naïve",
        "表",
        "💊",
        "line\nbreak",
        "\r\n",
        "tab\t",
        "\u2028",
        "back\\slash",
        "Run: A/1/b/2",
    ]
)
parts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="/"), min_size=1, max_size=8
)
pathspecs = st.builds(Pathspec, parts, parts, parts, parts)
hashes = st.text("0123456789abcdefghijklmnopqrstuv", min_size=32, max_size=32)
counts = st.integers(0, 2**63)
modes = st.sampled_from(["replace", "update", "append"])
write_trailers = st.builds(WriteTrailer, names, st.none() | modes, st.none() | counts)
read_trailers = st.builds(
    ReadTrailer, names, hashes, st.lists(names, max_size=3).map(lambda t: tuple(sorted(set(t)))), st.none() | names
)
accesses = st.builds(
    Access,
    kind=st.sampled_from(["read", "write"]),
    key=names,
    database=names,
    branch=st.none() | names,
    commit=st.none() | hashes,
    tables=st.none() | st.lists(names, max_size=3).map(tuple),
    pathspec=pathspecs.map(str),
    query=st.none() | names,
    table_name=st.none() | names,
    columns=st.dictionaries(names, st.none() | st.lists(names, max_size=3).map(tuple), max_size=3).map(
        lambda columns: tuple(columns.items())
    ),
    rows=st.none() | counts,
    mode=st.none() | modes,
    changed=st.none() | st.booleans(),
    attempt=st.integers(0, 9),
    timestamp=st.floats(0, 4e9),
    artifact_name=st.none() | names,
    config_id=st.none() | names,
    where=st.none() | names,
    folder=st.none() | names,
    whole=st.none() | st.lists(names, max_size=3).map(tuple),
    derived=st.none()
    | st.dictionaries(names, st.none() | st.lists(names, max_size=3).map(tuple), max_size=3).map(
        lambda derived: tuple(derived.items())
    ),
)
configs = st.builds(DatabaseConfig, names, names, st.none() | names, st.none() | hashes)
tasks = st.builds(
    TaskRecord, pathspecs.map(str), st.integers(0, 9), st.none() | names, git_dirty=st.none() | st.booleans()
)
records = st.builds(
    Record,
    st.lists(accesses, max_size=5).map(tuple),
    st.lists(configs, max_size=3).map(tuple),
    st.lists(tasks, max_size=3).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def no_tables(query: str) -> tuple[str, ...] | None:
    raise AssertionError(f"nobody should ask which tables {query!r} reads")


def read(**changes: Any) -> Access:
    return replace(
        Access("read", "prices", "db", "main", "0" * 32, ("prices",), "Flow/1/start/1", timestamp=1.0, config_id="c"),
        **changes,
    )


# Commit messages


def test_a_message_is_written_as_the_design_says() -> None:
    message = encode_message(
        TASK,
        attempt=1,
        writes=[WriteTrailer("variance_by_procedure", "replace", 3)],
        reads=[
            ReadTrailer("prices-db", "a" * 32, ("prices",), "main"),
            ReadTrailer("prices-db", "a" * 32, ("hospitals",)),
        ],
        rerun_of={"pathspec": "Flow/7", "kind": "replay"},
    )
    assert message == (
        "Run: Flow/1617811645255563/start/1\n"
        "\n"
        "Doltflow-Version: 1\n"
        "Doltflow-Attempt: 1\n"
        'Doltflow-Write: {"table": "variance_by_procedure", "mode": "replace", "rows": 3}\n'
        'Doltflow-Read: {"database": "prices-db", "branch": "main", "commit": "%s", '
        '"tables": ["hospitals", "prices"]}\n'
        'Doltflow-Rerun-Of: {"pathspec": "Flow/7", "kind": "replay"}' % ("a" * 32)
    )


@settings(max_examples=200, deadline=None)
@given(
    pathspecs,
    counts,
    st.lists(write_trailers, max_size=4),
    st.lists(read_trailers, max_size=4),
    st.none() | st.fixed_dictionaries({"pathspec": names, "kind": names}),
)
def test_a_message_is_read_back(
    pathspec: Pathspec, attempt: int, writes: list[WriteTrailer], reads: list[ReadTrailer], rerun: dict[str, str] | None
) -> None:
    message = encode_message(pathspec, attempt=attempt, writes=writes, reads=reads, rerun_of=rerun)
    assert message.isascii() or not str(pathspec).isascii()
    run = parse_message(message)
    assert run is not None
    assert (run.pathspec, run.version, run.attempt, run.broken) == (pathspec, 1, attempt, ())
    assert run.writes == tuple(writes)
    assert run.rerun_of == rerun
    places = [(r.database, r.commit) for r in run.reads]
    assert len(places) == len(set(places)), "one line for each database and commit"
    for place in places:
        told = [r for r in reads if (r.database, r.commit) == place]
        found = next(r for r in run.reads if (r.database, r.commit) == place)
        assert set(found.tables) == {table for r in told for table in r.tables}
        assert found.branch == next((r.branch for r in told if r.branch), None)
    assert parse_message(message.replace("\n", "\r\n")) == run, "as an editor on Windows leaves it"


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Run",
        "Run:",
        "Run: ",
        "run: Flow/1/start/1",
        "Run: Flow/1/start",
        "Run: Flow/1/start/1/x",
        "Run: Flow//start/1",
        " Run: Flow/1/start/1",
        "Run: Flow/1/start/1 ",
        "Run: Flow/1/start/1 by hand",
        "Rerun: Flow/1/start/1",
        "Import\n\nRun: Flow/1/start/1",
        "Run: Flow/1/st art/1",
    ],
)
def test_what_is_not_a_runs_message_is_none(message: str) -> None:
    assert parse_message(message) is None


def test_the_original_integrations_message_has_no_version() -> None:
    run = parse_message("Run: HospitalPriceStateMedians/1617810636925188/start/1")
    assert run is not None
    assert (run.pathspec.run, run.version, run.writes, run.reads, run.broken) == (
        "HospitalPriceStateMedians/1617810636925188",
        None,
        (),
        (),
        (),
    )


def test_a_later_version_may_say_more() -> None:
    run = parse_message(f'Run: {TASK}\n\nDoltflow-Version: 2\nDoltflow-Mood: "sunny"\nSigned-off-by: A <a@b>\n')
    assert run is not None
    assert (run.version, run.broken) == (2, ())


@pytest.mark.parametrize(
    "line",
    [
        "Doltflow-Version: x",
        "Doltflow-Version: true",
        "Doltflow-Version: 1.0",
        "Doltflow-Version: -1",
        "Doltflow-Attempt: null",
        "Doltflow-Attempt: " + "9" * 5000,
        "Doltflow-Write: ",
        "Doltflow-Write: []",
        "Doltflow-Write: 5",
        'Doltflow-Write: "t"',
        "Doltflow-Write: {}",
        'Doltflow-Write: {"table": 5}',
        'Doltflow-Write: {"table": "t", "rows": -1}',
        'Doltflow-Write: {"table": "t", "rows": 1.5}',
        'Doltflow-Write: {"table": "t", "mode": []}',
        'Doltflow-Write: {"table": "t"',
        'Doltflow-Write: {"table": "\\ud800"}',
        'Doltflow-Read: {"database": "d", "commit": "c"}',
        "Doltflow-Read: null",
        'Doltflow-Read: {"database": "d", "commit": "c", "tables": "abc"}',
        'Doltflow-Read: {"database": "d", "commit": "c", "tables": {"a": 1}}',
        'Doltflow-Read: {"database": "d", "commit": null, "tables": []}',
        'Doltflow-Read: {"database": "d", "commit": "c", "tables": [1]}',
        'Doltflow-Read: {"database": "d", "commit": "c", "tables": [], "branch": 1}',
        'Doltflow-Rerun-Of: ""',
        "Doltflow-Rerun-Of: []",
        "Doltflow-Rerun-Of: {}",
        'Doltflow-Rerun-Of: {"pathspec": "Flow/1"}',
        "Doltflow-Write: " + "[" * 100_000,
    ],
)
def test_a_broken_trailer_is_left_out_and_named(line: str) -> None:
    good = 'Doltflow-Write: {"table": "t", "mode": "append", "rows": 1}'
    run = parse_message(f"Run: {TASK}\n\nDoltflow-Version: 1\n{line}\n{good}\n")
    assert run is not None
    assert run.broken == (line,)
    assert run.writes == (WriteTrailer("t", "append", 1),)
    assert (run.reads, run.rerun_of, run.attempt, run.version) == ((), None, 0, 1)


trailer_lines = st.builds(
    lambda name, value: f"Doltflow-{name}: {value}",
    st.sampled_from(["Version", "Attempt", "Write", "Read", "Rerun-Of", "Else"]),
    json_values.map(json.dumps)
    | st.text(max_size=20)
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ["table", "mode", "rows", "database", "branch", "commit", "tables", "pathspec", "kind"], json_values
        ),
    ).map(json.dumps),
)


@settings(max_examples=700, deadline=None)
@given(st.lists(trailer_lines | st.text(max_size=30), max_size=5))
def test_no_message_breaks_the_parser(lines: list[str]) -> None:
    run = parse_message("\n".join([f"Run: {TASK}", "", *lines]))
    assert run is not None
    kept = len(run.writes) + len(run.reads)
    known = [line for line in "\n".join(lines).split("\n") if line.startswith(("Doltflow-Write: ", "Doltflow-Read: "))]
    lost = [line for line in run.broken if line.startswith(("Doltflow-Write: ", "Doltflow-Read: "))]
    assert kept + len(lost) == len(known), "each is read or named"
    again = encode_message(run.pathspec, attempt=run.attempt, writes=run.writes, reads=run.reads, rerun_of=run.rerun_of)
    parsed = parse_message(again)
    assert parsed is not None
    assert (parsed.writes, parsed.broken, parsed.rerun_of) == (run.writes, (), run.rerun_of)


@settings(max_examples=700, deadline=None)
@given(
    st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"Run: Flow/1/start/1\n\nDoltflow-Read: " + rest)
)
def test_no_bytes_break_the_parser(message: bytes) -> None:
    run = parse_message(message.decode("utf-8", "surrogateescape"))
    assert run is None or all(line.startswith("Doltflow-") for line in run.broken)


def test_a_commits_subject() -> None:
    commit = Commit("db", "0" * 32, (), "Ann", "ann@example.com", datetime(2021, 4, 7, tzinfo=UTC), "First\n\nsecond")
    assert commit.subject == "First"


# Artifacts


@settings(max_examples=150, deadline=None)
@given(records)
def test_an_artifact_is_read_back(record: Record) -> None:
    record = merge_records([record])
    artifact = encode_artifact(record)
    assert decode_artifact(artifact, tables_of=no_tables) == record
    assert decode_artifact(pickle.loads(pickle.dumps(artifact)), tables_of=no_tables) == record
    assert decode_artifact(json.loads(json.dumps(artifact)), tables_of=no_tables) == record
    assert merge_records([record, record]) == record


@settings(max_examples=150, deadline=None)
@given(records)
def test_actions_keep_the_last_access_of_each_key_in_the_originals_fields(record: Record) -> None:
    record = merge_records([record])
    artifact = encode_artifact(record)
    last = {access.key: access for access in record.accesses}
    for key, access in last.items():
        action = artifact["actions"][key]
        assert list(action) == [
            "key",
            "config_id",
            "pathspec",
            "table_name",
            "kind",
            "query",
            "commit",
            "artifact_name",
            "timestamp",
        ]
        assert action == {name: getattr(access, name) for name in action}
    assert artifact["actions"].keys() == last.keys()
    assert list(artifact["configs"]) == [config.id for config in record.configs]
    for config in artifact["configs"].values():
        assert list(config) == ["id", "database", "branch", "commit", "dolthub_remote", "push_on_commit"]


def test_records_are_merged_in_order_of_time_and_the_later_attempt_counts() -> None:
    one = Record(
        (read(timestamp=3.0),), (DatabaseConfig("c", "db"),), (TaskRecord("Flow/1/start/1", 1, python="3.11"),)
    )
    two = Record(
        (read(timestamp=2.0), read(timestamp=3.0)), (DatabaseConfig("d", "db"),), (TaskRecord("Flow/1/start/1", 0),)
    )
    for records in ([one, two], [two, one]):
        merged = merge_records(records)
        assert [access.timestamp for access in merged.accesses] == [2.0, 3.0]
        assert {config.id for config in merged.configs} == {"c", "d"}
        assert merged.tasks == (TaskRecord("Flow/1/start/1", 1, python="3.11"),)


def test_two_accesses_at_one_moment_both_stay() -> None:
    both = Record((read(tables=("a",)), read(tables=("b",))))
    assert len(merge_records([both]).accesses) == 2


ORIGINAL: dict[str, Any] = {
    "actions": {
        "prices": {
            "key": "prices",
            "config_id": "c1",
            "pathspec": "Medians/16178/start/1",
            "table_name": "prices",
            "kind": "read",
            "query": "SELECT * FROM `prices`",
            "commit": "gstcq5loi9ieqdv1elrljab9hcgr090p",
            "artifact_name": None,
            "timestamp": 1617810636.9,
        },
        "joined": {
            "key": "joined",
            "config_id": "c1",
            "pathspec": "Medians/16178/start/1",
            "table_name": None,
            "kind": "read",
            "query": "SELECT * FROM prices JOIN hospitals USING (npi_number)",
            "commit": "gstcq5loi9ieqdv1elrljab9hcgr090p",
            "artifact_name": "df",
            "timestamp": 1617810637.9,
        },
        "medians": {
            "key": "medians",
            "config_id": "c2",
            "pathspec": "Medians/16178/start/1",
            "table_name": "medians",
            "kind": "write",
            "query": "SELECT * FROM `medians`",
            "commit": "3je2okkrig5h3dbmuf8bhmfq0okps3lg",
            "artifact_name": None,
            "timestamp": 1617810638.9,
        },
    },
    "configs": {
        "c1": {
            "id": "c1",
            "database": "/Users/oscar/dolt-dbs/hospital-price-transparency/",
            "branch": "master",
            "commit": "gstcq5loi9ieqdv1elrljab9hcgr090p",
            "dolthub_remote": False,
            "push_on_commit": False,
        },
        "c2": {
            "id": "c2",
            "database": "../hospital-price-analysis",
            "branch": "metaflow-backtest",
            "commit": None,
            "dolthub_remote": False,
            "push_on_commit": False,
        },
    },
}


def test_the_original_integrations_artifact() -> None:
    record = decode_artifact(ORIGINAL, tables_of=lambda query: ("hospitals", "prices"))
    assert [(a.kind, a.key, a.database, a.branch, a.tables, a.artifact_name) for a in record.accesses] == [
        ("read", "prices", "hospital-price-transparency", "master", ("prices",), None),
        ("read", "joined", "hospital-price-transparency", "master", ("hospitals", "prices"), "df"),
        ("write", "medians", "hospital-price-analysis", "metaflow-backtest", ("medians",), None),
    ]
    assert [a.commit for a in record.accesses][-1] == "3je2okkrig5h3dbmuf8bhmfq0okps3lg"
    assert record.tasks == ()
    assert decode_artifact(ORIGINAL, tables_of=lambda query: None).accesses[1].tables is None
    again = encode_artifact(record)
    assert again["actions"] == ORIGINAL["actions"]
    assert again["configs"] == ORIGINAL["configs"]


def test_the_originals_default_commit_is_a_type() -> None:
    action = ORIGINAL["actions"]["prices"] | {"commit": type(None)}
    record = decode_artifact({"actions": {"prices": action}, "configs": ORIGINAL["configs"]}, tables_of=no_tables)
    assert record.accesses[0].commit is None


@pytest.mark.parametrize(
    ("database", "name"),
    [("/a/b", "b"), ("b/", "b"), ("../x/../b", "b"), ("b", "b"), ("a b", "a b"), (".", ""), ("", "")],
)
def test_the_name_of_a_database_at_a_path(database: str, name: str) -> None:
    assert database_name(database) == name


def broken_artifacts() -> st.SearchStrategy[Any]:
    """Artifacts of which one place holds something else."""
    whole = encode_artifact(Record((read(),), (DatabaseConfig("c", "db"),), (TaskRecord("Flow/1/start/1"),)))
    places = [
        ("actions",),
        ("configs",),
        ("accesses",),
        ("tasks",),
        ("configs", "c"),
        ("accesses", 0),
        ("tasks", "Flow/1/start/1"),
    ]
    places += [("accesses", 0, field.name) for field in fields(Access)]
    places += [("configs", "c", field.name) for field in fields(DatabaseConfig)]
    places += [("tasks", "Flow/1/start/1", field.name) for field in fields(TaskRecord)]

    def replaced(place: tuple[Any, ...], value: Any, drop: bool) -> Any:
        artifact = json.loads(json.dumps(whole))
        inner = artifact
        for name in place[:-1]:
            inner = inner[name]
        if drop and isinstance(inner, dict):
            inner.pop(place[-1], None)
        else:
            inner[place[-1]] = value
        return artifact

    return st.builds(replaced, st.sampled_from(places), json_values, st.booleans())


@settings(max_examples=1000, deadline=None)
@given(json_values | broken_artifacts() | st.fixed_dictionaries({"actions": json_values, "configs": json_values}))
def test_a_broken_artifact_is_a_record_error_and_nothing_else(artifact: Any) -> None:
    record = Record()
    with suppress(RecordError):
        record = decode_artifact(artifact, tables_of=lambda query: None)
    # What is taken can be used: merged, encoded, told.
    merged = merge_records([record, record])
    decoded = decode_artifact(encode_artifact(merged), tables_of=no_tables)
    assert decoded.accesses == merged.accesses
    assert all(json.dumps(access.summary()) for access in record.accesses)


@pytest.mark.parametrize("artifact", [5, "text", None, [], object(), {"a": 1}, {"actions": {}}, b"\x80"])
def test_what_is_no_artifact(artifact: object) -> None:
    with pytest.raises(RecordError, match="`dolt`"):
        decode_artifact(artifact, tables_of=no_tables)


@settings(max_examples=200, deadline=None)
@given(accesses)
def test_an_access_tells_itself_without_what_is_empty(access: Access) -> None:
    summary = access.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert None not in summary.values()
    assert "folder" not in summary
    assert summary["key"] == access.key


# Names


@settings(max_examples=150, deadline=None)
@given(pathspecs)
def test_a_pathspec_is_read_back(pathspec: Pathspec) -> None:
    assert Pathspec.parse(str(pathspec)) == pathspec
    assert Pathspec.parse(pathspec.run) == pathspec.zoomed("run")
    assert str(pathspec.zoomed("step")) == str(pathspec).rpartition("/")[0]
    assert pathspec.zoomed("task") == pathspec


@pytest.mark.parametrize(
    "text", ["", "Flow", "/", "Flow/", "/1", "Flow/1/", "Flow/1/a/2/3", "Flow /1", "Flow/1\n", "a//b"]
)
def test_what_is_no_pathspec(text: str) -> None:
    assert Pathspec.parse(text) is None


def test_tags_tell_of_a_rerun() -> None:
    assert rerun_of([]) is None
    assert rerun_of(["nightly", "doltflow:replay=Flow/1"]) is None
    assert rerun_of(["nightly", "doltflow:replay-of=Flow/1"]) == {"pathspec": "Flow/1", "kind": "replay"}
    assert rerun_of(["doltflow:backtest-of=Flow/2"]) == {"pathspec": "Flow/2", "kind": "backtest"}
