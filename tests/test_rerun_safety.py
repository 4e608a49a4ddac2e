"""What a rerun leaves behind, however it ends: nothing of the user's changed, no process, and no branch unnamed."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, FlowRun, dolt, head, sql
from flows.harness import World, is_loading, is_served, left_running, wait_for, world

from doltflow.cli import main

pytestmark = pytest.mark.long
MADE = ("replay/", "backtest/")


@dataclass(frozen=True)
class Watched:
    """A folder in which a flow ran, with the user's own uncommitted work on two branches."""

    world: World
    run: FlowRun
    first: str

    @property
    def databases(self) -> tuple[Path, Path]:
        return self.world.folder / "numbers", self.world.folder / "results"

    @property
    def flow_runs(self) -> list[str]:
        """The processes of the flow that run."""
        return [command for command in left_running(self.world) if "watched_flow.py" in command]

    def start(self, asked: str, *arguments: str) -> "subprocess.Popen[str]":
        (self.world.folder / "pid").unlink(missing_ok=True)
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("doltflow")), *arguments],
            cwd=self.world.folder, env=self.world.environment | {"WATCHED": asked},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def step_pid(self) -> int:
        """The process of the step that waits or writes much, once it does."""
        file = self.world.folder / "pid"
        wait_for(lambda: file.exists() and file.read_text(), "the step")
        return int(file.read_text())

    def state(self) -> dict[str, Any]:
        """All that is the user's: the checkouts, and of every branch its head, its working set and what is staged."""
        return {folder.name: _state(folder) for folder in self.databases}


def _state(folder: Path) -> dict[str, Any]:
    names = [name for name in branches(folder) if not name.startswith(MADE)]
    hashes = ", ".join(f"dolt_hashof_db('{which}') as {which}" for which in ("HEAD", "STAGED", "WORKING"))
    query = "".join(f"use `{folder.name}/{name}`; select '{name}' as name, {hashes}; " for name in names)
    told = dolt(folder, "sql", "-r", "json", "-q", query)
    return {
        "checkout": (folder / ".dolt" / "repo_state.json").read_text(),
        "branches": [json.loads(line)["rows"] for line in told.splitlines() if line],
        "heads": sql(folder, "select name, hash from dolt_branches where name in ('main', 'mine')"),
        "status": dolt(folder, "status"),
        "temporary": sorted(path.name for path in (folder / ".dolt" / "temptf").rglob("*") if path.is_file()),
    }


def branches(folder: Path) -> list[str]:
    return [str(row["name"]) for row in sql(folder, "select name from dolt_branches order by name")]


def made(here: Watched) -> list[str]:
    """The branches that were made."""
    return [f"{folder.name}: {name}" for folder in here.databases for name in branches(folder) if name.startswith(MADE)]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The data that a command answers."""
    capsys.readouterr()
    assert main([*arguments, "--output", "json"]) == 0, capsys.readouterr()
    return dict(json.loads(capsys.readouterr().out)["data"])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with world(tmp_path_factory.mktemp("watched")) as here:
        numbers = here.database("numbers", "create table a (id int primary key, v int)", "insert into a values (1, 10)")
        first = head(numbers)
        results = here.database("results", "create table notes (id int primary key)", "insert into notes values (1)")
        dolt(numbers, "sql", "-q", "insert into a values (2, 20); call dolt_commit('-am', 'More')")
        shutil.copy(FLOWS / "watched_flow.py", here.folder)
        run = here.run(str(here.folder / "watched_flow.py"))
        dirty = "use `results/mine`; insert into notes values (9); "
        dirty += "use `results/main`; insert into notes values (2); call dolt_add('-A'); insert into notes values (3)"
        dolt(results, "branch", "mine")
        dolt(results, "sql", "-q", dirty)
        dolt(numbers, "sql", "-q", "insert into a values (77, 7)")
        yield Watched(here, run, first)


@pytest.fixture
def here(watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Watched]:
    """The folder. Afterwards all of the user's is as it was, and `--remove` has removed what was made."""
    watched.world.enter(monkeypatch)
    before = watched.state()
    assert made(watched) == []
    yield watched
    assert watched.state() == before
    for name in {item["branch"] for item in told(capsys, "backtest", "--list")["branches"]}:
        told(capsys, "backtest", "--remove", name, "--yes")
    assert made(watched) == []
    assert watched.state() == before


def command(here: Watched, kind: str) -> list[str]:
    return ["replay", here.run.pathspec] if kind == "replay" else ["backtest", "--commit", here.first, "--run"]


def expected(here: Watched, kind: str) -> list[str]:
    """The branches that a rerun makes."""
    if kind == "replay":
        return [f"results: replay/{here.run.pathspec}"]
    return [f"{name}: backtest/{here.first[:8]}" for name in ("numbers", "results")]


