"""Which earlier runs stand for new ones in a sweep: not those that had read, or run with, something else."""

import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, head, sql
from flows.harness import World, world

from doltflow.cli import main
from doltflow.model.access import TaskRecord
from doltflow.model.run import Run
from doltflow.rerun.earlier import has_environment
from doltflow.sources.dolt import Database

NAMES = ("raw", "made", "other")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """A folder in which a flow ran once, and the run."""
    with world(tmp_path_factory.mktemp("reuse")) as here:
        table = "create table {} (id int primary key, v int)".format
        here.database(
            "raw", table("t"), "insert into t values (1, 1)", "create view doubled as select id, v * 2 as v from t"
        )
        here.database("made", table("total"), "insert into total values (1, 10)")
        here.database("other")
        for name in NAMES:
            sql(here.folder / name, "call dolt_tag('before')")
        script = shutil.copy(FLOWS / "running_flow.py", here.folder)
        yield here, here.run(script).pathspec


@pytest.fixture
def run(ran: tuple[World, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The run, with databases of the test's own in the current folder."""
    here, run = ran
    here.enter(monkeypatch)
    shutil.copytree(here.folder, tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    with ExitStack() as stack:  # Their servers run, which many calls then need not start.
        for name in NAMES:
            stack.enter_context(Database.at(name).open())
        yield run


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What a sweep would do."""
    code = main(["backtest", *arguments, "--dry-run", "--output", "json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    data: dict[str, Any] = json.loads(captured.out)["data"]
    return data


def reused(data: dict[str, Any]) -> list[list[str]]:
    return [[one["run"] for one in commit["runs"]] for commit in data["commits"]]


def test_a_run_is_not_used_again_where_a_table_or_a_view_that_it_read_is_another(
    run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ("-d", "raw", "--base", "before")
    assert reused(planned(capsys, "--sweep", "HEAD..", *before)) == [[run]]
    # Of a table that it wrote in the end it had read another version, after a commit of its own.
    assert reused(planned(capsys, "--sweep", "HEAD..", "-d", "raw")) == [[]]
    old = head(Path("raw"))
    sql(Path("raw"), "create or replace view doubled as select id, v * 200 as v from t; call dolt_commit('-Am', 'v')")
    data = planned(capsys, "--sweep", "HEAD~1..", *before)
    assert [commit["commit"] for commit in data["commits"]] == [old, head(Path("raw"))]
    assert reused(data) == [[run], []]
    # The database that is asked for is the input: it says nothing of the output.
    bisect = ("--bisect", "v > 1", "--good", "HEAD~1", "--bad", "HEAD", "-d", "raw")
    found = planned(capsys, *bisect, "--table", "other/total")
    assert (found["database"], found["table"]) == ("other", "total")
    assert main(["backtest", *bisect, "--table", "total", "--dry-run"]) == 2
    assert "several tables: `made/total`, `other/total`" in capsys.readouterr().err


SAME = TaskRecord(
    "F/1/s/1",
    python=platform.python_version(),
    metaflow=version("metaflow"),
    doltflow=version("doltflow"),
    dolt="1.2.3",
    packages=(("numpy", version("numpy")),),
)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({}, True), ({"python": None, "metaflow": None, "doltflow": None, "dolt": None, "packages": ()}, True),
        ({"python": "3.1"}, False), ({"metaflow": "0.1"}, False), ({"doltflow": "0.1"}, False),
        ({"dolt": "1.2.2"}, False), ({"packages": (("numpy", "0.1"),)}, False),
        ({"packages": (("not-installed-any-more", "0.1"),)}, False),
    ],
)  # fmt: skip
def test_a_run_with_other_versions_does_not_stand_for_a_new_one(other: dict[str, Any], is_same: bool) -> None:
    assert has_environment(Run("F", "1", tasks=(SAME, replace(SAME, **other))), {"1.2.3"}) is is_same
