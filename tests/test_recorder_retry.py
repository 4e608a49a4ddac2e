"""Tasks that commit, fail and are tried again: one result, as if they had succeeded at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FlowRun, footprint, head, sql
from flows.harness import World, commits, rows, trailers, world

FAILURES = {"append": 1, "keyless": 1, "replace": 1, "update": 1, "create": 1, "count": 1, "twice": 2, "other": 1}


@dataclass(frozen=True)
class Retried:
    world: World
    run: FlowRun
    database: Path
    before: dict[str, str]
    artifacts: dict[str, dict[str, Any]]

    def task(self, kind: str) -> str:
        (found,) = [task for task, artifacts in self.artifacts.items() if artifacts.get("kind") == kind]
        return found

    def commits(self, task: str) -> list[dict[str, Any]]:
        """What the messages of a task's commits tell, oldest first."""
        mine = [c for c in commits(self.database) if c["message"].split("\n")[0] == f"Run: {self.run.pathspec}/{task}"]
        told = [(commit, trailers(commit["message"])) for commit in reversed(mine)]
        return [
            {
                "hash": commit["commit_hash"],
                "attempt": dict(pairs)["Attempt"],
                "wrote": [value["table"] for name, value in pairs if name == "Write"],
                "reads": [value for name, value in pairs if name == "Read"],
            }
            for commit, pairs in told
        ]


@pytest.fixture(scope="module")
def retried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retried]:
    with world(tmp_path_factory.mktemp("retry")) as here:
        keyed = [f"create table t_{name} (id int primary key, v int)" for name in ("append", "replace", "update")]
        named = [f"create table t_{name} (name varchar(20) primary key, v int)" for name in ("count", "twice")]
        database = here.database(
            "numbers",
            *keyed,
            *named,
            "create table t_keyless (v int)",
            "insert into t_append values (0, 0)",
            "insert into t_replace values (8, 8), (9, 9)",
            "insert into t_update values (1, 1), (2, 2), (3, 3)",
            "insert into t_keyless values (1)",
            "insert into t_count values ('mine', 5)",
            "insert into t_twice values ('mine', 5)",
        )
        before = footprint(database)
        run = here.run("retry_flow.py")
        yield Retried(here, run, database, before, here.artifacts(run, "dolt", "kind", "was_caught"))


def test_each_table_is_as_one_success_would_have_left_it(retried: Retried) -> None:
    database = retried.database
    assert rows(database, "t_append") == [
        {"id": 0, "v": 0}, {"id": 1, "v": 10}, {"id": 2, "v": 20}, {"id": 100, "v": 1},
    ]  # fmt: skip
    assert sorted(row["v"] for row in rows(database, "t_keyless")) == [1, 1, 1, 2, 3]
    assert rows(database, "t_replace") == [{"id": 1, "v": 5}]
    assert rows(database, "t_update") == [{"id": 1, "v": 11}, {"id": 2, "v": 22}, {"id": 3, "v": 3}, {"id": 7, "v": 77}]
    assert rows(database, "t_create") == [{"id": 1, "v": "text"}]
    assert rows(database, "t_count") == [{"name": "mine", "v": 6}, {"name": "sibling's", "v": 1}]
    assert rows(database, "t_twice") == [{"name": "mine", "v": 6}]
    assert rows(database, "t_derived") == [{"name": "mine", "v": 60}]
    assert [row["name"] for row in sql(database, "select table_name as name from information_schema.tables "
            "where table_schema = 'numbers' and table_name like 't_other%'")] == ["t_other_1"]  # fmt: skip


@pytest.mark.parametrize("kind", FAILURES)
def test_every_attempt_has_its_commit_and_the_last_one_counts(retried: Retried, kind: str) -> None:
    task = retried.task(kind)
    contexts = 2 if kind == "twice" else 1
    made = retried.commits(task)
    assert [commit["attempt"] for commit in made] == [n for n in range(FAILURES[kind] + 1) for _ in range(contexts)]
    accesses = [a for a in retried.artifacts[task]["dolt"]["accesses"] if a["pathspec"].endswith(f"/{task}")]
    assert {access["attempt"] for access in accesses} == {FAILURES[kind]}
    writes = [access for access in accesses if access["kind"] == "write"]
    assert [access["commit"] for access in writes] == [commit["hash"] for commit in made[-contexts:]]
    assert retried.artifacts[task]["dolt"]["tasks"][f"{retried.run.pathspec}/{task}"]["attempt"] == FAILURES[kind]


def test_an_attempt_sees_what_its_predecessor_saw(retried: Retried) -> None:
    for kind in ("count", "twice"):
        task = retried.task(kind)
        made = retried.commits(task)
        reads = [a for a in retried.artifacts[task]["dolt"]["accesses"] if a["kind"] == "read"]
        assert reads[0]["commit"] == head(retried.database, f"{made[0]['hash']}~1")
        assert made[-1]["reads"][0]["commit"] == reads[0]["commit"]
    assert reads[1]["commit"] == made[-2]["hash"], "the second context sees what the first one of its attempt wrote"


def test_the_run_that_changed_a_table_is_the_task(retried: Retried) -> None:
    kinds = {
        "t_create": "create",
        "t_derived": "twice",
        "t_replace": "replace",
        "t_twice": "twice",
        "t_count": "sibling",
    }
    found = retried.world.notebook(
        f"dolt = DoltDT(config=DoltConfig('numbers'))\nresult = {{t: dolt.get_run(t) for t in {list(kinds)}}}"
    )
    assert found == {table: f"{retried.run.pathspec}/{retried.task(kind)}" for table, kind in kinds.items()}


def test_what_a_caught_failure_committed_stays_and_is_its_tasks(retried: Retried) -> None:
    (caught,) = [task for task in retried.artifacts if task.startswith("caught/")]
    (end,) = [task for task in retried.artifacts if task.startswith("end/")]
    assert retried.artifacts[end]["was_caught"] is True
    (commit,) = retried.commits(caught)
    assert commit["wrote"] == ["t_caught"]
    assert "t_count" in commit["reads"][-1]["tables"]
    assert rows(retried.database, "t_end") == [{"v": 1}]
    read = [a for a in retried.artifacts[end]["dolt"]["accesses"] if a["key"] == "t_caught" and a["kind"] == "read"]
    assert [access["commit"] for access in read] == [commit["hash"]]


def test_nothing_else_of_the_database_has_changed(retried: Retried) -> None:
    assert footprint(retried.database) == retried.before
