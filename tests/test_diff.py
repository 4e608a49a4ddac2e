"""`doltflow diff`: between runs, refs, branches and clones; what it answers in each form, and what it refuses."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import dolt, footprint, head, make_database, sql
from flows.attributed import changed_script, run_with
from flows.harness import World, world

import doltflow
from doltflow.cli import main
from doltflow.compare.schema import SchemaChange
from doltflow.diff import DiffResult, diff
from doltflow.errors import AmbiguousDatabaseError

BOTH = "db@main~1 db@main"
MORE = ("* self.factor + 1", "* self.factor + 100")
MONTHS = """
update a set v = 11 where id = 1; insert into a values (3, 30);
call dolt_commit('-am', 'More numbers', '--author', 'Ben <ben@example.com>');
"""


@dataclass(frozen=True)
class Recorded:
    """A folder with runs of one flow: the first, one with other data, one with other code, one with a parameter."""

    world: World
    runs: dict[str, str]
    results: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with world(tmp_path_factory.mktemp("diff")) as here:
        numbers = here.database(
            "numbers", "create table a (id int primary key, v int)", "insert into a values (1, 10), (2, 20)"
        )
        here.database("results")
        runs = {"first": run_with(here, ())}
        dolt(numbers, "sql", "-q", MONTHS)
        runs["data"] = run_with(here, ())
        runs["again"] = run_with(here, ())
        runs["code"] = run_with(here, (MORE,))
        runs["parameter"] = run_with(here, (), "--the-factor", "3")
        yield Recorded(here, runs, head(here.folder_of("results")))


@pytest.fixture
def here(made: Recorded, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    made.world.enter(monkeypatch)
    return made


def asked(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """What a diff answers as JSON."""
    capsys.readouterr()
    assert main(["diff", *arguments, "--output", "json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "doltflow.diff/1", told
    return dict(told["data"])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str, str]:
    """The exit code, the error's code, its message and its hint."""
    capsys.readouterr()
    exit_code = main(["diff", *arguments, "--output", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "doltflow.error/1", told
    return exit_code, told["error"]["code"], told["error"]["message"], told["error"]["hint"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["diff", *arguments]) == code
    return capsys.readouterr().out


def counts(data: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {f"{t['database']}/{t['table']}": (t["added"], t["removed"], t["modified"]) for t in data["tables"]}


# Two runs


def test_what_other_data_changed_and_why(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = here.runs["first"], here.runs["data"]
    data = asked(capsys, first, second)
    results, numbers = here.world.folder_of("results"), here.world.folder_of("numbers")
    before, after = head(numbers, "main~1"), head(numbers)
    by_run = {first: {}, second: {}}  # type: dict[str, dict[str, str]]
    for row in sql(results, "select commit_hash, message from dolt_log"):
        for run, found in by_run.items():
            if row["message"].startswith(f"Run: {run}/"):
                written = row["message"].partition('Doltflow-Write: {"table": "')[2].partition('"')[0]
                found[written] = row["commit_hash"]
    assert data.pop("warnings") == []
    assert data == {
        "before": first,
        "after": second,
        "identical": False,
        "summary": "differs because `a` gained 1 row and had 1 row modified "
        f"(commit {after[:8]} by Ben); code, parameters and environment are the same",
        "tables": [
            {
                "database": "results",
                "table": "scaled",
                "before": {"database": "results", "table": "scaled", "commit": by_run[first]["scaled"], "run": first},
                "after": {"database": "results", "table": "scaled", "commit": by_run[second]["scaled"], "run": second},
                "identical": False,
                "added": 1,
                "removed": 0,
                "modified": 1,
                "schema_changes": [],
                "columns": [
                    {
                        "name": "v",
                        "numeric": True,
                        "changed": 1,
                        "count": 1,
                        "mean": 2.0,
                        "median": 2.0,
                        "largest": {"change": 2, "before": 21, "after": 23, "key": {"id": 1}},
                    }
                ],
                "sample": [
                    {"change": "modified", "key": {"id": 1}, "before": {"v": 21}, "after": {"v": 23}, "columns": ["v"]},
                    {"change": "added", "key": {"id": 3}, "before": None, "after": {"v": 61}, "columns": []},
                ],
                "more": 0,
            },
            {
                "database": "results",
                "table": "total",
                "before": {"database": "results", "table": "total", "commit": by_run[first]["total"], "run": first},
                "after": {"database": "results", "table": "total", "commit": by_run[second]["total"], "run": second},
                "identical": False,
                "added": 0,
                "removed": 0,
                "modified": 1,
                "schema_changes": [],
                "columns": [
                    {
                        "name": "v",
                        "numeric": True,
                        "changed": 1,
                        "count": 1,
                        "mean": 63.0,
                        "median": 63.0,
                        "largest": {"change": 63, "before": 62, "after": 125, "key": {"id": 1}},
                    }
                ],
                "sample": [
                    {"change": "modified", "key": {"id": 1}, "before": {"v": 62}, "after": {"v": 125}, "columns": ["v"]}
                ],
                "more": 0,
            },
        ],
        "causes": [
            {
                "runs": [first, second],
                "kind": "data",
                "name": "numbers/a",
                "before": before,
                "after": after,
                "only": None,
                "database": "numbers",
                "table": "a",
                "added": 1,
                "removed": 0,
                "modified": 1,
                "schema_changed": False,
                "direction": "forward",
                "kept": False,
                "commits": [
                    {
                        "hash": after,
                        "author": "Ben",
                        "date": data["causes"][0]["commits"][0]["date"],
                        "message": "More numbers",
                        "run": None,
                    }
                ],
                "more": 0,
            }
        ],
        "same": [{"runs": [first, second], "kind": kind} for kind in ("code", "parameter", "environment")],
        "unknown": [],
        "unexplained": [],
        "asked": {"where": None, "columns": [], "tolerance": None},
        "explained": [],
    }


def test_text(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = here.runs["first"], here.runs["data"]
    numbers = here.world.folder_of("numbers")
    commit = sql(numbers, "select date from dolt_log limit 1")[0]["date"][:16]
    before, after = head(numbers, "main~1")[:8], head(numbers)[:8]
    text = printed(capsys, first, second)
    assert (
        text.replace(text.partition(f"    {after}  ")[2][:16], commit)
        == f"""\
{first} → {second}
differs because `a` gained 1 row and had 1 row modified (commit {after} by Ben); code, parameters and environment are \
the same

results/scaled: 1 row added, 1 modified
  v: 1 cell changed, mean +2, median +2, largest +2 (21 → 23 at id=1)
  ~ id=1  v 21 → 23
  + id=3  v 61

results/total: 1 row modified
  v: 1 cell changed, mean +63, median +63, largest +63 (62 → 125 at id=1)
  ~ id=1  v 62 → 125

Why
  Data: numbers/a {before} → {after}: 1 row added, 1 row modified
    {after}  {commit}  Ben “More numbers”
  The same: code, parameters, environment
"""
    )


def test_one_line_a_table(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = here.runs["first"], here.runs["data"]
    lines = printed(capsys, first, second, "--stat", "--no-why").splitlines()
    assert lines == [
        f"{first} → {second}",
        "differs",
        "",
        "results/scaled: 1 row added, 1 modified",
        "results/total: 1 row modified",
    ]


@pytest.mark.parametrize(
    ("before", "after", "kind", "said"),
    [
        ("again", "code", "code", "differs because the code changed (`attributed_flow.py`: +1 −1 lines)"),
        ("again", "parameter", "parameter", "differs because the parameter `factor` is 3 and was 2"),
    ],
)
def test_other_code_and_another_parameter(
    here: Recorded, capsys: pytest.CaptureFixture[str], before: str, after: str, kind: str, said: str
) -> None:
    data = asked(capsys, here.runs[before], here.runs[after])
    assert [(cause["kind"], cause["runs"]) for cause in data["causes"]] == [
        (kind, [here.runs[before], here.runs[after]])
    ]
    assert data["summary"].startswith(said)
    assert counts(data) == {"results/scaled": (0, 0, 3), "results/total": (0, 0, 1)}


def test_the_same_again(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, here.runs["data"], here.runs["again"], "--exit-code")
    assert (data["identical"], data["summary"], data["causes"]) == (True, "identical", [])
    assert counts(data) == {"results/scaled": (0, 0, 0), "results/total": (0, 0, 0)}


def test_the_newest_runs_have_short_names(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "AttributedFlow/latest~2", "AttributedFlow/latest", "--exit-code", code=1)
    assert (data["before"], data["after"]) == (here.runs["again"], here.runs["parameter"])
    back = refused(capsys, "AttributedFlow/latest~9", "AttributedFlow/latest")
    assert back[:3] == (
        3,
        "run-not-found",
        "The flow `AttributedFlow` has only 5 successful runs that are no rerun. Nor is there a branch of that name.",
    )


def test_a_step_of_a_run_and_a_bare_run_id(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = here.runs["first"], here.runs["data"]
    data = asked(capsys, f"{first}/start", second.partition("/")[2], "--table", "TOTAL")
    assert (data["before"], data["after"]) == (f"{first}/start", second)
    data = asked(capsys, f"{first.partition('/')[2]}/start", second, "--table", "total")
    assert (data["before"], data["after"]) == (f"{first}/start", second)
    assert counts(data) == {"results/total": (0, 0, 1)}


def test_without_a_store_the_commits_tell(here: Recorded, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("numbers", "results"):
        shutil.copytree(here.world.folder_of(name), tmp_path / "alone" / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "alone")
        data = asked(capsys, here.runs["first"], here.runs["data"])
    assert counts(data) == {"results/scaled": (1, 0, 1), "results/total": (0, 0, 1)}
    assert [cause["name"] for cause in data["causes"]] == ["numbers/a"]
    assert {unknown["kind"] for unknown in data["unknown"]} == {"code", "parameter", "environment"}
    assert data["summary"].endswith("; whether code, parameters and environment are the same cannot be told")


# What each explains


def test_each_cause_by_itself(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: footprint(here.world.folder_of(name)) for name in ("numbers", "results")}
    data = asked(capsys, here.runs["first"], here.runs["code"], "--attribute")
    told = {(one["kind"], one["table"]): (one["rows"], one["explained"], one["left"]) for one in data["explained"]}
    # v was 10 and 20, and is 11, 20 and 30: with other data alone 23, 41 and 61, with other code alone 120 and 140.
    assert told == {
        ("data", "scaled"): (3, 0, 3),
        ("data", "total"): (1, 0, 1),
        ("code", "scaled"): (3, 1, 2),
        ("code", "total"): (1, 0, 1),
    }
    # 11 and 20 times 2 and 100 more: that takes both.
    assert data["unexplained"] == [
        {"database": "results", "table": "scaled", "rows": 2},
        {"database": "results", "table": "total", "rows": 1},
    ]
    assert all(one["unhonoured"] == [] and Path(one["log"]).is_file() for one in data["explained"])
    assert {name: footprint(here.world.folder_of(name)) for name in ("numbers", "results")} == before


def test_all_is_explained(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, here.runs["first"], here.runs["data"], "--attribute", "--table", "scaled")
    first, second = here.runs["first"], here.runs["data"]
    told = text.partition("\nExplained\n")[2].splitlines()
    assert told[0].startswith(f"  {first} again, with the data of {second}: AttributedFlow/")
    assert told[1:] == ["    results/scaled: the data alone explains 2 of 2 rows (100.0%)"]


def test_what_no_two_runs_made_is_not_run_again(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    code, name, message, _ = refused(capsys, "numbers@main~1", "numbers@main", "--attribute")
    assert (code, name) == (3, "not-replayable")
    assert message == "No table that differs was made by two runs, so that there is nothing to run again."


@pytest.mark.long
def test_a_flow_that_is_not_deterministic(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    chance = (("* self.factor + 1", "* self.factor + __import__('time').time_ns() % 10**6"),)
    one, other = (run_with(here.world, chance) for _ in range(2))
    text = printed(capsys, one, other, "--table", "scaled", "--attribute", "--limit", "0")
    assert "not deterministic: data, code, parameters and environment are the same" in text.splitlines()
    told = text.partition("\nExplained\n")[2].splitlines()
    assert told[0].startswith(f"  {one} again, as it was: AttributedFlow/")
    assert told[1:] == ["    results/scaled: 3 rows other than before, so that the flow is not deterministic"]


@pytest.mark.long
def test_what_differs_may_explain_nothing(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the code is all that differs and rows are left that it does not explain, it is chance that made them."""
    chance = "* self.factor + __import__('time').time_ns() % 10**6"
    one, other = (run_with(here.world, (("* self.factor + 1", text),)) for text in (chance, f"{chance} + 0"))
    text = printed(capsys, one, other, "--table", "scaled", "--attribute", "--limit", "0")
    told = text.partition("\nExplained\n")[2].splitlines()
    assert told[0].startswith(f"  {one} again, with the code of {other}: AttributedFlow/")
    assert told[1:] == [
        "    results/scaled: the code alone explains 0 of 3 rows (0.0%); 3 rows still differ",
        "  results/scaled: 3 rows that the code alone does not explain, so that the flow is not deterministic",
    ]


@pytest.mark.long
def test_a_run_that_failed(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    made = "        with self.results() as dolt:\n            made"
    fails = ((made, f"        assert False\n{made}"),)
    good = run_with(here.world, ())
    bad = here.world.run(changed_script(here.world, fails), check=False).pathspec
    data = asked(capsys, good, bad)
    assert data["summary"] == f"differs because only {good} wrote `total`, and not {bad}, which failed"
    assert {table["table"]: table["identical"] for table in data["tables"]} == {"scaled": True, "total": False}


# Commits and branches


def test_two_commits_of_a_database(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "numbers@HEAD~1", "numbers@main")
    after = head(here.world.folder_of("numbers"))
    assert data["summary"] == f"differs because `a` gained 1 row and had 1 row modified (commit {after[:8]} by Ben)"
    assert counts(data) == {"numbers/a": (1, 0, 1)}
    assert [cause["commits"][0]["author"] for cause in data["causes"]] == ["Ben"]
    assert data["unknown"] == []
    back = asked(capsys, "numbers@main", "numbers@HEAD~1")
    assert counts(back) == {"numbers/a": (0, 1, 1)}


def test_a_run_and_a_commit(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, here.runs["first"], f"results@{here.results}")
    assert counts(data) == {"results/scaled": (1, 0, 2), "results/total": (0, 0, 1)}
    assert {cause["kind"] for cause in data["causes"]} == {"data", "parameter"}
    assert {tuple(cause["runs"]) for cause in data["causes"]} == {(here.runs["first"], here.runs["parameter"])}


def test_the_branch_of_a_backtest(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = demo_copy / "hospital-price-transparency"
    assert main(["backtest", "--commit", head(source, "main~1"), "--branch", "then", "--run", "--output", "json"]) == 0
    compared = {
        t["table"]: (t["added"], t["removed"], t["modified"])
        for t in json.loads(capsys.readouterr().out)["data"]["tables"]
    }
    data = asked(capsys, "hospital-price-analysis@main", "then")
    assert {t["table"]: (t["added"], t["removed"], t["modified"]) for t in data["tables"]} == compared
    assert len(compared) == 2
    # A run says which table is meant.
    flow = "HospitalProcedurePriceVarianceByState"
    data = asked(capsys, f"{flow}/latest", "then")
    assert {t["table"]: (t["added"], t["removed"], t["modified"]) for t in data["tables"]} == {
        "variance_by_procedure": compared["variance_by_procedure"]
    }
    assert [(cause["kind"], cause["table"]) for cause in data["causes"]] == [("data", "state_procedure_medians")]


def test_the_demos_two_months(demo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = demo_folder / "hospital-price-transparency"
    data = asked(capsys, "hospital-price-transparency@main~1", "hospital-price-transparency@main", "--table", "prices")
    stat = sql(source, "select * from dolt_diff_stat('main~1', 'main', 'prices')")[0]
    (table,) = data["tables"]
    assert counts(data) == {
        "hospital-price-transparency/prices": (stat["rows_added"], stat["rows_deleted"], stat["rows_modified"])
    }
    change = "to_price - from_price"
    rows = sql(
        source,
        f"select {change} as d from dolt_diff('main~1', 'main', 'prices') where {change} <> 0 order by {change}",
    )
    changes = sorted(float(row["d"]) for row in rows)
    (column,) = table["columns"]
    assert (column["name"], column["count"]) == ("price", len(changes))
    assert column["mean"] == pytest.approx(sum(changes) / len(changes))
    middle = len(changes) // 2
    assert column["median"] == pytest.approx((changes[middle] + changes[-middle - 1]) / 2)
    assert abs(Decimal(column["largest"]["change"])) == pytest.approx(Decimal(str(max(map(abs, changes)))))
    assert table["more"] == sum(counts(data)["hospital-price-transparency/prices"]) - 10


def test_branches_that_somebody_made(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = here.world.folder_of("numbers")
    dolt(numbers, "branch", "before", "main~1")
    try:
        assert counts(asked(capsys, "before", "main")) == {"numbers/a": (1, 0, 1)}
        assert counts(asked(capsys, "before", "numbers@main")) == {"numbers/a": (1, 0, 1)}
    finally:
        dolt(numbers, "branch", "-D", "before")
    code, name, message, hint = refused(capsys, "numbers", "numbers@main")
    assert (code, name, message) == (3, "ref-not-found", "`numbers` names a database and no commit of it.")
    assert hint == "`numbers@HEAD` means the head of its default branch."


def test_a_table_that_came(capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_database(Path("db"), "create table t (id int primary key)", "insert into t values (1)")
    dolt(folder, "sql", "-q", "create table u (id int primary key); insert into u values (1); "
         "call dolt_commit('-Am', 'Another')")  # fmt: skip
    data = asked(capsys, "db@main~1", "db@main")
    assert data["summary"] == "differs because `u` is only in `db@main`"
    assert [(table["table"], table["added"]) for table in data["tables"]] == [("t", 0), ("u", 1)]
    assert [change["change"] for change in data["tables"][1]["schema_changes"]] == ["table-added"]


def test_a_table_that_was_renamed(capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_database(
        Path("db"), "create table t (id int primary key, v int)", "insert into t values (1, 1), (2, 2)"
    )
    dolt(folder, "sql", "-q", "alter table t rename to u; update u set v = 3 where id = 1; "
         "create table w (id int primary key); call dolt_commit('-Am', 'Renamed')")  # fmt: skip
    data = asked(capsys, "db@main~1", "db@main")
    assert counts(data) == {"db/u": (0, 0, 1), "db/w": (0, 0, 0)}
    assert data["tables"][0]["schema_changes"] == [
        {"change": "table-renamed", "column": None, "before": "t", "after": "u"}
    ]
    assert "  table t is now called u" in printed(capsys, "db@main~1", "db@main").splitlines()
    assert main(["diff", "db@main~1", "db@main", "--output", "sql"]) == 0
    patch = capsys.readouterr().out
    dolt(folder, "branch", "scratch", "main~1")
    dolt(folder, "--branch", "scratch", "sql", stdin=patch)
    for table in ("u", "w"):
        hashes = [
            dolt(folder, "--branch", branch, "sql", "-r", "csv", "-q", f"select dolt_hashof_table('{table}')")
            for branch in ("scratch", "main")
        ]
        assert hashes[0] == hashes[1]


@pytest.mark.parametrize("table", ["u", "T"])
def test_a_table_of_which_nothing_but_the_name_is_another(capsys: pytest.CaptureFixture[str], table: str) -> None:
    folder = make_database(Path("db"), "create table t (id int primary key, v int)", "insert into t values (1, 1)")
    rename = "; ".join(f"rename table {one} to {other}" for one, other in (("t", "x"), ("x", table)))
    dolt(folder, "sql", "-q", f"{rename}; call dolt_commit('-Am', 'Renamed')")
    ends = ("db@main~1", "db@main")
    data = asked(capsys, *ends)
    assert (data["identical"], counts(data)) == (False, {f"db/{table}": (0, 0, 0)})
    (found,) = data["tables"]
    assert found["schema_changes"] == [{"change": "table-renamed", "column": None, "before": "t", "after": table}]
    for form in ("text", "json", "jsonl", "csv", "sql"):
        assert main(["diff", *ends, "--exit-code", "--output", form]) == 1
    assert main(["diff", *ends, "--exit-code", "--columns", "v"]) == 0  # The name was not asked for.
    capsys.readouterr()
    assert f"  table t is now called {table}" in printed(capsys, *ends).splitlines()
    assert main(["diff", *ends, "--output", "sql"]) == 0
    dolt(folder, "branch", "scratch", "main~1")
    dolt(folder, "--branch", "scratch", "sql", stdin=capsys.readouterr().out)
    for branch in ("scratch", "main"):
        told = dolt(folder, "--branch", branch, "sql", "-r", "csv", "-q", "show tables")
        assert told == f"Tables_in_db/{branch}\n{table}\n"


# Databases


@pytest.fixture
def clones() -> Path:
    """A database, a clone of it that went on, another one that was made anew, and one more in a folder below."""
    table = "create table t (id int primary key, v int)"
    first = make_database(Path("one"), table, "insert into t values (1, 1), (2, 2)")
    dolt(first, "remote", "add", "origin", f"file://{Path('store').absolute()}")
    dolt(first, "push", "origin", "main")
    dolt(Path.cwd(), "clone", f"file://{Path('store').absolute()}", "two")
    more = "update t set v = 9 where id = 2; insert into t values (5, 5); call dolt_commit('-am', 'Went on')"
    dolt(Path("two"), "sql", "-q", more)
    make_database(Path("other"), table, "insert into t values (2, 2), (3, 3)")
    shutil.copytree("two", "below/one")
    return Path.cwd()


def test_clones_and_other_databases(clones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert counts(asked(capsys, "one@main", "two@main")) == {"two/t": (1, 0, 1)}
    assert counts(asked(capsys, "two@main", "one@main")) == {"one/t": (1 - 1, 1, 1)}
    assert counts(asked(capsys, "one@main", "other@main")) == {"other/t": (1, 1, 0)}
    # Two of one name are told apart by their place.
    data = asked(capsys, "one@main", "below/one@main")
    assert counts(data) == {"below/one/t": (1, 0, 1)}
    assert asked(capsys, "one@main", "two@main~1", "--exit-code")["identical"] is True


def test_databases_without_a_common_history(clones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "one@main", "other@main")
    assert data["summary"] == "differs because `t` gained 1 row and lost 1 row"
    assert [(u["kind"], u["why"]) for u in data["unknown"]] == [
        ("data", "`one` and `other` share no history: who changed what cannot be told.")
    ]


def test_databases_without_a_common_table(clones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_database(Path("strange"), "create table s (id int primary key)")
    code, name, message, _ = refused(capsys, "one@main", "strange@main")
    assert (code, name) == (3, "nothing-in-common")
    assert message == (
        "one@main and strange@main have no table in common: one@main is of `one`, strange@main is of `strange`."
    )


def test_a_table_that_one_run_did_not_write(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    without = (
        ('            dolt.write(pd.DataFrame({"id": [1], "v": [int(made["v"].sum())]}), "total", pks=["id"])\n', ""),
    )
    new = run_with(here.world, without)
    data = asked(capsys, here.runs["again"], new)
    tables = {table["table"]: table for table in data["tables"]}
    assert (tables["scaled"]["identical"], tables["scaled"]["sample"]) == (True, [])
    total = tables["total"]
    assert (total["before"]["run"], total["after"]) == (here.runs["again"], None)
    assert (total["added"], total["removed"], total["modified"]) == (0, 1, 0)
    assert (total["schema_changes"], data["identical"]) == ([], False)
    assert data["summary"] == f"differs because only {here.runs['again']} wrote `total`, and not {new}"
    assert total["sample"] == [
        {"change": "removed", "key": {"id": 1}, "before": {"v": 125}, "after": None, "columns": []}
    ]
    assert "results/total: only the first wrote it, 1 row removed" in printed(capsys, here.runs["again"], new)


# Rows as they come


@pytest.fixture
def changes() -> Path:
    """A database with two versions of two tables."""
    folder = make_database(
        Path("db"),
        "create table t (id int primary key, name varchar(40), price decimal(10,2), b varbinary(4))",
        "insert into t values (1, 'a', 1.10, 0x00ff), (2, NULL, 2.20, NULL), (3, '', 3.30, 0x01)",
        "create table u (a int, b int)",
        "insert into u values (1, 1), (1, 1)",
    )
    dolt(folder, "sql", "-q", "update t set name = 'x, \"y\"', price = 1.20 where id = 1; delete from t where id = 2; "
         "insert into t values (4, '\u001b[31mred', NULL, 0x); insert into u values (1, 1)")  # fmt: skip
    dolt(folder, "commit", "-am", "Changes")
    return folder


def test_csv(changes: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["diff", "db@main~1", "db@main", "--table", "t", "--output", "csv"]) == 0
    assert capfdbinary.readouterr().out.decode() == (
        "diff_type,from_id,to_id,from_name,to_name,from_price,to_price,from_b,to_b\n"
        'modified,1,1,a,"x, ""y""",1.10,1.20,0x00ff,0x00ff\n'
        "removed,2,,,,2.20,,,\n"
        "added,,4,,\x1b[31mred,,,,0x\n"
    )


def test_jsonl(changes: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["diff", "db@main~1", "db@main", "--output", "jsonl", "--exit-code"]) == 1
    place = {"database": "db", "table": "t"}
    assert [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()] == [
        {
            **place,
            "change": "modified",
            "key": {"id": 1},
            "before": {"name": "a", "price": "1.10", "b": "0x00ff"},
            "after": {"name": 'x, "y"', "price": "1.20", "b": "0x00ff"},
            "columns": ["name", "price"],
        },
        {
            **place,
            "change": "removed",
            "key": {"id": 2},
            "before": {"name": None, "price": "2.20", "b": None},
            "after": None,
            "columns": [],
        },
        {
            **place,
            "change": "added",
            "key": {"id": 4},
            "before": None,
            "after": {"name": "\x1b[31mred", "price": None, "b": "0x"},
            "columns": [],
        },
        {
            "database": "db",
            "table": "u",
            "change": "added",
            "key": {},
            "before": None,
            "after": {"a": 1, "b": 1},
            "columns": [],
        },
    ]


def test_a_patch_makes_the_one_of_the_other(changes: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    before = footprint(changes)
    assert main(["diff", "db@main~1", "db@main", "--output", "sql"]) == 0
    patch = capfdbinary.readouterr().out.decode()
    assert footprint(changes) == before
    assert [line for line in patch.splitlines() if line.startswith("--")] == [
        "-- db/t: from db@main~1 to db@main",
        "-- db/u: from db@main~1 to db@main",
    ]
    assert "\x1b" not in patch
    dolt(changes, "branch", "scratch", "main~1")
    dolt(changes, "--branch", "scratch", "sql", stdin=patch)
    for table in ("t", "u"):
        hashes = [
            dolt(changes, "--branch", branch, "sql", "-r", "csv", "-q", f"select dolt_hashof_table('{table}')")
            for branch in ("scratch", "main")
        ]
        assert hashes[0] == hashes[1]


def test_a_terminal_is_not_steered(changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "db@main~1", "db@main")
    assert "\x1b" not in text
    assert r"  + id=4  name \x1b[31mred  price NULL  b 0x" in text.splitlines()


def test_only_some(changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert counts(asked(capsys, "db@main~1", "db@main", "--table", "db/t", "--where", "name = 'a'")) == {
        "db/t": (0, 0, 1)
    }
    data = asked(capsys, "db@main~1", "db@main", "--table", "t", "--columns", "b", "--limit", "1")
    assert counts(data) == {"db/t": (1, 1, 0)}
    assert data["tables"][0]["sample"] == [
        {"change": "removed", "key": {"id": 2}, "before": {"b": None}, "after": None, "columns": []}
    ]
    assert data["tables"][0]["more"] == 1
    assert counts(
        asked(capsys, "db@main~1", "db@main", "--table", "t", "--columns", "price", "--tolerance", "0.1")
    ) == {"db/t": (1, 1, 0)}
    assert counts(asked(capsys, "db@main~1", "db@main", "--table", "t", "--tolerance", "9%")) == {"db/t": (1, 1, 1)}


def test_no_row_is_shown_and_all_count(changes: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for form in ("text", "json", "jsonl"):
        assert main(["diff", "db@main~1", "db@main", "--limit", "0", "--exit-code", "--output", form]) == 1
    dolt(changes, "sql", "-q", "alter table t add column more int; call dolt_commit('-am', 'More')")
    # What was not asked for does not count.
    only = ("db@main~1", "db@main", "--table", "t", "--columns", "price", "--exit-code")
    for form in ("text", "json", "jsonl"):
        assert main(["diff", *only, "--output", form]) == 0
    assert main(["diff", "db@main~1", "db@main", "--exit-code"]) == 1


def test_names_that_were_exchanged(changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = ("add column id int primary key auto_increment", "rename column a to c")
    script = "; ".join([*(f"alter table u {one}" for one in first), "update u set b = id + 10, c = id + 20"])
    dolt(changes, "sql", "-q", f"{script}; call dolt_commit('-am', 'Key')")
    statements = ("rename column b to x", "rename column c to b", "rename column x to c")
    script = "; ".join([*(f"alter table u {statement}" for statement in statements), "update u set b = 7 where id = 1"])
    dolt(changes, "sql", "-q", f"{script}; call dolt_commit('-am', 'Exchanged')")
    lines = printed(capsys, "db@main~1", "db@main", "--table", "u").splitlines()
    assert "  ~ id=1  b 21 → 7" in lines


def test_long_texts_are_shown_where_they_differ(capsys: pytest.CaptureFixture[str]) -> None:
    long = "lorem ipsum " * 40
    table = "create table t (id int primary key, v text)"
    folder = make_database(Path("db"), table, f"insert into t values (1, '{long}')")
    dolt(folder, "sql", "-q", "update t set v = concat(v, 'end'); call dolt_commit('-am', 'End')")
    (line,) = [line for line in printed(capsys, "db@main~1", "db@main").splitlines() if "→" in line and "id=1" in line]
    assert line == (
        '  ~ id=1  v …"m ipsum lorem ipsum " (480 characters) → …"m ipsum lorem ipsum end" (483 characters)'
    )


def test_a_predicate_that_one_table_does_not_know_gives_no_row(
    changes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, name, message, hint = refused(capsys, "db@main~1", "db@main", "--where", "price > 1")
    assert (code, name, hint) == (3, "column-not-found", "`--table` says which table is meant.")
    assert message.startswith("The predicate `price > 1` cannot be applied to `u`.")
    capsys.readouterr()
    assert main(["diff", "db@main~1", "db@main", "--where", "price > 1", "--output", "jsonl"]) == 3
    assert [json.loads(line)["schema"] for line in capsys.readouterr().out.splitlines()] == ["doltflow.error/1"]


def test_a_difference_within_a_tolerance_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_database(Path("db"), "create table t (id int primary key, v double)", "insert into t values (1, 100)")
    dolt(folder, "sql", "-q", "update t set v = 101; call dolt_commit('-am', 'One more')")
    data = asked(capsys, "db@main~1", "db@main", "--tolerance", "1%", "--exit-code")
    assert (data["identical"], data["summary"]) == (True, "identical")
    assert asked(capsys, "db@main~1", "db@main", "--tolerance", "0.9%", "--exit-code", code=1)["identical"] is False


# The library


def test_the_library_gives_the_rows_in_batches(changes: Path) -> None:
    result: DiffResult = doltflow.diff_runs("db@main~1", "db@main")
    assert result.identical is False
    assert [table.table for table in result.tables] == ["t", "u"]
    batches = list(result.rows("t"))
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    table = pa.Table.from_batches(batches)
    assert table.column("diff_type").to_pylist() == ["modified", "removed", "added"]
    assert table.schema.field("from_price").type == pa.decimal128(10, 2)
    assert table.column("to_id").to_pylist() == [1, None, 4]
    assert [row for batch in result.rows("db/u") for row in batch.to_pylist()] == [
        {"diff_type": "added", "from_a": None, "to_a": 1, "from_b": None, "to_b": 1}
    ]
    with pytest.raises(AmbiguousDatabaseError, match=r"Several tables are compared: `db/t`, `db/u`\."):
        list(result.rows())


def test_the_schema_of_a_table_that_changed(changes: Path) -> None:
    dolt(changes, "sql", "-q", "alter table t rename column name to title; call dolt_commit('-am', 'Renamed')")
    result = diff("db@main~1", "db@main")
    table = result.table("t")
    assert table.difference is not None
    assert table.difference.schema_changes == (SchemaChange("column-renamed", "title", "name", "title"),)
    assert (table.difference.added, table.difference.removed, table.difference.modified) == (0, 0, 0)
    assert result.identical is False


# What is refused


@pytest.mark.parametrize(
    ("ends", "options", "expected"),
    [
        ("db@main~1 db@nowhere", (), (3, "ref-not-found", "`db` has no branch, tag or commit `nowhere`.")),
        ("dbx@main db@main", (), (3, "database-not-found", "There is no database `dbx` in {place}.")),
        (BOTH, ("--table", "x"), (3, "table-not-found", "There is no table `x` among those that are compared.")),
        (BOTH, ("--columns", "nme"), (3, "column-not-found", "The column `nme` is in none of the tables compared.")),
        (BOTH, ("--columns", ""), (2, "usage", "No column is named.")),
        (BOTH, ("--where", "drop table t"), (3, "bad-query", None)),
        (BOTH, ("--where", "nme = 1"), (3, "column-not-found", None)),
        (BOTH, ("--tolerance", "some"), (2, "usage", "The tolerance `some` is no number of 0 or more.")),
        (BOTH, ("--tolerance", "-1"), (2, "usage", "The tolerance `-1` is no number of 0 or more.")),
        (
            BOTH,
            ("--table", "t", "--columns", "name", "--tolerance", "1"),
            (3, "tolerance", "The column `name` is varchar(40), and a tolerance is for numbers."),
        ),
        (
            BOTH,
            ("--table", "u", "--tolerance", "1"),
            (3, "tolerance", "The tolerance 1 is for numbers, and no column that is compared is one."),
        ),
    ],
)
def test_bad_input(
    changes: Path,
    capsys: pytest.CaptureFixture[str],
    ends: str,
    options: tuple[str, ...],
    expected: tuple[int, str, str | None],
) -> None:
    before = footprint(changes)
    code, name, message, _ = refused(capsys, *ends.split(), *options)
    assert (code, name) == expected[:2]
    if expected[2] is not None:
        assert message == expected[2].format(place=Path.cwd())
    assert footprint(changes) == before


def test_options_that_do_not_go_together(changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--output", "csv"], ["--stat", "--output", "jsonl"], ["--where", "1 = 1", "--output", "sql"]):
        assert main(["diff", "db@main~1", "db@main", *arguments]) == 2
    error = capsys.readouterr().err
    assert "CSV has rows of one table, and several differ: db/t, db/u." in error


def test_runs_that_have_nothing_in_common(demo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    medians, variances = "HospitalPriceStateMedians/latest", "HospitalProcedurePriceVarianceByState/latest"
    code, name, message, hint = refused(capsys, medians, variances)
    assert (code, name) == (3, "nothing-in-common")
    assert "wrote `hospital-price-analysis/state_procedure_medians`" in message
    assert hint == "`doltflow runs` lists what each run wrote."


def test_a_run_without_outputs(here: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    run = here.runs["first"]
    code, name, message, hint = refused(capsys, f"{run}/end", run)
    assert (code, name, message) == (3, "no-output", f"`{run}/end` wrote no table.")
    assert hint == f"`doltflow show {run}/end` lists what it read and wrote."
    assert refused(capsys, "AttributedFlow", run) == (
        3,
        "run-not-found",
        "`AttributedFlow` is a flow, and no run of it.",
        "`AttributedFlow/latest` is its newest run.",
    )
    code, name, _, hint = refused(capsys, "AttributedFlw/latest", run)
    assert (code, name) == (3, "run-not-found")
    assert hint.startswith("Did you mean `AttributedFlow`?")


@pytest.mark.parametrize("columns", ["80", "40"])
def test_narrow_terminals_lose_nothing(changes: Path, columns: str) -> None:
    program = str(Path(sys.executable).with_name("doltflow"))
    script = f"import pty, sys; sys.exit(pty.spawn([{program!r}, 'diff', 'db@main~1', 'db@main']) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": columns, "NO_COLOR": "1", "TERM": "xterm"},
    )  # fmt: skip
    lines = done.stdout.replace("\r", "").splitlines()
    assert all(len(line) <= int(columns) for line in lines), lines
    assert "".join("".join(lines).split()).count("price1.10→1.20") == 1
