"""Runs whose artifacts are in S3, on a server that speaks as S3 does: all is told as it is of a local store."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, isolated, make_database
from object_store import object_store, variables

NOWHERE = {"METAFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9", "METAFLOW_S3_WORKER_COUNT": "2"}


@dataclass(frozen=True)
class Here:
    """A folder with databases, and the environment in which a flow ran there once.

    Attributes:
        run_id: Of that run.
    """

    folder: Path
    environment: dict[str, str]
    run_id: str = ""

    def program(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """A Python program run there."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder, env=self.environment | more, capture_output=True, text=True,
        )  # fmt: skip

    def flow(self, *arguments: str) -> str:
        """The id of a run of the flow."""
        path = str(FLOWS / "fan_flow.py")
        file = self.folder / "run_id"
        done = self.program(path, "--no-pylint", "run", "--max-workers", "1", "--run-id-file", str(file), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return file.read_text()

    def ask(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """What doltflow answers there."""
        return self.program("-m", "doltflow", *arguments, **more)

    def data(self, *arguments: str) -> Any:
        """The same, as JSON."""
        done = self.ask(*arguments, "--output", "json")
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
        return json.loads(done.stdout)["data"]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Here]]:
    """The same databases twice: a flow ran on the one with its artifacts in S3, on the other with a local store."""
    top = tmp_path_factory.mktemp("worlds")
    made = {}
    with pytest.MonkeyPatch.context() as patch, object_store(top) as address:
        for name, value in isolated(top / "home").items():
            patch.setenv(name, value)
        template = top / "template"
        statements = ["create table given (id int primary key, v int)", "insert into given values (1, 10), (2, 20)"]
        make_database(template / "numbers", *statements)
        make_database(template / "sums")
        (template / "notes.txt").write_text("What was counted")
        for kind, more in (("s3", variables(address) | {"METAFLOW_S3_WORKER_COUNT": "2"}), ("local", {})):
            shutil.copytree(template, top / kind)
            here = Here(top / kind, isolated(top / "home") | more)
            made[kind] = Here(here.folder, here.environment, here.flow())
        yield made


def anonymous(world: Here, data: Any) -> Any:
    """An answer without what differs from run to run: hashes, dates, ids and the order of tasks side by side."""
    if isinstance(data, dict):
        return {name: anonymous(world, item) for name, item in data.items() if name not in ("timestamp", "duration")}
    if isinstance(data, list):
        return sorted((anonymous(world, item) for item in data), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(data, str):
        text = data.replace(world.run_id, "RUN").replace(str(world.folder), "FOLDER")
        text = re.sub(r"\b[0-9a-v]{32}\b", "HASH", text)
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)?", "DATE", text)
    return data


def test_the_artifacts_are_in_the_object_store(worlds: dict[str, Here]):
    names = {path.name for path in (worlds["s3"].folder / ".metaflow" / "FanFlow" / worlds["s3"].run_id).rglob("*")}
    assert not {name for name in names if name.endswith(("data.json", "DONE.lock"))}


@pytest.mark.parametrize(
    "asked",
    [
        ["runs"],
        ["show", "FanFlow/latest"],
        ["trace", "products", "--zoom", "task", "--columns"],
        *(
            pytest.param(asked, marks=pytest.mark.long)
            for asked in (["trace", "given", "--downstream", "--zoom", "step"], ["audit"], ["status"])
        ),
    ],
    ids=lambda asked: asked[0] + ("-down" if "--downstream" in asked else ""),
)
def test_every_answer_is_the_same_as_on_a_local_store(worlds: dict[str, Here], asked: list[str]):
    answers = {kind: anonymous(world, world.data(*asked)) for kind, world in worlds.items()}
    assert answers["s3"] == answers["local"]
    assert "RUN" in json.dumps(answers["s3"]) or asked[0] in ("audit", "status")


@pytest.mark.long
def test_the_second_time_what_the_cache_holds_is_the_same(worlds: dict[str, Here]):
    first, second = (worlds["s3"].data("trace", "given", "--downstream") for _ in range(2))
    assert first == second
    assert [node["pathspec"] for node in first["nodes"] if node["kind"] == "run"] == [f"FanFlow/{worlds['s3'].run_id}"]


def test_a_table_as_a_run_left_it(worlds: dict[str, Here]):
    done = worlds["s3"].ask("cat", "products", "--run", "FanFlow/latest")
    assert (done.returncode, done.stdout) == (0, "id,v\n0,30\n1,60\n")


def test_a_store_that_does_not_answer_is_named_and_the_commits_tell_the_rest(worlds: dict[str, Here]):
    world = worlds["s3"]
    done = world.ask("runs", "--output", "json", **NOWHERE)
    (run,) = json.loads(done.stdout)["data"]["runs"]
    assert (done.returncode, run["pathspec"], run["user"]) == (0, f"FanFlow/{world.run_id}", "tester")
    assert run["tables"] == ["given", "products", "times_1", "times_2"]
    assert "Traceback" not in done.stderr
    said = re.sub(r"\s+", " ", re.sub(r"EndpointConnectionError: .*encoding-type=url\"", "REFUSED", done.stderr))
    assert said.strip() == (
        "warning: Metaflow's datastore s3://bucket/metaflow does not answer: REFUSED. Are the network, the "
        "credentials and METAFLOW_S3_ENDPOINT_URL right, and is it the right profile (`--profile`)? Going on from the "
        "commits alone."
    )


def test_without_the_store_nothing_is_replayed(worlds: dict[str, Here]):
    done = worlds["s3"].ask("replay", "FanFlow/latest", "--output", "json", **NOWHERE)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (3, "store-not-found")
    assert error["message"].startswith("Metaflow's datastore s3://bucket/metaflow does not answer: ")


@pytest.mark.long
def test_reruns_go_to_the_object_store_whatever_the_default_is_by_now(worlds: dict[str, Here]):
    world = worlds["s3"]
    first = f"FanFlow/{world.run_id}"
    local = {"METAFLOW_DEFAULT_DATASTORE": "local", "METAFLOW_DATASTORE_SYSROOT_S3": ""}
    done = world.ask("replay", first, "--output", "json", **local)
    replayed = json.loads(done.stdout)["data"]
    assert (done.returncode, replayed["identical"]) == (0, True), done.stderr
    folder = world.folder / ".metaflow" / replayed["new_run"]
    assert not [path for path in folder.rglob("*") if path.name.endswith("data.json")]

    tested = world.data("backtest", "--database", "numbers", "--commit", "HEAD", "--run")
    assert [table["verdict"] for table in tested["tables"]] == ["identical"] * 3

    second = f"FanFlow/{world.flow('--factors', '[1, 3]')}"
    found = world.data("diff", first, second)
    assert [cause["name"] for cause in found["causes"] if cause["kind"] == "parameter"] == ["factors"]
    products = next(table for table in found["tables"] if table["table"] == "products")
    assert (products["added"], products["removed"], products["modified"]) == (0, 0, 1)
