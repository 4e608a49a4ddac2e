"""Backtests on many commits of an input: which commits, what each gives, what is not repeated, and where one turns."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, footprint, head, sql
from dated import commit, dated_database
from flows.harness import World, wait_for, world
from histories import histories

from doltflow.cli import main
from doltflow.errors import NotReplayableError, QueryError, RefNotFoundError
from doltflow.model.commit import Commit
from doltflow.model.moment import parse_moment
from doltflow.rerun.backtest import plan_from
from doltflow.rerun.inputs import Input
from doltflow.rerun.line import find_ends, parse_every, parse_range, thinned, way, where_inputs_changed
from doltflow.rerun.pipeline import read_pipeline
from doltflow.sources.dolt import Database
from doltflow.sql import is_aggregate
from doltflow.workspace import load_settings, open_workspace

MEDIANS, VARIANCES = "TraceMedians", "TraceVariances"
CHANGES = (
    ("no prices yet", "2021-01-01", "create table hospitals (npi int primary key)", "insert into hospitals values (1)"),
    (
        "first", "2021-01-10",
        "create table prices (id int primary key, code varchar(9), price double)",
        "insert into prices values (1, 'a', 10), (2, 'a', 20), (3, 'b', 5)",
    ),
    ("not read", "2021-01-20", "create table notes (id int primary key)"),
    ("broken", "2021-02-05", "alter table prices rename column price to cost"),
    ("mended", "2021-02-10", "alter table prices rename column cost to price", "insert into prices values (4, 'b', 7)"),
    ("more", "2021-02-20", "update prices set price = 30 where id = 2"),
    ("wrong", "2021-03-01", "insert into prices values (5, 'c', 1000)"),
    ("later", "2021-03-05", "update prices set price = 8 where id = 4"),
    ("last", "2021-03-09", "insert into prices values (6, 'd', 1)"),
)  # fmt: skip
MEDIAN = {"first": {"a": 15.0, "b": 5.0}, "mended": {"a": 15.0, "b": 6.0}, "more": {"a": 20.0, "b": 6.0}}


@dataclass(frozen=True)
class Months:
    """A folder in which two flows ran on the last of several commits of prices."""

    world: World
    prices: Path
    analysis: Path
    commits: dict[str, str]
    production: dict[str, str]

    def runs(self) -> int:
        """How many runs there are in Metaflow's store."""
        store = self.world.folder / ".metaflow"
        return sum(path.name.isdigit() for flow in (MEDIANS, VARIANCES) for path in (store / flow).iterdir())

    def users(self) -> dict[str, Any]:
        """All that is the user's: the heads of other branches than backtests', checkouts, staging, working sets."""
        names = "select name, hash from dolt_branches where name = 'main'"
        return {
            folder.name: footprint(folder) | {"branches": sql(folder, names)} for folder in (self.prices, self.analysis)
        }

    def name(self, message: str) -> str:
        """The name of the branches for a commit."""
        return f"backtest/{self.commits[message][:8]}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Months]:
    with world(tmp_path_factory.mktemp("sweep")) as here:
        prices = dated_database(here.folder / "prices", "2020-12-31T12:00:00")
        made = {
            message: commit(prices, f"{date}T12:00:00", message, *statements) for message, date, *statements in CHANGES
        }
        analysis = here.database("analysis")
        production = {}
        for script in ("trace_medians.py", "trace_variances.py"):
            copy = here.folder / script
            copy.write_text((FLOWS / script).read_text())
            run = here.run(str(copy))
            production[run.pathspec.partition("/")[0]] = run.pathspec
        found = Months(here, prices, analysis, made, production)
        before = found.users()
        yield found
        # Whatever was run or refused: everything of the user's is as it was.
        assert found.users() == before


