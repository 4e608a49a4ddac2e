"""What was made from a table or a run: over flows, databases, merges, updates and changes by hand."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from histories import Histories, histories_here

from doltflow.audit import audit
from doltflow.cli import main
from doltflow.errors import DoltError
from doltflow.impact import impact
from doltflow.lineage import ZOOMS, Zoom, build, downstream, upstream
from doltflow.model.table import TableVersion
from doltflow.status import status
from doltflow.trace import trace
from doltflow.workspace import Workspace, gather, gather_downstream, load_settings, open_workspace


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Histories]:
    """An empty folder, which is the current one."""
    with histories_here(tmp_path, monkeypatch) as made:
        yield made


# The mirror

TABLES = ("t", "u")
LONGEST = 5  # commits during which a run is on its way


def draw(here: Histories, names: tuple[str, str], seed: int, commits: int) -> None:
    """A random history of two databases: runs, changes by hand, branches and merges, reads of what is old."""
    chance = random.Random(seed)
    branches = {name: ["main"] for name in names}
    for name in names:
        here.database(name, *TABLES)
    for number in range(commits):
        name = chance.choice(names)
        branch, table = chance.choice(branches[name]), chance.choice(TABLES)
        make = f"create table if not exists {table} (id int primary key, v int)"
        add = f"insert into {table} values ({number}, {number})"
        # Not while a run is on its way: the commit is one node, and would seem to lead from one table to the other.
        kinds = ["hand", "run", "run", "run", "branch", "merge", "drop"] if number % LONGEST else ["both"]
        match chance.choice(kinds):
            case "hand":
                here.by_hand(name, make, add, branch=branch)
            case "both":
                makes = [f"create table if not exists {table} (id int primary key, v int)" for table in TABLES]
                adds = [f"insert into {table} values ({number}, 0)" for table in TABLES]
                here.by_hand(name, *makes, *adds, branch=branch)
            case "drop":
                here.by_hand(name, f"drop table if exists {table}", branch=branch)
                if chance.random() < 0.7:
                    here.by_hand(name, make, add, branch=branch)
            case "branch":
                branches[name].append(f"b{number}")
                here.branch(name, f"b{number}", chance.choice(here.commits[name]))
            case "merge":
                try:
                    here.merge(name, chance.choice(branches[name]), branch)
                except DoltError:  # One side has dropped what the other has changed.
                    here.rows(name, "call dolt_reset('--hard')", branch)
            case "run":
                reads = [
                    (source, chance.choice(TABLES), chance.choice(here.commits[source]))
                    for source in chance.choices(names, k=chance.randrange(3))
                ]
                mode = chance.choice(["replace", "update", "append"])
                whole = [f"delete from {table}"] if mode == "replace" else []
                task = f"F/{number // LONGEST}/s/{chance.randrange(2)}"
                here.run(name, task, table, make, *whole, add, reads=reads, mode=mode, branch=branch)


def test_a_table_whose_name_dolt_takes_for_a_list(here: Histories) -> None:
    name = "a,b"
    here.database("a", f"`{name}`", "u")
    run = here.run("a", "F/1/s/1", name, f"insert into `{name}` values (1, 1)", mode="append")
    later = here.by_hand("a", f"insert into `{name}` values (2, 2)")
    read = here.run("a", "G/2/s/1", "u", "insert into u values (1, 1)", reads=[("a", name, later, "main")])
    assert set(trace(name, at=run, direction="downstream").graph) == {
        f"a/{name}@{run}", f"a@{later}", f"a/{name}@{later}", "G/2", f"a/u@{read}"
    }  # fmt: skip
    assert [item.version.commit for item in impact(f"a@{run}").tables] == [run, later, read]
    here.by_hand("a", f"insert into `{name}` values (3, 3)")
    assert [(item.table, item.status) for item in status().tables] == [(name, "fresh"), ("u", "stale")]
    found = audit(name).findings
    assert [(one.kind, one.table, one.run) for one in found] == [("changed-by-hand", name, "F/1")]


def test_that_nothing_was_made_is_said(here: Histories, capsys: pytest.CaptureFixture[str]) -> None:
    here.database("a", "t", "u")
    here.run("a", "F/1/s/1", "u", "insert into u values (1, 1)", reads=[("a", "t", here.head("a"), "main")])
    nothing = "Nothing was made from it, as far as it is recorded."

    def lines(*options: str) -> list[str]:
        assert main(["trace", *options]) == 0
        return capsys.readouterr().out.splitlines()

    assert lines("u", "--downstream")[-2:] == ["", nothing]
    assert lines("u", "--both")[-2:] == ["", nothing]
    for options in (["t", "--downstream"], ["u", "--downstream", "--depth", "0"], ["F/1", "--downstream"], ["u"]):
        assert nothing not in lines(*options)


def all_versions(workspace: Workspace) -> set[TableVersion]:
    found = set()
    for name in workspace.names:
        for commit in workspace.commits(name):
            for table in workspace.tables(name, commit):
                version = workspace.version(name, table, commit)
                assert version is not None
                found.add(version)
    return found


@pytest.mark.parametrize("seed", range(8, 16))
def test_what_is_downstream_has_it_upstream_and_the_other_way_round(here: Histories, seed: int) -> None:
    draw(here, ("a", "b"), seed, 26)
    zoom: Zoom = ZOOMS[seed % 3]
    with open_workspace(load_settings(), None, None) as workspace:
        versions = all_versions(workspace)
        above, below = set(), set()
        for version in versions:
            up = build(gather(workspace, [version], edges=zoom != "run").facts, [version], zoom)
            above |= {(source, version.id) for source in upstream(up, version.id)}
            down = build(gather_downstream(workspace, [version], edges=zoom != "run").facts, [version], zoom)
            below |= {(version.id, made) for made in downstream(down, version.id)}
        ids = {version.id for version in versions}
        assert len(ids) < len(above)
        assert {pair for pair in below if pair[1] in ids} == {pair for pair in above if pair[0] in ids}
