"""Writes in a step: one commit for each context, or none; alone and many at once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt, footprint, head, sql
from flows.harness import World, commits, is_served, rows, trailers, world

ODD = "ta`ble 'x' \"y\" 100% 表"


@dataclass(frozen=True)
class Writes:
    world: World
    database: Path
    before: dict[str, str]
    errors: dict[str, Any]
    artifact: dict[str, Any]

    def accesses(self, key: str) -> list[dict[str, Any]]:
        return [access for access in self.artifact["accesses"] if access["key"] == key]

    def made(self, commit: str) -> list[dict[str, Any]]:
        """What a commit's message says that it wrote."""
        message = sql(self.database, f"select message from dolt_log('{commit}') limit 1")[0]["message"]
        return [value for name, value in trailers(message) if name == "Write"]


@pytest.fixture(scope="module")
def writes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writes]:
    with world(tmp_path_factory.mktemp("writes")) as here:
        database = here.database(
            "numbers",
            "create table source (id int primary key, v int)",
            "insert into source values (1, 10)",
            "create table other (id int primary key, v int)",
            "create table dirty (id int primary key)",
            "create table staged (id int primary key)",
            "create table count (id int primary key, n int)",
            "insert into count values (1, 0)",
        )
        dolt(database, "branch", "feature/side")
        # Somebody works here: one table is dirty, one is staged.
        dolt(database, "sql", "-q", "insert into dirty values (1); insert into staged values (1)")
        dolt(database, "add", "staged")
        before = footprint(database)
        dolt(database, "branch", "gone")
        run = here.run("writes_flow.py")
        (task,) = [found for name, found in here.artifacts(run, "dolt", "errors").items() if name.startswith("end/")]
        yield Writes(here, database, before, task["errors"], task["dolt"])


def test_all_writes_of_a_context_are_one_commit(writes: Writes) -> None:
    one, two, three = (writes.accesses(key) for key in ("one", "second", "three"))
    for first in (0, 1):
        assert len({access[first]["commit"] for access in (one, two, three)}) == 1
        assert writes.made(one[first]["commit"]) == [
            {"table": table, "mode": "replace", "rows": 2} for table in ("one", "two", "three")
        ]
    assert rows(writes.database, "one") == [{"id": 1, "v": 1.5}, {"id": 2}]
    assert rows(writes.database, "two") == rows(writes.database, "one")
    assert [row["id"] for row in rows(writes.database, "three")] == [7, 8], "as the frame was when it was written"


def test_identical_data_changes_no_table_but_the_run_is_on_record(writes: Writes) -> None:
    one = writes.accesses("one")
    assert [access["changed"] for access in one] == [True, False]
    assert head(writes.database, f"{one[1]['commit']}~1") == one[0]["commit"]
    query = f"select * from dolt_diff_summary('{one[0]['commit']}', '{one[1]['commit']}')"
    assert sql(writes.database, query) == []


def test_two_writes_to_one_table_come_one_after_the_other(writes: Writes) -> None:
    assert rows(writes.database, "twice") == [
        {"id": 1, "v": 1}, {"id": 2, "v": 20}, {"id": 3, "v": 30}, {"id": 4, "v": 40, "w": "new column"},
    ]  # fmt: skip
    accesses = writes.accesses("twice") + writes.accesses("again")
    assert {access["table_name"] for access in accesses} == {"twice"}
    (commit,) = {access["commit"] for access in accesses}
    assert [value["mode"] for value in writes.made(commit)] == ["replace", "update", "append"]


def test_a_write_to_another_branch_leaves_this_one_alone(writes: Writes) -> None:
    assert rows(writes.database, "source", ref="feature/side") == [{"id": 1, "v": 0}]
    assert rows(writes.database, "source") == [{"id": 1, "v": 10}]


def test_a_body_that_raises_commits_nothing(writes: Writes) -> None:
    assert writes.errors["body"] == "in the body"
    assert "never" not in str(sql(writes.database, "show tables"))
    assert [access["kind"] for access in writes.accesses("before the failure")] == ["read"]
    assert writes.accesses("never") == []


