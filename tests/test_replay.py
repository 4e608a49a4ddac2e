"""Runs again on what they read: identical, or what differs and why; and no branch of the user's is ever touched."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import FLOWS, FlowRun, dolt, footprint, head, sql
from flows.harness import World, wait_for, world

from doltflow.audit import audit
from doltflow.cli import main
from doltflow.compare import TableVerdict
from doltflow.model.pins import DatabasePin, Pins, ReadPin
from doltflow.render.replay import _table
from doltflow.rerun.pipeline import read_pipeline
from doltflow.workspace import load_settings, open_workspace

MEDIANS, VARIANCES = "HospitalPriceStateMedians", "HospitalProcedurePriceVarianceByState"
PRICES, ANALYSIS = "hospital-price-transparency", "hospital-price-analysis"
OTHERS = """
update a set v = v + 1000;
call dolt_commit('-am', 'By others', '--author', 'Ben <b@x>');
"""


def state(*databases: Path) -> dict[str, Any]:
    """All that a replay must leave alone: the heads of the user's branches, checkout, staging and working set."""
    found: dict[str, Any] = {}
    for folder in databases:
        names = "select name, hash from dolt_branches where name not like 'replay/%' order by name"
        found[folder.name] = footprint(folder) | {"branches": sql(folder, names)}
    return found


