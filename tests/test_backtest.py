"""Backtests: which flows run on an earlier commit, on which branches, what they give, and what stays as it was."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import check_out, dolt, head, make_database, run_flow, sql
from histories import Histories, Read, histories_here

from doltflow.backtest import BacktestResult, backtest, made_branches, remove_made
from doltflow.cli import main
from doltflow.errors import (
    AmbiguousDatabaseError,
    BranchExistsError,
    DoltflowError,
    FlowFileError,
    NotReplayableError,
    RefNotFoundError,
    RerunFailedError,
    StoreNotFoundError,
    TableNotFoundError,
    UsageError,
)
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.made import made_in
from doltflow.status import status

PRICES, ANALYSIS = "hospital-price-transparency", "hospital-price-analysis"
MEDIANS, VARIANCES = "HospitalPriceStateMedians", "HospitalProcedurePriceVarianceByState"
TABLES = ("state_procedure_medians", "variance_by_procedure")


def month(number: int) -> str:
    """The commit that brought the prices of a month of 2021."""
    query = f"select commit_hash from dolt_log where message like '%prices_2021_{number:02}.csv' and committer <> ''"
    return str(sql(Path(PRICES), query)[0]["commit_hash"])


def heads(name: str) -> dict[str, str]:
    """The head of every branch."""
    return {str(row["name"]): str(row["hash"]) for row in sql(Path(name), "select name, hash from dolt_branches")}


def unchanged() -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """All of both databases that is the user's: checkout, working set and staging; the branches."""
    return {name: _state(Path(name)) for name in (PRICES, ANALYSIS)}


