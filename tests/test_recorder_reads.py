"""Reads in a step: what they see, and what is recorded of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import check_out, dolt, footprint, head, sql
from flows.harness import World, rows, trailers, world


@dataclass(frozen=True)
class Reads:
    world: World
    database: Path
    before: dict[str, str]
    past: str
    pinned: str
    seen: dict[str, Any]
    artifact: dict[str, Any]

    def access(self, key: str, kind: str = "read") -> dict[str, Any]:
        (found,) = [a for a in self.artifact["accesses"] if a["key"] == key and a["kind"] == kind]
        return found


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reads]:
    with world(tmp_path_factory.mktemp("reads")) as here:
        database = here.database(
            "numbers",
            "create table source (id int primary key, v int)",
            "insert into source values (1, 10), (2, 20)",
            "create table other (id int primary key)",
            "insert into other values (1)",
            "create view bigger as select id, v from source where v > 5",
            "create view big as select b.id from bigger b",
        )
        past = head(database)
        dolt(database, "tag", "v1")
        # What is checked out is not `main`, so that is what a config without a branch means.
        check_out(database, "work", "main")
        dolt(database, "sql", "-q", "insert into source values (3, 30); call dolt_commit('-Am', 'third')")
        dolt(database, "sql", "-q", "insert into other values (2)")
        before = footprint(database)
        pinned = head(database, "work")
        run = here.run("reads_flow.py", "--past", past)
        (task,) = [found for name, found in here.artifacts(run, "dolt", "seen").items() if name.startswith("end/")]
        yield Reads(here, database, before, past, pinned, task["seen"], task["dolt"])


def test_all_reads_of_a_context_see_one_commit_while_others_commit(reads: Reads) -> None:
    assert reads.seen["pinned"] == [3, 3, 3, 2]
    assert {reads.access(key)["commit"] for key in ("first", "second", "third", "arrow")} == {reads.pinned}
    assert {row["message"] for row in sql(reads.database, "select message from dolt_log('work')")} >= {"elsewhere"}
    assert [row["id"] for row in rows(reads.database, "source", ref="work")] == [1, 2, 3, 9]
    write = reads.access("result", "write")
    assert [row["id"] for row in rows(reads.database, "result", ref="work")] == [1, 2]
    assert head(reads.database, f"{write['commit']}~2") == reads.pinned, "the write comes after the other's commit"


@pytest.mark.folder
def test_a_config_without_a_branch_means_the_one_that_is_checked_out(reads: Reads) -> None:
    assert {reads.access("first")["branch"], reads.access("result", "write")["branch"]} == {"work"}
    assert reads.before["head"] == "refs/heads/work"


def test_reads_at_a_tag_and_writes_to_a_branch(reads: Reads) -> None:
    assert reads.seen["at a tag"] == reads.seen["at a hash"] == 2
    assert reads.access("tag")["commit"] == reads.access("hash")["commit"] == reads.past
    write = reads.access("old", "write")
    assert write["branch"] == "main"
    assert head(reads.database, "main") == write["commit"]
    message = sql(reads.database, f"select message from dolt_log('{write['commit']}') limit 1")[0]["message"]
    told = [value for name, value in trailers(message) if name == "Read"]
    assert [(value["branch"], value["commit"], value["tables"]) for value in told] == [
        ("work", reads.pinned, ["source"]), ("main", reads.past, ["source"]),
    ]  # fmt: skip


def test_a_query_on_the_past_is_a_read_at_each_commit(reads: Reads) -> None:
    assert reads.seen["joined with the past"] == 2
    past = [access for access in reads.artifact["accesses"] if access["key"] == "past"]
    assert {(access["commit"] == reads.past, tuple(access["tables"])) for access in past} == {
        (True, ("source",)), (False, ("other", "source")),
    }  # fmt: skip
    only = [access for access in reads.artifact["accesses"] if access["key"] == "only past" and access["tables"]]
    assert [(access["commit"], access["tables"]) for access in only] == [(reads.past, ["source"])]


def test_a_view_is_looked_through(reads: Reads) -> None:
    access = reads.access("view")
    assert (access["tables"], access["columns"]) == (["source"], {"source": ["id", "v"]})


def test_differences_are_reads_of_both_ends(reads: Reads) -> None:
    assert reads.seen["differences"] == 0
    found = [a for a in reads.artifact["accesses"] if a["key"] == "diff(source)"]
    assert {access["commit"] for access in found} == {reads.past, reads.access("old", "write")["commit"]}
    (made,) = [a for a in reads.artifact["accesses"] if a["key"] == "diff(result)"]
    assert made["commit"] == reads.access("result", "write")["commit"], "only one end has the table"


def test_what_was_refused_is_not_recorded(reads: Reads) -> None:
    names = [text.split(":")[0] for text in reads.seen["refused"]]
    assert names == ["QueryError", "QueryError", "QueryError", "TableNotFoundError"]
    assert head(reads.database) in reads.seen["refused"][0]
    assert "refused" not in reads.artifact["actions"]


def test_a_read_without_run_or_with_is_recorded_on_the_step(reads: Reads) -> None:
    assert reads.seen["recorded by an empty context"] is False
    assert {"loose", "made before the task"} <= set(reads.seen["keys"])
    assert reads.access("config as an artifact")["config_id"] == reads.access("loose")["config_id"]
    assert reads.access("loose")["pathspec"].split("/")[2:] == ["start", "1"]
    assert "UsageError" in reads.seen["written outside"]


def test_artifacts_that_hold_a_frame_are_named(reads: Reads) -> None:
    assert reads.access("arrow")["artifact_name"] == "arrow"
    assert reads.access("result", "write")["artifact_name"] == "arrow"
    assert reads.access("first")["artifact_name"] is None


def test_the_users_namespace_is_left_alone(reads: Reads) -> None:
    assert reads.seen["namespace"] == "user:someone"


def test_nothing_else_of_the_database_has_changed(reads: Reads) -> None:
    assert footprint(reads.database) == reads.before
