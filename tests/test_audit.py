"""The audit: each disagreement made to happen on the demo, found by its name, and nothing changed by looking."""

import gzip
import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt, footprint, head, sql

from doltflow.audit import AuditResult, audit
from doltflow.cli import main
from doltflow.errors import DatabaseNotFoundError, DoltflowError, RunNotFoundError, TableNotFoundError
from doltflow.model.commit import ReadTrailer, encode_message, parse_message
from doltflow.model.pathspec import Pathspec
from doltflow.workspace.disagreements import Disagreement

PRICES, ANALYSIS = "hospital-price-transparency", "hospital-price-analysis"
MEDIANS, VARIANCES = "HospitalPriceStateMedians", "HospitalProcedurePriceVarianceByState"
OUT, RESULT = "state_procedure_medians", "variance_by_procedure"
Artifact = dict[str, Any]


class Demo:
    """A copy of the demo, to be spoiled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / ".metaflow"
        self.analysis, self.prices = folder / ANALYSIS, folder / PRICES
        for name, value in (("user.name", "Ben"), ("user.email", "b@x")):
            dolt(self.analysis, "config", "--local", "--add", name, value)
        self.medians, self.variances = (self._run(flow) for flow in (MEDIANS, VARIANCES))
        commits = sql(self.analysis, "select commit_hash, message from dolt_log")
        self.commits = {str(row["commit_hash"]): parse_message(str(row["message"])) for row in commits}

    def _run(self, flow: str) -> str:
        (run,) = (path.name for path in (self.store / flow).iterdir() if path.name.isdigit())
        return f"{flow}/{run}"

    def commit_of(self, run: str) -> str:
        (found,) = (hash_ for hash_, made in self.commits.items() if made is not None and made.pathspec.run == run)
        return found

    def task_of(self, run: str) -> str:
        made = self.commits[self.commit_of(run)]
        assert made is not None
        return str(made.pathspec)

    def artifacts(self, run: str) -> set[Path]:
        """The files that hold the artifact `dolt` of a run's tasks."""
        keys = {
            json.loads(file.read_text())["objects"]["dolt"]
            for file in (self.store / run).rglob("0.data.json")
            if "dolt" in json.loads(file.read_text())["objects"]
        }
        return {self.store / run.partition("/")[0] / "data" / key[:2] / key for key in keys}

    def rewrite(self, run: str, change: Callable[[list[Artifact]], object]) -> None:
        """Changes the accesses that the artifacts of a run list."""
        for file in self.artifacts(run):
            artifact = pickle.loads(gzip.decompress(file.read_bytes()))
            change(artifact["accesses"])
            file.write_bytes(gzip.compress(pickle.dumps(artifact, protocol=4)))

    def by_hand(self, *statements: str, branch: str = "main", message: str = "Mend it") -> str:
        """A commit by hand in the database of the results."""
        script = [*statements, f"call dolt_commit('-Am', '{message}', '--author', 'Ben <b@x>')"]
        dolt(self.analysis, "--branch", branch, "sql", "-q", ";".join(script))
        return head(self.analysis, branch)


@pytest.fixture
def demo(demo_copy: Path) -> Demo:
    return Demo(demo_copy)


def only(kind: str, text: str, *place: str | None) -> tuple[Disagreement, ...]:
    return (Disagreement(kind, text, *place),)  # type: ignore[arg-type]


def agreed(result: AuditResult) -> bool:
    return result == AuditResult((), 2, 2, ())


def contents(demo: Path) -> dict[str, str]:
    """Every file of the store, and what doltflow must not change of the databases."""
    files = sorted(path for path in (demo / ".metaflow").rglob("*") if path.is_file())
    store = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    databases = {f"{name} {what}": text for name in (PRICES, ANALYSIS) for what, text in footprint(demo / name).items()}
    heads = {name: str(sql(demo / name, "select name, hash from dolt_branches")) for name in (PRICES, ANALYSIS)}
    return store | databases | heads


# Where nothing is wrong


