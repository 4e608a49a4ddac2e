"""Flows with `dolthub_remote` and `push_on_commit`, and their reruns, on real remotes in folders."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt, head, make_database, sql
from flows.harness import World, commits, rows, trailers, world

from doltflow import DoltConfig, DoltDT
from doltflow.errors import DatabaseLockedError, DoltflowError, RemoteError
from doltflow.recorder.remote import push
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.write.branch import branch_lock

PRICES = ("create table prices (id int primary key, v int)", "insert into prices values (1, 1), (2, 2)")
COUNTS = ("create table counts (v int)",)
OTHERS = "create table others (id int primary key)"


@dataclass(frozen=True)
class Hubs:
    """A world in which databases are cloned from remotes that lie beside it, and another user's clones of these."""

    world: World
    folder: Path

    def url(self, name: str) -> str:
        return f"file://{self.folder / name / name}"

    def make(self, name: str, *statements: str) -> None:
        (self.folder / name / name).mkdir(parents=True)
        theirs = make_database(self.folder / "theirs" / name, *statements)
        dolt(theirs, "remote", "add", "origin", self.url(name))
        dolt(theirs, "push", "origin", "main")

    def theirs(self, name: str) -> Path:
        """The other user's clone, as the remote is now."""
        folder = self.folder / "theirs" / name
        dolt(folder, "pull", "origin", "main")
        return folder

    def push(self, name: str, statement: str) -> str:
        """What the other user does and pushes; its commit."""
        folder = self.theirs(name)
        dolt(folder, "sql", "-q", f"{statement}; call dolt_commit('-Am', 'theirs')")
        dolt(folder, "push", "origin", "main")
        return head(folder)

    def heads(self, name: str) -> list[dict[str, Any]]:
        """The branches of the remote."""
        folder = self.folder / "theirs" / name
        dolt(folder, "fetch", "origin")
        return sql(folder, "select name, hash from dolt_remote_branches order by name")

    def doltflow(self, *arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
        """What a command answers, as JSON, and what it says beside that."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("doltflow")), *arguments, "--output", "json"],
            cwd=self.world.folder, env=self.world.environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout), done.stderr


@pytest.fixture
def hubs(tmp_path: Path) -> Iterator[Hubs]:
    (tmp_path / "world").mkdir()
    with world(tmp_path / "world") as here:
        yield Hubs(here, tmp_path / "hubs")


def push_flow(hubs: Hubs, *arguments: str, check: bool = True) -> Any:
    given = ["--source", hubs.url("source"), "--db", hubs.url("numbers"), *arguments]
    return hubs.world.run("push_flow.py", *given, check=check, HUB=str(hubs.folder / "numbers" / "numbers"))


@pytest.mark.long
def test_parallel_tasks_clone_once_pull_and_push(hubs: Hubs) -> None:
    hubs.make("numbers", *PRICES)
    run = hubs.world.run("hub_flow.py", "--db", hubs.url("numbers"))
    mine, theirs = hubs.world.folder / "numbers", hubs.theirs("numbers")
    made = [{"id": 1, "v": 10}, {"id": 2, "v": 20}]
    assert [rows(theirs, table) for table in ("t_one", "t_two", "t_three")] == [made] * 3
    assert rows(theirs, "total") == sorted(made * 3, key=lambda row: row["id"])
    assert hubs.heads("numbers") == [{"name": "remotes/origin/main", "hash": head(mine)}]
    assert sql(mine, "select name from dolt_branches") == [{"name": "main"}]
    assert sorted(path.name for path in hubs.world.folder.iterdir()) == [".metaflow", "numbers", "run_id"]
    (end,) = [told["dolt"] for task, told in hubs.world.artifacts(run, "dolt").items() if task.startswith("end/")]
    for config in end["configs"].values():
        assert list(config) == ["id", "database", "branch", "commit", "dolthub_remote", "push_on_commit"]
        assert config["database"] == hubs.url("numbers")
        assert (config["branch"], config["dolthub_remote"], config["push_on_commit"]) == ("main", True, True)
    # Another flow, in the folder of another user who has pulled, is told by the commits alone.
    trace = json.loads(
        subprocess.run(
            [str(Path(sys.executable).with_name("doltflow")), "trace", "total", "--zoom", "step", "--output", "json"],
            cwd=theirs, env=hubs.world.environment, capture_output=True, text=True, check=True,
        ).stdout
    )["data"]  # fmt: skip
    tables = sorted(node["table"] for node in trace["nodes"] if node["kind"] == "table")
    assert tables == ["prices", "t_one", "t_three", "t_two", "total"]


@pytest.mark.long
def test_a_merge_after_a_rejected_push_breaks_no_lineage(hubs: Hubs) -> None:
    hubs.make("source", *PRICES)
    hubs.make("numbers", *COUNTS)
    other = hubs.theirs("numbers")
    meanwhile = f"cd {other} && dolt sql -q \"{OTHERS}; call dolt_commit('-Am', 'x')\" && dolt push origin main"
    run = push_flow(hubs, "--meanwhile", meanwhile)
    mine = hubs.world.folder / "numbers"
    merge, *rest = commits(mine)
    assert merge["message"] == f"Merge branch 'main' of {hubs.url('numbers')} into main"
    assert hubs.heads("numbers") == [{"name": "remotes/origin/main", "hash": merge["commit_hash"]}]
    assert {one["message"].split("\n")[0] for one in rest[:2]} == {f"Run: {run.pathspec}/start/1", "x"}
    assert (rows(mine, "counts"), rows(hubs.theirs("numbers"), "counts")) == ([{"v": 2}], [{"v": 2}])
    assert DoltDT(config=DoltConfig("numbers")).get_run("counts") == f"{run.pathspec}/start/1"
    trace, _ = hubs.doltflow("trace", "counts")
    nodes = [(node["kind"], node.get("table") or node.get("pathspec")) for node in trace["data"]["nodes"]]
    # The table before it was appended to, and the commits by hand that made that and the source.
    before = [("commit", None), ("commit", None), ("table", "counts")]
    assert sorted(nodes, key=str) == [*before[:2], ("run", run.pathspec), ("table", "counts"), *before[2:],
                                      ("table", "prices")]  # fmt: skip
    audit, _ = hubs.doltflow("audit")
    assert audit["data"]["findings"] == []
    status, _ = hubs.doltflow("status")
    assert [(one["table"], one["run"], one["status"]) for one in status["data"]["tables"]] == [
        ("counts", run.pathspec, "fresh")
    ]


@pytest.mark.parametrize("kind", [pytest.param("fails after its push", marks=pytest.mark.long), "cannot push"])
def test_a_second_attempt_doubles_nothing(hubs: Hubs, kind: str) -> None:
    hubs.make("source", *PRICES)
    hubs.make("numbers", *COUNTS)
    hub = hubs.folder / "numbers" / "numbers"
    move = ["--meanwhile", f"mv {hub} {hub.parent / 'away'}"]
    run = push_flow(hubs, *(move if kind == "cannot push" else ["--fails", "True"]))
    mine = hubs.world.folder / "numbers"
    assert rows(mine, "counts") == rows(hubs.theirs("numbers"), "counts") == [{"v": 2}]
    made = [one for one in commits(mine) if one["message"].startswith("Run: ")]
    assert [dict(trailers(one["message"]))["Attempt"] for one in made] == [1, 0]
    if kind == "cannot push":
        assert f"There is no folder for the remote {hubs.url('numbers')}." in run.output
        assert f"The commit {made[1]['commit_hash']} is kept on `main` of {mine}." in run.output


def test_a_push_that_nobody_can_merge_keeps_the_commit_and_its_record(hubs: Hubs) -> None:
    hubs.make("source", *PRICES)
    hubs.make("numbers", *COUNTS)
    other = hubs.theirs("numbers")
    meanwhile = f"cd {other} && dolt sql -q \"insert into counts values (9); call dolt_commit('-am', 'x')\""
    run = push_flow(hubs, "--is_caught", "True", "--meanwhile", f"{meanwhile} && dolt push origin main")
    mine = hubs.world.folder / "numbers"
    (commit,) = [one for one in commits(mine) if one["message"].startswith("Run: ")]
    artifacts = hubs.world.artifacts(run, "dolt", "failure")["start/1"]
    assert artifacts["failure"] == [
        "diverged",
        f"The branch `main` was not pushed: since it and the remote `origin` at {hubs.url('numbers')} parted, both "
        f"have changed `counts`. The commit {commit['commit_hash']} is kept on `main` of {mine}. Merge by hand, in the "
        "database's folder: `dolt fetch origin`, `dolt checkout main`, `dolt merge origin/main`; where that tells of "
        "conflicts, `dolt conflicts resolve --ours TABLE` (or `--theirs`) and `dolt commit`. Where both have changed a "
        f"table Dolt takes rows of both: `dolt checkout {commit['commit_hash']} counts` and `dolt commit -am MESSAGE` "
        f"make it this side's whole, `dolt checkout {head(other)} counts` the remote's. Then `dolt push origin main`.",
    ]
    writes = [access for access in artifacts["dolt"]["accesses"] if access["kind"] == "write"]
    assert [(access["commit"], access["changed"]) for access in writes] == [(commit["commit_hash"], True)]
    assert rows(mine, "counts") == [{"v": 2}]
    assert rows(hubs.theirs("numbers"), "counts") == [{"v": 9}]


def length(database: str = "numbers", **settings: Any) -> int:
    """How many prices a read gives outside a flow."""
    return len(DoltDT(config=DoltConfig(database, **settings)).read("prices"))


def test_reads_are_pinned_to_what_was_pulled_or_fetched(hubs: Hubs) -> None:
    hubs.make("numbers", *PRICES)
    assert length(hubs.url("numbers"), dolthub_remote=True) == 2
    mine = hubs.world.folder / "numbers"
    before = head(mine)
    newer = hubs.push("numbers", "insert into prices values (3, 3)")
    assert length() == 2
    assert length(dolthub_remote=True, commit=newer[:8]) == 3
    assert head(mine) == before, "a pinned commit is fetched, and the branch stays"
    assert length(dolthub_remote=True, commit=before) == 2
    assert length(dolthub_remote=True) == 3
    assert head(mine) == newer
    dolt(hubs.theirs("numbers"), "push", "origin", "main:apart")
    assert length(dolthub_remote=True, branch="apart") == 3
    assert length("someone/numbers", dolthub_remote=True) == 3
    told = (
        ("numbers", "nope", "ref-not-found", "`numbers` has no branch `nope`. There is `apart`, `main`."),
        (
            "nowhere", None, "database-not-found",
            "There is no folder `nowhere`, and nothing says what to clone into it. Give DoltHub's "
            "`owner/name` or a URL as `database=`, or as `remote=`.",
        ),
    )  # fmt: skip
    for database, branch, code, text in told:
        with pytest.raises(DoltflowError) as error:
            length(database, branch=branch, dolthub_remote=True)
        assert (error.value.code, str(error.value)) == (code, text)


def test_a_commit_given_by_a_name_is_what_the_remote_has(hubs: Hubs) -> None:
    hubs.make("numbers", *PRICES)
    theirs, mine = hubs.folder / "theirs" / "numbers", hubs.world.folder / "numbers"
    assert length(hubs.url("numbers"), dolthub_remote=True) == 2
    dolt(mine, "branch", "mine")
    dolt(mine, "branch", "gone")
    dolt(theirs, "branch", "gone")
    dolt(theirs, "push", "origin", "gone")
    before = sql(mine, "select name, hash from dolt_branches order by name")
    newer = hubs.push("numbers", "insert into prices values (3, 3)")
    dolt(theirs, "branch", "feature")
    dolt(theirs, "push", "origin", "feature")
    dolt(theirs, "tag", "v1")
    dolt(theirs, "push", "origin", "v1")
    lengths = {name: length(dolthub_remote=True, commit=name)
               for name in ("main", "main~1", "HEAD", "HEAD^", "feature", "v1", "mine", "gone", newer)}  # fmt: skip
    assert lengths == {
        "main": 3, "main~1": 2, "HEAD": 3, "HEAD^": 2, "feature": 3, "v1": 3, "mine": 2, "gone": 2, newer: 3,
    }  # fmt: skip
    # A branch that the remote has no more stands for the one that is here.
    sql(mine, "insert into prices values (3, 3), (4, 4), (5, 5); call dolt_commit('-am', 'ours')")
    dolt(mine, "branch", "-f", "gone", "main")
    dolt(mine, "reset", "--hard", "HEAD~1")
    dolt(theirs, "push", "origin", ":gone")
    assert length(dolthub_remote=True, commit="gone") == 5
    here = sql(mine, "select name, hash from dolt_branches where name <> 'gone' order by name")
    assert here == [branch for branch in before if branch["name"] != "gone"]
    # Only a full hash that is here needs no remote.
    (hubs.folder / "numbers").rename(hubs.folder / "away")
    assert length(dolthub_remote=True, commit=newer) == 3
    assert length(dolthub_remote=True, commit=f"{newer}~1") == 2
    with pytest.raises(RemoteError, match="There is no folder for the remote"):
        length(dolthub_remote=True, commit="main")


def test_a_second_attempt_sees_of_the_remotes_branch_what_the_first_one_saw(hubs: Hubs) -> None:
    hubs.make("numbers", *PRICES, *COUNTS)
    hubs.push("numbers", OTHERS)
    run = hubs.world.run("named_flow.py", "--db", hubs.url("numbers"))
    seen = [told["seen"] for task, told in hubs.world.artifacts(run, "seen").items() if task.startswith("start/")]
    assert seen == [{"main": 0, "main~1": 0}]
    assert rows(hubs.theirs("numbers"), "counts") == [{"v": 1}]


def test_whatever_keeps_a_push_back_the_commit_is_told(hubs: Hubs, monkeypatch: pytest.MonkeyPatch) -> None:
    hubs.make("numbers", *PRICES)
    assert length(hubs.url("numbers"), dolthub_remote=True) == 2
    hubs.push("numbers", OTHERS)
    mine = hubs.world.folder / "numbers"
    dolt(mine, "sql", "-q", "insert into prices values (3, 3); call dolt_commit('-am', 'ours')")
    commit = head(mine)
    config = DoltConfig("numbers", push_on_commit=True)
    database = Database.at(mine)
    with database.open() as session, database.open() as other, branch_lock(other._connection, "main"):
        monkeypatch.setenv("DOLTFLOW_LOCK_TIMEOUT", "0")
        with pytest.raises(DatabaseLockedError) as error:
            push(session, config, "main", commit, "Bea <bea@example.com>")
        monkeypatch.undo()
    assert (error.value.message, error.value.hint) == (
        "The push of `main` failed. Other writers have held the branch `main` of `numbers` for longer than 0 s. "
        f"Nothing was written. The commit {commit} is kept on `main` of {mine}.",
        "Run it again, or raise DOLTFLOW_LOCK_TIMEOUT.",
    )


def behind(hubs: Hubs, name: str, copy: Path) -> Path:
    """The database as it was when it was copied."""
    mine = hubs.world.folder / name
    shutil.rmtree(mine)
    shutil.copytree(copy, mine)
    return mine


@pytest.mark.long
def test_a_replay_fetches_what_is_only_on_the_remote_and_pushes_nothing(hubs: Hubs) -> None:
    hubs.make("source", *PRICES)
    hubs.make("numbers", *COUNTS)
    here = hubs.world
    for name in ("source", "numbers"):
        dolt(here.folder, "clone", hubs.url(name), name)
        shutil.copytree(here.folder / name, hubs.folder / "old" / name)
    hubs.push("source", "insert into prices values (3, 3)")
    run = push_flow(hubs)
    made = head(here.folder / "numbers")
    read = head(here.folder / "source")
    before = {}
    for name in ("source", "numbers"):
        before[name] = (head(behind(hubs, name, hubs.folder / "old" / name)), hubs.heads(name))
    answer, told = hubs.doltflow("replay", run.pathspec)
    assert answer["data"]["identical"] is True
    for name, commit in (("source", read), ("numbers", made)):
        said = f"`{name}` did not have the commit {commit}: it was fetched from the remote `origin`."
        assert said in " ".join(told.split())
        assert (head(here.folder / name), hubs.heads(name)) == before[name]
    branches = sql(here.folder / "numbers", "select name from dolt_branches order by name")
    assert branches == [{"name": "main"}, {"name": f"replay/{run.pathspec}"}]
    again = here.notebook(f"result = DoltDT(run={run.pathspec!r}).read('prices')['id'].tolist()")
    assert again == [1, 2, 3]


@pytest.mark.long
def test_a_backtest_fetches_its_commit_and_neither_pulls_nor_pushes(hubs: Hubs) -> None:
    hubs.make("source", *PRICES)
    hubs.make("numbers", *COUNTS)
    here = hubs.world
    push_flow(hubs)
    newer = hubs.push("source", "insert into prices values (3, 3), (4, 4)")
    hubs.push("numbers", OTHERS)
    before = {name: (head(here.folder / name), hubs.heads(name)) for name in ("source", "numbers")}
    answer, told = hubs.doltflow("backtest", "--commit", newer[:10], "--run")
    said = f"`source` did not have the commit {newer[:10]}: it was fetched from its remote."
    assert said in " ".join(told.split())
    (branch,) = {one["branch"] for one in answer["data"]["branches"]}
    assert rows(here.folder / "numbers", "counts", ref=branch) == [{"v": 2}, {"v": 4}]
    assert {name: (head(here.folder / name), hubs.heads(name)) for name in before} == before
    answer, told = hubs.doltflow("backtest", "--commit", "0123456789", code=3)
    assert answer["error"]["code"] == "ref-not-found"