def _state(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    hashes = ", ".join(f"dolt_hashof_db('{which}') as {which.lower()}" for which in ("WORKING", "STAGED"))
    rows = sql(folder, f"select name, hash, {hashes} from dolt_branches")
    checkout = (folder / ".dolt" / "repo_state.json").read_text()
    temporary = sorted(path.name for path in (folder / ".dolt" / "temptf").iterdir())
    return (
        {"checkout": checkout, "working": rows[0]["working"], "staged": rows[0]["staged"], "temporary": temporary},
        {str(row["name"]): str(row["hash"]) for row in rows},
    )


def frame(name: str, table: str, ref: str) -> pd.DataFrame:
    """A table at a ref, as the dolt program gives it."""
    return pd.DataFrame(sql(Path(name), f"select * from {table} as of '{ref}'"))


def plain(commit: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What both flows make of the prices at a commit, by pandas alone."""
    prices, hospitals = frame(PRICES, "prices", commit), frame(PRICES, "hospitals", commit)
    prices["price"] = prices["price"].astype(float)
    merged = prices[["npi_number", "code", "price"]].merge(hospitals[["npi_number", "state"]], on="npi_number")
    medians = merged.groupby(["state", "code"], as_index=False)["price"].median()
    clean = medians[~medians["code"].str.startswith("nan")]
    return medians, clean.groupby("code", as_index=False)["price"].var()


def told(result: BacktestResult) -> list[tuple[str, str, str]]:
    return [(item.database, item.branch, item.commit) for item in result.plan.branches]


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """A command's exit code, answer and messages."""
    code = main(["backtest", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# The demo


def test_without_run_only_branches_are_made_and_the_command_is_told(
    demo_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql(Path(ANALYSIS), "insert into variance_by_procedure values ('dirty', 1)")
    before, first, main_head = unchanged(), month(1), head(Path(ANALYSIS))
    code, out, _ = asked(capsys, "--commit", first[:10], "--dry-run", "--output", "json")
    assert (code, unchanged()) == (0, before)
    name = f"backtest/{first[:8]}"
    wanted = [
        {"database": PRICES, "branch": name, "commit": first},
        {"database": ANALYSIS, "branch": name, "commit": main_head},
    ]
    data = json.loads(out)["data"]
    assert (data["branches"], data["dry_run"]) == (wanted, True)
    code, out, _ = asked(capsys, "--commit", first[:10], "--output", "json")
    answer = json.loads(out)
    data = answer["data"]
    assert (code, answer["schema"]) == (0, "doltflow.backtest/1")
    assert (data["branches"], data["dry_run"], data["runs"], data["tables"]) == (wanted, False, [], [])
    assert data["commands"] == [f"doltflow backtest --commit {first} --branch {name} --run"]
    assert [flow["flow"] for flow in data["flows"]] == [MEDIANS, VARIANCES]
    assert [flow["pins"] for flow in data["flows"]] == [
        [{"database": database, "branch": name, "commit": None} for database in (PRICES, ANALYSIS)]
    ] * 2
    for database, commit in ((PRICES, first), (ANALYSIS, main_head)):
        assert _state(Path(database)) == (before[database][0], {"main": before[database][1]["main"], name: commit})
    with pytest.raises(BranchExistsError, match=f"`{name}` of this backtest is there already"):
        backtest(commit=first)
    code, _, err = asked(capsys, "--remove", name)
    assert (code, "--yes" in err) == (2, True)
    assert {item.database for item in remove_made(name, confirm=lambda found: False)} == set()
    assert heads(PRICES)[name] == first
    code, out, _ = asked(capsys, "--remove", name, "--yes")
    assert (code, out) == (0, f"removed {ANALYSIS}: {name}\nremoved {PRICES}: {name}\n")
    assert unchanged() == before
    assert (made_branches(), made_in(Database.at(PRICES).location)) == ((), {})


def test_run_gives_what_todays_flows_make_of_the_first_month(
    demo_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql(Path(PRICES), "delete from prices where code like '2%'")
    before, first, root = unchanged(), month(1), head(Path(ANALYSIS), "main~2")
    made_by = {table.table: table for table in status().tables}
    branch = ("--branch", "metaflow-backtest", "--base", "root", "-d", PRICES)
    assert asked(capsys, "--commit", first, *branch)[0] == 0
    # The branches are there, and the command goes on with them.
    code, out, err = asked(capsys, "--commit", first, *branch, "--run", "--output", "json")
    assert code == 0, err
    data = json.loads(out)["data"]
    assert data["branches"] == [
        {"database": PRICES, "branch": "metaflow-backtest", "commit": first},
        {"database": ANALYSIS, "branch": "metaflow-backtest", "commit": root},
    ]
    assert data["commands"] == []
    assert [(run["flow"], run["production"], run["is_new"]) for run in data["runs"]] == [
        (flow, made_by[table].run.pathspec, True) for flow, table in zip((MEDIANS, VARIANCES), TABLES, strict=True)
    ]
    assert [(table["database"], table["table"]) for table in data["tables"]] == [(ANALYSIS, table) for table in TABLES]
    for table, run, expected in zip(data["tables"], data["runs"], plain(first), strict=True):
        name, keys = table["table"], list(expected.columns[:-1])
        found = frame(ANALYSIS, name, "metaflow-backtest").reindex(columns=expected.columns)
        pd.testing.assert_frame_equal(
            found.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True), check_dtype=False
        )
        production = frame(ANALYSIS, name, made_by[name].commit)
        assert table["production"] == {
            "run": made_by[name].run.pathspec, "commit": made_by[name].commit, "rows": len(production)
        }  # fmt: skip
        commit = sql(Path(ANALYSIS), f"select * from dolt_log('metaflow-backtest', '--tables', '{name}') limit 1")
        assert table["backtest"] == {"run": run["run"], "commit": commit[0]["commit_hash"], "rows": len(expected)}
        assert table["verdict"] == "different"
        shared = expected.merge(production, on=keys, how="outer", indicator=True)["_merge"].value_counts()
        assert (table["added"], table["removed"]) == (shared["left_only"], shared["right_only"])
        (column,) = table["columns"]
        means = (production["price"].astype(float).mean(), expected["price"].mean())
        assert (column["name"], column["count_backtest"]) == ("price", expected["price"].count())
        assert column["count_production"] == production["price"].count()
        assert (column["mean_production"], column["mean_backtest"]) == pytest.approx(means)
        assert column["change"] == pytest.approx(means[1] / means[0] - 1)
        assert f'Rerun-Of: {{"pathspec": "{run["production"]}", "kind": "backtest"}}' in commit[0]["message"]
    # What is the user's is as it was, and a rerun is nobody's production.
    for database, (was, refs) in before.items():
        now, after = _state(Path(database))
        assert (now, {branch: after[branch] for branch in after.keys() - {"metaflow-backtest"}}) == (was, refs)
    assert {table.table: table.run.pathspec for table in status().tables} == {
        table: made_by[table].run.pathspec for table in TABLES
    }
    with pytest.raises(BranchExistsError, match="have written to its branch"):
        backtest(commit=first, branch="metaflow-backtest", base="root", run=True)
    setting = f"{MEDIANS}.hospital-price-db=./{PRICES}"
    with pytest.raises(
        NotReplayableError, match=r"/\d+ of this backtest ran with another value of `hospital_price_db`"
    ):
        backtest(commit=first, branch="metaflow-backtest", base="root", resume=True, settings=[setting])
    again = backtest(commit=first, branch="metaflow-backtest", base="root", resume=True)
    assert [(run.run, run.is_new, run.log) for run in again.runs] == [(run["run"], False, None) for run in data["runs"]]
    assert [(item.database, item.made.kind, item.made.of) for item in made_branches()] == [
        (ANALYSIS, "backtest", f"{PRICES}@{first}"),
        (PRICES, "backtest", f"{PRICES}@{first}"),
    ]
    code, out, _ = asked(capsys, "--list", "--output", "json")
    assert [(item["database"], item["branch"], item["commit"]) for item in json.loads(out)["data"]["branches"]] == [
        (ANALYSIS, "metaflow-backtest", root), (PRICES, "metaflow-backtest", first)
    ]  # fmt: skip
    remove_made("metaflow-backtest")
    assert unchanged() == before


@pytest.mark.long
def test_a_parameter_that_is_set_is_told_for_the_flows_that_have_it(
    demo_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, before = month(1), unchanged()
    every, one = "hospital-price-analysis-db-branch=main", f"{MEDIANS}.hospital-price-db=./hospital-price-transparency"
    settings = ("--set", every, "--set", one)
    code, out, _ = asked(capsys, "--commit", first, *settings, "--dry-run", "--output", "json")
    data = json.loads(out)["data"]
    assert (code, unchanged()) == (0, before)
    assert [flow["set"] for flow in data["flows"]] == [
        {"hospital_price_analysis_db_branch": "main", "hospital_price_db": "./hospital-price-transparency"},
        {"hospital_price_analysis_db_branch": "main"},
    ]
    assert data["commands"] == [
        f"doltflow backtest --commit {first} --set {every} --set {one} --branch backtest/{first[:8]} --run"
    ]
    code, out, _ = asked(capsys, "--commit", first, *settings, "--dry-run")
    assert ", hospital_price_analysis_db_branch=main\n" in out
    for wrong, message in (
        ("nonsense=1", "None of the flows to run has a parameter `nonsense`"),
        (f"{VARIANCES}.hospital-price-db=x", f"The flow `{VARIANCES}` has no parameter `hospital-price-db`"),
        ("Nobody.a=1", "no flow `Nobody` is to run"),
        ("=1", "`=1` sets no parameter"),
    ):
        with pytest.raises(UsageError, match=message):
            backtest(commit=first, settings=[wrong])
    assert unchanged() == before


@pytest.mark.long
def test_a_flow_that_fails_or_reads_elsewhere_stops_the_rest_and_can_be_gone_on_with(demo_copy: Path) -> None:
    script = demo_copy / "hospital_procedure_price_variance_by_state.py"
    run_flow(demo_copy, str(script))  # Its code is this folder's now.
    before, first = unchanged(), month(1)
    written = script.read_text()
    script.rename(script.with_suffix(".moved"))
    with pytest.raises(FlowFileError, match=f"{script} of the flow `{VARIANCES}` is not there.*--code recorded"):
        backtest(commit=first, run=True)
    assert unchanged() == before
    reading = 'medians = dolt.read("state_procedure_medians")'
    fixed = head(Path(ANALYSIS))
    query = f"select * from state_procedure_medians as of '{fixed}'"
    assert reading in written
    script.write_text(written.replace(reading, 'raise ValueError("Broken.")'))
    with pytest.raises(RerunFailedError) as failed:
        backtest(commit=first, run=True)
    command = f"doltflow backtest --commit {first} --branch backtest/{first[:8]} --run --resume"
    assert f"`{command}`" in failed.value.hint
    assert f"`doltflow backtest --remove backtest/{first[:8]}`" in failed.value.hint
    done = sql(Path(ANALYSIS), f"select message from dolt_log('backtest/{first[:8]}') limit 1")[0]["message"]
    assert done.startswith(f"Run: {MEDIANS}/")
    script.write_text(written.replace(reading, f'medians = dolt.sql("""{query}""", "medians")'))
    with pytest.raises(RerunFailedError, match=f"`state_procedure_medians` of .* was served from {fixed}"):
        backtest(commit=first, resume=True)
    commits = sql(Path(ANALYSIS), f"select message from dolt_log('main..backtest/{first[:8]}')")
    assert [commit["message"].split("/")[0] for commit in commits] == [f"Run: {VARIANCES}", f"Run: {MEDIANS}"]
    for database, (_, refs) in before.items():
        assert {k: v for k, v in heads(database).items() if not k.startswith("backtest/")} == refs
    remove_made(f"backtest/{first[:8]}")
    assert unchanged() == before
    # The recorded source is what production ran.
    result = backtest(commit=fixed, tables=["variance_by_procedure"], code="recorded", run=True)
    assert told(result) == [(ANALYSIS, f"backtest/{fixed[:8]}", fixed)]
    (table,) = result.tables
    assert (table.table, table.verdict and table.verdict.verdict) == ("variance_by_procedure", "identical")
    with pytest.raises(NotReplayableError, match=f"of this backtest ran with other code: {script.name}"):
        backtest(commit=fixed, tables=["variance_by_procedure"], resume=True)
    (again,) = backtest(commit=fixed, tables=["variance_by_procedure"], code="recorded", resume=True).runs
    assert (again.run, again.is_new) == (result.runs[0].run, False)


TWO_INPUTS = """
from metaflow import FlowSpec, step
from doltflow import DoltConfig, DoltDT

class Joined(FlowSpec):
    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig("raw")) as raw, DoltDT(run=self, config=DoltConfig("codes")) as codes:
            both = raw.read("t").merge(codes.sql("select id, v as w from k", "named"), on="id")
        with DoltDT(run=self, config=DoltConfig("made")) as dolt:
            dolt.write(both, "joined", pks="id")
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Joined()
"""


@pytest.mark.long
def test_another_input_database_is_read_where_production_read_it(tmp_path: Path) -> None:
    for name, table in {"raw": "t", "codes": "k"}.items():
        made = [f"create table {table} (id int primary key, v decimal(5, 2))"]
        made += [f"insert into {table} values (1, 1.5), (2, 2.5)", "call dolt_commit('-Am', 'two')"]
        make_database(Path(name), *made, f"insert into {table} values (3, 3.5)")
    make_database(Path("made"))
    script = tmp_path / "joined_flow.py"
    script.write_text(TWO_INPUTS)
    run_id = run_flow(Path.cwd(), str(script)).pathspec.rpartition("/")[2]
    seen, first = head(Path("codes")), head(Path("raw"), "main~1")
    sql(Path("codes"), "update k set v = 0; call dolt_commit('-am', 'changed since')")
    result = backtest(commit=first, run=True)
    assert told(result) == [
        ("raw", f"backtest/{first[:8]}", first),
        ("made", f"backtest/{first[:8]}", head(Path("made"))),
    ]
    (flow,), (table,) = result.plan.flows, result.tables
    pin = flow.pins.database("codes")
    assert pin is not None
    assert (pin.branch, pin.commit) == (None, seen)
    assert frame("made", "joined", f"backtest/{first[:8]}").astype(float).to_numpy().tolist() == [
        [1, 1.5, 1.5], [2, 2.5, 2.5]
    ]  # fmt: skip
    assert table.production is not None
    assert (table.production.run, table.production.rows, table.backtest.rows) == (f"Joined/{run_id}", 3, 2)
    assert [(c.name, c.mean_production, c.mean_backtest) for c in table.columns] == [
        ("id", 2.0, 1.5), ("v", 2.5, 2.0), ("w", 2.5, 2.0)
    ]  # fmt: skip
    assert {(c.count_production, c.count_backtest) for c in table.columns} == {(3, 2)}
    assert list(heads("codes")) == ["main"]


def test_an_interrupt_says_what_is_left_and_the_same_command_goes_on(demo_copy: Path) -> None:
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        if line == f"{MEDIANS}/start: is starting":
            raise KeyboardInterrupt

    first = month(1)
    with pytest.raises(KeyboardInterrupt):
        backtest(commit=first, tables=["state_procedure_medians"], run=True, tell=tell)
    name = f"backtest/{first[:8]}"
    assert lines[0] == f"{PRICES}: branch {name} at {first}"
    assert lines[-1] == (
        f"Interrupted. The branch `{name}` stays. Go on with `doltflow backtest --commit {first} --table "
        f"state_procedure_medians --branch {name} --run --resume`, or remove it with `doltflow backtest --remove "
        f"{name}`."
    )
    assert [item.database for item in made_branches()] == [ANALYSIS, PRICES]
    result = backtest(commit=first, tables=["state_procedure_medians"], branch=name, resume=True)
    assert [(run.flow, run.is_new) for run in result.runs] == [(MEDIANS, True)]
    assert [(table.table, table.backtest.rows) for table in result.tables] == [(TABLES[0], len(plain(first)[0]))]


@pytest.mark.folder
def test_a_commit_of_a_database_that_no_flow_reads_gets_its_branch(
    demo_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_database(demo_copy / "other", "create table t (a int primary key)")
    commit = head(other)
    code, out, _ = asked(capsys, "--commit", commit, "--run")
    assert code == 0
    assert out == (
        f"Backtest of other @ {commit[:8]}\n\nBranches\n  other: backtest/{commit[:8]} at {commit[:8]}\n\n"
        "No flow is downstream of it: there is nothing to run.\n"
    )
    assert heads("other") == {"main": commit, f"backtest/{commit[:8]}": commit}
    check_out(other, f"backtest/{commit[:8]}")
    with pytest.raises(NotReplayableError, match="is checked out in `other`"):
        remove_made(f"backtest/{commit[:8]}")


BAD = {
    "no commit": ({}, UsageError, "needs `--commit`"),
    "commit not there": ({"commit": "0" * 32}, RefNotFoundError, f"`{ANALYSIS}` has no .* `{PRICES}` has no "),
    "quotes": ({"commit": "a'`é"}, RefNotFoundError, "has no branch, tag or commit `a'`é`"),
    "date": ({"commit": "2021-01-20"}, RefNotFoundError, "`--as-of`"),
    "two databases": ({"commit": "main"}, AmbiguousDatabaseError, "Several .*--database"),
    "before all": ({"as_of": "1999-01-01"}, RefNotFoundError, "no commit at or before"),
    "no date": ({"as_of": "yesterday"}, UsageError, "`yesterday` is not a date"),
    "branch there": ({"commit": "*", "branch": "Main"}, BranchExistsError, "a branch `main` already"),
    "space": ({"commit": "*", "branch": "a b"}, UsageError, "cannot be the name"),
    "empty": ({"commit": "*", "branch": ""}, UsageError, "cannot be the name"),
    "option": ({"commit": "*", "branch": "-D"}, UsageError, "cannot be the name"),
    "not Dolt's": ({"commit": "*", "branch": "é`'"}, UsageError, "cannot be the name"),
    "base": ({"commit": "*", "base": "nonsense"}, RefNotFoundError, f"`{ANALYSIS}` has no"),
    "table": ({"commit": "*", "tables": ["variances"]}, TableNotFoundError, "`variance_by_procedure`"),
    "no tables then": ({"as_of": "2021-01-10", "run": True}, TableNotFoundError, "reads `hospitals` of"),
}


@pytest.fixture
def served(demo_copy: Path) -> Iterator[Path]:
    """The demo with both servers running, which many calls then need not start."""
    with Database.at(PRICES).open(), Database.at(ANALYSIS).open():
        yield demo_copy


def test_bad_input_is_told_before_anything_is_made(served: Path) -> None:
    dolt(Path(ANALYSIS), "branch", "mine")
    before, first = unchanged(), month(1)
    for options, kind, message in BAD.values():
        given: dict[str, Any] = {name: first if value == "*" else value for name, value in options.items()}
        with pytest.raises(DoltflowError) as caught:
            backtest(**given)
        assert isinstance(caught.value, kind), caught.value
        assert pytest.raises(DoltflowError, match=message).matches(caught.value), caught.value
    # A branch that is there in the second database only: the first one does not get it either.
    with pytest.raises(
        BranchExistsError, match=f"`{ANALYSIS}` has a branch `mine` already, which doltflow did not make"
    ):
        backtest(commit=first, branch="mine")
    for name in ("mine", "main", "nonsense"):
        with pytest.raises(RefNotFoundError, match=f"doltflow made no branch `{name}`"):
            remove_made(name)
    assert unchanged() == before
    shutil.rmtree(".metaflow")
    with pytest.raises(StoreNotFoundError):
        backtest(commit=first, run=True)
    assert unchanged() == before


@pytest.mark.parametrize(
    "arguments",
    [("--list", "--commit", "x"), ("--remove", "x", "--run"), ("--list", "--remove", "x"), ("--yes",), ()],
)
def test_options_that_do_not_go_together(
    demo_folder: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(capsys, *arguments)[0] == 2


# The graph: histories whose commits alone tell


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Histories]:
    """Databases for `pipeline`."""
    with histories_here(tmp_path, monkeypatch) as made:
        for name, tables in {"raw": ["t"], "codes": ["k"], "made": ["a", "b"], "far": ["c", "d"]}.items():
            made.database(name, *tables)
        yield made


def pipeline(here: Histories) -> dict[str, str]:
    """The commits of four flows: A makes `a` of `t` and `k`, B `b` of `a`, C `c` of `k`, and D `d` of `b` and `c`."""
    add = "insert into {} values (1, 1)"
    raw, codes = (("raw", "t", here.head("raw"), "main"), ("codes", "k", here.head("codes"), "main"))
    made = {"a": here.run("made", "A/1/s/1", "a", add.format("a"), reads=[raw, codes])}
    made["c"] = here.run("far", "C/2/s/1", "c", add.format("c"), reads=[codes])
    made["b"] = here.run("made", "B/3/s/1", "b", add.format("b"), reads=[("made", "a", made["a"], "main")])
    reads = [("made", "b", made["b"], "main"), ("far", "c", made["c"], "main")]
    return made | {"d": here.run("far", "D/4/s/1", "d", add.format("d"), reads=reads)}


def planned(**options: Any) -> dict[str, list[tuple[str, str | None, str | None]]]:
    """Of each flow in order its pins: database, branch and commit."""
    result = backtest(dry_run=True, **options)
    return {
        flow.run.flow: [(pin.database, pin.branch, pin.commit) for pin in flow.pins.databases]
        for flow in result.plan.flows
    }


def test_flows_downstream_come_in_order_and_other_inputs_stay_where_production_read_them(here: Histories) -> None:
    then, codes = here.head("raw"), here.head("codes")
    pipeline(here)
    here.by_hand("raw", "insert into t values (2, 2)")
    here.by_hand("codes", "insert into k values (2, 2)")
    name = f"backtest/{then[:8]}"
    own: list[tuple[str, str | None, str | None]] = [(database, name, None) for database in ("raw", "far", "made")]
    assert planned(commit=then) == {"A": [*own, ("codes", None, codes)], "B": own, "D": own}
    result = backtest(commit=then, dry_run=True)
    assert told(result) == [("raw", name, then), ("far", name, here.head("far")), ("made", name, here.head("made"))]
    result = backtest(commit=then, dry_run=True, base="root")
    assert [item.commit for item in result.plan.branches[1:]] == [
        here.sessions[database].resolve(f"main~{len(here.commits[database])}") for database in ("far", "made")
    ]
    assert list(planned(commit=then, tables=["b"])) == ["A", "B"]
    assert list(planned(commit=then, tables=["made/A"])) == ["A"]
    assert list(planned(commit=then, tables=["d", "a"])) == ["A", "B", "D"]
    with pytest.raises(TableNotFoundError, match="No flow downstream of the input writes a table `c`"):
        planned(commit=then, tables=["c"])
    assert list(planned(commit=codes)) == ["A", "C", "B", "D"]


def test_the_database_that_is_asked_for_is_the_input_and_the_branches_of_the_others_are_known_too(
    here: Histories,
) -> None:
    then = here.head("raw")
    pipeline(here)
    (command,) = backtest(commit=then, database="raw", branch="seq").commands
    assert command == f"doltflow backtest --commit {then} --database raw --branch seq --run"
    with pytest.raises(BranchExistsError, match="`seq` of this backtest is there already, in `raw`, `far`, `made`"):
        backtest(commit=then, database="raw", branch="seq")
    assert [item.database for item in made_branches(database="raw")] == ["raw"]


def test_as_of_sends_the_other_inputs_or_all_of_them_to_a_moment(here: Histories) -> None:
    pipeline(here)
    raw, codes = here.head("raw"), here.head("codes")
    later = here.by_hand("codes", "insert into k values (2, 2)")
    pins = planned(commit=raw, as_of="2999-01-01", branch="x")["A"]
    assert pins[-1] == ("codes", None, later) != ("codes", None, codes)
    result = backtest(as_of="2999-01-01", dry_run=True)
    assert told(result)[:2] == [("codes", "backtest/2999-01-01", later), ("raw", "backtest/2999-01-01", raw)]
    assert [flow.run.flow for flow in result.plan.flows] == ["A", "C", "B", "D"]
    result = backtest(as_of="2999-01-01", database="raw", dry_run=True)
    assert told(result)[0] == ("raw", "backtest/2999-01-01", raw)
    assert [flow.run.flow for flow in result.plan.flows] == ["A", "B", "D"]


def test_a_database_that_is_only_written_is_no_input_and_one_that_is_both_begins_at_its_commit(here: Histories) -> None:
    made = pipeline(here)
    here.database("out", "e")
    here.run("out", "E/5/s/1", "e", "insert into e values (1, 1)", reads=[("far", "d", made["d"], "main")])
    with pytest.raises(NotReplayableError, match="`out` is no input: runs write it, and none reads it"):
        planned(commit=here.head("out"))
    result = backtest(commit=made["c"], dry_run=True)
    name = f"backtest/{made['c'][:8]}"
    assert told(result) == [("far", name, made["c"]), ("out", name, here.head("out"))]
    assert [flow.run.flow for flow in result.plan.flows] == ["D", "E"]
    assert result.plan.flows[0].pins.database("made") is not None
    assert any("is not in Metaflow's store" in warning for warning in result.warnings)


@pytest.mark.parametrize("elsewhere", [("nowhere", "t", "a" * 32, "main"), ("codes", "k", "a" * 32, "main")])
def test_flows_that_read_what_is_not_here_hold_nobody_up(here: Histories, elsewhere: Read) -> None:
    raw = here.head("raw")
    pipeline(here)
    here.run("made", "E/5/s/1", "e", "create table e (id int primary key)", reads=[elsewhere])
    result = backtest(commit=raw, dry_run=True)
    assert [flow.run.flow for flow in result.plan.flows] == ["A", "B", "D"]
    with pytest.raises(RefNotFoundError):
        backtest(commit="a" * 32, dry_run=True)


def test_an_older_run_of_a_flow_is_left_out_and_named(here: Histories) -> None:
    raw = ("raw", "t", here.head("raw"), "main")
    here.run("made", "A/1/s/1", "a", "insert into a values (1, 1)", reads=[raw])
    here.run("made", "A/2/s/1", "b", "insert into b values (1, 1)", reads=[raw])
    result = backtest(commit=here.head("raw"), dry_run=True)
    assert [flow.run.pathspec for flow in result.plan.flows] == ["A/2"]
    assert result.warnings[1] == (
        "`made/a` is left out: A/1, which wrote it, is not the newest run of its flow, and a backtest runs each flow "
        "once."
    )


def test_rows_that_a_failed_rerun_added_are_not_added_again(here: Histories) -> None:
    raw = here.head("raw")
    add = "insert into a values ({}, 1)"
    here.run("made", "A/1/s/1", "a", add.format(1), reads=[("raw", "t", raw, "main")], mode="append")
    backtest(commit=raw, branch="again")
    rerun_of = {"pathspec": "A/1", "kind": "backtest"}
    here.run("made", "A/9/s/1", "a", add.format(2), mode="append", branch="again", rerun_of=rerun_of)
    with pytest.raises(BranchExistsError, match="have written to its branch `again` already"):
        backtest(commit=raw, branch="again", run=True)
    with pytest.raises(NotReplayableError, match=r"A/9 failed after it had added rows.*--remove again"):
        backtest(commit=raw, branch="again", resume=True)
    with pytest.raises(BranchExistsError, match="of another backtest"):
        backtest(commit=here.by_hand("raw", "insert into t values (7, 7)"), branch="again", run=True)


def test_a_branch_that_somebody_made_under_the_name_of_a_backtests_is_theirs(here: Histories) -> None:
    raw, made = here.head("raw"), pipeline(here)
    backtest(commit=raw, branch="again")
    rerun_of = {"pathspec": "A/1", "kind": "backtest"}
    run = here.run("made", "A/9/s/1", "a", "delete from a", branch="again", rerun_of=rerun_of)
    assert [(item.database, item.head) for item in made_branches()] == [
        ("far", made["d"]), ("made", run), ("raw", raw)
    ]  # fmt: skip
    # Later or earlier than where doltflow's began, with commits of production, by hand, or of another kind of rerun.
    own = here.by_hand("made", "delete from b", branch="again")
    for name, at in {"raw": "main", "far": "main~1"}.items():
        here.rows(name, "call dolt_branch('-D', 'again')")
        here.branch(name, "again", at)
    here.run("raw", "A/9/s/1", "t", "delete from t", branch="again", rerun_of={"pathspec": "A/1", "kind": "replay"})
    before = {name: here.head(name, "again") for name in ("raw", "made", "far")}
    assert before["made"] == own
    assert made_branches() == ()
    with pytest.raises(RefNotFoundError, match=r"`far` has one, which somebody else made anew or committed to\."):
        remove_made("again")
    for options in ({"run": True}, {"resume": True}, {}):
        with pytest.raises(BranchExistsError, match="a branch `again` already, which somebody else made anew"):
            backtest(commit=raw, branch="again", **options)
    assert {name: here.head(name, "again") for name in before} == before
    # What is noted of one that is gone says nothing of the next one, not even of one at the same commit.
    for name in before:
        here.rows(name, "call dolt_branch('-D', 'again')")
    assert made_branches() == ()
    assert [made_in(here.sessions[name].database.location) for name in before] == [{}, {}, {}]
    here.branch("far", "again", made["d"])
    assert made_branches() == ()