def test_the_demo_agrees(demo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agreed(audit())
    assert main(["audit", "--exit-code"]) == 0
    assert capsys.readouterr() == ("2 runs and 2 commits agree.\n", "")
    assert main(["audit", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "doltflow.audit/1",
        "data": {"findings": [], "checked": {"runs": 2, "commits": 2}, "warnings": []},
    }


@pytest.mark.parametrize(
    ("target", "database", "runs"),
    [
        (f"{MEDIANS}/latest", None, 1),
        (OUT, None, 1),
        (f"{ANALYSIS}/{RESULT}", None, 1),
        ("prices", None, 0),
        (None, ANALYSIS, 2),
        (None, f"./{PRICES}", 1),
    ],
)
def test_one_run_table_or_database(demo_folder: Path, target: str | None, database: str | None, runs: int) -> None:
    assert audit(target, database=database) == AuditResult((), runs, runs, ())


def test_commits_that_nobody_need_explain(demo: Demo) -> None:
    dolt(demo.analysis, "branch", "side")
    dolt(demo.analysis, "tag", "v1")
    demo.by_hand("create table notes (id int primary key)")
    sql(demo.analysis, "insert into notes values (1)")
    sql(demo.prices, "delete from prices")
    assert agreed(audit())


# Commits and runs that are gone


def test_a_commit_that_was_reset_away_and_one_that_is_gone(demo: Demo) -> None:
    commit, task = demo.commit_of(demo.variances), demo.task_of(demo.variances)
    said = f"The artifact says that {task} wrote `{RESULT}` of `{ANALYSIS}` at {commit}, which"
    place = (demo.variances, ANALYSIS, commit, RESULT)
    dolt(demo.analysis, "tag", "kept")
    dolt(demo.analysis, "reset", "--hard", "HEAD~1")
    assert audit().findings == ()
    dolt(demo.analysis, "tag", "-d", "kept")
    assert audit().findings == only("rewritten", f"{said} no branch or tag leads to any more.", *place)
    dolt(demo.analysis, "gc")
    expected = only("commit-missing", f"{said} that database does not have.", *place)
    assert audit() == AuditResult(expected, 2, 1, ())
    assert audit(demo.variances).findings == expected
    assert audit(database=ANALYSIS).findings == expected
    assert audit(demo.medians).findings == audit(OUT).findings == audit(database=PRICES).findings == ()


def test_a_commit_that_a_commit_read(demo: Demo) -> None:
    gone = "0" * 32
    task = Pathspec("Other", "1", "start", "2")
    message = encode_message(task, attempt=0, writes=[], reads=[ReadTrailer(PRICES, gone, ("prices",))])
    dolt(demo.analysis, "commit", "--allow-empty", "-m", message)
    commit = head(demo.analysis)
    read = f"The commit {commit} of `{ANALYSIS}` says that Other/1/start/2 read `prices` of `{PRICES}` at {gone}, which"
    missing = f"The commit {commit} of `{ANALYSIS}` is of Other/1/start/2, which is gone from Metaflow's store."
    assert set(audit().findings) == {
        *only("run-missing", missing, "Other/1", ANALYSIS, commit),
        *only("commit-missing", f"{read} that database does not have.", "Other/1", PRICES, gone, "prices"),
    }


def test_a_run_that_is_gone_from_the_store(demo: Demo) -> None:
    commit, task = demo.commit_of(demo.medians), demo.task_of(demo.medians)
    shutil.rmtree(demo.store / demo.medians)
    text = f"The commit {commit} of `{ANALYSIS}` is of {task}, which is gone from Metaflow's store."
    expected = only("run-missing", text, demo.medians, ANALYSIS, commit)
    assert audit() == AuditResult(expected, 2, 2, ())
    assert audit(demo.medians).findings == audit(OUT).findings == expected
    assert audit(demo.variances).findings == ()


def test_without_a_store_or_with_an_empty_one_no_run_counts_as_gone(demo: Demo) -> None:
    shutil.rmtree(demo.store)
    demo.store.mkdir()
    said = "Metaflow's store has no runs: whether those of the commits are gone cannot be told."
    assert audit() == AuditResult((), 2, 2, (said,))
    demo.store.rmdir()
    (warning,) = audit().warnings
    assert warning.startswith("There is no Metaflow store")
    assert audit().findings == ()


# What only one record says


def test_a_commit_that_is_not_the_runs(demo: Demo) -> None:
    hand, other = demo.by_hand("create table notes (id int primary key)"), demo.commit_of(demo.medians)
    commit, task = demo.commit_of(demo.variances), demo.task_of(demo.variances)
    for named, whose in ((hand, "“Mend it” by Ben"), (other, f"of {demo.task_of(demo.medians)}")):
        before = {file: file.read_bytes() for file in demo.artifacts(demo.variances)}

        def change(accesses: list[Artifact], named: str = named) -> None:
            (write,) = (access for access in accesses if access["kind"] == "write")
            write["commit"] = named

        demo.rewrite(demo.variances, change)
        text = f"{task} says that it made the commit {named} of `{ANALYSIS}`, which is {whose}."
        not_told = f"{task} wrote `{RESULT}`, says the commit {commit} of `{ANALYSIS}`; no artifact says so."
        assert set(audit().findings) == {
            *only("commit-differs", text, demo.variances, ANALYSIS, named, RESULT),
            *only("write-not-in-artifact", not_told, demo.variances, ANALYSIS, commit, RESULT),
        }
        for file, content in before.items():
            file.write_bytes(content)
    assert agreed(audit())


def test_reads_and_writes_that_only_one_record_has(demo: Demo) -> None:
    commit, task, at = demo.commit_of(demo.medians), demo.task_of(demo.medians), head(demo.prices)

    def change(accesses: list[Artifact]) -> None:
        read = next(access for access in accesses if access["kind"] == "read")
        write = next(access for access in accesses if access["kind"] == "write")
        accesses.append(write | {"key": "more", "tables": ["invented"]})
        accesses.append(read | {"key": "more", "tables": ["invented"]})
        for access in accesses:
            if access["kind"] == "read" and "hospitals" in access["tables"]:
                access["tables"] = [table for table in access["tables"] if table != "hospitals"]

    demo.rewrite(demo.medians, change)
    this = f"the commit {commit} of `{ANALYSIS}`"
    read, wrote = f"{demo.medians} read `%s` of `{PRICES}` at {at}, says", f"{task} wrote `invented`, says"
    assert set(audit().findings) == {
        *only("read-not-in-artifact", f"{read % 'hospitals'} {this}; no artifact says so.", demo.medians, PRICES, at,
              "hospitals"),
        *only("read-not-in-commit", f"{read % 'invented'} its artifact; {this} does not say so.", demo.medians, PRICES,
              at, "invented"),
        *only("write-not-in-commit", f"{wrote} its artifact; {this} does not say so.", demo.medians, ANALYSIS, commit,
              "invented"),
    }  # fmt: skip


def test_records_that_cannot_be_read(demo: Demo) -> None:
    message = f"Run: {demo.task_of(demo.variances)}\n\nDoltflow-Version: 1\nDoltflow-Read: {{half"
    dolt(demo.analysis, "commit", "--allow-empty", "-m", message)
    for file in demo.artifacts(demo.medians):
        file.write_bytes(gzip.compress(pickle.dumps("a ticket for the museum")))
    findings = audit().findings
    assert {(found.kind, found.run) for found in findings} == {
        ("trailer-broken", demo.variances),
        ("artifact-broken", demo.medians),
    }
    commit = head(demo.analysis)
    text = f"The commit {commit} of `{ANALYSIS}` has a trailer that cannot be read: Doltflow-Read: {{half"
    assert only("trailer-broken", text, demo.variances, ANALYSIS, commit)[0] in findings
    assert "The artifact `dolt` is a str, not a record of Dolt accesses." in findings[-1].message


# What became of the tables


def test_a_table_that_was_changed_by_hand_after_its_run(demo: Demo) -> None:
    dolt(demo.analysis, "branch", "old")
    commit = demo.by_hand(f"update {OUT} set state = 'XX' limit 1", message="No charge")
    dolt(demo.analysis, "branch", "new")
    was = f"`{OUT}` of `{ANALYSIS}` was written by {demo.task_of(demo.medians)}, and then"
    text = f"{was} changed by hand on the branches `main`, `new`: commit {commit} “No charge” by Ben."
    expected = only("changed-by-hand", text, demo.medians, ANALYSIS, commit, OUT)
    for target in (None, OUT, demo.medians):
        assert audit(target).findings == expected
    assert audit(RESULT).findings == audit(demo.variances).findings == ()
    dolt(demo.analysis, "branch", "-D", "new")
    dropped = demo.by_hand(f"drop table {RESULT}", branch="old", message="Not needed")
    was = f"`{RESULT}` of `{ANALYSIS}` was written by {demo.task_of(demo.variances)}, and then"
    text = f"{was} dropped on the branch `old`: commit {dropped} “Not needed” by Ben."
    found = audit(RESULT).findings
    assert found == only("changed-by-hand", text, demo.variances, ANALYSIS, dropped, RESULT)
    assert {one.table for one in audit().findings} == {OUT, RESULT}


def test_a_table_that_was_dropped_and_made_again_by_hand(demo: Demo) -> None:
    dolt(demo.analysis, "branch", "old")
    commit = demo.by_hand(f"drop table {RESULT}", message="Not needed")
    dolt(demo.analysis, "branch", "new")
    for branch in ("main", "new"):
        demo.by_hand(f"create table {RESULT} (code int primary key)", branch=branch, message="Needed")
        demo.by_hand(f"insert into {RESULT} values (1)", branch=branch, message="A row")
    text = (
        f"`{RESULT}` of `{ANALYSIS}` was written by {demo.task_of(demo.variances)}, and then dropped, and made again "
        f"by hand, on the branches `main`, `new`: commit {commit} “Not needed” by Ben."
    )
    for target in (None, RESULT, demo.variances):
        assert audit(target).findings == only("changed-by-hand", text, demo.variances, ANALYSIS, commit, RESULT)


def test_a_merge_that_mixed_a_table(demo: Demo) -> None:
    dolt(demo.analysis, "branch", "side")
    states = sorted({str(row["state"]) for row in sql(demo.analysis, f"select state from {OUT}")})
    for branch, state in (("main", states[0]), ("side", states[1])):
        demo.by_hand(f"delete from {OUT} where state = '{state}'", branch=branch)
    dolt(demo.analysis, "merge", "side", "-m", "Both")
    (found,) = (one for one in audit().findings if one.commit == head(demo.analysis))
    assert "and then merged with other changes on the branch `main`" in found.message


def test_uncommitted_changes(demo: Demo) -> None:
    dolt(demo.analysis, "branch", "side")
    sql(demo.analysis, f"delete from {OUT} limit 1")
    dolt(demo.analysis, "add", OUT)
    dolt(demo.analysis, "--branch", "side", "sql", "-q", f"alter table {RESULT} rename to {RESULT}_2")
    before = contents(demo.folder)
    was = f"of `{ANALYSIS}` was written by"
    text = f"`{OUT}` {was} {demo.task_of(demo.medians)}, and has uncommitted changes on the branch `main`."
    expected = only("uncommitted", text, demo.medians, ANALYSIS, None, OUT)
    assert audit(OUT).findings == audit(demo.medians).findings == expected
    text = f"`{RESULT}` {was} {demo.task_of(demo.variances)}, and has uncommitted changes on the branch `side`."
    expected += only("uncommitted", text, demo.variances, ANALYSIS, None, RESULT)
    assert set(audit().findings) == set(expected)
    assert contents(demo.folder) == before


# The command


def test_findings_as_text_and_as_json(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(demo.store / demo.medians)
    commit = demo.by_hand(f"delete from {OUT} limit 1", message="A line\x1b[31m that steers")
    before = contents(demo.folder)
    first, second = audit().findings
    assert main(["audit"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        demo.medians,
        f"  run-missing: {first.message}",
        "",
        f"{ANALYSIS}/{OUT}",
        "  changed-by-hand: " + second.message.replace("\x1b", r"\x1b"),
        "",
        "2 disagreements in 2 runs and 2 commits.",
    ]
    assert main(["audit", OUT, "--exit-code", "--output", "json"]) == 1
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["checked"] == {"runs": 1, "commits": 1}
    assert [found["kind"] for found in data["findings"]] == ["run-missing", "changed-by-hand"]
    assert data["findings"][1] == {
        "kind": "changed-by-hand",
        "run": demo.medians,
        "database": ANALYSIS,
        "commit": commit,
        "table": OUT,
        "message": second.message,
    }
    assert contents(demo.folder) == before


@pytest.mark.parametrize(
    ("target", "database", "error"),
    [
        ("state_procedure_mediums", None, TableNotFoundError),
        ("`; drop table x; --", None, TableNotFoundError),
        ("ünknown ' name", None, TableNotFoundError),
        ("", None, TableNotFoundError),
        (f"{MEDIANS}/1", None, RunNotFoundError),
        ("12345", None, RunNotFoundError),
        (OUT, PRICES, TableNotFoundError),
        (None, "nowhere", DatabaseNotFoundError),
    ],
)
def test_what_is_not_there(
    demo_folder: Path, target: str | None, database: str | None, error: type[DoltflowError]
) -> None:
    with pytest.raises(error):
        audit(target, database=database)


def test_neither_a_store_nor_a_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit"]) == 3
    assert "There is neither a Metaflow store nor a Dolt database in " in capsys.readouterr().err
    Path(".metaflow").mkdir()
    assert main(["audit"]) == 0
    assert capsys.readouterr().out == "There is no record of a run to compare.\n"
