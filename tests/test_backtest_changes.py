"""A backtest of a flow that reads what changed between two names that move."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import dolt, head, sql
from flows.harness import World, world

from doltflow.cli import main
from doltflow.model.pins import DatabasePin, Pins
from doltflow.rerun.carrying import unserved
from doltflow.workspace import find_run, load_settings, open_workspace, read_run


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """A run of the flow, after the last of three commits of one row each."""
    with world(tmp_path / "changes") as made:
        raw = made.database("raw", "create table t (id int primary key)", "insert into t values (1)")
        made.database("out", "create table notes (id int primary key)")
        for number in (2, 3):
            dolt(raw, "sql", "-q", f"insert into t values ({number}); call dolt_commit('-am', 'More')")
        made.run("changes_flow.py")
        yield made


def test_branches_are_where_the_backtest_sends_them(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    raw, out = here.folder / "raw", here.folder / "out"
    production = (here.folder / "run_id").read_text()
    last, before = head(raw), head(raw, "main~1")
    rows = "select number, id from changes as of '{}' order by number"
    assert sql(out, rows.format("main")) == [{"number": 0, "id": 3}, {"number": 1, "id": 3}]

    assert main(["backtest", "--commit", before, "--run", "--output", "json"]) == 0
    (flow,) = json.loads(capsys.readouterr().out)["data"]["runs"]
    assert sql(out, rows.format(f"backtest/{before[:8]}")) == [{"number": 0, "id": 2}, {"number": 1, "id": 2}]
    assert main(["show", flow["run"], "--output", "json"]) == 0
    reads = json.loads(capsys.readouterr().out)["data"]["accesses"]
    ends = {(read.get("branch"), read["commit"]) for read in reads if read["kind"] == "read"}
    assert ends == {(None, before), (None, head(raw, "main~2"))}

    # What came later is none of the earlier data.
    with open_workspace(load_settings(None)) as workspace:
        run = read_run(workspace, find_run(workspace, f"ChangesFlow/{production}")).run
        pins = Pins("backtest", run.pathspec, (DatabasePin("raw", str(raw), commit=before),))
        said = set(unserved(workspace, pins, run))
    assert said == {f"`t` of `raw` in {run.pathspec}/start/1 was served from {last}, not from {before}."}
