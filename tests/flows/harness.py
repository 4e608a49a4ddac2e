"""What the recorder's tests share: a folder where flows really run and notebooks read, with nothing of the user's."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, FlowRun, isolated, make_database, sql
from served import Backend, backend

PATIENCE = 60.0


@dataclass(frozen=True)
class World:
    """A folder with databases and Metaflow's store, and the environment in which things run there."""

    folder: Path
    environment: dict[str, str]
    backend: Backend | None = None

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Has a test run here."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(self.folder)

    def visit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Has a test ask here, about these databases and no others that are served."""
        monkeypatch.chdir(self.folder)
        if "DOLTFLOW_DATABASES" in self.environment:
            monkeypatch.setenv("DOLTFLOW_DATABASES", self.environment["DOLTFLOW_DATABASES"])

    def database(self, name: str, *statements: str) -> Path:
        return make_database(self.folder / name, *statements, where=self.backend)

    def folder_of(self, name: str) -> Path:
        """The folder of a database that was made here."""
        return (self.folder if self.backend is None else self.backend.data) / name

    def start(self, script: str, *arguments: str, command: str = "run", **variables: str) -> subprocess.Popen[str]:
        """Starts a run without waiting for it."""
        return subprocess.Popen(
            [sys.executable, str(FLOWS / script), "--no-pylint", command, "--run-id-file", "run_id", *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, *arguments: str, command: str = "run", check: bool = True, **variables: str) -> FlowRun:
        """Runs a flow of `tests/flows`."""
        (self.folder / "run_id").unlink(missing_ok=True)
        process = self.start(script, *arguments, command=command, **variables)
        output, _ = process.communicate()
        assert not check or process.returncode == 0, output
        return FlowRun(f"{flow_name(script)}/{(self.folder / 'run_id').read_text()}", process.returncode, output)

    def notebook(self, code: str, **variables: str) -> Any:
        """What Python code, outside any flow, leaves in `result`."""
        # The blank line keeps the result apart from what the code itself prints.
        first, last = (
            "import json\nfrom metaflow import *\nfrom doltflow import DoltConfig, DoltDT",
            "print()\nprint(json.dumps(result))",
        )
        done = subprocess.run(
            [sys.executable, "-c", f"{first}\n{code}\n{last}"],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def artifacts(self, run: FlowRun, *names: str) -> dict[str, dict[str, Any]]:
        """Artifacts of every task of a run that are JSON, by `step/task_id` and name."""
        return dict(
            self.notebook(
                f"""
namespace(None)
def plain(task):
    return {{a.id: a.data for a in task if a.id in {names!r}}}
result = {{f"{{step.id}}/{{task.id}}": plain(task) for step in Run({run.pathspec!r}) for task in step}}
"""
            )
        )


def flow_name(script: str) -> str:
    """The class of a flow's file: `counter_flow.py` holds CounterFlow."""
    return "".join(part.capitalize() for part in Path(script).stem.split("_"))


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world in a folder; for as long as it lasts, this process too sees nothing of the user's."""
    environment = isolated(folder / "home") | {"PYTHONWARNINGS": "ignore::DeprecationWarning"}
    work = folder / "work"
    work.mkdir()
    with backend(folder, environment) as made, pytest.MonkeyPatch.context() as patch:
        here = World(work, environment, made)
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        here.enter(patch)
        yield here


def commits(database: Path, ref: str = "main") -> list[dict[str, Any]]:
    """The commits of a branch, newest first: hash, committer, email, message."""
    return sql(database, f"select commit_hash, committer, email, message from dolt_log('{ref}')")


def messages(database: Path, ref: str = "main") -> dict[str, str]:
    """The messages of the commits that runs made, by `step/task_id`."""
    found = [commit["message"] for commit in commits(database, ref) if commit["message"].startswith("Run: ")]
    return {"/".join(message.split("\n")[0].split("/")[2:]): message for message in found}


def trailers(message: str) -> list[tuple[str, Any]]:
    """The trailers of a message, as git reads them."""
    parsed = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    ).stdout
    pairs = [line.split(": ", 1) for line in parsed.splitlines()]
    return [(name.removeprefix("Doltflow-"), json.loads(value)) for name, value in pairs]


def rows(database: Path, table: str, order: str = "1", ref: str = "main") -> list[dict[str, Any]]:
    """The rows of a table at a ref."""
    return sql(database, f"select * from `{table}` as of '{ref}' order by {order}")


def table_hash(database: Path, table: str, ref: str = "main") -> str:
    """The content hash of a table."""
    return str(sql(database, f"use `{database.name}/{ref}`; select dolt_hashof_table('{table}') as h")[0]["h"])


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Waits until something has happened."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE:g} s"
        time.sleep(0.005)


def is_served(database: Path) -> bool:
    """Whether a server runs on a database."""
    return (database / ".dolt" / "sql-server.info").exists()


def left_running(here: World) -> list[str]:
    """Processes that were started in the world and still run."""
    mine = f"HOME={here.environment['HOME']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mine in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # It is another user's, or has ended meanwhile.
            continue
    return found


def is_loading(database: Path) -> bool:
    """Whether the server is reading the rows of a write."""
    try:
        pid = (database / ".dolt" / "sql-server.info").read_text().split(":")[0]
        opened = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # It is about to come, or the link is gone again.
        return False
    return any("/temptf/doltflow-" in name for name in opened)
