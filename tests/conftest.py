"""Real Dolt databases and real flows, each in a folder of its own; nothing of the user's is read or written."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from served import Backend, backend, server_of, servers

from doltflow.sources.dolt import Session
from doltflow.sources.dolt.folder import Folder

# How long an example takes is up to the machine, which may be busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

FLOWS = Path(__file__).parent / "flows"


def isolated(home: Path) -> dict[str, str]:
    """An environment in which nobody has configured anything."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("METAFLOW", "DOLT", "XDG_", "GIT_", "NO_COLOR", "FORCE_COLOR", "COLUMNS"))
        # Each of the many processes would compile all of doltflow anew.
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    runtime, temporary = home / "runtime", home / "tmp"
    runtime.mkdir(parents=True, exist_ok=True)
    runtime.chmod(0o700)
    temporary.mkdir(exist_ok=True)
    return kept | {
        "HOME": str(home),
        "DOLT_ROOT_PATH": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "TMPDIR": str(temporary),  # Each dolt command leaves empty files there.
        # Each dolt command would leave a process behind that makes its folder again after it was removed.
        "DOLT_DISABLE_EVENT_FLUSH": "1",
        "METAFLOW_USER": "tester",
        "METAFLOW_HOME": str(home / "metaflow"),
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--served`: databases are on a server, and commands and flows find them by its address."""
    parser.addoption("--served", action="store_true", help="Run on a `dolt sql-server` what can run there.")


def pytest_configure(config: pytest.Config) -> None:
    """Says to the fixtures of modules, too, where databases are."""
    Backend.is_on = config.getoption("--served")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is about folders where databases are on a server."""
    if config.getoption("--served"):
        skip = pytest.mark.skip(reason="about databases in folders")
        for item in items:
            if item.get_closest_marker("folder"):
                item.add_marker(skip)


_backends: list[Backend | None] = []
"""Where the databases of the running test are; None in folders."""


@pytest.fixture(autouse=True)
def _isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    environment = isolated(tmp_path / "home")
    for name in list(os.environ):
        if name not in environment:
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    if servers:  # Those of the test's module.
        monkeypatch.setenv("DOLTFLOW_DATABASES", ":".join(server.address() for server in servers))
    with backend(tmp_path, os.environ) as made:
        _backends.append(made)
        yield
        _backends.pop()


def git(folder: Path, *arguments: str) -> str:
    """What git prints, run in a folder by Ann."""
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def dolt(folder: Path, *arguments: str, stdin: str | None = None) -> str:
    """What a dolt command prints; an error fails the test."""
    # A third of what so short a program costs is that it collects its garbage.
    once = os.environ | {"GOGC": "off"}
    done = subprocess.run(["dolt", *arguments], cwd=folder, env=once, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"dolt {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def sql(folder: Path, query: str) -> list[dict[str, Any]]:
    """The rows of a query, by the dolt program, or by the server that has the database."""
    if (server := server_of(folder)) is not None:
        return server.select(folder.name, query)
    out = dolt(folder, "sql", "-r", "json", "-q", query).strip()
    return json.loads(out.splitlines()[-1]).get("rows", []) if out else []


def check_out(folder: Path, branch: str, at: str | None = None) -> None:
    """Checks a branch out, which on a server is its default; a new one where it is told at what."""
    if (server := server_of(folder)) is None:
        dolt(folder, "checkout", *([branch] if at is None else ["-b", branch, at]))
        return
    if at is not None:
        dolt(folder, "branch", branch, at)
    server.run(f"set @@global.`{folder.name}_default_branch` = '{branch}'")


def make_database(folder: Path, *statements: str, where: Backend | None = None) -> Path:
    """A database whose first commit after the initial one holds what the statements make.

    Where databases are on a server it is in the folder of that one, and has the name of the folder that is asked for.
    """
    where = where or (_backends[-1] if _backends else None)
    if where is not None:
        server = where.start()
        server.run(f"create database `{folder.name}`")
        folder = server.data / folder.name
        dolt(folder, "config", "--local", "--add", "user.name", "Ann")
        dolt(folder, "config", "--local", "--add", "user.email", "ann@example.com")
    else:
        folder.mkdir(parents=True)
        dolt(folder, "init", "-b", "main", "--name", "Ann", "--email", "ann@example.com")
    if statements:
        script = ";\n".join([*statements, "call dolt_commit('-Am', 'setup', '--author', 'Ann <ann@example.com>')"])
        dolt(folder, "sql", stdin=script)
    return folder


def folder_of(session: Session) -> Path:
    """The folder of a session's database."""
    location = session.database.location
    assert isinstance(location, Folder)
    return location.path


def head(folder: Path, ref: str = "main") -> str:
    """The hash of a ref."""
    return str(sql(folder, f"select dolt_hashof('{ref}') as h")[0]["h"])


def footprint(folder: Path) -> dict[str, str]:
    """Everything of a database that doltflow must not change unasked: checkout, working set, staging, branch names."""
    asked = {
        "status": "select table_name, staged, status from dolt_status order by table_name, staged",
        "staged": "select table_name, statement from dolt_patch('HEAD', 'STAGED') order by table_name, statement",
        "working": "select table_name, statement from dolt_patch('STAGED', 'WORKING') order by table_name, statement",
        "branches": "select name from dolt_branches order by name",
    }
    parted = "; select '----'; ".join(asked.values())  # One start of the program for them all.
    parts = dolt(folder, "sql", "-r", "csv", "-q", parted).split("----\n----\n")
    return {
        "head": json.loads((folder / ".dolt" / "repo_state.json").read_text())["head"],
        **dict(zip(asked, parts, strict=True)),
        "temporary": str(sorted(path.name for path in (folder / ".dolt" / "temptf").iterdir())),
    }


@dataclass(frozen=True)
class FlowRun:
    """A run of a flow in a test."""

    pathspec: str
    returncode: int
    output: str


def run_flow(folder: Path, script: str, *arguments: str, check: bool = True, command: str = "run") -> FlowRun:
    """Runs a flow of `tests/flows` in a folder, whose `.metaflow` is its store."""
    file = folder / "run_id"
    file.unlink(missing_ok=True)
    path = script if Path(script).is_absolute() else str(FLOWS / script)
    done = subprocess.run(
        [sys.executable, path, "--no-pylint", command, "--run-id-file", str(file), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    flow = done.stdout.partition("executing ")[2].partition(" ")[0].strip("\x1b[0m").split("\x1b")[0]
    return FlowRun(f"{flow}/{file.read_text() if file.exists() else ''}", done.returncode, done.stdout + done.stderr)


@pytest.fixture
def database() -> Callable[..., Path]:
    """Makes databases in the current folder."""
    return lambda name, *statements: make_database(Path.cwd() / name, *statements)


@pytest.fixture(scope="session")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, made once by the command itself."""
    top = tmp_path_factory.mktemp("demo")
    program = str(Path(sys.executable).with_name("doltflow"))
    done = subprocess.run(
        [program, "demo", "folder"], cwd=top, env=isolated(top / "home"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return top / "folder"


@pytest.fixture
def demo_folder(_demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's folder, for tests that only ask; it is the current folder."""
    monkeypatch.chdir(_demo)
    return _demo


@pytest.fixture
def demo_copy(_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's folder, for tests that change it; it is the current folder."""
    copy = tmp_path / "demo"
    shutil.copytree(_demo, copy)
    monkeypatch.chdir(copy)
    return copy
