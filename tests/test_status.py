"""Which tables are stale: by which input and how many rows, on the branch that was read, from production's run."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt, head, sql
from histories import Histories, Read, histories_here

from doltflow.cli import main
from doltflow.errors import DatabaseNotFoundError, NotMadeByRunError, TableNotFoundError
from doltflow.status import StatusResult, status

ADD = "insert into {} values ({}, {})"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Histories]:
    """Two databases, `prices` with a table of that name and `codes`, and `made` with `medians` and `sums`."""
    with histories_here(tmp_path, monkeypatch) as made:
        made.database("prices", "prices", "codes")
        made.database("made", "medians", "sums")
        yield made


def read(here: Histories, name: str, table: str, branch: str = "main") -> Read:
    """A read of a table at the head of a branch."""
    return (name, table, here.head(name, branch), branch)


def run(here: Histories, task: str, table: str, *reads: Read, **more: Any) -> str:
    """A run that replaces a table of `made`."""
    number = int(task.split("/")[1])
    statements = [f"delete from {table}", ADD.format(table, number, 0)]
    return here.run("made", task, table, *statements, reads=reads, **more)


def pipeline(here: Histories) -> tuple[str, str]:
    """A run that made `medians` of the prices and one that made `sums` of the medians."""
    first = run(here, "Medians/1/s/1", "medians", read(here, "prices", "prices"))
    return first, run(here, "Sums/2/s/1", "sums", read(here, "made", "medians"))


def told(result: StatusResult) -> dict[str, tuple[str, str]]:
    """Each table's run and status."""
    return {item.name: (item.run.pathspec, item.status) for item in result.tables}


def test_a_table_is_stale_where_an_input_table_has_changed(here: Histories) -> None:
    here.by_hand("prices", *(ADD.format("prices", number, 0) for number in (1, 2, 3)))
    seen = here.head("prices")
    first, second = pipeline(here)
    here.by_hand("prices", ADD.format("codes", 1, 1))
    assert told(status()) == {"made/medians": ("Medians/1", "fresh"), "made/sums": ("Sums/2", "fresh")}
    changes = ["delete from prices where id = 1", "update prices set v = 1 where id = 2"]
    now = here.by_hand("prices", *changes, *(ADD.format("prices", number, 0) for number in (4, 5)))
    medians, sums = status().tables
    assert (medians.branch, medians.commit, medians.status, medians.repeat) == ("main", first, "stale", "Medians/1")
    (item,) = medians.inputs
    assert (item.database, item.table, item.branch, item.read, item.now) == ("prices", "prices", "main", seen, now)
    assert (item.status, item.added, item.removed, item.modified, item.note) == ("stale", 2, 1, 1, "")
    assert (sums.commit, sums.status, sums.repeat) == (second, "fresh", None)
    assert (medians.upstream_stale, sums.upstream_stale) == ((), ("made/medians",))
    assert status().repeat == ("Medians/1",)
    here.by_hand("prices", "delete from prices", *(ADD.format("prices", number, 0) for number in (1, 2, 3)))
    assert told(status()) == {"made/medians": ("Medians/1", "fresh"), "made/sums": ("Sums/2", "fresh")}


def test_what_is_repeated_becomes_fresh_and_what_was_made_of_it_stale(here: Histories) -> None:
    pipeline(here)
    here.by_hand("prices", ADD.format("prices", 1, 1))
    run(here, "Medians/3/s/1", "medians", read(here, "prices", "prices"))
    assert told(status()) == {"made/medians": ("Medians/3", "fresh"), "made/sums": ("Sums/2", "stale")}
    here.by_hand("prices", ADD.format("prices", 2, 1))
    assert status().repeat == ("Medians/3", "Sums/2")
    assert status(["sums"]).repeat == ("Sums/2",)
    assert status(["sums"]).tables[0].upstream_stale == ("made/medians",)


def test_a_rerun_is_not_production_and_neither_is_what_is_not_on_the_default_branch(here: Histories) -> None:
    first, _ = pipeline(here)
    here.branch("made", "other")
    rerun = {"pathspec": "Medians/1", "kind": "replay"}
    run(here, "Medians/3/s/1", "medians", read(here, "prices", "prices"), rerun_of=rerun)
    run(here, "Medians/4/s/1", "medians", read(here, "prices", "prices"), branch="other")
    run(here, "Other/5/s/1", "medians", rerun_of=rerun, branch="other")
    medians = status(["made/medians"]).tables[0]
    assert (medians.run.pathspec, medians.commit, medians.branch) == ("Medians/1", first, "main")
    assert medians.changed_by is not None
    assert medians.changed_by.run == "Medians/3/s/1"


