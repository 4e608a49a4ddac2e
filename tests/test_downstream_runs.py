"""Downstream, spoiled and stale by what real runs recorded: those that only read, failed or were resumed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import head, sql
from flows.harness import World, world

from doltflow.impact import impact
from doltflow.status import status
from doltflow.trace import trace

pytestmark = pytest.mark.long
KINDS = ("look", "write", "late", "fails")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, dict[str, str]]]:
    """A database whose tables `t` and `late` runs of each kind read, one after the other, and the runs by kind."""
    with world(tmp_path_factory.mktemp("runs")) as here:
        tables = [f"create table {name} (id int primary key, v int)" for name in ("t", "late")]
        here.database("db", *tables, "insert into t values (1, 1)", "insert into late values (1, 1)")
        runs = {kind: here.run("down_flow.py", "--kind", kind, check=kind != "fails").pathspec for kind in KINDS}
        again = ("--origin-run-id", runs["fails"].split("/")[1])
        here.run("down_flow.py", *again, command="resume", check=False)
        runs["resumed"] = f"DownFlow/{(here.folder / 'run_id').read_text()}"
        yield here, runs


@pytest.fixture
def runs(built: tuple[World, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The runs by kind; the current folder is a copy of theirs."""
    folder = tmp_path / "runs"
    shutil.copytree(built[0].folder, folder)
    monkeypatch.chdir(folder)
    return built[1]


def made_from(table: str) -> set[str]:
    graph = trace(table, direction="downstream").graph
    return {node for node, of in graph.nodes(data=True) if of["kind"] == "run"}


def test_runs_that_only_read_failed_or_were_resumed_are_downstream(runs: dict[str, str]) -> None:
    assert made_from("t") == set(runs.values())
    assert made_from("late") == {runs["late"]}
    result = impact("db@main~3", table="t")
    assert [run.pathspec for run in result.runs] == [runs[kind] for kind in ("resumed", *reversed(KINDS))]
    assert {(head.branch, head.version.table) for head in result.branches} == {("main", "t"), ("main", "u")}


def test_the_commits_alone_tell_of_those_that_wrote(runs: dict[str, str]) -> None:
    shutil.rmtree(".metaflow")
    assert made_from("t") == {runs[kind] for kind in ("write", "late", "fails")}
    assert made_from("late") == set()


def test_the_artifacts_alone_tell_of_them_too(runs: dict[str, str]) -> None:
    sql(Path("db"), "call dolt_reset('--hard', 'HEAD~3')")
    sql(Path("db"), "call dolt_gc()")
    # What the later ones read is gone with the commits.
    assert made_from("t") == {runs["look"], runs["write"]}


def test_production_is_the_newest_successful_run(runs: dict[str, str]) -> None:
    (table,) = status().tables
    assert (table.name, table.run.pathspec, table.branch, table.status) == ("db/u", runs["late"], "main", "fresh")
    assert [(item.table, item.branch, item.note) for item in table.inputs] == [("t", "main", ""), ("late", "main", "")]
    assert table.changed_by is not None
    assert (table.changed_by.commit, table.changed_by.run) == (head(Path("db")), f"{runs['fails']}/start/1")
    shutil.rmtree(".metaflow")
    (table,) = status().tables
    assert (table.run.pathspec, [item.table for item in table.inputs]) == (runs["fails"], ["t"])
