"""Which code a rerun runs: the code package, the git commit or the kept sources of the recorded run, or today's."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, FlowRun, git, sql
from flows.harness import World, wait_for, world

from doltflow.cli import main
from doltflow.errors import FlowFileError
from doltflow.model.access import TaskRecord
from doltflow.rerun.code import CodeFound, find_code
from doltflow.sources.git import checked_out, differing, has_file, repository_of, worktree
from doltflow.sources.metaflow.imports import followed
from doltflow.workspace import find_run, load_settings, open_workspace, read_run

MODULES = {
    "flows/beside.py": "VALUE = 3\n",
    "flows/early.py": "MORE = 1\n",
    "flows/late.py": "VALUE = 4\n",
    "flows/unseen.py": """def more():
    from importlib import import_module

    from parts import near

    return near.sum_up() + import_module("parts.named").VALUE
""",
    "flows/parts/__init__.py": "",
    "flows/parts/near.py": """def sum_up():
    import far

    from . import deep

    return deep.VALUE + far.FACTOR
""",
    "flows/parts/deep.py": "VALUE = 6\n",
    "flows/parts/named.py": "VALUE = 7\n",
    "flows/other_flow.py": "import nothing\n",
    "lib/outside.py": "FACTOR = 5\n",
    "lib/far.py": "FACTOR = 8\n",
}
LISTED = [
    "../lib/far.py", "../lib/outside.py", "beside.py", "code_flow.py", "early.py", "late.py", "parts/__init__.py",
    "parts/deep.py", "parts/named.py", "parts/near.py", "unseen.py",
]  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """A folder in which the same code ran without git, from a clean commit, and packed with a change."""

    world: World
    kept: FlowRun
    clean: FlowRun
    packed: FlowRun

    @property
    def project(self) -> Path:
        return self.world.folder / "project"

    def reset(self) -> None:
        """Puts all files back."""
        shutil.rmtree(self.project / "flows", ignore_errors=True)
        for name, text in MODULES.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(text)
        shutil.copy(FLOWS / "code_flow.py", self.project / "flows")

    def spoil(self) -> None:
        """Changes every file of the flow's folder, so that nothing of it gives the recorded result."""
        for file in (self.project / "flows").rglob("*.py"):
            file.write_text(file.read_text().replace("VALUE = ", "VALUE = 10 + ").replace("MORE = ", "MORE = 10 + "))
        for name in ("late.py", "unseen.py"):
            (self.project / "flows" / name).unlink()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with world(tmp_path_factory.mktemp("code")) as here:
        here.database("results")
        project = here.folder / "project"
        runs = Runs(here, *[FlowRun("", 0, "")] * 3)
        runs.reset()
        flow = str(project / "flows" / "code_flow.py")
        kept = here.run(flow)
        git(project, "init", "-q")
        (project / ".gitignore").write_text("__pycache__\n")
        git(project, "add", "-A")
        git(project, "commit", "-q", "-m", "first")
        clean = here.run(flow)
        (project / "flows" / "beside.py").write_text("VALUE = 2 + 1\n")
        packed = here.run(flow, METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE="1")
        yield Runs(here, kept, clean, packed)


