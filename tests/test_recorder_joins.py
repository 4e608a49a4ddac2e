"""Runs with foreach and joins: what was read before reaches every commit and every artifact."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FlowRun, footprint, head
from flows.harness import World, commits, messages, trailers, world

EACH = ["a1", "a2", "b1"]
INNER = {
    "a": ["r_start", "r_fan_a", "r_each_a1", "r_each_a2", "r_join_a"],
    "b": ["r_start", "r_fan_b", "r_each_b1", "r_join_b"],
}
OUTER = sorted({*INNER["a"], *INNER["b"]})
READ_BEFORE = {
    "w_start": ["r_start"],
    "w_fan_a": ["r_start", "r_fan_a"],
    "w_fan_b": ["r_start", "r_fan_b"],
    **{f"w_each_{name}": ["r_start", f"r_fan_{name[0]}", f"r_each_{name}"] for name in EACH},
    **{f"w_join_{letter}": INNER[letter] for letter in "ab"},
    "w_left": [*OUTER, "r_left"],
    "w_last_x": [*OUTER, "r_left", "r_last_x"],
    "w_last_y": [*OUTER, "r_left", "r_last_y"],
    "w_end": [*OUTER, "r_left", "r_last_x", "r_last_y", "r_end"],
}


@dataclass(frozen=True)
class Joins:
    world: World
    run: FlowRun
    inputs: Path
    outputs: Path
    before: dict[str, str]
    artifacts: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def joins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joins]:
    with world(tmp_path_factory.mktemp("joins")) as here:
        tables = [name.replace("w_", "r_", 1) for name in READ_BEFORE]
        made = [f"create table {t} (id int primary key, v int)" for t in tables]
        inputs = here.database("inputs", *made, *[f"insert into {t} values (1, {n})" for n, t in enumerate(tables)])
        outputs = here.database("outputs")
        before = footprint(outputs)
        run = here.run("joins_flow.py")
        yield Joins(here, run, inputs, outputs, before, here.artifacts(run, "dolt", "shared"))


def test_each_commit_lists_what_its_task_and_those_before_it_read(joins: Joins) -> None:
    commit = head(joins.inputs)
    found = {}
    for message in messages(joins.outputs).values():
        told = trailers(message)
        (written,) = [value for name, value in told if name == "Write"]
        found[written["table"]] = [value for name, value in told if name == "Read"]
    assert found == {
        table: [{"database": "inputs", "branch": "main", "commit": commit, "tables": sorted(reads)}]
        for table, reads in READ_BEFORE.items()
    }


def test_the_artifact_of_a_join_holds_its_branches(joins: Joins) -> None:
    def reads(task: str) -> set[str]:
        return {access["tables"][0] for access in joins.artifacts[task]["dolt"]["accesses"] if access["kind"] == "read"}

    by_step: dict[str, list[set[str]]] = {}
    for task in joins.artifacts:
        if "dolt" in joins.artifacts[task]:
            by_step.setdefault(task.split("/")[0], []).append(reads(task))
    assert set(OUTER) == by_step["outer_join"][0], "`include=` keeps the record"
    assert {frozenset(tables) for tables in by_step["inner_join"]} == {frozenset(INNER["a"]), frozenset(INNER["b"])}
    assert by_step["end"] == [set(READ_BEFORE["w_end"])]
    assert set(joins.artifacts) - {task for task, found in joins.artifacts.items() if "dolt" in found} == {
        task for task in joins.artifacts if task.split("/")[0] in ("static_join", "spread", "gather")
    }, "one excluded it, the other did not merge"


def test_merging_leaves_the_flows_own_artifacts_to_metaflow(joins: Joins) -> None:
    (outer,) = [found for task, found in joins.artifacts.items() if task.startswith("outer_join/")]
    assert outer["shared"] == 1


def test_a_key_of_many_tasks_has_its_last_access_in_actions_and_all_in_accesses(joins: Joins) -> None:
    (end,) = [found["dolt"] for task, found in joins.artifacts.items() if task.startswith("end/")]
    assert end["actions"]["mine"]["table_name"] == "r_end"
    mine = [access for access in end["accesses"] if access["key"] == "mine"]
    assert {access["table_name"] for access in mine} == set(READ_BEFORE["w_end"])
    assert len({access["pathspec"] for access in mine}) == len(mine)
    assert set(end["tasks"]) == {access["pathspec"] for access in end["accesses"]}


def test_every_write_names_its_commit(joins: Joins) -> None:
    (end,) = [found["dolt"] for task, found in joins.artifacts.items() if task.startswith("end/")]
    writes = {access["commit"]: access for access in end["accesses"] if access["kind"] == "write"}
    made = {commit["commit_hash"]: commit["message"] for commit in commits(joins.outputs)}
    assert len(writes) == len(READ_BEFORE)
    for commit, access in writes.items():
        assert made[commit].startswith(f"Run: {access['pathspec']}\n")
        assert f'"table": "{access["table_name"]}"' in made[commit]
        assert access["changed"] is True


def test_nothing_else_of_the_databases_has_changed(joins: Joins) -> None:
    assert footprint(joins.outputs) == joins.before


# Flows that doltflow cannot help, or must not


def small_database(here: World) -> Path:
    made = "create table source (name varchar(5) primary key)"
    return here.database("numbers", made, "insert into source values ('a'), ('b')")


@pytest.mark.long
def test_a_flow_that_imports_doltflow_inside_its_steps(tmp_path: Path) -> None:
    with world(tmp_path / "late") as here:
        database = small_database(here)
        for merge in ("exclude", "import"):
            run = here.run("late_flow.py", "--merge", merge)
            assert "Import doltflow at the top of the flow's file" in run.output
            found = {task: told["dolt"] for task, told in here.artifacts(run, "dolt").items() if "dolt" in told}
            (end,) = [told for task, told in found.items() if task.startswith("end/")]
            assert {access["key"] for access in end["accesses"]} == {"a", "b", "end", "copied"}
            assert any(task.startswith("join/") for task in found) == (merge == "import")
            names = [name for name, _ in trailers(commits(database)[0]["message"])]
            assert names == ["Version", "Attempt", "Write", "Read"]


@pytest.mark.long
def test_a_flow_with_an_artifact_of_its_own_called_dolt(tmp_path: Path) -> None:
    with world(tmp_path / "own") as here:
        small_database(here)
        run = here.run("own_flow.py")
        (end,) = [told for task, told in here.artifacts(run, "refused", "kept").items() if task.startswith("end/")]
        assert end["kept"] == {"my": "own"}, "Metaflow has merged it"
        assert len(end["refused"]) == 5
        assert all(text.startswith("RecordError: The artifact `dolt`") for text in end["refused"])
        failed = here.run("parameter_flow.py", check=False)
        assert failed.returncode != 0
        assert (
            "RecordError: The flow ParameterFlow has a parameter or attribute of its class called `dolt`"
            in failed.output
        )


@pytest.mark.long
def test_a_resumed_run_knows_what_the_tasks_that_it_did_not_repeat_have_read(tmp_path: Path) -> None:
    with world(tmp_path / "resume") as here:
        database = small_database(here)
        start = head(database)
        failed = here.run("resume_flow.py", check=False)
        assert failed.returncode != 0
        copied, half = [commit["commit_hash"] for commit in reversed(commits(database)[:2])]
        assert head(database, f"{copied}~1") == start
        assert len(commits(database)) == 4, "the second context of the task committed nothing"

        (here.folder / "repaired").touch()
        resumed = here.run("resume_flow.py", "--origin-run-id", failed.pathspec.split("/")[1], command="resume")
        assert resumed.pathspec != failed.pathspec
        second, first = commits(database)[:2]
        assert head(database, f"{first['commit_hash']}~1") == half
        for commit in (first, second):
            assert commit["message"].startswith(f"Run: {resumed.pathspec}/finish/")
        told = [value for name, value in trailers(second["message"]) if name == "Read"]
        assert {(value["commit"], tuple(value["tables"])) for value in told} == {
            (start, ("source",)), (copied, ("copied",)), (half, ("source",)), (first["commit_hash"], ("copied",)),
        }  # fmt: skip

        (end,) = [told["dolt"] for task, told in here.artifacts(resumed, "dolt").items() if task.startswith("end/")]
        by_task = {(a["pathspec"].rpartition("/")[0], a["kind"], a["tables"][0]) for a in end["accesses"]}
        assert by_task == {
            (f"{failed.pathspec}/start", "read", "source"), (f"{failed.pathspec}/start", "write", "copied"),
            (f"{failed.pathspec}/work", "read", "copied"), (f"{resumed.pathspec}/finish", "read", "source"),
            (f"{resumed.pathspec}/finish", "write", "first_half"), (f"{resumed.pathspec}/finish", "read", "copied"),
            (f"{resumed.pathspec}/finish", "write", "second_half"),
        }  # fmt: skip