def test_a_commit_that_fails_says_why_and_leaves_nothing(writes: Writes) -> None:
    assert writes.errors["dirty"].startswith("DirtyTableError: The table `source` has uncommitted changes on")
    assert [access["kind"] for access in writes.accesses("before the dirt")] == ["read"]
    assert "`gone`" in writes.errors["deleted"]
    assert writes.errors["deleted"].startswith("RefNotFoundError")
    assert writes.errors["taken"].startswith("BadValueError")
    assert rows(writes.database, "other", ref="feature/side") == [{"id": 1, "v": 7}]
    assert rows(writes.database, "source") == [{"id": 1, "v": 10}]


def test_bad_writes_are_refused_and_the_good_one_is_made(writes: Writes) -> None:
    assert [text.split(":")[0] for text in writes.errors["bad"]] == [
        *["UsageError"] * 10, *["SchemaMismatchError"] * 2, *["BadValueError"] * 2, "SchemaMismatchError", "UsageError",
    ]  # fmt: skip
    (good,) = writes.accesses("good")
    assert writes.made(good["commit"]) == [{"table": "good", "mode": "replace", "rows": 1}]
    assert rows(writes.database, "good") == [{"id": 1, "v": "1.00"}]
    assert "bad" not in str(sql(writes.database, "show tables"))


def test_a_table_with_an_odd_name(writes: Writes) -> None:
    first, again = writes.accesses("odd\nkey")
    assert (first["table_name"], first["kind"], again["kind"]) == (ODD, "write", "read")
    assert again["columns"] == {ODD: ["a `b`\n%"]}
    assert writes.made(first["commit"]) == [{"table": ODD, "mode": "replace", "rows": 1}]
    (last,) = [access for access in writes.accesses(ODD) if access["kind"] == "write"]
    message = sql(writes.database, f"select message from dolt_log('{last['commit']}') limit 1")[0]["message"]
    assert ODD in [table for name, value in trailers(message) if name == "Read" for table in value["tables"]]
    assert len(message.splitlines()) == len([line for line in message.splitlines() if line.startswith("Doltflow-")]) + 2


def test_a_context_begun_again_commits_again(writes: Writes) -> None:
    assert rows(writes.database, "count") == [{"id": 1, "n": 2}]
    first, second = (writes.accesses(f"count {number}")[0]["commit"] for number in (1, 2))
    assert head(writes.database, f"{second}~1") == first


def test_nothing_else_of_the_database_has_changed(writes: Writes) -> None:
    assert footprint(writes.database) == writes.before
    assert not is_served(writes.database)


@pytest.mark.long
def test_many_tasks_write_at_once(tmp_path: Path) -> None:
    with world(tmp_path / "parallel") as here:
        tables = [f"create table `{name}` (id int primary key, v int)" for name in ("update", "append", "replace")]
        filled = [f"insert into `{name}` values (1, 0), (2, 0)" for name in ("update", "append", "replace")]
        database = here.database("numbers", *tables, *filled)
        before = footprint(database)
        run = here.run("parallel_flow.py")
        for number in (1, 2):
            assert [row["v"] for row in rows(database, f"table_{number}")] == [number] * 100
        for name in ("update", "append"):
            assert [row["v"] for row in rows(database, name)] == [0] * 2 + [1] * 100 + [2] * 100
        replaced = [row["v"] for row in rows(database, "replace")]
        assert replaced in ([1] * 100, [2] * 100), "whole, whichever came last"
        made = [commit["message"].split("\n")[0] for commit in commits(database)][:-2]
        assert len(made) == len(set(made)) == 8
        assert all(message.startswith(f"Run: {run.pathspec}/work/") for message in made)
        (end,) = [found["dolt"] for name, found in here.artifacts(run, "dolt").items() if name.startswith("end/")]
        told = {(access["table_name"], access["rows"]) for access in end["accesses"]}
        assert told == {(name, 100) for name in ("table_1", "table_2", "update", "append", "replace")}
        assert {access["commit"] for access in end["accesses"]} == {
            commit["commit_hash"] for commit in commits(database) if commit["message"].startswith("Run: ")
        }
        assert json.dumps(end)
        assert footprint(database) == before
