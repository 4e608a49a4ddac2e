"""Steps on other machines, which do not inherit the environment: they get their pins all the same, or stop."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, FlowRun, dolt, footprint, head, sql
from flows.harness import World, world

from doltflow.cli import main
from doltflow.model.pins import DatabasePin, Pins
from doltflow.sources.metaflow.carried import VARIABLE, decorator, may_leave

# Python runs this first in every process: a step has nothing of the environment but what a container has too.
CONTAINER = """
import os, sys
if "step" in sys.orig_argv:
    kept = ("PATH", "HOME", "LANG", "LC_", "PYTHON", "METAFLOW", "XDG_RUNTIME_DIR", "DOLT_")
    for name in [name for name in os.environ if not name.startswith(kept)]:
        del os.environ[name]
    with open("steps", "a") as file:
        file.write(sys.orig_argv[sys.orig_argv.index("step") + 1] + "\\n")
"""


@dataclass(frozen=True)
class Recorded:
    """A run, and a commit by somebody else since."""

    world: World
    run: FlowRun
    nesting: FlowRun
    numbers: Path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with world(tmp_path_factory.mktemp("remote")) as here:
        numbers = here.database(
            "numbers", "create table a (id int primary key, v int)", "insert into a values (1, 10), (2, 20)"
        )
        here.database("nested")
        nesting = here.run("nesting_flow.py")
        # Not in the folder of this test, which is in a git repository.
        run = here.run(shutil.copy(FLOWS / "remote_flow.py", here.folder))
        dolt(numbers, "sql", "-q", "update a set v = v + 1; call dolt_commit('-am', 'Later')")
        dolt(numbers, "sql", "-q", "insert into a values (77, 7)")
        (here.folder / "site").mkdir()
        (here.folder / "site" / "sitecustomize.py").write_text(CONTAINER)
        yield Recorded(here, run, nesting, numbers)


@pytest.fixture
def here(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The folder; afterwards no branch of the user's has been written, and nothing else of the user's either."""
    recorded.world.enter(monkeypatch)
    before = users(recorded.numbers)
    yield recorded
    assert users(recorded.numbers) == before
    for row in sql(recorded.numbers, "select name from dolt_branches where name <> 'main'"):
        dolt(recorded.numbers, "branch", "-D", row["name"])


def users(database: Path) -> dict[str, Any]:
    return footprint(database) | {"branches": head(database)}


def written(database: Path, branch: str) -> list[int]:
    return [row["v"] for row in sql(database, f"select v from again as of '{branch}' order by id")]