def check_listed(here: Watched, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was made stays, and the list has it."""
    assert made(here) == expected(here, kind)
    listed = told(capsys, "backtest", "--list")["branches"]
    assert sorted(f"{item['database']}: {item['branch']}" for item in listed) == made(here)
    of = here.run.pathspec if kind == "replay" else f"numbers@{here.first}"
    assert {(item["kind"], item["of"]) for item in listed} == {(kind, of)}


def check_again(here: Watched, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same can be asked for again, and is done."""
    if kind == "replay":
        data = told(capsys, "replay", here.run.pathspec)
        assert (data["identical"], data["branches"][0]["branch"]) == (True, f"replay/{here.run.pathspec}-2")
    else:
        data = told(capsys, *command(here, kind), "--resume")
        assert [(item["table"], item["backtest"]["rows"]) for item in data["tables"]] == [("first", 1), ("second", 10)]


@pytest.mark.parametrize("kind", ["replay", "backtest"])
class TestEnds:
    """Every way in which a rerun can end."""

    def test_well(self, here: Watched, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(command(here, kind)) == 0
        check_listed(here, kind, capsys)
        assert main(["backtest", "--list"]) == 0
        of = here.run.pathspec if kind == "replay" else f"numbers@{here.first[:8]}"
        assert f"  {kind} of {of}, made 20" in capsys.readouterr().out

    def test_the_flow_fails(
        self, here: Watched, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WATCHED", "fails")
        assert main(command(here, kind)) == 3
        error = " ".join(capsys.readouterr().err.split())
        assert f"doltflow backtest --remove {expected(here, kind)[0].partition(': ')[2]}`" in error
        log = Path(error.partition("Its log is ")[2].partition(".log")[0] + ".log")
        assert "as it was asked to" in log.read_text()
        check_listed(here, kind, capsys)

    def test_interrupted(self, here: Watched, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        process = here.start("waits", *command(here, kind))
        here.step_pid()
        process.send_signal({"replay": signal.SIGTERM, "backtest": signal.SIGINT}[kind])
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (130, "")
        assert here.flow_runs == []
        assert f"doltflow backtest --remove {expected(here, kind)[0].partition(': ')[2]}`" in " ".join(err.split())
        check_listed(here, kind, capsys)

    def test_doltflow_is_killed_while_the_flow_writes(
        self, here: Watched, kind: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = here.start("writes", *command(here, kind))
        here.step_pid()
        wait_for(lambda: is_loading(here.databases[1]), "the load")
        process.kill()
        process.communicate(timeout=120)
        wait_for(lambda: not left_running(here.world), "the end of the flow and of the servers")
        branch = expected(here, kind)[-1].partition(": ")[2]
        (last,) = sql(here.databases[1], f"select message from dolt_log('{branch}') limit 1")
        assert "/start/" in last["message"]
        check_listed(here, kind, capsys)
        check_again(here, kind, capsys)

    def test_the_step_is_killed_while_it_writes(
        self, here: Watched, kind: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = here.start("writes", *command(here, kind))
        pid = here.step_pid()
        wait_for(lambda: is_loading(here.databases[1]), "the load")
        os.kill(pid, signal.SIGKILL)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 3
        assert here.flow_runs == []
        assert f"doltflow backtest --remove {expected(here, kind)[0].partition(': ')[2]}`" in " ".join(err.split())
        wait_for(lambda: not any(is_served(folder) for folder in here.databases), "the end of the servers")
        check_listed(here, kind, capsys)
        check_again(here, kind, capsys)


def test_a_number_that_another_replay_takes_meanwhile_is_left_to_it(
    here: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    results = here.databases[1]
    handle = os.open(results / ".dolt", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # As another doltflow has it while it makes a branch.
        process = here.start("", "replay", here.run.pathspec, "--output", "json")
        wait_for(lambda: re.search(rf"-> FLOCK .* {process.pid} ", Path("/proc/locks").read_text()), "the lock")
        dolt(results, "branch", f"replay/{here.run.pathspec}", "main")
    finally:
        os.close(handle)
    out, err = process.communicate(timeout=120)
    dolt(results, "branch", "-D", f"replay/{here.run.pathspec}")
    assert process.returncode == 0, err
    data = json.loads(out)["data"]
    assert (data["identical"], data["branches"][0]["branch"]) == (True, f"replay/{here.run.pathspec}-2")
    assert made(here) == [f"results: replay/{here.run.pathspec}-2"]


def test_a_run_that_still_runs_is_not_repeated(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watched.world.enter(monkeypatch)
    (watched.world.folder / "pid").unlink(missing_ok=True)
    process = watched.world.start(str(watched.world.folder / "watched_flow.py"), WATCHED="waits")
    try:
        watched.step_pid()
        run = (watched.world.folder / "run_id").read_text()
        assert main(["replay", f"WatchedFlow/{run}", "--output", "json"]) == 3
        error = json.loads(capsys.readouterr().out)["error"]
        assert error == {
            "code": "not-replayable",
            "message": f"`WatchedFlow/{run}` is still running.",
            "hint": "Replay it when it has ended.",
        }
        assert made(watched) == []
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
