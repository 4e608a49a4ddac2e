"""A linear run on two databases: the artifact and the commits, in full."""

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha1
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, FlowRun, footprint, head, sql
from flows.harness import World, commits, messages, rows, trailers, world

SECRET = "correct horse battery staple"
ACTION = ["key", "config_id", "pathspec", "table_name", "kind", "query", "commit", "artifact_name", "timestamp"]
TOTAL = "select sum(p.price) as total from prices p join hospitals h on h.id = p.hospital"
SELECTED = "SELECT `code`, `price` FROM `prices` WHERE price > 1"


@dataclass(frozen=True)
class Recorded:
    world: World
    run: FlowRun
    prices: Path
    analysis: Path
    before: list[dict[str, str]]
    artifacts: dict[str, dict[str, Any]]

    @property
    def hashes(self) -> dict[str, str]:
        """What the commits of the test are called."""
        end, start = [commit["commit_hash"] for commit in commits(self.analysis)[:2]]
        return {
            head(self.prices): "PRICES",
            start: "START",
            end: "END",
            commits(self.analysis)[2]["commit_hash"]: "ROOT",
        }

    def plain(self, value: Any) -> Any:
        """The value with its commits, run and folder by name, and configurations in order."""
        text = json.dumps(value)
        names = self.hashes | {self.run.pathspec: "RUN", str(self.world.folder): "HERE"}
        ids = dict.fromkeys(access["config_id"] for access in self.artifact["accesses"])
        names |= {id_: f"config {number}" for number, id_ in enumerate(ids)}
        for found, name in names.items():
            text = text.replace(found, name)
        return json.loads(text)

    @property
    def artifact(self) -> dict[str, Any]:
        (task,) = [task for task in self.artifacts if task.startswith("end/")]
        return self.artifacts[task]["dolt"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with world(tmp_path_factory.mktemp("record")) as here:
        prices = here.database(
            "prices",
            "create table hospitals (id int primary key)",
            "create table prices (code varchar(10) primary key, hospital int, price decimal(10,2))",
            "insert into hospitals values (7)",
            "insert into prices values ('001', 7, 1.50), ('002', 7, 2.25), ('003', 8, 0.50)",
        )
        analysis = here.database("analysis")
        before = [footprint(prices), footprint(analysis)]
        run = here.run("record_flow.py", "--secret", SECRET, "--analysis", str(analysis))
        yield Recorded(here, run, prices, analysis, before, here.artifacts(run, "dolt"))


@pytest.mark.folder
def test_the_whole_artifact(recorded: Recorded) -> None:
    artifact = recorded.plain(recorded.artifact)
    times = [access.pop("timestamp") for access in artifact["accesses"]]
    assert times == sorted(times)
    assert all(isinstance(moment, float) for moment in times)
    assert {key: action.pop("timestamp") for key, action in artifact["actions"].items()} == {
        "prices": times[0], "total": times[1], "totals": times[3], "result": times[5],
    }  # fmt: skip

    def access(task: str, config: int, **told: Any) -> dict[str, Any]:
        names = {0: "prices", 1: "analysis", 2: "analysis"}
        return {
            "pathspec": f"RUN/{task}", "config_id": f"config {config}", "database": names[config], "branch": "main",
            "folder": f"HERE/{names[config]}", "attempt": 0, "artifact_name": None, "mode": None, "changed": None,
            "where": None, "columns": {},
            "whole": None, "derived": None,
        } | told  # fmt: skip

    read = {"kind": "read", "key": "prices", "query": SELECTED, "table_name": "prices", "commit": "PRICES"}
    total = {"kind": "read", "key": "total", "query": TOTAL, "table_name": None, "commit": "PRICES"}
    copied = {
        "kind": "write",
        "key": "result",
        "query": "SELECT * FROM `copied`",
        "table_name": "copied",
        "commit": "START",
    }
    totals = {
        "kind": "write",
        "key": "totals",
        "query": "SELECT * FROM `totals`",
        "table_name": "totals",
        "commit": "START",
    }
    again = {
        "kind": "read",
        "key": "result",
        "query": "SELECT * FROM `copied`",
        "table_name": "copied",
        "commit": "START",
    }
    update = {
        "kind": "write",
        "key": "result",
        "query": "SELECT * FROM `copied`",
        "table_name": "copied",
        "commit": "END",
    }

    def action(of: dict[str, Any], task: str, config: int, name: str | None = None) -> dict[str, Any]:
        return of | {"pathspec": f"RUN/{task}", "config_id": f"config {config}", "artifact_name": name}

    def task(name: str) -> dict[str, Any]:
        found = artifact["tasks"][f"RUN/{name}"]
        return {
            "pathspec": f"RUN/{name}", "attempt": 0, "script": str(FLOWS / "record_flow.py"),
            "python": platform.python_version(), "metaflow": version("metaflow"), "doltflow": version("doltflow"),
            "dolt": served, "git_commit": found["git_commit"], "git_dirty": found["git_dirty"],
            "folder": "HERE", "foreach": [],
            "packages": [[package, version(package)] for package in ("numpy", "pandas", "pyarrow")],
            "sources": [["record_flow.py", sha1((FLOWS / "record_flow.py").read_bytes()).hexdigest()]],
        }  # fmt: skip

    start, end = "start/1", "end/3"
    served = sql(recorded.prices, "select dolt_version() as v")[0]["v"]
    configs = [("prices", "PRICES"), ("HERE/analysis", "ROOT"), ("HERE/analysis", "START")]
    assert artifact == {
        "version": 1,
        "actions": {
            "prices": action(read, start, 0, "frame"),
            "total": action(total, start, 0),
            "totals": action(totals, start, 1),
            "result": action(update, end, 2, "copied"),
        },
        "configs": {
            f"config {number}": {
                "id": f"config {number}", "database": database, "branch": "main", "commit": commit,
                "dolthub_remote": False, "push_on_commit": False,
            }
            for number, (database, commit) in enumerate(configs)
        },
        "accesses": [
            access(start, 0, **read, tables=["prices"], columns={"prices": ["code", "price"]}, rows=2,
                   where="price > 1", artifact_name="frame", whole=[]),
            access(start, 0, **total, tables=["hospitals", "prices"],
                   columns={"hospitals": ["id"], "prices": ["hospital", "price"]}, rows=1,
                   whole=[], derived={"total": ["prices.price"]}),
            access(start, 1, **copied, tables=["copied"], rows=2, mode="replace", changed=True, artifact_name="frame"),
            access(start, 1, **totals, tables=["totals"], rows=1, mode="replace", changed=True),
            access(end, 2, **again, tables=["copied"], columns={"copied": None}, rows=2, whole=["copied"]),
            access(end, 2, **update, tables=["copied"], rows=2, mode="update", changed=True, artifact_name="copied"),
        ],
        "tasks": {f"RUN/{name}": task(name) for name in (start, end)},
    }  # fmt: skip


def test_code_for_the_originals_records_reads_it(recorded: Recorded) -> None:
    artifact = recorded.artifact
    for key, action in artifact["actions"].items():
        assert list(action) == ACTION
        assert action["key"] == key
        assert action["config_id"] in artifact["configs"]
    for id_, config in artifact["configs"].items():
        assert list(config) == ["id", "database", "branch", "commit", "dolthub_remote", "push_on_commit"]
        assert config["id"] == id_
    assert json.loads(json.dumps(artifact)) == artifact


def test_a_step_that_touches_nothing_passes_the_record_on(recorded: Recorded) -> None:
    assert [access["key"] for access in recorded.artifacts["middle/2"]["dolt"]["accesses"]] == [
        "prices", "total", "result", "totals",
    ]  # fmt: skip
    assert recorded.artifacts["middle/2"]["dolt"] == recorded.artifacts["start/1"]["dolt"]


def test_the_commits_messages(recorded: Recorded) -> None:
    found = recorded.plain(messages(recorded.analysis))
    read = (
        'Doltflow-Read: {"database": "prices", "branch": "main", "commit": "PRICES", "tables": ["hospitals", "prices"]}'
    )
    assert found == {
        "start/1": (
            "Run: RUN/start/1\n\nDoltflow-Version: 1\nDoltflow-Attempt: 0\n"
            'Doltflow-Write: {"table": "copied", "mode": "replace", "rows": 2}\n'
            'Doltflow-Write: {"table": "totals", "mode": "replace", "rows": 1}\n'
            f"{read}"
        ),
        "end/3": (
            "Run: RUN/end/3\n\nDoltflow-Version: 1\nDoltflow-Attempt: 0\n"
            'Doltflow-Write: {"table": "copied", "mode": "update", "rows": 2}\n'
            f"{read}\n"
            'Doltflow-Read: {"database": "analysis", "branch": "main", "commit": "START", "tables": ["copied"]}'
        ),
    }


def test_git_reads_the_trailers(recorded: Recorded) -> None:
    names = [name for name, _ in trailers(messages(recorded.analysis)["end/3"])]
    assert names == ["Version", "Attempt", "Write", "Read", "Read"]


def test_the_tables(recorded: Recorded) -> None:
    assert rows(recorded.analysis, "copied") == [
        {"code": "001", "price": "1.50"}, {"code": "001!", "price": "1.50"},
        {"code": "002", "price": "2.25"}, {"code": "002!", "price": "2.25"},
    ]  # fmt: skip
    assert rows(recorded.analysis, "totals") == [{"total": 3.75}]


def test_parameters_are_in_no_commit(recorded: Recorded) -> None:
    for database in (recorded.analysis, recorded.prices):
        assert SECRET not in json.dumps(commits(database))
    assert SECRET not in json.dumps(recorded.artifact)
    assert str(recorded.world.folder) not in json.dumps(commits(recorded.analysis)), "nor is any path"


def test_nothing_else_of_the_databases_has_changed(recorded: Recorded) -> None:
    assert [footprint(recorded.prices), footprint(recorded.analysis)] == recorded.before
    assert len(commits(recorded.prices)) == 2
