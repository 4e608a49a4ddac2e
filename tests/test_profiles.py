"""Metaflow's profiles: which store a command looks at, by option, variable and settings file."""

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import make_database, run_flow
from flows.harness import world

from doltflow.errors import ProfileNotFoundError, SettingsError, StoreNotFoundError
from doltflow.model import decode_artifact
from doltflow.runs import runs
from doltflow.sources.metaflow import another
from doltflow.workspace import load_settings


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with databases, another one with a store, and the run that is in both."""
    with world(tmp_path_factory.mktemp("profiles")) as here:
        given = "create table given (id int primary key, v int)"
        make_database(here.folder / "numbers", given, "insert into given values (1, 10), (2, 20)")
        make_database(here.folder / "sums")
        (here.folder / "notes.txt").write_text("What was counted")
        run_id = run_flow(here.folder, "fan_flow.py", "--max-workers", "1").pathspec.rpartition("/")[2]
        yield here.folder, f"FanFlow/{run_id}"


@pytest.fixture
def run(template: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run; the store is where only the profile `prod` says, and the databases are in the current folder."""
    shutil.copytree(template[0], tmp_path / "copy")
    shutil.move(tmp_path / "copy" / ".metaflow", tmp_path / "store" / ".metaflow")
    home = tmp_path / "elsewhere"
    home.mkdir()
    place = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(tmp_path / "store"), "METAFLOW_DEFAULT_METADATA": "local"}
    (home / "config_prod.json").write_text(json.dumps(place))
    (home / "config_test.json").write_text("{}")
    monkeypatch.setenv("METAFLOW_HOME", str(home))
    monkeypatch.chdir(tmp_path / "copy")
    return template[1]