def replays(*databases: Path) -> list[str]:
    """The branches of replays."""
    query = "select name from dolt_branches where name like 'replay/%' or name like 'mine%' order by name"
    return [f"{folder.name}:{row['name']}" for folder in databases for row in sql(folder, query)]


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """A replay's exit code and its data."""
    exit_code = main(["replay", *arguments, "--output", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told.get("schema") == "doltflow.replay/1", told
    return exit_code, told["data"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the error of a replay that is none."""
    exit_code = main(["replay", *arguments, "--output", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told.get("schema") == "doltflow.error/1", told
    return exit_code, told["error"]


def tables(data: dict[str, Any]) -> dict[str, Any]:
    """The verdict on each table: the word, counts of added, removed and modified rows, columns."""
    kept = ("verdict", "added", "removed", "modified", "columns")
    return {f"{table['database']}/{table['table']}": [table[name] for name in kept] for table in data["tables"]}


SAME = ["identical", 0, 0, 0, []]


@dataclass(frozen=True)
class Recorded:
    """A folder in which a flow ran, while somebody else committed to the same branch."""

    world: World
    run: FlowRun
    failed: FlowRun
    reading: FlowRun
    numbers: Path
    results: Path

    @property
    def flow(self) -> Path:
        return self.world.folder / "replay_flow.py"

    @property
    def databases(self) -> tuple[Path, Path]:
        return self.numbers, self.results

    def change(self, *pairs: tuple[str, str]) -> None:
        text = (FLOWS / "replay_flow.py").read_text()
        for before, after in pairs:
            assert before in text
            text = text.replace(before, after)
        self.flow.write_text(text)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with world(tmp_path_factory.mktemp("replay")) as here:
        numbers = here.database(
            "numbers",
            "create table a (id int primary key, v int)",
            "insert into a values (1, 10), (2, 20)",
            "create table b (id int primary key, v int)",
            "insert into b values (1, 5)",
        )
        results = here.database("results")
        old = head(numbers)
        dolt(numbers, "sql", "-q", "insert into a values (3, 30); call dolt_commit('-am', 'More')")
        before = here.folder / "replay_flow.py"
        shutil.copy(FLOWS / "replay_flow.py", before)
        shutil.copy(FLOWS / "reading_flow.py", here.folder)
        reading = here.run(str(here.folder / "reading_flow.py"))
        (here.folder / "others").write_text(OTHERS)
        run = here.run(str(before), "--old", old)
        failed = here.run(str(before), "--old", old, "--fails", "True", "--earlier", run.pathspec, check=False)
        # The moving names that the flow used mean something else from now on.
        dolt(numbers, "sql", "-q", "delete from a where id = 1; call dolt_commit('-am', 'Later')")
        dolt(numbers, "sql", "-q", "insert into b values (77, 7)")
        yield Recorded(here, run, failed, reading, numbers, results)


@pytest.fixture
def world_(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The folder, as it was; afterwards everything of the user's must still be as it was."""
    recorded.world.enter(monkeypatch)
    recorded.change()
    before = state(*recorded.databases)
    yield recorded
    assert state(*recorded.databases) == before
    for name in replays(*recorded.databases):
        database, _, branch = name.partition(":")
        dolt(next(at for at in recorded.databases if at.name == database), "branch", "-D", branch)


# The demo


def demo_run(flow: str) -> str:
    (run,) = (path.name for path in (Path.cwd() / ".metaflow" / flow).iterdir() if path.name.isdigit())
    return f"{flow}/{run}"


def test_both_flows_of_the_demo_are_identical(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    databases = (demo_copy / PRICES, demo_copy / ANALYSIS)
    before = state(*databases)
    for flow, table, database, reads in (
        (MEDIANS, "state_procedure_medians", PRICES, ["prices", "hospitals"]),
        (VARIANCES, "variance_by_procedure", ANALYSIS, ["state_procedure_medians"]),
    ):
        run = demo_run(flow)
        exit_code, data = asked(capsys, f"{flow}/latest")
        branch = f"replay/{run}"
        (verdict,) = data.pop("tables")
        (made,) = data["branches"]
        assert exit_code == 0
        assert re.fullmatch(rf"{flow}/\d+", data["new_run"])
        assert data["new_run"] != run
        assert verdict == {
            "database": ANALYSIS, "table": table, "verdict": "identical", "added": 0, "removed": 0, "modified": 0,
            "columns": [], "recorded": verdict["recorded"], "now": head(databases[1], branch),
        }  # fmt: skip
        assert Path(data["log"]).is_file()
        assert data == {
            "run": run,
            "new_run": data["new_run"],
            "identical": True,
            "branches": [{"database": ANALYSIS, "branch": branch, "commit": made["commit"]}],
            "kept": True,
            "steps": ["start", "end"],
            "pins": [
                {
                    "step": "start", "foreach": [], "key": name, "database": database, "tables": [name],
                    "commit": data["pins"][0]["commit"], "own": [], "ends": None,
                }
                for name in reads
            ],
            "parameters": data["parameters"],
            "set": {},
            "code": {"script": data["code"]["script"], "choice": "current", "origin": "current", "changed": []},
            "unhonoured": [],
            "reasons": [],
            "log": data["log"],
            "warnings": [],
        }  # fmt: skip
        assert sql(databases[1], f"select hash from dolt_branches where name = '{branch}'") == [
            {"hash": verdict["now"]}
        ]
    assert state(*databases) == before


# What differs


def test_everything_that_a_run_read_is_served_again(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code, data = asked(capsys, world_.run.pathspec)
    assert (exit_code, data["unhonoured"], data["reasons"]) == (0, [], [])
    names = ("numbers/out_a", "numbers/out_b", "results/counts", "results/grown", "results/joined")
    assert tables(data) == dict.fromkeys(names, SAME)
    assert [(pin["step"], pin["foreach"], pin["key"], pin["own"]) for pin in data["pins"]] == [
        ("start", [], "old", []),
        ("start", [], "diff(a)", []),
        ("start", [], "diff(a)", []),
        ("work", [["work", 0]], "a", []),
        ("work", [["work", 1]], "b", []),
        ("join", [], "both", ["out_a"]),
        ("join", [], "diff(out_b)", ["out_b"]),
    ]
    both = next(pin for pin in data["pins"] if pin["key"] == "both")
    # Somebody else's commit is in what the run saw, and not on the branch of the replay.
    values = "select id, v from a as of '{}' order by id"
    assert sql(world_.numbers, values.format(both["commit"]))[0] == {"id": 1, "v": 1010}
    assert sql(world_.numbers, values.format(f"replay/{world_.run.pathspec}"))[0] == {"id": 1, "v": 10}


def test_one_changed_line_differs_in_what_it_touches(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    world_.change(("* self.factor", "* self.factor + 1"))
    exit_code, data = asked(capsys, world_.run.pathspec)
    assert (exit_code, data["identical"], data["unhonoured"]) == (1, False, [])
    assert tables(data) == {
        "numbers/out_a": ["different", 0, 0, 3, ["v"]],
        "numbers/out_b": ["different", 0, 0, 1, ["v"]],
        "results/counts": SAME,
        "results/grown": ["different", 0, 0, 1, ["to_v"]],
        "results/joined": ["different", 0, 0, 3, ["after_"]],
    }
    assert data["reasons"] == ["code: replay_flow.py has changed."]
    # The rerun's own table beside what others had committed by then.
    joined = sql(world_.results, f"select * from joined as of 'replay/{world_.run.pathspec}' order by id")
    assert joined == [{"id": n, "before_": 1000 + 10 * n, "after_": 20 * n + 1} for n in (1, 2, 3)]

    exit_code, data = asked(capsys, world_.run.pathspec, "--code", "recorded", "--discard")
    assert (exit_code, data["identical"], data["kept"]) == (0, True, False)
    assert data["branches"][0]["branch"] == f"replay/{world_.run.pathspec}-2"
    assert replays(*world_.databases) == [f"{name}:replay/{world_.run.pathspec}" for name in ("numbers", "results")]


@pytest.mark.long
def test_reads_that_are_not_as_recorded_are_named(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    world_.change(('len(dolt.read("a", as_key="old"))', 'len(dolt.read("b", as_key="other")) + 1'))
    exit_code, data = asked(capsys, world_.run.pathspec, "--discard")
    assert (exit_code, data["identical"]) == (1, False)
    assert set(map(str, tables(data).values())) == {str(SAME)}  # As it happens; but it is no proof.
    assert data["unhonoured"] == [
        f"`a` of `numbers` in the step `start` of {world_.run.pathspec} was recorded, and the replay did not read it.",
        f"`b` of `numbers` in the step `start` of {data['new_run']} was read by the replay, and no such read is "
        "recorded.",
    ]


@pytest.mark.long
def test_what_was_discarded_is_no_disagreement(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    before = audit()
    exit_code, data = asked(capsys, world_.run.pathspec, "--discard")
    assert (exit_code, data["kept"], before.findings) == (0, False, ())
    assert audit(data["new_run"]).findings == ()
    assert audit() == replace(before, runs=before.runs + 1)


def test_a_failed_run_is_replayed_as_far_as_it_came(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    world_.change(("if self.fails:", "if False:"))
    exit_code, data = asked(capsys, world_.failed.pathspec, "--discard")
    assert (exit_code, data["unhonoured"], data["code"]["changed"]) == (0, [], ["replay_flow.py"])
    assert set(map(str, tables(data).values())) == {str(SAME)}
    world_.change()
    exit_code, error = refused(capsys, world_.failed.pathspec)
    assert (exit_code, error["code"]) == (3, "rerun-failed")
    assert error["message"].startswith(f"The replay of {world_.failed.pathspec}, ReplayFlow/")
    assert f"numbers: replay/{world_.failed.pathspec}" in error["hint"]
    assert "as it was asked to" in Path(error["hint"].split("Its log is ")[1].split(".log")[0] + ".log").read_text()


def test_from_a_step(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code, data = asked(capsys, world_.run.pathspec, "--from", "join", "--discard")
    assert (exit_code, data["unhonoured"]) == (0, [])
    assert tables(data) == dict.fromkeys(("results/grown", "results/joined"), SAME)
    assert [branch["database"] for branch in data["branches"]] == ["results"]


def test_a_dry_run_makes_nothing(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code, data = asked(capsys, world_.run.pathspec, "--dry-run", "--branch", "mine")
    assert (exit_code, data["new_run"], data["identical"], data["tables"]) == (0, None, None, [])
    assert [branch["branch"] for branch in data["branches"]] == ["mine", "mine"]
    assert replays(*world_.databases) == []
    assert main(["replay", world_.run.pathspec, "--dry-run"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith(f"This would repeat {world_.run.pathspec}.")
    assert re.search(r"work\[1\] reads numbers/b @ \w{8} ", told)
    assert re.search(r"join reads numbers/out_b @ \w{8} as the replay writes it", told)
    assert data["steps"] == ["start", "work", "join", "end"]
    assert main(["replay", world_.run.pathspec, "--dry-run", "--from", "join"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert " Steps join end Reads join reads " in told
    assert " start reads " not in told


@pytest.mark.long
def test_a_parameter_is_set_on_the_same_data(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code, data = asked(capsys, world_.run.pathspec, "--set", "the-factor=3")
    assert (exit_code, data["identical"], data["set"], data["unhonoured"]) == (0, False, {"factor": "3"}, [])
    assert data["reasons"] == ["parameter: `factor` was set to 3."]
    assert tables(data)["numbers/out_a"] == ["different", 0, 0, 3, ["v"]]
    assert tables(data)["results/counts"] == SAME
    tags = json.loads((Path(".metaflow") / data["new_run"] / "_meta" / "_self.json").read_text())["tags"]
    assert sorted(tags) == ["doltflow:replay-of=" + world_.run.pathspec, "doltflow:set=factor"]


@pytest.mark.long
def test_the_other_parameters_stay_as_they_were_whatever_their_type(
    world_: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = world_.world.database("typed")
    Path("held.txt").write_text("held\n")
    Path("parsed.json").write_text("[1]")
    run = world_.world.run("typed_flow.py", "--names", "p,q", "--flag", "False", "--tree", '{"b": 1.5}')
    for name in ("held.txt", "parsed.json"):
        Path(name).unlink()  # What it held is in the run.
    # The command line cannot say None.
    text = (FLOWS / "typed_flow.py").read_text()
    Path("other_flow.py").write_text(text.replace('"nothing", default=None', '"nothing", default="something"'))
    exit_code, error = refused(capsys, run.pathspec, "--set", "the-number=3", "--flow-file", "other_flow.py")
    assert (exit_code, error["code"]) == (3, "not-replayable")
    assert error["message"].startswith("The run had no value for the parameter `nothing`, which cannot be left out")
    assert sql(typed, "select name from dolt_branches") == [{"name": "main"}]

    exit_code, data = asked(capsys, run.pathspec, "--set", "the-number=3", "--branch", "mine")
    assert (exit_code, tables(data)) == (0, {"typed/told": ["different", 0, 0, 1, ["number"]]})
    (row,) = sql(typed, "select number, told from told as of 'mine'")
    values = [0.1, "a\nb 'c'", None, {"b": 1.5}, ["p", "q"], "held\n", [1], False, 1]
    assert (row["number"], json.loads(row["told"])) == (3, values)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('    old = Parameter("old"', '    new = Parameter("new")\n    old = Parameter("old"', "has a parameter `new`"),
        ('    earlier = Parameter("earlier", default=None)\n', "", "no longer has the parameter `earlier`"),
    ],
)
def test_the_flow_has_other_parameters(
    world_: Recorded, capsys: pytest.CaptureFixture[str], before: str, after: str, words: str
) -> None:
    world_.change((before, after))
    exit_code, error = refused(capsys, world_.run.pathspec)
    assert (exit_code, error["code"]) == (3, "not-replayable")
    assert words in error["message"]
    assert replays(*world_.databases) == []


@pytest.mark.long
def test_who_else_wrote_a_table_is_told_and_what_is_not_deterministic(
    world_: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = world_.world.database("shared")
    others = "insert into t values (77, 7); call dolt_commit('-Am', 'By others', '--author', 'Ben <b@x>')"
    Path("others").write_text(others)
    run = world_.world.run("shared_flow.py")
    (other,) = sql(shared, "select commit_hash from dolt_log where committer = 'Ben'")
    exit_code, data = asked(capsys, run.pathspec, "--discard")
    assert (exit_code, data["unhonoured"]) == (1, [])
    assert tables(data) == {
        "shared/drawn": ["different", 0, 0, 1, ["v"]],
        "shared/t": ["different", 0, 1, 0, []],
    }
    assert data["reasons"] == [
        f"data: `shared/t` was also written by Ben (commit {other['commit_hash']}) between this run's writes.",
        "not deterministic: `shared/drawn`. Code, environment, parameters and data are the same.",
    ]


@pytest.mark.long
def test_what_a_run_wrote_and_read_back_is_its_own_even_where_it_changed_nothing(
    world_: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = world_.world.database("twice", "create table a (id int primary key, v int)", "insert into a values (1, 10)")
    first = head(twice)
    Path("seen").write_text(first)
    runs = [world_.world.run("twice_flow.py").pathspec for _ in range(2)]
    with open_workspace(load_settings(None), None, None) as workspace:
        workspace.prepare()
        flows = {flow.records.run.pathspec: set(flow.reads) for flow in read_pipeline(workspace).flows}
    assert flows[runs[1]] == {("twice", "a")}

    # What the recorded run did not write is named beside what it wrote.
    extra = '"t", pks=["id"])\n            dolt.write(frame, "log2", pks=["id"])'
    Path("twice_flow.py").write_text((FLOWS / "twice_flow.py").read_text().replace('"t", pks=["id"])', extra))
    dolt(twice, "sql", "-q", "insert into a values (2, 20); call dolt_commit('-am', 'Later')")
    Path("seen").write_text(head(twice))
    settings = ("--set", "n=5", "--branch", "mine", "--flow-file", "twice_flow.py")
    exit_code, data = asked(capsys, runs[1], *settings)
    assert [(pin["key"], pin["own"]) for pin in data["pins"]] == [("a", []), ("both", ["t"])]
    # `t` is the replay's own, `a` was to be the recorded one.
    assert (exit_code, data["identical"], data["unhonoured"]) == (
        0,
        False,
        [f"`a` of `twice` in the step `end` of {data['new_run']} was served from {head(twice)}, not from {first}."],
    )
    assert sql(twice, "select t.v, u.v as u from t as of 'mine' t join u as of 'mine' u") == [{"v": 15, "u": 150}]
    assert tables(data) == {
        "twice/log2": ["unrecorded", None, None, None, []],
        "twice/t": ["different", 0, 0, 1, ["v"]],
        "twice/u": ["different", 0, 0, 1, ["v"]],
    }


@pytest.mark.parametrize(
    ("counts", "line"),
    [((None, None, None), ""), ((2, 0, 1), ": 2 rows added, 1 row modified")],
)
def test_a_table_that_was_not_recorded_is_said_to_be_none(
    counts: tuple[int | None, int | None, int | None], line: str
) -> None:
    verdict = TableVerdict("twice", "log2", "unrecorded", *counts, (), "c" * 32, "d" * 32)
    assert _table(verdict) == f"twice/log2: was written, which the recorded run did not{line}"


# The log


@pytest.mark.long
def test_the_log_is_one_flag_away(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    world_.change(
        ("    @step\n    def end(self):\n", "    @step\n    def end(self):\n        print('A\\tb\\x1b]0;c\\x07')\n")
    )
    assert main(["replay", world_.run.pathspec, "--from", "join", "--log"]) == 0
    told = capsys.readouterr()
    log = Path(told.out.split("Log\n")[1].strip())
    kept = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text())
    assert re.search(r" \[\d+/end/\d+ .*\] A\tb\x1b\]0;c\x07\n", kept)
    # Every line, and nothing else but what is said before it starts; what would steer the terminal is spelt out.
    said = f"ReplayFlow: the code is not what {world_.run.pathspec} ran: replay_flow.py\n"
    assert told.err == said + kept.replace("\x1b", "\\x1b").replace("\x07", "\\x07")

    assert main(["replay", world_.run.pathspec, "--from", "join", "--discard"]) == 0
    assert capsys.readouterr().err.splitlines() == [said.strip()] + [
        f"ReplayFlow/{step}: {what}" for step in ("join", "end") for what in ("is starting", "finished successfully")
    ]


# What is refused, before anything is made


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "words"),
    [
        (["RUN", "--branch", "main"], 3, "branch-exists", "has a branch `main` already"),
        (["RUN", "--branch", "a..b"], 2, "usage", "cannot be the name of a branch"),
        (["RUN", "--branch", ""], 2, "usage", "cannot be the name of a branch"),
        (["RUN", "--branch", "-x", "--dry-run"], 2, "usage", "cannot be the name of a branch"),
        (["RUN", "--branch", f"{7:032}", "--dry-run"], 2, "usage", "cannot be the name of a branch"),
        (["RUN", "--branch", "\u00e4", "--dry-run"], 2, "usage", "cannot be the name of a branch"),
        (["RUN", "--branch", "doltflow-tmp/x", "--dry-run"], 2, "usage", "cannot be the name of a branch"),
        (["RUN", "--from", "nowhere"], 3, "not-replayable", "has no step `nowhere`"),
        (["RUN", "--flow-file", "gone.py"], 3, "flow-file", "gone.py"),
        (["RUN", "--python", "no-such-python"], 3, "flow-file", "cannot be started"),
        (["RUN", "--set", "factor=1", "--from", "join"], 2, "usage", "exclude each other"),
        (["RUN", "--set", "factor"], 2, "usage", "sets no parameter"),
        (["RUN", "--set", "facter=1"], 2, "usage", "has no parameter `facter`"),
        (["READING"], 3, "not-replayable", "wrote no table"),
        (["ReplayFlow/7"], 3, "run-not-found", "has no run `7`"),
    ],
)
def test_refused(
    world_: Recorded, capsys: pytest.CaptureFixture[str], arguments: list[str], exit_code: int, code: str, words: str
) -> None:
    names = {"RUN": world_.run.pathspec, "READING": world_.reading.pathspec}
    found, error = refused(capsys, *[names.get(argument, argument) for argument in arguments])
    assert (found, error["code"]) == (exit_code, code)
    assert words in error["message"]
    assert replays(*world_.databases) == []


def test_a_branch_that_is_taken_in_one_database_is_made_in_none(
    world_: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    dolt(world_.results, "branch", "mine")
    exit_code, error = refused(capsys, world_.run.pathspec, "--branch", "mine")
    assert (exit_code, error["code"]) == (3, "branch-exists")
    assert replays(*world_.databases) == ["results:mine"]
    dolt(world_.results, "branch", "-D", "mine")


@pytest.mark.long
def test_the_flow_file_has_moved(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    world_.flow.rename("elsewhere.py")
    exit_code, error = refused(capsys, world_.run.pathspec)
    assert (exit_code, error["code"]) == (3, "flow-file")
    assert error["hint"] == (
        "Name the flow's file with `--flow-file`, or run the recorded code with `--code recorded`."
    )
    exit_code, data = asked(capsys, world_.run.pathspec, "--flow-file", "elsewhere.py", "--discard")
    assert (exit_code, data["code"]["changed"]) == (0, [])


def test_no_store(world_: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".metaflow").rename("hidden")
    try:
        exit_code, error = refused(capsys, world_.run.pathspec)
    finally:
        Path("hidden").rename(".metaflow")
    assert (exit_code, error["code"]) == (3, "store-not-found")


def test_a_recorded_commit_that_is_gone(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analysis = demo_copy / ANALYSIS
    dolt(analysis, "reset", "--hard", "main~1")
    dolt(analysis, "gc")
    run = demo_run(VARIANCES)
    exit_code, error = refused(capsys, run)
    assert (exit_code, error["code"]) == (3, "not-replayable")
    assert "does not have the commit" in error["message"]
    assert replays(analysis) == []


# Interrupted


@pytest.mark.long
def test_an_interrupt_ends_the_flow_and_says_what_is_left(world_: Recorded) -> None:
    world_.change(
        ('if self.input == "b"', 'Path("waits").touch(); import time; time.sleep(60)\n        if self.input == "b"')
    )
    program = str(Path(sys.executable).with_name("doltflow"))
    process = subprocess.Popen(
        [program, "replay", world_.run.pathspec],
        env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(Path("waits").exists, "the step")
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    Path("waits").unlink()
    assert (process.returncode, out) == (130, "")
    assert replays(*world_.databases) == [f"numbers:replay/{world_.run.pathspec}"] or replays(*world_.databases) == [
        f"numbers:replay/{world_.run.pathspec}",
        f"results:replay/{world_.run.pathspec}",
    ]
    for name in replays(*world_.databases):
        assert f"{name.replace(':', ': ')}" in " ".join(err.split())


# The file of pins


def test_pins_come_back_as_they_were() -> None:
    reads = (
        ReadPin("work", (("start", 1),), "both", "numbers", ("a", "b"), "c" * 32, ("b",)),
        ReadPin("start", (), "diff(a)", "numbers", ("a",), "d" * 32, (), ("c" * 32, "d" * 32)),
    )
    pins = Pins("replay", "Flow/1", (DatabasePin("numbers", "numbers", "replay/Flow/1"),), reads)
    assert Pins.decode(pins.encode()) == pins