def test_only_the_branch_that_was_read_counts(here: Histories) -> None:
    pinned = ("prices", "codes", here.head("prices"))
    here.branch("prices", "side")
    here.branch("prices", "gone")
    here.by_hand("prices", ADD.format("prices", 8, 8), branch="side")
    here.by_hand("prices", ADD.format("codes", 9, 9), branch="gone")
    reads = [read(here, "prices", "prices", "side"), read(here, "prices", "codes", "gone"), pinned]
    elsewhere = ("nowhere", "codes", "a" * 32, "main")
    run(here, "Medians/1/s/1", "medians", *reads, elsewhere)
    here.by_hand("prices", ADD.format("prices", 1, 1), ADD.format("codes", 1, 1))
    here.rows("prices", "call dolt_branch('-D', 'gone')")
    (medians,) = status().tables
    assert {(item.table, item.branch, item.status, item.note) for item in medians.inputs} == {
        ("prices", "side", "fresh", ""),
        ("codes", "gone", "fresh", "branch gone"),
        ("codes", None, "fresh", "pinned"),
        ("codes", "main", "unknown", "database not here"),
    }
    assert medians.status == "unknown"
    assert medians.repeat is None
    here.by_hand("prices", ADD.format("prices", 2, 1), branch="side")
    assert status().tables[0].status == "stale"


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("nowhere", "is in a database that is not here: DOLTFLOW_DATABASES may name its folder or address"),
        ("prices", "was read at aaaaaaaa, which is gone"),
    ],
)
def test_an_input_that_cannot_be_looked_at_makes_a_table_unknown(
    here: Histories, capsys: pytest.CaptureFixture[str], database: str, said: str
) -> None:
    run(here, "Medians/1/s/1", "medians", (database, "codes", "a" * 32, "main"))
    assert main(["status", "--exit-code"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "made/medians: unknown"
    assert " ".join(line.strip() for line in shown[2:]) == f"{database}/codes {said}"
    assert not status().repeat


def test_a_table_that_its_own_run_updates_is_no_changed_input(here: Histories) -> None:
    here.by_hand("made", ADD.format("medians", 1, 1))
    reads = [read(here, "made", "medians")]
    written = here.run("made", "Grow/1/s/1", "medians", ADD.format("medians", 2, 2), reads=reads, mode="append")
    back = [*reads, ("made", "medians", written, "main")]
    here.run("made", "Grow/1/s/1", "sums", ADD.format("sums", 2, 2), reads=back)
    assert {item.status for item in status().tables} == {"fresh"}
    assert [len(item.inputs) for item in status().tables] == [1, 1]
    here.by_hand("made", ADD.format("medians", 3, 3))
    assert [(i.added, i.removed, i.modified) for item in status().tables for i in item.inputs] == [(1, 0, 0)] * 2


def test_what_others_did_to_a_table_before_its_own_run_wrote_it_is_a_change(here: Histories) -> None:
    first = here.head("made")
    early = read(here, "made", "medians")
    here.by_hand("made", ADD.format("medians", 1, 1), ADD.format("medians", 2, 2))
    task = "Grow/1/s/1"
    here.run("made", task, "Medians", ADD.format("medians", 3, 3), reads=[early], mode="append")
    (item,) = status().tables[0].inputs
    assert (item.read, item.status, item.added, item.removed, item.modified) == (first, "stale", 2, 0, 0)
    here.run("made", task, "medians", ADD.format("medians", 4, 4), reads=[early], mode="append")
    assert [table.name for table in status().tables] == ["made/medians"]
    here.by_hand("made", "delete from medians where id = 1")
    here.run("made", task, "MEDIANS", ADD.format("medians", 5, 5), reads=[early], mode="append")
    now = here.by_hand("made", "update medians set v = 0")
    (item,) = status(["medians"]).tables[0].inputs
    assert (item.now, item.status, item.added, item.removed, item.modified) == (now, "stale", 2, 1, 4)
    run(here, "Sums/2/s/1", "sums", ("made", "medians", now, "main"))
    assert [(table.table.casefold(), table.status) for table in status().tables] == [
        ("medians", "stale"),
        ("sums", "fresh"),
    ]
    assert status(["sums"]).tables[0].upstream_stale == (status(["medians"]).tables[0].name,)


def test_what_a_failed_attempt_wrote_is_no_change_of_its_own_runs_input(here: Histories) -> None:
    early = read(here, "made", "medians")
    grow = (ADD.format("medians", 1, 1),)
    here.run("made", "Grow/1/s/1", "medians", *grow, reads=[early], mode="append")
    undo = ("delete from medians", ADD.format("medians", 2, 2))
    here.run("made", "Grow/1/s/1", "medians", *undo, reads=[early], mode="append", attempt=1)
    assert [item.status for item in status().tables[0].inputs] == ["fresh"]


@pytest.mark.parametrize(
    ("statements", "rows", "note"),
    [
        (["alter table prices drop primary key, add primary key (id, v)"], (None, None, None), "primary key changed"),
        (["drop table prices"], (0, 1, 0), "dropped"),
        (["alter table prices rename column v to w"], (0, 0, 0), "only its schema changed"),
    ],
)
def test_inputs_that_changed_in_strange_ways(
    here: Histories, statements: list[str], rows: tuple[int | None, ...], note: str
) -> None:
    here.by_hand("prices", "update prices set v = 0", ADD.format("prices", 1, 1))
    pipeline(here)
    here.by_hand("prices", *statements)
    (item,) = status(["medians"]).tables[0].inputs
    assert (item.status, item.added, item.removed, item.modified, item.note) == ("stale", *rows, note)
    assert (item.now is None) is (note == "dropped")


def test_an_input_without_a_key(here: Histories) -> None:
    here.by_hand("prices", "create table loose (a int)", "insert into loose values (1), (1), (2)")
    run(here, "Medians/1/s/1", "medians", read(here, "prices", "loose"))
    here.by_hand("prices", "delete from loose where a = 1", "insert into loose values (3)")
    (item,) = status().tables[0].inputs
    assert (item.status, item.added, item.removed, item.modified) == ("stale", 1, 2, None)


def test_a_table_that_was_changed_by_hand_since(here: Histories) -> None:
    pipeline(here)
    commit = here.by_hand("made", ADD.format("medians", 50, 0), message="Oops\n\nSorry")
    medians, sums = status().tables
    assert medians.changed_by is not None
    assert (medians.changed_by.commit, medians.changed_by.author, medians.changed_by.run) == (commit, "Ann", None)
    assert (medians.status, sums.status, sums.inputs[0].added, sums.changed_by) == ("fresh", "stale", 1, None)
    here.by_hand("made", "delete from medians where id = 50")
    assert status(["medians"]).tables[0].changed_by is None
    dropped = here.by_hand("made", "drop table medians")
    (medians,) = (item for item in status().tables if item.table == "medians")
    assert medians.changed_by is not None
    assert (medians.changed_by.commit, medians.note) == (dropped, "dropped")


def test_runs_whose_commits_do_not_tell_what_they_wrote(here: Histories) -> None:
    here.by_hand("made", ADD.format("sums", 7, 7), message="Run: Old/1/s/1")
    (sums,) = status().tables
    assert (sums.name, sums.run.pathspec, sums.status, sums.inputs) == ("made/sums", "Old/1", "fresh", ())


def test_two_tables_that_are_made_of_each_other(here: Histories) -> None:
    run(here, "Sums/1/s/1", "sums", read(here, "made", "medians"))
    run(here, "Medians/2/s/1", "medians", read(here, "made", "sums"))
    assert told(status()) == {"made/sums": ("Sums/1", "stale"), "made/medians": ("Medians/2", "fresh")}
    assert status().repeat == ("Sums/1",)


def test_errors(here: Histories) -> None:
    assert status() == StatusResult((), status().warnings)
    run(here, "Sums/1/s/1", "sums", rerun_of={"pathspec": "Sums/0", "kind": "backtest"})
    assert status().tables == ()
    with pytest.raises(NotMadeByRunError, match="The runs that wrote `sums` were reruns or not successful"):
        status(["sums"])
    with pytest.raises(NotMadeByRunError, match=r"No run wrote the table `prices/codes`\. There is `sums`"):
        status(["prices/codes"])
    with pytest.raises(TableNotFoundError, match=r"has a table `it's \`odd\``"):
        status(["it's `odd`"])
    with pytest.raises(DatabaseNotFoundError, match="no database `price`"):
        status(database="price")
    assert status(database="prices").tables == ()


def test_no_database_at_all(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError, match="There is no Dolt database in"):
        status(folder=tmp_path)


# The command


def test_the_text_and_the_exit_code(here: Histories, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--exit-code"]) == 0
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", "No run that counts has written a table here.")
    pipeline(here)
    assert main(["status", "--exit-code"]) == 0
    assert ": fresh\n" in capsys.readouterr().out
    here.by_hand("prices", ADD.format("prices", 1, 1), ADD.format("prices", 2, 1))
    here.by_hand("made", ADD.format("sums", 50, 0), message="Oops")
    assert main(["status"]) == 0
    assert main(["status", "sums", "--exit-code"]) == 0
    capsys.readouterr()
    assert main(["status", "--exit-code"]) == 1
    lines = [line.split(" · 20")[0].split(", 20")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "made/medians: stale",
        "  by Medians/1",
        "  prices/prices has changed on main: 2 rows added",
        "",
        "made/sums: fresh",
        "  by Sums/2",
        "  waiting for what is stale: made/medians",
        "  changed since by hand: Ann",
        "",
        "Repeat this run",
        "  Medians/1",
    ]


@pytest.mark.parametrize("has_store", [True, False])
def test_the_demo(demo_copy: Path, has_store: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if not has_store:
        shutil.rmtree(demo_copy / ".metaflow")
    prices, analysis = "hospital-price-transparency", "hospital-price-analysis"
    (read_at,) = (row["h"] for row in sql(demo_copy / prices, "select commit_hash as h from dolt_log limit 1"))
    script = ["delete from prices limit 3", "call dolt_commit('-Am', 'April', '--author', 'Ann <a@x>')"]
    dolt(demo_copy / prices, "sql", stdin=";\n".join(script))
    assert main(["status", "--exit-code", "--output", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == "doltflow.status/1"
    medians, variances = answer["data"]["tables"]
    assert answer["data"]["repeat"] == [medians["run"]]
    assert {name: medians[name] for name in ("database", "table", "branch", "status", "upstream_stale")} == {
        "database": analysis,
        "table": "state_procedure_medians",
        "branch": "main",
        "status": "stale",
        "upstream_stale": [],
    }
    assert [item for item in medians["inputs"] if item["table"] == "prices"] == [
        {
            "database": prices,
            "table": "prices",
            "branch": "main",
            "read": read_at,
            "now": head(demo_copy / prices),
            "status": "stale",
            "added": 0,
            "removed": 3,
            "modified": 0,
            "note": "",
        }
    ]
    assert (medians["repeat"], medians["changed_by"], variances["repeat"]) == (medians["run"], None, None)
    assert (variances["status"], variances["upstream_stale"]) == ("fresh", [f"{analysis}/state_procedure_medians"])


def test_a_branch_that_was_moved_behind_its_run(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analysis = demo_copy / "hospital-price-analysis"
    dolt(analysis, "sql", "-q", "call dolt_branch('kept', 'main'); call dolt_reset('--hard', 'main~2')")
    medians, variances = status().tables
    for table in (medians, variances):
        assert (table.branch, table.changed_by, table.note) == ("main", None, "commit not on the branch")
    assert (medians.status, variances.status, variances.inputs[0].note) == ("fresh", "stale", "dropped")
    assert main(["status", "state_procedure_medians"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [f"  its commit {medians.commit[:8]} is no longer on main"]


def test_a_run_whose_commit_is_on_no_branch_is_named(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analysis = demo_copy / "hospital-price-analysis"
    medians, variances = status().tables
    assert status().warnings == ()
    was = {
        item.table: f"{item.run.pathspec} was the last to write `{item.table}` of `hospital-price-analysis`, but its "
        f"commit {item.commit} is on no branch, so that the run does not count."
        for item in (medians, variances)
    }
    dolt(analysis, "sql", "-q", "call dolt_reset('--hard', 'main~1')")
    assert ([item.table for item in status().tables], status().warnings) == ([medians.table], (was[variances.table],))
    assert status([medians.table]).warnings == ()
    dolt(analysis, "sql", "-q", "call dolt_reset('--hard', 'main~1'); create table variance_by_procedure (a int)")
    dolt(analysis, "sql", "-q", "call dolt_commit('-Am', 'By hand', '--author', 'Ann <a@x>')")
    assert (status().tables, set(status().warnings)) == ((), set(was.values()))
    with pytest.raises(NotMadeByRunError, match=r"No run that counts wrote the table `variance_by_procedure`\. Hosp"):
        status([variances.table])
    assert main(["status", "--output", "json"]) == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)["data"]["warnings"]) == set(was.values())
    assert all(f"{text.split(' was ')[0]} was the last to write" in " ".join(err.split()) for text in was.values())