def ask(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """What doltflow answers in a process of its own: Metaflow reads a profile but once."""
    command = [sys.executable, "-m", "doltflow", *arguments, "--output", "json"]
    return subprocess.run(command, env=os.environ | more, capture_output=True, text=True)


def statuses(done: "subprocess.CompletedProcess[str]") -> list[tuple[str, str]]:
    """The runs of an answer, with how they ended, which only the store knows."""
    assert done.returncode == 0, done.stderr
    return [(run["pathspec"], run["status"]) for run in json.loads(done.stdout)["data"]["runs"]]


def test_the_store_is_that_of_the_profile_by_option_variable_or_file(run: str):
    without = ask("runs")
    assert statuses(without) == [(run, "unknown")]
    assert "There is no Metaflow store" in without.stderr
    found = [(run, "successful")]
    assert statuses(ask("runs", "--profile", "prod")) == found
    assert statuses(ask("runs", DOLTFLOW_PROFILE="prod")) == found
    assert statuses(ask("runs", METAFLOW_PROFILE="prod")) == found
    Path("doltflow.toml").write_text('profile = "prod"\n')
    assert statuses(ask("runs")) == found
    # What is nearer to the command is stronger.
    assert statuses(ask("runs", METAFLOW_PROFILE="test")) == [(run, "unknown")]
    assert statuses(ask("runs", "--profile", "prod", DOLTFLOW_PROFILE="test", METAFLOW_PROFILE="test")) == found


@pytest.mark.parametrize(
    "command",
    [
        ["trace", "products"],
        ["show", "FanFlow/latest"],
        ["cat", "products"],
        ["impact", "numbers@HEAD"],
        ["status"],
        ["audit"],
        ["replay", "FanFlow/latest"],
        ["backtest", "--commit", "HEAD"],
        ["diff", "FanFlow/latest", "FanFlow/latest"],
    ],
    ids=lambda command: command[0],
)
def test_an_unknown_profile_is_named_with_those_that_there_are(run: str, command: list[str], tmp_path: Path):
    arguments = [*command, "--profile", "staging"]
    done = subprocess.run([sys.executable, "-m", "doltflow", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        done.stderr.split()
        == (f"error: Metaflow has no profile `staging` in {tmp_path / 'elsewhere'}. There is `prod`, `test`.").split()
    )


def test_metaflow_has_begun_in_this_process_with_another_one(run: str, monkeypatch: pytest.MonkeyPatch):
    runs()
    monkeypatch.setenv("DOLTFLOW_PROFILE", "prod")
    with pytest.raises(ProfileNotFoundError, match="has begun without the profile `prod` in this process"):
        runs()
    assert "METAFLOW_PROFILE" not in os.environ


def test_what_can_be_set(run: str):
    Path("doltflow.toml").write_text('profile = "prod"\ndatabases = ["elsewhere"]\n')
    assert load_settings().profile == "prod"
    Path("doltflow.toml").write_text("profile = 3\n")
    with pytest.raises(SettingsError, match=r"`profile` in .* is 3, not a name"):
        load_settings()


@pytest.mark.parametrize(
    ("named", "code", "message"),
    [
        ("staging:FanFlow/latest", "profile-not-found", "Metaflow has no profile `staging` in "),
        ("prod:FanFlow/7", "run-not-found", "In the profile `prod`: The flow `FanFlow` has no run `7`."),
        ("test:FanFlow/7", "store-not-found", "In the profile `test`: There is no Metaflow store (`.metaflow`) in "),
    ],
)
def test_a_run_of_another_profile_that_is_not_there(run: str, named: str, code: str, message: str):
    done = ask("diff", named, "sums@HEAD")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (3, code)
    assert error["message"].startswith(message)


def test_a_run_in_the_store_of_another_profile_is_set_against_what_is_here(run: str):
    done = ask("diff", "prod:FanFlow/latest", "sums@HEAD")
    found = json.loads(done.stdout)["data"]
    assert (done.returncode, found["identical"]) == (0, True), done.stderr
    assert found["before"] == f"prod:{run}"


def put(store: Path, run: str, task: str, name: str, value: object) -> None:
    """Makes an artifact of a run another one."""
    key = f"{name:0<40}"
    file = store / ".metaflow" / "FanFlow" / "data" / key[:2] / key
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(gzip.compress(pickle.dumps(value, 4)))
    file.with_name(f"{key}_meta").write_text(json.dumps({"cas_raw": False, "cas_version": 1}))
    names = store / ".metaflow" / run / task / "0.data.json"
    known = json.loads(names.read_text())
    known["objects"][name] = key
    names.write_text(json.dumps(known))


def test_a_run_by_the_first_integration_in_the_store_of_another_profile(run: str, tmp_path: Path):
    action: dict[str, Any] = {
        "key": "given", "config_id": "c", "kind": "read", "pathspec": f"{run}/join/4", "table_name": "given",
        "artifact_name": None, "query": None, "commit": str, "timestamp": 1.0,
    }  # fmt: skip
    config = {"id": "c", "database": "numbers", "branch": "main", "commit": None}
    put(tmp_path / "store", run, "join/4", "dolt", {"actions": {"a": action}, "configs": {"c": config}})
    put(tmp_path / "store", run, "_parameters/0", "factors", [{int: (str, {2}, frozenset([3]))}])
    found = another.other_run("prod", "FanFlow/latest", Path.cwd())
    (task,) = [task for task in found.tasks if task.step == "join"]
    assert task.value("dolt") == {"actions": {"a": {**action, "commit": None}}, "configs": {"c": config}}
    (access,) = decode_artifact(task.value("dolt"), tables_of=lambda query: None).accesses
    assert (access.tables, access.branch, access.commit) == (("given",), "main", None)
    assert found.run.parameters["factors"] == [{None: (None, {2}, frozenset([3]))}]
    done = ask("diff", "prod:FanFlow/latest", "sums@HEAD")
    assert done.returncode == 0, done.stderr


def test_a_store_of_another_profile_that_hangs(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = tmp_path / "store" / ".metaflow" / run / "end/5" / "0.data.json"
    names.unlink()
    os.mkfifo(names)
    monkeypatch.setattr(another, "_PATIENCE", 1.5)
    with pytest.raises(StoreNotFoundError) as raised:
        another.other_run("prod", "FanFlow/latest", Path.cwd())
    assert raised.value.message == "The store of the profile `prod` did not give `FanFlow/latest` in 1.5 seconds."
    assert raised.value.hint == (
        "Does `doltflow show FanFlow/latest --profile prod` answer? Its datastore or metadata service may hang."
    )


@pytest.mark.long
def test_two_runs_in_two_stores(run: str):
    here = run_flow(Path.cwd(), "fan_flow.py", "--max-workers", "1", "--factors", "[1, 3]").pathspec.rpartition("/")[2]
    done = ask("diff", f"prod:{run}", "FanFlow/latest")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["data"]
    assert {(cause["kind"], cause["name"]) for cause in found["causes"]} == {("parameter", "factors")}
    modified = {table["table"]: (table["added"], table["removed"], table["modified"]) for table in found["tables"]}
    assert modified["products"] == (0, 0, 1)
    assert here in found["after"]


@pytest.mark.long
def test_a_rerun_hands_the_profile_to_the_flow(run: str, tmp_path: Path):
    done = ask("replay", run, "--profile", "prod")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "store" / ".metaflow" / json.loads(done.stdout)["data"]["new_run"]).is_dir()
    assert not Path(".metaflow").exists()