@pytest.fixture
def runs(recorded: Runs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    recorded.world.enter(monkeypatch)
    recorded.reset()
    yield recorded
    recorded.reset()
    assert git(recorded.project, "worktree", "list", "--porcelain").count("worktree ") == 1


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    exit_code = main(["replay", *arguments, "--output", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told.get("schema") == "doltflow.replay/1", told
    return exit_code, told["data"]


@dataclass(frozen=True)
class Found:
    """What was found, while it was there, and the warnings."""

    code: CodeFound
    files: dict[str, str]
    warnings: tuple[str, ...]


def found(run: FlowRun, choice: Any = "recorded", flow_file: Path | None = None) -> Found:
    with open_workspace(load_settings(None)) as workspace:
        recorded = read_run(workspace, find_run(workspace, run.pathspec)).run
        with find_code(workspace, recorded, choice, flow_file) as code:
            files = {path.name: path.read_text() for path in code.script.parent.glob("*.py")}
        assert choice == "current" or not code.script.exists()
        return Found(code, files, workspace.warnings)


# What is recorded


def test_a_run_keeps_the_sources_of_all_its_steps(runs: Runs) -> None:
    for run in (runs.kept, runs.clean, runs.packed):
        tasks = [task["dolt"]["tasks"] for task in runs.world.artifacts(run, "dolt").values()]
        last = {name: task for tasks_of in tasks for name, task in tasks_of.items()}
        names = {name for task in last.values() for name in dict(task["sources"])}
        assert sorted(names) == LISTED


# What is run


@pytest.mark.parametrize("way", ["kept", "clean", pytest.param("packed", marks=pytest.mark.long)])
def test_the_recorded_code_gives_the_recorded_result(runs: Runs, capsys: pytest.CaptureFixture[str], way: str) -> None:
    run = getattr(runs, way)
    runs.spoil()
    hook = runs.project / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {runs.project}/hooked\n")
    hook.chmod(0o755)
    before = git(runs.project, "status", "--porcelain=v2", "--branch")
    exit_code, data = asked(capsys, run.pathspec, "--code", "recorded", "--discard")
    origin = {"kept": "kept", "clean": "git", "packed": "package"}[way]
    assert (exit_code, data["identical"], data["code"]["origin"]) == (0, True, origin)
    assert [(table["table"], table["verdict"]) for table in data["tables"]] == [
        ("first", "identical"),
        ("second", "identical"),
    ]
    assert not Path(data["code"]["script"]).exists()
    assert git(runs.project, "status", "--porcelain=v2", "--branch") == before
    assert not (runs.project / "hooked").exists()
    assert sql(Path("results"), "select name from dolt_branches") == [{"name": "main"}]


def test_what_is_run_is_said_by_a_dry_run(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    words = {
        "kept": "as doltflow kept it with the run",
        "clean": "from the run's git commit",
        "packed": "from the run's code package",
    }
    for way, said in words.items():
        assert main(["replay", getattr(runs, way).pathspec, "--code", "recorded", "--dry-run"]) == 0
        assert said in " ".join(capsys.readouterr().out.split())


# What has changed


@pytest.mark.parametrize("way", ["kept", "clean", "packed"])
def test_the_files_that_have_changed_are_named(runs: Runs, way: str) -> None:
    run = getattr(runs, way)
    if way == "packed":
        (runs.project / "flows" / "beside.py").write_text("VALUE = 2 + 1\n")
    assert found(run, "current").code.changed == ()
    (runs.project / "flows" / "early.py").unlink()
    (runs.project / "lib" / "outside.py").write_text("FACTOR = 6\n")
    (runs.project / "flows" / "unused.py").write_text("")
    assert found(run, "current").code.changed == ("../lib/outside.py", "early.py")


def altered(run: FlowRun, choice: Any, alter: Callable[[TaskRecord], TaskRecord]) -> Found:
    """The code of a run whose tasks have another record."""
    with open_workspace(load_settings(None)) as workspace:
        recorded = read_run(workspace, find_run(workspace, run.pathspec)).run
        other = replace(recorded, tasks=tuple(alter(task) for task in recorded.tasks))
        with find_code(workspace, other, choice) as code:
            return Found(code, {}, workspace.warnings)


def without_sources(run: FlowRun, choice: Any) -> Found:
    """The code of a run whose record tells of no sources, as one of an older doltflow does not."""
    return altered(run, choice, lambda task: replace(task, sources=()))


def test_a_step_that_ran_elsewhere_does_not_hide_where_the_code_is(runs: Runs) -> None:
    def elsewhere(task: TaskRecord) -> TaskRecord:
        return replace(task, script="/metaflow/code_flow.py") if "/end/" in task.pathspec else task

    code = altered(runs.kept, "current", elsewhere).code
    assert (code.script, code.changed) == (runs.project / "flows" / "code_flow.py", ())


@pytest.mark.parametrize("way", ["kept", "clean", "packed"])
def test_a_module_of_a_step_without_dolt_is_known(runs: Runs, way: str) -> None:
    if way == "packed":
        (runs.project / "flows" / "beside.py").write_text("VALUE = 2 + 1\n")
    for name in ("unseen.py", "parts/deep.py", "parts/named.py", "other_flow.py"):
        (runs.project / "flows" / name).write_text("VALUE = 1\n")
    (runs.project / "lib" / "far.py").write_text("FACTOR = 9\n")
    changed = found(getattr(runs, way), "current").code.changed
    assert changed == ("../lib/far.py", "parts/deep.py", "parts/named.py", "unseen.py")


def test_a_clean_commit_knows_more_than_an_older_record(runs: Runs) -> None:
    def seen(task: TaskRecord) -> TaskRecord:
        return replace(task, sources=tuple(item for item in task.sources if "parts" not in item[0]))

    for name in ("parts/deep.py", "other_flow.py"):
        (runs.project / "flows" / name).write_text("VALUE = 1\n")
    assert altered(runs.clean, "current", seen).code.changed == ("parts/deep.py",)
    assert altered(runs.kept, "current", seen).code.changed == ()


def test_a_file_that_was_edited_while_the_run_ran_has_changed(runs: Runs) -> None:
    def earlier(task: TaskRecord) -> TaskRecord:
        first = "/start/" in task.pathspec
        edited = {"beside.py": "0" * 40} if first else {}
        return replace(task, sources=tuple((dict(task.sources) | edited).items()))

    said = f"`beside.py` was edited while {runs.kept.pathspec} ran"
    code = altered(runs.kept, "current", earlier)
    assert code.code.changed == ("beside.py",)
    assert code.warnings == (f"{said}: no version of it is what all its steps had.",)
    code = altered(runs.kept, "recorded", earlier)
    assert (code.code.changed, code.code.origin) == (("beside.py",), "kept")
    assert code.warnings == (f"{said}; it is taken as its last step had it.",)


BROKEN = """
if True:
    import good; import nothing.there, broken
try:
    from .. import above
except ImportError:
    from package.inner import *
match 1:
    case 1:
        from package import Name, inner, module as other
"""


def test_imports_are_followed_without_running_anything(tmp_path: Path) -> None:
    files = {
        "script.py": BROKEN,
        "good.py": "raise SystemExit('ran')\nimport script, good\n",
        "broken.py": "import unused\ndef (",
        "unused.py": "",
        "nothing.py": "'\\d'\n",
        "package/inner/__init__.py": "from ..module import x\nfrom .... import far",
        "package/inner/unused.py": "",
        "package/module.py": "\0",
        "package/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / "flow" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "flow" / name).write_text(text)
    (tmp_path / "above.py").write_text("")
    found = followed(tmp_path / "flow" / "script.py")
    assert {path.relative_to(tmp_path / "flow").as_posix() for path in found} == {
        name for name in files if "unused" not in name
    }
    assert followed(tmp_path / "none.py") == {tmp_path / "none.py"}


def test_a_package_and_a_commit_tell_what_has_changed_too(runs: Runs) -> None:
    (runs.project / "flows" / "beside.py").write_text("VALUE = 2 + 1\n")
    assert without_sources(runs.packed, "current").code.changed == ()
    (runs.project / "flows" / "late.py").unlink()
    assert without_sources(runs.packed, "current").code.changed == ("late.py",)
    assert without_sources(runs.clean, "current").code.changed == ("beside.py", "late.py")
    assert without_sources(runs.kept, "current").code.changed is None


# What cannot be had


def test_a_module_that_git_did_not_follow_is_not_in_the_commit(runs: Runs) -> None:
    late = runs.project / "flows" / "late.py"
    git(runs.project, "rm", "-q", "--cached", "flows/late.py")
    git(runs.project, "commit", "-q", "-m", "without")
    run = runs.world.run(str(runs.project / "flows" / "code_flow.py"))
    git(runs.project, "reset", "-q", "--mixed", "HEAD~1")
    late.unlink()
    code = found(run)
    assert (code.code.origin, code.files["late.py"]) == ("kept", MODULES["flows/late.py"])
    commit = git(runs.project, "rev-parse", "HEAD@{1}")
    assert code.warnings == (f"The commit {commit} of {runs.project} is not what the run ran: `late.py`.",)


def test_what_is_gone_is_named_and_the_next_way_is_taken(runs: Runs, tmp_path: Path) -> None:
    script, commit = runs.project / "flows" / "code_flow.py", git(runs.project, "rev-parse", "HEAD")
    folder = runs.project / ".git"
    folder.rename(tmp_path / "git")
    try:
        code = found(runs.clean)
        assert (code.code.origin, code.warnings) == (
            "kept",
            (f"git finds no repository that {script} is in.",),
        )
        git(runs.project, "init", "-q")
        code = found(runs.clean)
        assert code.warnings == (f"The git repository {runs.project} does not have the commit {commit}.",)
        shutil.rmtree(folder)
    finally:
        (tmp_path / "git").rename(folder)
    elsewhere = runs.project / "moved.py"
    shutil.copy(script, elsewhere)
    assert found(runs.clean, flow_file=elsewhere).warnings == (
        f"The commit {commit} of {runs.project} does not have moved.py.",
    )
    elsewhere.unlink()


def test_nothing_is_left_of_the_code(runs: Runs, tmp_path: Path) -> None:
    data, commit = Path(".metaflow") / "CodeFlow" / "data", git(runs.project, "rev-parse", "HEAD")
    shutil.copytree(data, tmp_path / "data")
    packed = runs.world.notebook(f"namespace(None); result = Run('{runs.packed.pathspec}').code.path")
    Path(packed).write_bytes(b"no archive")
    try:
        code = found(runs.packed)
        assert code.code.origin == "kept"
        (said,) = code.warnings
        assert said.startswith(f"The code package of `{runs.packed.pathspec}` cannot be read: ")
        Path(packed).unlink()
        assert found(runs.packed).warnings == (
            f"The code package of `{runs.packed.pathspec}` is no longer in Metaflow's store.",
        )
        with pytest.raises(FlowFileError) as raised:
            without_sources(runs.packed, "recorded")
        assert raised.value.message == (
            f"The code of `{runs.packed.pathspec}` cannot be had. The code package of `{runs.packed.pathspec}` is no "
            f"longer in Metaflow's store. What it ran was not what git's commit {commit} has. "
            "It ran before doltflow kept the source of flows."
        )
    finally:
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "data", data)


def test_a_module_outside_that_has_changed_is_named(runs: Runs) -> None:
    outside = runs.project / "lib" / "outside.py"
    outside.write_text("FACTOR = 6\n")
    said = f"The module {outside} is not what it was. Where the flow finds it by that path, it runs as it is now."
    for run in (runs.kept, runs.clean, runs.packed):
        assert found(run).warnings == (said,)


# git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "-- a 'b' $(touch hacked) é"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "--x y.py").write_text("1\n")
    git(folder, "add", "--", "--x y.py")
    git(folder, "commit", "-q", "-m", "first")
    return folder.resolve()


def test_names_are_names_and_variables_of_a_hook_lead_nowhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, file = git(repository, "rev-parse", "HEAD"), repository / "--x y.py"
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    assert checked_out(file) == (commit, False)
    assert repository_of(file) == repository
    assert (has_file(repository, commit, file.name), has_file(repository, commit, "no.py")) == (True, False)
    assert has_file(repository, "0" * 40, file.name) is None
    assert differing(repository, commit, ".") == ()
    file.write_text("2\n")
    assert differing(repository, commit, ".") == (file.name,)
    with worktree(repository, commit) as tree:
        assert (tree / file.name).read_text() == "1\n"
    assert not tree.parent.exists()
    with (
        pytest.raises(FlowFileError, match="git cannot check out --upload-pack=x of"),
        worktree(repository, "--upload-pack=x"),
    ):
        pass
    assert list(Path.cwd().iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from doltflow.sources.git import worktree
with worktree(Path(sys.argv[1]), sys.argv[2]) as tree:
    Path("tree").write_text(str(tree))
    time.sleep(60)
"""


def test_what_a_killed_program_left_is_removed_the_next_time(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(repository), commit], env=os.environ.copy())
    wait_for(lambda: Path("tree").exists() and Path("tree").read_text(), "the worktree")
    left = Path(Path("tree").read_text())
    with worktree(repository, commit):
        assert left.exists(), "it is another program's, which still runs"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left.exists()
    with worktree(repository, commit) as tree:
        listed = git(repository, "worktree", "list", "--porcelain").splitlines()
    assert [line for line in listed if line.startswith("worktree ")] == [f"worktree {repository}", f"worktree {tree}"]
    assert not left.parent.exists()