@pytest.fixture
def months(built: Months, monkeypatch: pytest.MonkeyPatch) -> Iterator[Months]:
    """The folder, as the current one."""
    built.world.enter(monkeypatch)
    # Their servers run, which many calls then need not start.
    with Database.at(built.prices).open(), Database.at(built.analysis).open():
        yield built


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code, the answer and the messages of a backtest."""
    code = main(["backtest", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def data_of(text: str) -> dict[str, Any]:
    told = json.loads(text)
    assert told.get("schema") == "doltflow.backtest/1", told
    data: dict[str, Any] = told["data"]
    return data


def medians(months: Months, at: str) -> dict[str, float]:
    """The table at a commit of the output."""
    return {
        str(row["code"]): float(row["price"]) for row in sql(months.analysis, f"select * from medians as of '{at}'")
    }


def test_a_sweep_gives_a_line_for_each_commit_and_repeats_only_what_failed(
    months: Months, capsys: pytest.CaptureFixture[str]
) -> None:
    made, before = months.commits, months.runs()
    over = ("--sweep", f"{made['no prices yet']}..{made['mended'][:9]}", "--table", "medians")
    code, out, err = asked(capsys, *over, "--jobs", "2", "--output", "json")
    data = data_of(out)
    assert (code, data["database"], data["dry_run"]) == (3, "prices", False)
    assert data["flows"] == [{"flow": MEDIANS, "production": months.production[MEDIANS], "set": {}, "changed": []}]
    one, first, broken, mended = data["commits"]
    assert [item["message"] for item in data["commits"]] == ["no prices yet", "first", "broken", "mended"]
    assert [item["status"] for item in data["commits"]] == ["failed", "done", "failed", "done"]
    assert "reads `prices` of `prices`, which is not there" in one["error"]
    assert (one["branch"], one["runs"], one["tables"]) == (None, [], [])
    assert "Its log is " in broken["error"]
    assert broken["branch"] == months.name("broken")
    assert "error: The backtest failed on 2 of 4 commits." in err
    assert "4 commits of prices; runs: 4.\n" in err
    assert months.runs() == before + 3
    for item, message in ((first, "first"), (mended, "mended")):
        branch = months.name(message)
        assert (item["commit"], item["branch"], head(months.prices, branch)) == (made[message], branch, made[message])
        ((run,), (table,)) = item["runs"], item["tables"]
        assert (run["flow"], run["is_new"], Path(run["log"]).is_file()) == (MEDIANS, True, True)
        assert (table["backtest"]["run"], table["backtest"]["rows"], table["production"]["rows"]) == (run["run"], 2, 4)
        assert table["backtest"]["commit"] == head(months.analysis, branch)
        assert medians(months, branch) == MEDIAN[message]
        assert (table["verdict"], table["added"], table["removed"]) == ("different", 0, 2)
        (column,) = table["columns"]
        assert column["mean_backtest"] == pytest.approx(sum(MEDIAN[message].values()) / 2)
    # The same again: only what failed runs once more.
    code, out, err = asked(capsys, *over, "--output", "csv")
    lines = list(csv.DictReader(StringIO(out)))
    assert (code, months.runs()) == (3, before + 4)
    assert "4 commits of prices; runs: 4, 2 of them done before.\n" in err
    assert [(line["commit"], line["status"]) for line in lines] == [
        (item["commit"], item["status"]) for item in data["commits"]
    ]
    for line, item in zip(lines, data["commits"], strict=True):
        if item["status"] == "failed":
            assert (line["table"], line["run"], bool(line["error"])) == ("", "", True)
            continue
        ((table,), (column,)) = item["tables"], item["tables"][0]["columns"]
        assert (line["database"], line["table"], line["run"]) == ("analysis", "medians", item["runs"][0]["run"])
        assert (line["reused"], line["branch"], line["error"]) == ("true", "", "")
        assert line["output_commit"] == table["backtest"]["commit"]
        assert [int(line[name]) for name in ("rows", "rows_production", "added", "removed", "modified")] == [
            2, 4, table["added"], table["removed"], table["modified"]
        ]  # fmt: skip
        assert line["column"] == "price"
        assert [float(line[name]) for name in ("mean", "mean_production", "change")] == pytest.approx(
            [column["mean_backtest"], column["mean_production"], column["change"]]
        )


def test_which_commits_and_production_stands_for_its_own(months: Months, capsys: pytest.CaptureFixture[str]) -> None:
    before = months.runs()
    for every, messages in (
        ((), ["mended", "more", "wrong", "later", "last"]),
        (("--every", "2"), ["mended", "wrong", "last"]),
        (("--every", "3"), ["mended", "more", "last"]),
        (("--every", "month"), ["mended", "more", "last"]),
    ):
        code, out, _ = asked(capsys, "--sweep", "2021-02-12..", *every, "--dry-run", "--output", "json")
        data = data_of(out)
        assert (code, data["dry_run"], [item["message"] for item in data["commits"]]) == (0, True, messages)
        assert {item["status"] for item in data["commits"]} == {"planned"}
        last = data["commits"][-1]
        assert (last["branch"], [run["run"] for run in last["runs"]]) == (None, list(months.production.values()))
    code, out, _ = asked(capsys, "--sweep", "main~1..main", "--every", "5", "--dry-run")
    assert (code, re.split("  +", out.splitlines()[-1])[1:]) == (
        0,
        [
            months.commits["last"][:8], "nothing to run",
            ", ".join(f"{run} was done before" for run in months.production.values()),
        ],
    )  # fmt: skip
    assert months.runs() == before


@pytest.mark.long
def test_a_flow_whose_code_or_parameters_changed_runs_again_and_only_that(
    months: Months, capsys: pytest.CaptureFixture[str]
) -> None:
    first = months.commits["first"]
    before, over = months.runs(), ("--sweep", f"{first}..{first}", "--output", "json")
    (item,) = data_of(asked(capsys, *over)[1])["commits"]
    ran = months.runs() - before
    assert item["branch"] == months.name("first")  # Medians may have run on it, and it goes on there.
    assert item["runs"][1]["is_new"]
    assert [table["backtest"]["rows"] for table in item["tables"]] == [2, 2]
    script = months.world.folder / "trace_variances.py"
    text = script.read_text()
    script.write_text(text.replace('medians["price"] * 2', 'medians["price"] * 3'))
    (again,) = data_of(asked(capsys, *over)[1])["commits"]
    script.write_text(text)
    assert months.runs() == before + ran + 1
    assert [run["is_new"] for run in again["runs"]] == [False, True]
    assert again["branch"] == f"{months.name('first')}-2"
    rows = sql(months.analysis, f"select price from variances as of '{again['branch']}' order by code")
    assert [float(row["price"]) for row in rows] == [45, 15]
    # Both are on the new branch, one after the other, as if both had run there.
    messages = sql(months.analysis, f"select message from dolt_log('main..{again['branch']}')")
    assert [row["message"].splitlines()[0].rpartition("/")[0].rpartition("/")[0] for row in messages] == [
        f"Run: {run['run']}" for run in reversed(again["runs"])
    ]
    # The old code is known, and so is what it made.
    (old,) = data_of(asked(capsys, *over)[1])["commits"]
    assert [run["run"] for run in old["runs"]] == [run["run"] for run in item["runs"]]
    only = (*over, "--table", "medians", "--set", f"{MEDIANS}.secret=x")
    _, out, err = asked(capsys, *only, "--log")
    data = data_of(out)
    assert re.search(rf"^{first[:8]}: \S+ \S+ \[\d+/start/\d+ \(pid \d+\)\] Task is starting\.$", err, re.MULTILINE), (
        err
    )
    assert data["flows"][0]["set"] == {"secret": "x"}
    (new,) = data["commits"][0]["runs"]
    assert new["is_new"]
    assert main(["show", new["run"], "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["run"]["tags"] == [
        f"doltflow:backtest-of={months.production[MEDIANS]}", "doltflow:set=secret"
    ]  # fmt: skip
    (same,) = data_of(asked(capsys, *only)[1])["commits"][0]["runs"]
    assert (same["run"], same["is_new"]) == (new["run"], False)
    assert months.runs() == before + ran + 2


def test_a_bisect_finds_the_first_commit_and_says_before_how_many_runs_that_takes(
    months: Months, capsys: pytest.CaptureFixture[str]
) -> None:
    made, before = months.commits, months.runs()
    ends = ("--good", "2021-02-11", "--bad", "main", "--table", "medians")
    code, out, err = asked(capsys, "--bisect", "max(price) > 100", *ends, "--dry-run", "--output", "json")
    data = data_of(out)
    assert (code, data["candidates"], data["first"], data["dry_run"]) == (0, 5, None, True)
    assert months.runs() == before
    code, out, err = asked(capsys, "--bisect", "max(price) > 100", *ends, "--output", "json")
    found = data_of(out)
    assert code == 0, err
    assert f"5 commits of prices; at most 4 backtests, runs: 4, {4 - data['runs_at_most']} of them done before." in err
    assert months.runs() - before <= data["runs_at_most"] == found["runs_at_most"]
    assert (found["first"]["commit"], found["first"]["message"]) == (made["wrong"], "wrong")
    assert (found["last"]["commit"], found["last"]["value"], found["first"]["value"]) == (made["more"], False, True)
    assert (found["good"], found["bad"], found["input"]) == (made["mended"], made["last"], "prices")
    assert [one["message"] for one in found["tried"]] == ["mended", "last", "wrong", "more"]
    assert medians(months, found["last"]["output_commit"]) == MEDIAN["more"]
    # Other questions about the same cost nothing; either end may be the older one.
    ran = months.runs()
    code, out, _ = asked(capsys, "--bisect", "price > 100", "--good", "main", "--bad", made["mended"], *ends[4:])
    assert (code, out.splitlines()[0], out.splitlines()[2]) == (
        0, "price > 100 of analysis/medians turns from false to true at", f"{made['wrong']} prices"
    )  # fmt: skip
    code, _, err = asked(capsys, "--bisect", "count(*) > 1", *ends)
    assert code == 3
    assert f"`count(*) > 1` is true at both ends, {made['mended']} and {made['last']}" in err
    assert months.runs() == ran


def test_a_bisect_goes_round_commits_on_which_the_flows_fail(
    months: Months, capsys: pytest.CaptureFixture[str]
) -> None:
    made = months.commits
    ends = ("--good", made["first"], "--bad", made["more"], "--table", "medians")
    code, out, err = asked(capsys, "--bisect", "avg(price) > 10.2", *ends, "--output", "json")
    data = data_of(out)
    assert (code, data["exact"], data["last"]["message"], data["first"]["message"]) == (3, False, "first", "mended")
    ((failed,), tried) = data["failed"], [one["message"] for one in data["tried"]]
    assert (failed["commit"], "Its log is " in failed["error"]) == (made["broken"], True)
    assert tried == ["first", "more", "mended"]
    assert "error: It turns at one of 2 commits: on the others the flows failed." in err


def test_another_call_keeps_off_and_an_interrupt_ends_all_flows_and_names_what_stays(
    months: Months, capsys: pytest.CaptureFixture[str]
) -> None:
    script = months.world.folder / "trace_medians.py"
    text = script.read_text()
    script.write_text(text.replace("self.states = ", "__import__('time').sleep(600); self.states = "))
    over = f"{months.commits['more']}..{months.commits['wrong']}"
    program = [sys.executable, "-m", "doltflow", "backtest", "--sweep", over, "--jobs", "2", "--branch", "stop"]
    said: list[str] = []
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=os.environ) as child:
        assert child.stderr is not None
        while sum("is starting" in line for line in said) < 2:
            said.append(child.stderr.readline())
            assert said[-1], said
        # Nobody else writes to its branches meanwhile, or removes them.
        runs, name = months.runs(), f"stop/{months.commits['more'][:8]}"
        others = [
            asked(capsys, *arguments)
            for arguments in (
                ("--sweep", over, "--branch", "stop"),
                ("--commit", months.commits["more"], "--branch", name, "--run"),
                ("--remove", "stop/*", "--yes"),
            )
        ]
        since = months.runs() - runs
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
    script.write_text(text)
    busy = "Another doltflow is at work on the branch `stop/"
    assert [(code, busy in " ".join((out + err).split())) for code, out, err in others] == [(3, True)] * 3, others
    assert since == 0
    names = [f"`stop/{months.commits[message][:8]}`" for message in ("more", "wrong")]
    assert child.returncode == 130
    assert rest.splitlines()[-1] == (
        f"Interrupted. The branches {', '.join(names)} stay. The same command goes on after what is done; "
        "`doltflow backtest --list` shows all."
    )
    wait_for(lambda: not _working(months.world.folder), "The end of the flows")
    made = sql(months.analysis, "select name from dolt_branches where name like 'stop/%' order by name")
    assert sorted(f"`{row['name']}`" for row in made) == sorted(names)
    assert main(["backtest", "--remove", "stop/*", "--yes"]) == 0
    assert sql(months.analysis, "select name from dolt_branches where name like 'stop/%'") == []


def _working(folder: Path) -> list[str]:
    """The processes of flows of a folder."""
    listing = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if f"{folder}/trace_" in line]


REFUSED = {
    "no range": (("--sweep", "main"), 2, "is no range of commits"),
    "two ranges": (("--sweep", "a..b..c"), 2, "is no range of commits"),
    "three dots": (("--sweep", "a...b"), 2, "is no range of commits"),
    "no A": (("--sweep", "..main"), 2, "is no range of commits"),
    "every": (("--sweep", "main..", "--every", "0"), 2, "Give a number of 1 or more, day, week or month"),
    "every year": (("--sweep", "main..", "--every", "year"), 2, "is no distance"),
    "with commit": (("--sweep", "main..", "--commit", "main"), 2, "`--commit` does not go with `--sweep`"),
    "with bisect": (("--sweep", "main..", "--bisect", "a > 1"), 2, "`--sweep` does not go with `--bisect`"),
    "csv": (("--commit", "main", "--output", "csv"), 2, "`--output csv` goes with `--sweep`"),
    "jobs": (("--commit", "main", "--jobs", "2"), 2, "`--jobs` goes with `--sweep`"),
    "good alone": (("--good", "main"), 2, "`--good` goes with `--bisect`"),
    "no bad": (("--bisect", "a > 1", "--good", "main"), 2, "`--bisect` needs `--good` and `--bad`"),
    "subquery": (("--bisect", "a > (select 1)", "--good", "x", "--bad", "y"), 3, "has a subquery"),
    "writes": (("--bisect", "1; drop table medians", "--good", "x", "--bad", "y"), 3, "drop table medians"),
    "two tables": (
        ("--bisect", "a > 1", "--good", "x", "--bad", "y", "--table", "a", "--table", "b"),
        2,
        "is about one",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_before_anything_is_opened(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, code, message = REFUSED[case]
    told = asked(capsys, *arguments)
    assert (told[0], told[1], message in told[2]) == (code, "", True), told


def test_what_does_not_fit_the_data_is_refused_before_anything_is_made(
    months: Months, capsys: pytest.CaptureFixture[str]
) -> None:
    made = months.commits
    bisect = ("--bisect", "max(price) > 1", "--good", made["more"], "--bad", made["last"])
    cases = {
        ("--sweep", f"{made['last']}..{made['first']}"): (3, f"write {made['first']}..{made['last']}."),
        ("--sweep", "nonsense..main"): (3, "has no branch, tag or commit `nonsense`"),
        ("--sweep", "main..", "-d", "analysis", "--table", "nothing"): (3, "writes a table `nothing`"),
        ("--sweep", "main..", "--set", "secrets=1"): (2, "Did you mean `secret`?"),
        ("--sweep", "main..", "--set", f"{VARIANCES}.secret=1"): (2, f"The flow `{VARIANCES}` has no parameter"),
        ("--sweep", "main..", "--set", "Trace.secret=1"): (2, "no flow `Trace` is to run"),
        ("--sweep", "main..", "--set", "secret"): (2, "`secret` sets no parameter"),
        ("--sweep", "main..", "--branch", "a b"): (2, "cannot be the name of a branch"),
        bisect: (2, "The flows write several tables: `analysis/medians`, `analysis/variances`"),
        (*bisect, "--table", "nothing"): (3, "writes a table `nothing`"),
        ("--bisect", "cost > 1", *bisect[2:], "--table", "medians"): (3, '"cost" could not be found'),
        (*bisect[:4], "--bad", made["more"]): (2, "are the same commit"),
        ("--bisect", "price > 1", "--good", made["first"], "--bad", made["not read"], "--table", "medians"): (
            3, "Nothing that the flows read of `prices` was changed"
        ),
    }  # fmt: skip
    runs, branches = months.runs(), [sql(f, "select * from dolt_branches") for f in (months.prices, months.analysis)]
    for arguments, (code, message) in cases.items():
        told = asked(capsys, *arguments)
        assert (told[0], message in told[2]) == (code, True), (arguments, told)
    assert months.runs() == runs
    assert [sql(f, "select * from dolt_branches") for f in (months.prices, months.analysis)] == branches


# The commits alone


def test_the_way_of_a_branch_goes_over_merges_and_not_through_what_was_merged(tmp_path: Path) -> None:
    with histories(tmp_path) as here, open_workspace(load_settings(tmp_path), None, tmp_path) as workspace:
        here.database("raw", "t", "u")
        here.database("made", "a")
        first = here.head("raw")
        workspace.add(here.sessions["raw"].database)
        workspace.add(here.sessions["made"].database)
        here.run("made", "A/1/s/1", "a", "insert into a values (1, 1)", reads=[("raw", "t", first, "main")])
        here.branch("raw", "side")
        aside = here.by_hand("raw", "insert into t values (1, 1)", branch="side")
        unread = here.by_hand("raw", "insert into u values (1, 1)")
        merged = here.merge("raw", "side")
        undone = [here.by_hand("raw", statement) for statement in ("delete from t", "insert into t values (1, 1)")]
        pipeline = read_pipeline(workspace)
        assert find_ends(workspace, pipeline, first, "") == ("raw", first, undone[1])
        assert find_ends(workspace, pipeline, first[:12], "main~1") == ("raw", first, undone[0])
        found = way(workspace, "raw", first, undone[1])
        assert [one.hash for one in found] == [first, unread, merged, *undone]
        plan = plan_from(workspace, pipeline, (Input("raw", first),), "x", moment=None, base=None, tables=())
        kept = where_inputs_changed(workspace, plan, "raw", found)
        assert [one.hash for one in kept] == [first, merged, *undone]
        for start, end, hint in ((aside, undone[1], "It was merged in"), (merged, first, "It is the later one")):
            with pytest.raises(RefNotFoundError, match=hint):
                way(workspace, "raw", start, end)
        with pytest.raises(NotReplayableError, match="`made` is no input"):
            find_ends(workspace, pipeline, here.head("made"), "")


# Without a database


def test_the_ends_of_a_range() -> None:
    assert parse_range("a..b") == ("a", "b")
    assert parse_range(" v1.0..HEAD~2 ") == ("v1.0", "HEAD~2")
    assert parse_range("2021-01-31..") == ("2021-01-31", "")


def _dated(*dates: str) -> list[Commit]:
    return [Commit("d", str(n), (), "", "", parse_moment(date, end=False), "") for n, date in enumerate(dates)]


@pytest.mark.parametrize(
    ("every", "kept"),
    [
        (None, "0123456"), ("1", "0123456"), ("2", "0246"), ("4", "026"), ("100", "06"),
        ("day", "02346"), ("week", "0346"), ("month", "0346"),
    ],
)  # fmt: skip
def test_thinning_keeps_both_ends(every: str | None, kept: str) -> None:
    dates = (
        "2021-01-04",
        "2021-01-05 08:00",
        "2021-01-05 09:00",
        "2021-01-09",
        "2021-02-28",
        "2021-03-01 08:00",
        "2021-03-01 09:00",
    )
    found = thinned(_dated(*dates), parse_every(every) if every is not None else None)
    assert "".join(one.hash for one in found) == kept
    assert [one.hash for one in thinned(_dated("2021-01-04"), 3)] == ["0"]


@pytest.mark.parametrize(
    ("predicate", "is_whole"),
    [
        ("avg(price) > 100", True), ("count(*) = 0 or max(a) < min(b)", True), ("std(x) > 1", True),
        ("bit_xor(id) <> 3", True), ("if(sum(a) > 1, 1, 0) = 1", True), ("JSON_ARRAYAGG(id) is not null", True),
        ("price > 100", False), ("code like '2%' and price is null", False), ("`avg` > 1", False),
    ],
)  # fmt: skip
def test_a_condition_with_aggregates_is_about_the_whole_table(predicate: str, is_whole: bool) -> None:
    assert is_aggregate(predicate) is is_whole


@pytest.mark.parametrize("predicate", ["avg(price) > price", "avg(price) over () > 2", "price", ""])
def test_a_condition_on_both_or_on_neither_is_none(predicate: str) -> None:
    with pytest.raises(QueryError):
        is_aggregate(predicate)
