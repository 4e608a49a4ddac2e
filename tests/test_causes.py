"""Why two runs differ: data, code, parameters, environment; what is known to be the same, and what nobody can tell."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import FLOWS, FlowRun, dolt, git, head
from flows.harness import World, world
from histories import Histories, histories_here

from doltflow.causes import KINDS, Cause, Causes, CodeFile, causes_between, environment_changes, summary
from doltflow.causes.code import _lines
from doltflow.causes.parameters import is_same
from doltflow.model.access import TaskRecord
from doltflow.model.commit import Commit, parse_message
from doltflow.model.run import Run
from doltflow.replay import replay
from doltflow.sources.git import changed_lines
from doltflow.workspace import RunRecords, Workspace, find_run, load_settings, open_workspace, read_run

ADD = "insert into `{}` values ({}, {})"
RATES = "RATE = 1\nLEFT = 2\n"


# Real runs


@dataclass(frozen=True)
class Runs:
    """A folder in which a flow ran again and again, each time with one thing changed.

    Attributes:
        again: Nothing but a commit that does not concern the flow.
        factor: A parameter.
        loaded: The data.
        committed: The code, from a clean commit, with a code package.
        edited: The code, not committed, with a code package.
    """

    world: World
    first: FlowRun
    again: FlowRun
    factor: FlowRun
    loaded: FlowRun
    committed: FlowRun
    edited: FlowRun

    @property
    def project(self) -> Path:
        return self.world.folder / "project"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with world(tmp_path_factory.mktemp("causes")) as here:
        make = "create table {} (id int primary key, v int)"
        prices = here.database("prices", make.format("prices"), ADD.format("prices", 1, 10))
        here.database("results", "create table labels (id int primary key, label varchar(9))")
        project = here.folder / "project"
        project.mkdir()
        shutil.copy(FLOWS / "causes_flow.py", project)
        (project / "rates.py").write_text(RATES)
        (project / ".gitignore").write_text("__pycache__\n")
        git(project, "init", "-q")
        git(project, "add", "-A")
        git(project, "commit", "-q", "-m", "first")
        flow, packed = str(project / "causes_flow.py"), {"METAFLOW_FEAT_ALWAYS_UPLOAD_CODE_PACKAGE": "1"}
        first = here.run(flow)
        (project / "notes.md").write_text("Nothing\n")
        git(project, "add", "-A")
        git(project, "commit", "-q", "-m", "second")
        again = here.run(flow)
        factor = here.run(flow, "--the-factor", "3")
        loader = "call dolt_commit('-am', 'Load', '--author', 'Price Loader <p@x>')"
        changes = [ADD.format("prices", 2, 20), ADD.format("prices", 3, 30), "update prices set v = 11 where id = 1"]
        dolt(prices, "sql", stdin=";\n".join([*changes, loader]))
        loaded = here.run(flow)
        (project / "rates.py").write_text("RATE = 2\n")
        git(project, "commit", "-q", "-am", "third")
        committed = here.run(flow, **packed)
        (project / "rates.py").write_text("RATE = 3\nMORE = 1\nMOST = 2\n")
        edited = here.run(flow, **packed)
        yield Runs(here, first, again, factor, loaded, committed, edited)


@pytest.fixture
def runs(recorded: Runs, monkeypatch: pytest.MonkeyPatch) -> Runs:
    recorded.world.enter(monkeypatch)
    return recorded


def read(workspace: Workspace, run: FlowRun | str) -> RunRecords:
    return read_run(workspace, find_run(workspace, run if isinstance(run, str) else run.pathspec))


def between(before: FlowRun | str, after: FlowRun | str, folder: Path | None = None, **changed: Any) -> Causes:
    """What differs between two runs, every task of which has what is `changed`."""
    with open_workspace(load_settings(folder), None, folder) as workspace:
        sides = [read(workspace, before), read(workspace, after)]
        if changed:
            runs = [replace(s.run, tasks=tuple(replace(task, **changed) for task in s.run.tasks)) for s in sides]
            sides = [replace(side, run=run) for side, run in zip(sides, runs, strict=True)]
        return causes_between(workspace, *sides)


def test_nothing_has_changed(runs: Runs) -> None:
    found = between(runs.first, runs.again)
    assert found == Causes(runs.first.pathspec, runs.again.pathspec, (), KINDS, ())
    assert summary([found], True) == "not deterministic: data, code, parameters and environment are the same"
    assert summary([found], False) == "identical"


def test_only_a_parameter_has_changed(runs: Runs) -> None:
    found = between(runs.again, runs.factor)
    assert found.causes == (Cause("parameter", "factor", 2, 3),)
    assert (found.same, found.unknown) == (("data", "code", "environment"), ())


def test_only_the_data_has_changed(runs: Runs) -> None:
    found = between(runs.again, runs.loaded)
    (cause,) = found.causes
    prices = runs.world.folder / "prices"
    assert (cause.kind, cause.name, cause.database, cause.table) == ("data", "prices/prices", "prices", "prices")
    assert (cause.before, cause.after, cause.direction) == (head(prices, "main~1"), head(prices), "forward")
    assert (cause.added, cause.removed, cause.modified, cause.schema_changed) == (2, 0, 1, False)
    assert [(commit.hash, commit.author) for commit in cause.commits] == [(cause.after, "Price Loader")]
    assert (cause.only, cause.kept, cause.more) == (None, False, 0)
    assert (found.same, found.unknown) == (("code", "parameter", "environment"), ())
    assert summary([found], True) == (
        f"differs because `prices` gained 2 rows and had 1 row modified (commit {cause.after[:8]} by Price Loader); "
        "code, parameters and environment are the same"
    )
    assert [c.direction for c in between(runs.loaded, runs.again).causes] == ["backward"]


def test_committed_code_is_counted_by_git(runs: Runs) -> None:
    found = between(runs.loaded, runs.committed)
    commits = [git(runs.project, "rev-parse", ref) for ref in ("HEAD~1", "HEAD")]
    assert found.causes == (Cause("code", "git commit", *commits, files=(CodeFile("rates.py", 1, 2),)),)
    assert (found.same, found.unknown) == (("data", "parameter", "environment"), ())


def test_code_that_was_not_committed_is_counted_from_what_was_kept(runs: Runs) -> None:
    (cause,) = between(runs.committed, runs.edited).causes
    assert (cause.kind, cause.name, cause.files) == ("code", "sources", (CodeFile("rates.py", 3, 1),))
    assert len(cause.before) == len(cause.after) == 40
    assert cause.before != cause.after
    (cause,) = between(runs.first, runs.edited).causes[1:]
    assert (cause.name, cause.files) == ("sources", (CodeFile("rates.py", 3, 2),))


def test_runs_without_recorded_sources_are_told_apart_by_git_and_by_their_packages(runs: Runs) -> None:
    assert "code" in between(runs.first, runs.again, sources=()).same
    assert "code" in between(runs.again, runs.factor, sources=()).same
    commits = [git(runs.project, "rev-parse", ref) for ref in ("HEAD~1", "HEAD")]
    (cause,) = between(runs.loaded, runs.committed, sources=()).causes
    assert cause == Cause("code", "git commit", *commits, files=(CodeFile("rates.py", 1, 2),))
    (cause,) = between(runs.committed, runs.edited, sources=()).causes
    assert (cause.name, cause.files) == ("code package", (CodeFile("rates.py", 3, 1),))
    assert cause.before != cause.after
    (cause,) = between(runs.committed, runs.edited, sources=(), git_commit=None).causes
    assert cause.name == "code package"


def test_what_cannot_be_told_of_the_code_is_said(runs: Runs) -> None:
    names = [run.pathspec for run in (runs.first, runs.loaded)]
    nothing = tuple(("code", f"`{name}` has not recorded its source.") for name in names)
    assert between(runs.first, runs.loaded, sources=(), git_commit=None).unknown == nothing
    assert between(runs.first, runs.loaded, script=None).unknown == nothing
    found = between(runs.first, runs.loaded, sources=(), git_dirty=True)
    commits = [git(runs.project, "rev-parse", ref) for ref in ("HEAD~2", "HEAD~1")]
    assert found.causes[1:] == (Cause("code", "git commit", *commits),)
    dirty = " and ".join(f"`{name}` ran with changes that were not committed" for name in names)
    asked = "Which of the flow's files differ between the git commits cannot be told"
    assert found.unknown == (("code", f"{asked}: {dirty}."),)
    folder = runs.project / ".git"
    folder.rename(runs.project / "hidden")
    try:
        found = between(runs.first, runs.loaded, sources=())
        assert found.unknown == (("code", f"{asked}: the repository does not have them."),)
        (cause,) = between(runs.loaded, runs.committed).causes
        assert (cause.name, cause.files) == ("git commit", (CodeFile("rates.py", 1, 2),))
    finally:
        (runs.project / "hidden").rename(folder)
    with open_workspace(load_settings(None)) as workspace:
        one, other = read(workspace, runs.first), read(workspace, runs.again)
        last = other.run.tasks[-1]
        edited = (replace(last, sources=(("rates.py", "0" * 40),)), last)
        found = causes_between(workspace, one, replace(other, run=replace(other.run, tasks=edited)))
        said = f"`rates.py` was edited while `{runs.again.pathspec}` ran: no version of it is what all its steps had."
        assert (found.causes, found.unknown) == ((), (("code", said),))
        gone = tuple(replace(task, sources=(("rates.py", "0" * 40),), git_commit=None) for task in other.run.tasks)
        (cause,) = causes_between(workspace, one, replace(other, run=replace(other.run, tasks=gone))).causes
    assert [(file.path, file.added) for file in cause.files] == [("causes_flow.py", 0), ("rates.py", None)]


def test_a_flow_whose_file_was_renamed_is_the_same_code(runs: Runs) -> None:
    with open_workspace(load_settings(None)) as workspace:
        one, other = read(workspace, runs.first), read(workspace, runs.again)

        def renamed(task: TaskRecord) -> TaskRecord:
            sources = {name.replace("causes_flow", "other"): key for name, key in task.sources}
            return replace(task, script="/elsewhere/other.py", sources=tuple(sources.items()))

        old = replace(one.run, tasks=tuple(renamed(task) for task in one.run.tasks))
        assert "code" in causes_between(workspace, replace(one, run=old), other).same


def test_the_environment_has_changed(runs: Runs) -> None:
    with open_workspace(load_settings(None)) as workspace:
        one, other = read(workspace, runs.first), read(workspace, runs.again)

        def changed(task: TaskRecord) -> TaskRecord:
            packages = {**dict(task.packages), "pandas": "9.9", "scipy": "1.0"}
            packages.pop("pyarrow")
            return replace(task, python="3.99.0", packages=tuple(packages.items()))

        new = replace(other.run, tasks=tuple(changed(task) for task in other.run.tasks))
        found = causes_between(workspace, one, replace(other, run=new))
        python, packages = one.run.tasks[0].python, dict(one.run.tasks[0].packages)
    assert found.causes == (
        Cause("environment", "python", python, "3.99.0"),
        Cause("environment", "pandas", packages["pandas"], "9.9"),
        Cause("environment", "pyarrow", packages["pyarrow"], None, "before"),
        Cause("environment", "scipy", None, "1.0", "after"),
    )
    assert (found.same, found.unknown) == (("data", "code", "parameter"), ())


def test_a_replay_that_reads_back_what_it_wrote_has_the_same_data(runs: Runs) -> None:
    done = replay(runs.edited.pathspec, keep=False)
    assert done.identical
    assert done.new_run is not None
    found = between(runs.edited, done.new_run.pathspec)
    assert (found.causes, found.same, found.unknown) == ((), KINDS, ())


def test_of_runs_that_only_commits_know_the_data_alone_is_known(runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("prices", "results"):
        shutil.copytree(runs.world.folder / name, folder / name)
    names = f"`{runs.first.pathspec}` and `{runs.loaded.pathspec}`"
    found = between(runs.first, runs.loaded, folder)
    assert [(cause.name, cause.added, cause.modified) for cause in found.causes] == [("prices/prices", 2, 1)]
    assert found.same == ()
    assert found.unknown == (
        ("code", f"Only commits tell of {names}, and they do not hold the code."),
        ("parameter", f"Only commits tell of {names}, and they do not hold parameters."),
        ("environment", f"Only commits tell of {names}, and they do not hold the environment."),
    )


# Histories


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Histories]:
    """A database with `prices` and a table with a comma in its name, and one for what is made of them."""
    with histories_here(tmp_path, monkeypatch) as made:
        made.database("prices", "prices", "`odd,name`")
        made.database("made", "sums", "log")
        yield made


def run(here: Histories, number: int, *reads: tuple[str, str, str], table: str = "sums", **more: Any) -> str:
    """A run that writes a table of `made`, and its name."""
    more = {"reads": reads, **more}
    here.run("made", f"Sums/{number}/s/1", table, ADD.format(table, number, 0), **more)
    return f"Sums/{number}"


def data(before: str, after: str) -> tuple[list[Cause], list[str]]:
    """The causes in the data, and what of it cannot be told."""
    found = between(before, after)
    return [c for c in found.causes if c.kind == "data"], [why for kind, why in found.unknown if kind == "data"]


def test_only_commits_that_changed_the_table_are_listed(here: Histories) -> None:
    one = run(here, 1, ("prices", "prices", here.head("prices")))
    here.by_hand("prices", ADD.format("odd,name", 1, 1))
    commits = [here.by_hand("prices", ADD.format("prices", number, 0)) for number in range(23)]
    here.by_hand("prices", ADD.format("odd,name", 2, 1))
    ((cause,), unknown) = data(one, run(here, 2, ("prices", "prices", here.head("prices"))))
    assert [commit.hash for commit in cause.commits] == commits[:2:-1]
    assert (cause.added, cause.more, cause.after, unknown) == (23, 3, commits[-1], [])


def test_equal_contents_are_no_cause_whatever_the_commit(here: Histories) -> None:
    first = here.head("prices")
    here.by_hand("prices", ADD.format("prices", 1, 1))
    back = here.by_hand("prices", "delete from prices")
    assert data(run(here, 1, ("prices", "prices", first)), run(here, 2, ("prices", "PRICES", back))) == ([], [])
    assert "data" in between("Sums/1", "Sums/2").same


def test_a_table_with_a_comma_in_its_name(here: Histories) -> None:
    first = here.head("prices")
    added = here.by_hand("prices", ADD.format("odd,name", 1, 1))
    here.by_hand("prices", ADD.format("prices", 1, 1))
    reads = [("prices", "odd,name", at) for at in (first, here.head("prices"))]
    ((cause,), _) = data(run(here, 1, reads[0]), run(here, 2, reads[1]))
    assert (cause.name, cause.added, cause.removed) == ("prices/odd,name", 1, 0)
    assert [commit.hash for commit in cause.commits] == [added]
    ((cause,), _) = data("Sums/2", "Sums/1")
    assert (cause.added, cause.removed, cause.direction) == (0, 1, "backward")
    assert [commit.hash for commit in cause.commits] == [added]


def test_versions_of_two_branches_are_led_to_by_commits_of_both(here: Histories) -> None:
    here.branch("prices", "side")
    main = [here.by_hand("prices", ADD.format("prices", number, 1)) for number in (1, 2)]
    side = [here.by_hand("prices", ADD.format("prices", number, 1), branch="side") for number in (3, 4, 5)]
    ((cause,), _) = data(run(here, 1, ("prices", "prices", main[-1])), run(here, 2, ("prices", "prices", side[-1])))
    assert (cause.added, cause.removed, cause.direction) == (3, 2, "apart")
    assert [commit.hash for commit in cause.commits] == [*side[::-1], *main[::-1]]


def test_a_merge_that_took_one_side_changed_nothing_itself(here: Histories) -> None:
    one = run(here, 1, ("prices", "prices", here.head("prices")))
    here.branch("prices", "side")
    side = here.by_hand("prices", ADD.format("prices", 1, 1), branch="side")
    here.by_hand("prices", ADD.format("odd,name", 1, 1))
    here.merge("prices", "side")
    ((cause,), _) = data(one, run(here, 2, ("prices", "prices", here.head("prices"))))
    assert [commit.hash for commit in cause.commits] == [side]
    other = here.by_hand("prices", ADD.format("prices", 2, 1), branch="side")
    main = here.by_hand("prices", ADD.format("prices", 3, 1))
    merge = here.merge("prices", "side")
    ((cause,), _) = data("Sums/2", run(here, 3, ("prices", "prices", here.head("prices"))))
    assert {commit.hash for commit in cause.commits} == {merge, main, other}


def test_what_only_one_run_read_and_versions_that_both_read(here: Histories) -> None:
    first = here.head("prices")
    second, third = (here.by_hand("prices", ADD.format("prices", number, 1)) for number in (1, 2))
    one = run(here, 1, ("prices", "prices", first), ("prices", "prices", second), ("prices", "odd,name", first))
    other = run(here, 2, ("prices", "prices", third), ("prices", "prices", first))
    (alone, cause), unknown = data(one, other)
    assert (cause.before, cause.after, cause.added) == (second, third, 1)
    assert (alone.name, alone.only, alone.before, alone.after) == ("prices/odd,name", "before", first, None)
    assert unknown == []
    (more,), _ = data(
        run(here, 3, ("prices", "prices", first)), run(here, 4, *(("prices", "prices", at) for at in (first, third)))
    )
    assert (more.only, more.before, more.after) == ("after", None, third)


def test_changes_of_the_schema_and_of_the_key(here: Histories) -> None:
    first = here.by_hand("prices", ADD.format("prices", 1, 1))
    wider = here.by_hand("prices", "alter table prices add column w int")
    keyed = here.by_hand("prices", "alter table prices drop primary key, add primary key (id, v)")
    for number, at in enumerate((first, wider, keyed)):
        run(here, number, ("prices", "prices", at))
    ((cause,), _) = data("Sums/0", "Sums/1")
    assert (cause.added, cause.removed, cause.schema_changed) == (0, 0, True)
    ((cause,), unknown) = data("Sums/1", "Sums/2")
    assert (cause.added, cause.removed, cause.modified, cause.schema_changed) == (0, 0, 0, True)
    assert unknown == []


def test_what_an_append_found_is_a_cause(here: Histories) -> None:
    found = here.head("made")
    one = run(here, 1, table="log", mode="append")
    here.by_hand("made", ADD.format("log", 7, 7))
    two = run(here, 2, table="log", mode="append")
    run(here, 2, ("made", "log", here.head("made")), table="sums")
    ((cause,), unknown) = data(one, two)
    assert (cause.name, cause.before, cause.added, cause.kept, unknown) == ("made/log", found, 2, True, [])
    assert [commit.author for commit in cause.commits] == ["Ann", "Ann"]
    run(here, 3, table="log", mode="replace")
    here.run("made", "Sums/3/s/1", "log", ADD.format("log", 30, 0), mode="append")
    assert data(run(here, 4), "Sums/3") == ([], [])


def test_a_database_or_a_commit_that_is_not_here(here: Histories) -> None:
    there, gone = here.head("prices"), "b" * 32
    elsewhere = [("nowhere", "codes", "a" * 32), ("nowhere", "codes", "c" * 32)]
    one = run(here, 1, elsewhere[0], ("prices", "prices", there))
    other = run(here, 2, elsewhere[1], ("prices", "prices", gone))
    causes, unknown = data(one, other)
    assert causes == []
    assert unknown == [
        "Whether `codes` is the same cannot be told: the database `nowhere` is not here.",
        f"Whether `prices` is the same cannot be told: `prices` does not have it at the commit {gone}.",
    ]
    assert data(run(here, 3, elsewhere[0]), run(here, 4, elsewhere[0])) == ([], [])
    (cause,), unknown = data("Sums/4", run(here, 5))
    assert (cause.name, cause.only, cause.before, unknown) == ("nowhere/codes", "before", "a" * 32, [])


def test_tables_of_one_name_in_two_databases(here: Histories) -> None:
    here.database("copy", "prices")
    one = run(here, 1, ("prices", "prices", here.head("prices")))
    assert data(one, run(here, 2, ("copy", "prices", here.head("copy")))) == ([], [])
    changed = here.by_hand("copy", ADD.format("prices", 1, 1))
    causes, unknown = data(one, run(here, 3, ("copy", "prices", changed)))
    assert [(cause.name, cause.only) for cause in causes] == [("prices/prices", "before"), ("copy/prices", "after")]
    assert unknown == [
        "By how many rows `prices` differs between `prices` and `copy` cannot be told: neither has the commits of both."
    ]
    here.by_hand("prices", ADD.format("prices", 5, 5))
    shutil.copytree("prices", "clone", ignore=shutil.ignore_patterns("sql-server.info"))
    dolt(Path("clone"), "sql", "-q", f"{ADD.format('prices', 6, 6)}; call dolt_commit('-am', 'Clone')")
    ((cause,), unknown) = data(one, run(here, 4, ("clone", "prices", head(Path("clone")))))
    assert (cause.name, cause.added, len(cause.commits), unknown) == ("clone/prices", 2, 2, [])


def test_a_commit_of_the_original_integration_does_not_say_what_was_read(here: Histories) -> None:
    here.by_hand("made", ADD.format("sums", 1, 1), message="Run: Sums/1/s/1")
    causes, unknown = data("Sums/1", run(here, 2))
    assert (causes, unknown) == ([], ["Only commits tell of `Sums/1`, and not all of them say what it had read."])


# Parts


@pytest.mark.parametrize(
    ("before", "after", "is_equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (None, None, True),
        (None, "", False),
        (float("nan"), float("nan"), True),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": float("nan")}, {"a": float("nan")}, True),
        (Decimal("1.0"), Decimal("1.00"), True),
        (np.arange(9999), np.arange(9999), True),
        (np.arange(9999), np.arange(9999) // 5000, False),
        (np.arange(3), np.arange(3.0), False),
        (np.arange(3), [0, 1, 2], False),
        (pd.DataFrame({"a": [1, None]}), pd.DataFrame({"a": [1, None]}), True),
        (pd.DataFrame({"a": range(999)}), pd.DataFrame({"a": [*range(500), 0, *range(501, 999)]}), False),
        (pd.NA, pd.NA, True),
        ({"a": np.arange(2)}, {"a": np.arange(2)}, True),
        ({"a": np.arange(2)}, {"a": np.arange(3)}, False),
    ],
)
def test_values_of_parameters(before: Any, after: Any, is_equal: bool) -> None:
    assert is_same(before, after) is is_equal


def test_values_that_cannot_be_compared() -> None:
    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        def __repr__(self) -> str:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    assert is_same(Hostile(), Hostile()) is False
    causes = Causes("F/1", "F/2", (Cause("parameter", "p", Hostile(), Hostile()),), (), ())
    assert summary([causes], True).startswith("differs because the parameter `p` is a Hostile and was a Hostile;")


def test_lines_are_counted() -> None:
    assert _lines(b"a\nb\nc\n", b"a\nx\ny\nc\n") == (2, 1)
    assert _lines(b"", b"a\nb") == (2, 0)
    assert _lines(b"a", b"a\n") == (1, 1)
    assert _lines(b"\xff\n" * 6000, b"\xff\n" * 5999) == (0, 1)


def test_git_counts_lines_of_any_name(tmp_path: Path) -> None:
    folder = (tmp_path / "-- é").resolve()
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "--x\ty.py").write_text("1\n")
    (folder / "bytes.py").write_bytes(b"\0")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "--x\ty.py").write_text("2\n3\n")
    (folder / "bytes.py").write_bytes(b"\0\1")
    git(folder, "commit", "-q", "-am", "second")
    commits = [git(folder, "rev-parse", ref) for ref in ("HEAD~1", "HEAD")]
    assert changed_lines(folder, *commits, ["."]) == {"--x\ty.py": (2, 1), "bytes.py": (None, None)}
    assert changed_lines(folder, *commits, ["--x\ty.py", "no.py"]) == {"--x\ty.py": (2, 1)}
    assert changed_lines(folder, *commits, []) == {}
    assert changed_lines(folder, commits[0], "0" * 40, ["."]) is None
    assert changed_lines(folder, commits[0], "--output=x", ["."]) is None
    assert changed_lines(tmp_path / "none", *commits, ["."]) is None


def test_environments_of_common_steps_are_compared() -> None:
    def task(run: int, step: str, **versions: Any) -> TaskRecord:
        return TaskRecord(f"F/{run}/{step}/1", **{"python": "3", "metaflow": "2", "dolt": "1", **versions})

    def of(*tasks: TaskRecord) -> Run:
        return Run("F", tasks[0].pathspec.split("/")[1], tasks=tasks)

    one = of(task(1, "start", packages=(("pandas", "1"),)), task(1, "end", python="4"))
    assert environment_changes(one, of(task(2, "start", packages=(("pandas", "2"),)))) == [("pandas", "1", "2")]
    assert environment_changes(one, of(task(2, "end", python="4"), task(1, "start", python="5"))) == []
    assert environment_changes(one, of(task(2, "other"))) == [("python", "3, 4", "3")]
    assert environment_changes(one, Run("F", "2")) == []


# The sentence


def commit(hash_: str, author: str, message: str = "By hand") -> Commit:
    return Commit("db", hash_ * 4, (), author, "", datetime(2020, 1, 1, tzinfo=UTC), message, parse_message(message))


def of_data(table: str = "prices", database: str = "db", **more: Any) -> Cause:
    return Cause("data", f"{database}/{table}", "a" * 32, "b" * 32, database=database, table=table, **more)


LOADER, ANN = commit("2u20sjrq", "Price Loader"), commit("abcdefgh", "Ann")
OF_RUN = commit("12345678", "tester", "Run: Prices/7/start/1")
FACTOR = Cause("parameter", "factor", 2, 3)
RATES_FILE = CodeFile("rates.py", 12, 3)
CODE = Cause("code", "git commit", "0123456789" * 4, "9876543210" * 4, files=(RATES_FILE,))
PANDAS = Cause("environment", "pandas", "2.1", "3.0")


def told(*causes: Cause, unknown: str = "") -> Causes:
    """What is known of two runs: what has no cause and is not in `unknown` is the same."""
    names = unknown.split()
    same = tuple(kind for kind in KINDS if kind not in names and kind not in {cause.kind for cause in causes})
    return Causes("F/1", "F/2", causes, same, tuple((kind, "Why.") for kind in KINDS if kind in names))


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (of_data(added=12431, removed=0, modified=0, commits=(LOADER,)),
         "`prices` gained 12,431 rows (commit 2u20sjrq by Price Loader)"),
        (of_data(added=1, removed=2, modified=3, commits=(LOADER, ANN)),
         "`prices` gained 1 row, lost 2 rows and had 3 rows modified (2 commits, the newest 2u20sjrq by Price Loader)"),
        (of_data(modified=1, commits=(OF_RUN,), direction="forward"),
         "`prices` had 1 row modified (commit 12345678 by the run Prices/7)"),
        (of_data(added=5, schema_changed=True), "`prices` gained 5 rows and changed its schema"),
        (of_data(schema_changed=True), "`prices` changed its schema"),
        (of_data(commits=(LOADER,) * 20, more=1200),
         "`prices` changed (1,220 commits, the newest 2u20sjrq by Price Loader)"),
        (of_data(removed=1, commits=(LOADER,), direction="backward"),
         "`prices` lost 1 row (an older version, without commit 2u20sjrq by Price Loader)"),
        (of_data(removed=1, commits=(LOADER, ANN), direction="apart"),
         "`prices` lost 1 row "
         "(a version from another branch, apart by 2 commits, the newest 2u20sjrq by Price Loader)"),
        (of_data(removed=1, direction="apart"), "`prices` lost 1 row (a version from another branch)"),
        (of_data(added=2, kept=True), "`prices`, which was not replaced, gained 2 rows"),
        (Cause("data", "db/prices", None, "b" * 32, "after", database="db", table="prices"),
         "only `F/2` read `db/prices` (at bbbbbbbb)"),
        (Cause("data", "db/prices", "a" * 32, None, "before", database="db", table="prices", kept=True),
         "only `F/1` found `db/prices` (at aaaaaaaa)"),
    ],
)  # fmt: skip
def test_the_data_in_words(cause: Cause, said: str) -> None:
    tail = "; code, parameters and environment are the same"
    assert summary([told(cause)], True) == f"differs because {said}{tail}"


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        ([FACTOR], "the parameter `factor` is 3 and was 2; data, code and environment are the same"),
        ([Cause("parameter", "x", "a", None)],
         "the parameter `x` is None and was 'a'; data, code and environment are the same"),
        ([Cause("parameter", "x", only="after")],
         "only `F/2` has the parameter `x` (None); data, code and environment are the same"),
        ([Cause("parameter", "x", "a" * 99, "b\nc")],
         f"the parameter `x` is 'b\\nc' and was '{'a' * 38}…; data, code and environment are the same"),
        ([CODE], "the code changed (`rates.py`: +12 −3 lines); data, parameters and environment are the same"),
        ([replace(CODE, files=(RATES_FILE, CodeFile("b.py", 1000, 0)))],
         "the code changed (2 files: +1,012 −3 lines); data, parameters and environment are the same"),
        ([replace(CODE, files=(RATES_FILE, CodeFile("b.py")))],
         "the code changed (2 files); data, parameters and environment are the same"),
        ([PANDAS], "pandas is 3.0 and was 2.1; data, code and parameters are the same"),
        ([Cause("environment", "scipy", None, "1.0", "after")],
         "only `F/2` imported scipy 1.0; data, code and parameters are the same"),
        ([of_data(added=1), CODE, FACTOR, PANDAS],
         "`prices` gained 1 row, the code changed (`rates.py`: +12 −3 lines), the parameter `factor` is 3 and was 2 "
         "and pandas is 3.0 and was 2.1"),
        ([of_data(added=1), of_data("codes", removed=1)],
         "`prices` gained 1 row and `codes` lost 1 row; code, parameters and environment are the same"),
        ([of_data(added=1), of_data(database="other", removed=1)],
         "`db/prices` gained 1 row and `other/prices` lost 1 row; code, parameters and environment are the same"),
        ([of_data(f"t{n}", added=n) for n in range(1, 5)],
         "`t1` gained 1 row, `t2` gained 2 rows, `t3` gained 3 rows and `t4` gained 4 rows; "
         "code, parameters and environment are the same"),
        ([of_data(f"t{n}", added=n) for n in range(1, 7)],
         "`t1` gained 1 row, `t2` gained 2 rows, `t3` gained 3 rows and 3 more tables changed; "
         "code, parameters and environment are the same"),
    ],
)  # fmt: skip
def test_causes_in_words(causes: list[Cause], said: str) -> None:
    assert summary([told(*causes)], True) == f"differs because {said}"


@pytest.mark.parametrize(
    ("found", "is_different", "said"),
    [
        ([told()], True, "not deterministic: data, code, parameters and environment are the same"),
        ([told(), told()], True, "not deterministic: data, code, parameters and environment are the same"),
        ([told(unknown="code")], True,
         "differs; data, parameters and environment are the same; whether code is the same cannot be told"),
        ([told(unknown="code parameter environment")], True,
         "differs; data is the same; whether code, parameters and environment are the same cannot be told"),
        ([told(FACTOR, unknown="code")], True,
         "differs because the parameter `factor` is 3 and was 2; data and environment are the same; "
         "whether code is the same cannot be told"),
        ([told(), told(unknown="parameter")], True,
         "differs; data, code and environment are the same; whether parameters are the same cannot be told"),
        ([told(CODE, unknown="code")], True,
         "differs because the code changed (`rates.py`: +12 −3 lines); data, parameters and environment are the same"),
        ([told(replace(CODE, files=()), unknown="code")], True,
         "differs because the git commit of the code is 98765432 and was 01234567; "
         "data, parameters and environment are the same"),
        ([], True, "differs; whether data, code, parameters and environment are the same cannot be told"),
        ([told(PANDAS), told(PANDAS, FACTOR)], True,
         "differs because the parameter `factor` is 3 and was 2 and pandas is 3.0 and was 2.1; "
         "data and code are the same"),
        ([], False, "identical"),
        ([told()], False, "identical"),
        ([told(unknown="code")], False, "identical"),
        ([told(CODE)], False, "identical, although code differs"),
        ([told(FACTOR)], False, "identical, although parameters differ"),
        ([told(of_data(added=1), FACTOR)], False, "identical, although data and parameters differ"),
    ],
)  # fmt: skip
def test_the_whole_sentence(found: list[Causes], is_different: bool, said: str) -> None:
    assert summary(found, is_different) == said