def test_a_step_without_the_environment_gets_its_pins(
    here: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(here.world.folder / "site"))
    monkeypatch.setenv("METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE", "1")
    assert main(["replay", here.run.pathspec, "--output", "json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["identical"], data["unhonoured"]) == (True, [])
    assert sorted(Path("steps").read_text().split()) == ["end", "start"]
    assert written(here.numbers, f"replay/{here.run.pathspec}") == [10, 20]

    # Nor does Metaflow's own `resume` of the rerun get to the user's branch.
    again = ("--origin-run-id", data["new_run"].partition("/")[2])
    done = here.world.run("remote_flow.py", "end", *again, command="resume", check=False)
    assert done.returncode != 0
    assert f" goes on from the rerun {data['new_run']}, on whose data it would write" in done.output
    again = ("--origin-run-id", done.pathspec.partition("/")[2])
    twice = here.world.run("remote_flow.py", "end", *again, command="resume", check=False)
    assert f" goes on from the rerun {data['new_run']}, on whose data it would write" in twice.output

    # What travels there is enough to begin with, where there is nothing but what Metaflow installs.
    code = f"namespace(None); result = Run({data['new_run']!r}).code.path"
    (tmp_path / "installed").mkdir()
    for name in ("requests", "urllib3", "idna", "certifi", "charset_normalizer"):
        (tmp_path / "installed" / name).symlink_to(Path(import_module(name).__file__ or "").parent)
    (tmp_path / "package").mkdir()
    subprocess.run(["tar", "-xzf", here.world.notebook(code), "-C", tmp_path / "package"], check=True)
    bare = subprocess.run(
        [sys.executable, "-S", "-c", "import doltflow.sources.metaflow.remote as m; print(m.__file__)"],
        env={"PYTHONPATH": f"{tmp_path}/package/.mf_code:{tmp_path}/installed", "METAFLOW_HOME": str(tmp_path)},
        cwd=tmp_path / "package", capture_output=True, text=True,
    )  # fmt: skip
    assert bare.stdout == f"{tmp_path}/package/.mf_code/doltflow/sources/metaflow/remote.py\n", bare.stderr


def test_a_backtest_says_where_its_code_comes_from(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["backtest", "--commit", "main~3", "--dry-run", "--code", "recorded"]
    assert main([*asked, "--output", "json"]) == 0
    (flow,) = json.loads(capsys.readouterr().out)["data"]["flows"]
    assert (flow["flow"], flow["origin"], flow["changed"]) == ("RemoteFlow", "kept", [])
    assert main(asked) == 0
    assert "its code is as doltflow kept it with the run" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kind", ["replay", "backtest"])
def test_a_run_that_is_tagged_as_a_rerun_and_has_no_pins_stops(here: Recorded, kind: str) -> None:
    done = here.world.run("remote_flow.py", "--tag", f"doltflow:{kind}-of=RemoteFlow/7", check=False)
    assert done.returncode != 0
    assert f" is tagged as a {kind} of RemoteFlow/7, and has no pins that say what to read" in done.output


@pytest.mark.long
def test_a_run_that_a_step_of_a_rerun_starts_is_no_part_of_it(
    here: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = here.numbers.with_name("nested")
    before = sql(nested, "select name, hash from dolt_branches")
    assert main(["replay", here.nesting.pathspec, "--output", "json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    log = Path(error["hint"].partition("Its log is ")[2].partition(".log")[0] + ".log").read_text()
    assert f" was started within the replay of {here.nesting.pathspec} and is no part of it. A run that is " in log
    assert f"`doltflow:replay-of={here.nesting.pathspec}` in `current.tags`" in log
    branch = f"replay/{here.nesting.pathspec}"
    made = sql(nested, f"show tables as of '{branch}'")
    assert [name for row in made for name in row.values()] == ["outer_one"]
    assert sql(nested, f"select name, hash from dolt_branches where name <> '{branch}'") == before
    dolt(nested, "branch", "-D", branch)


def test_pins_that_are_not_in_the_store_stop_the_step(here: Recorded) -> None:
    done = here.world.run("remote_flow.py", "--with", decorator("0" * 40), check=False)
    assert done.returncode != 0
    assert f"`start` belongs to a rerun, and its pins ({'0' * 40}) are not in Metaflow's datastore" in done.output


@pytest.mark.long
def test_a_database_is_taken_where_the_step_has_it(here: Recorded) -> None:
    """The folders of the machine that began the rerun are not those of the one that runs the step."""
    dolt(here.numbers, "branch", "made", "main~1")
    pins = Pins("backtest", here.run.pathspec, (DatabasePin("numbers", "/nowhere/numbers", "made"),))
    Path("pins.json").write_text(pins.encode())
    tag = ("--tag", f"doltflow:backtest-of={here.run.pathspec}")
    here.world.run("remote_flow.py", *tag, **{VARIABLE: "pins.json"})
    assert written(here.numbers, "made") == [10, 20]
    dolt(here.numbers, "branch", "-D", "made")
    done = here.world.run("remote_flow.py", *tag, **{VARIABLE: "pins.json"}, check=False)
    assert done.returncode != 0
    assert "`made`" in done.output

    shutil.move("numbers", "hidden")
    try:
        done = here.world.run("remote_flow.py", *tag, **{VARIABLE: "pins.json"}, check=False)
    finally:
        shutil.move("hidden", "numbers")
    assert done.returncode != 0
    said = f"The database `numbers` of this backtest of {here.run.pathspec} is neither in /nowhere/numbers nor in "
    assert f"{said}numbers." in done.output


def test_which_flows_may_leave_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def graph(*names: str) -> dict[str, Any]:
        return {"steps": {"start": {"decorators": [{"name": name} for name in names]}, "end": {}}}

    assert not may_leave({})
    assert not may_leave(graph("retry", "card", "conda"))
    for name in ("kubernetes", "batch", "slurm", "remote_flow.elsewhere"):
        assert may_leave(graph("retry", name))
    monkeypatch.setenv("METAFLOW_DEFAULT_DECOSPECS", "kubernetes")
    assert may_leave(graph("retry"))
