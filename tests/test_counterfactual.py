"""A run again with one thing of another run: what of the difference it explains; nothing of the user's is touched."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import check_out, dolt, footprint, head, sql
from flows.attributed import run_with
from flows.harness import World, world

from doltflow.errors import FlowFileError, NotReplayableError, RerunFailedError, RunNotFoundError
from doltflow.model.pathspec import Pathspec
from doltflow.rerun.counterfactual import Counterfactual, Swap, counterfactual
from doltflow.rerun.making import listed_branches
from doltflow.workspace import Workspace, load_settings, open_workspace, read_run

pytestmark = pytest.mark.long
PLUS = ("* self.factor + 1", "* self.factor + 100")
MORE = (
    ("* self.factor + 1", "* self.factor + self.more"),
    ('    into = Parameter("into"', '    more = Parameter("more", default=7, type=int)\n    into = Parameter("into"'),
    ('    fails_at = Parameter("fails-at", default=0, type=int)\n', "    fails_at = 0\n"),
    ('dolt.read("a")', 'dolt.read("a", as_key="renamed")'),
)
# Reads a table that no other run reads, and what the others write it takes as it is.
OTHER_READS = (
    ('frame = dolt.read("a")', 'frame = dolt.read("b")'),
    ('            dolt.write(frame, "scaled", pks=["id"])\n', "            pass\n"),
)
EACH = (
    ("self.next(self.end)", 'self.next(self.work, foreach="ids")'),
    (
        "    @step\n    def end(self):\n",
        "    @step\n    def work(self):\n"
        '        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:\n'
        '            rows = dolt.read("a", where=f"id = {self.input}", as_="arrow").to_pylist()\n'
        '        self.mine = [row["v"] for row in rows]\n'
        "        self.next(self.join)\n\n"
        "    @step\n    def join(self, inputs):\n"
        "        with self.results() as dolt:\n"
        "            import pandas as pd\n\n"
        "            mine = [value for one in inputs for value in one.mine]\n"
        '            dolt.write(pd.DataFrame({"id": [1], "v": [sum(mine)]}), "total", pks=["id"])\n'
        '        self.merge_artifacts(inputs, exclude=["mine"])\n'
        "        self.next(self.end)\n\n"
        "    @step\n    def end(self):\n",
    ),
)


@dataclass(frozen=True)
class Recorded:
    """A folder with runs of one flow, each another thing apart from the first one."""

    world: World
    runs: dict[str, str]
    before: dict[str, Any]

    def footprints(self) -> dict[str, Any]:
        """All that must stay as it is: checkout, staging, working sets, and every branch with its head."""
        found = {}
        for folder in sorted(self.world.folder.glob("*/.dolt")):
            branches = sql(folder.parent, "select name, hash from dolt_branches order by name")
            found[folder.parent.name] = footprint(folder.parent) | {"heads": branches}
        return found

    def run(self, name: str) -> Pathspec:
        pathspec = Pathspec.parse(self.runs[name])
        assert pathspec is not None
        return pathspec

    @contextmanager
    def swapped(self, swap: Swap, after: str, before: str = "first", **more: Any) -> Iterator[tuple[Workspace, Any]]:
        with open_workspace(load_settings(None), None, None) as workspace:
            given = {"python": sys.executable, "tell": lambda line: None} | more
            with counterfactual(workspace, self.run(before), self.run(after), swap, **given) as found:
                yield workspace, found
            assert [item.made.branch for item in listed_branches(workspace)] == []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with world(tmp_path_factory.mktemp("counterfactual")) as here:
        numbers = here.database(
            "numbers",
            "create table a (id int primary key, v int)",
            "insert into a values (1, 10), (2, 20)",
            "create table b (id int primary key, v int)",
            "insert into b values (5, 50)",
        )
        results, _ = here.database("results"), here.database("others")
        runs = {
            "first": run_with(here, ()),
            "code": run_with(here, (PLUS,)),
            "parameter": run_with(here, (), "--the-factor", "3", "--fails-at", "3"),
            "added": run_with(here, (*MORE, *EACH), "--more", "5"),
            "elsewhere": run_with(here, (), "--into", "others"),
            "reads": run_with(here, OTHER_READS),
        }
        dolt(numbers, "sql", "-q", "update a set v = 11 where id = 1; insert into a values (3, 30)")
        dolt(numbers, "commit", "-am", "More")
        runs["data"] = run_with(here, ())
        runs["all"] = run_with(here, (PLUS,), "--the-factor", "3")
        # The moving names mean something else by now, and somebody is at work.
        dolt(numbers, "sql", "-q", "delete from a; call dolt_commit('-am', 'Later')")
        dolt(numbers, "sql", "-q", "insert into b values (77, 7)")
        check_out(results, "mine", "main")
        (here.folder / "attributed_flow.py").write_text("raise RuntimeError('not the recorded code')")
        found = Recorded(here, runs, {})
        found.before.update(found.footprints())
        yield found
        assert found.footprints() == found.before


@pytest.fixture
def recorded(made: Recorded, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """The folder with the runs, as the current one."""
    made.world.enter(monkeypatch)
    return made


@pytest.fixture
def untouched(recorded: Recorded) -> Iterator[None]:
    """Afterwards everything of the user's must be as it was, and no branch more."""
    yield
    assert recorded.footprints() == recorded.before


def values(found: Counterfactual, table: str = "scaled", database: str = "results") -> list[int]:
    """The values of a table as the rerun left it."""
    (commit,) = (at for name, other, at in found.tables if (name, other) == (database, table))
    # Beside a server Dolt's program prints numbers as texts.
    return [int(row["v"]) for row in sql(Path(database), f"select v from `{table}` as of '{commit}' order by id")]


def hashes(
    workspace: Workspace, recorded: Recorded, found: Counterfactual, run: str
) -> list[tuple[str | None, str | None]]:
    """The content of each table as the rerun and as a recorded run left it."""
    pairs = []
    for database, table, at in found.tables:
        session = workspace.session(database)
        mine = [
            c.hash for c in workspace.commits_of_run(recorded.runs[run]) if table in [w.table for w in c.run.writes]
        ]
        pairs.append((session.table_hash(table, at), session.table_hash(table, mine[-1])))
    return pairs


# One thing differs, and explains it all


@pytest.mark.parametrize(
    ("swap", "after", "expected"),
    [("data", "data", [23, 41, 61]), ("code", "code", [120, 140]), ("parameter", "parameter", [31, 61])],
)
def test_what_alone_differs_gives_the_others_content(
    recorded: Recorded, swap: Swap, after: str, expected: list[int]
) -> None:
    told: list[str] = []
    with recorded.swapped(swap, after, tell=told.append) as (workspace, found):
        assert (found.swap, found.unhonoured) == (swap, ())
        assert found.run not in recorded.runs.values()
        assert [(database, table) for database, table, _ in found.tables] == [
            ("results", "scaled"),
            ("results", "total"),
        ]
        assert (values(found), values(found, "total")) == (expected, [sum(expected)])
        pairs = hashes(workspace, recorded, found, after)
        assert [mine for mine, _ in pairs] == [theirs for _, theirs in pairs]
        assert None not in pairs[0]
        assert found.log.is_file()
        # One that is left by a kill is known.
        (item,) = listed_branches(workspace)
        first = recorded.runs["first"]
        assert (item.database, item.made.branch) == ("results", f"attribute/{first}/{swap}")
        assert (item.made.kind, item.made.of, item.head) == ("replay", first, found.tables[0][2])
    names = {"data": "data", "code": "code", "parameter": "parameters"}
    assert told[0] == f"AttributedFlow: {first} with the {names[swap]} of {recorded.runs[after]}"
    assert "AttributedFlow/start: finished successfully" in told


# All three differ


@pytest.mark.parametrize(("swap", "expected"), [("data", [23, 41, 61]), ("code", [120, 140]), ("parameter", [31, 61])])
def test_each_alone_of_three(recorded: Recorded, swap: Swap, expected: list[int]) -> None:
    with recorded.swapped(swap, "all") as (_, found):
        assert (values(found), values(found, "total"), found.unhonoured) == (expected, [sum(expected)], ())


def test_a_parameter_that_the_other_code_has_added(recorded: Recorded) -> None:
    # It also has one less, reads the same under another key, and once more in a foreach that the first run had not.
    with recorded.swapped("code", "added") as (workspace, found):
        assert (values(found), values(found, "total"), found.unhonoured) == ([25, 45], [30], ())
        pairs = hashes(workspace, recorded, found, "added")
        assert [mine for mine, _ in pairs] == [theirs for _, theirs in pairs]


@pytest.mark.usefixtures("untouched")
def test_what_only_one_run_wrote_to(recorded: Recorded) -> None:
    with recorded.swapped("parameter", "elsewhere") as (_, found):
        assert [table[:2] for table in found.tables] == [
            (database, table) for database in ("others", "results") for table in ("scaled", "total")
        ]
        assert (values(found, database="others"), found.unhonoured) == ([21, 41], ())
        # Nothing was there before the first run, and this one wrote elsewhere.
        assert sql(Path("results"), f"show tables as of '{found.tables[2][2]}'") == []


# What was not of the data that it was to be


def test_reads_that_no_pin_leads_are_named(recorded: Recorded) -> None:
    first, reads = recorded.runs["first"], recorded.runs["reads"]
    with recorded.swapped("code", "reads") as (_, found):
        served = head(Path("numbers"), "main~2")
        assert len(found.unhonoured) == 2
        assert found.unhonoured[0] == (
            f"`b` of `numbers` in the step `start` of {found.run} was served from {served}, not from what {first} "
            "had read."
        )
        # The other code takes as data what the first run has made.
        assert found.unhonoured[1].startswith(
            f"`scaled` of `results` in the step `start` of {found.run} was served from "
        )
        assert found.unhonoured[1].endswith(f", as {first} had written it itself.")
    with recorded.swapped("data", "reads") as (_, found):
        assert [line.partition(" was served")[0] for line in found.unhonoured] == [
            f"`a` of `numbers` in the step `start` of {found.run}",
            f"`scaled` of `results` in the step `start` of {found.run}",
        ]
        assert f"not from what {reads} had read." in found.unhonoured[0]
        assert found.unhonoured[1].endswith("not as the run itself had just written it.")


# However it ends


@pytest.mark.usefixtures("untouched")
def test_a_flow_that_fails(recorded: Recorded) -> None:
    with pytest.raises(RerunFailedError) as caught, recorded.swapped("data", "data", "parameter"):
        pass
    assert caught.value.message.startswith(
        f"{recorded.runs['parameter']} with the data of {recorded.runs['data']}: The replay of "
    )
    assert "as it was asked to" in Path(caught.value.hint.removeprefix("Its log is ").rstrip(".")).read_text()


@pytest.mark.usefixtures("untouched")
def test_an_interrupt_while_a_database_answers(recorded: Recorded) -> None:
    taken = f"attribute/{recorded.runs['first']}/data"

    def body(workspace: Workspace, found: Counterfactual) -> None:
        assert [item.made.branch for item in listed_branches(workspace)] == [f"{taken}-2"]
        assert values(found) == [23, 41, 61]
        workspace.session("results")._connection._raw._force_close()  # As the driver does in the midst of an answer.
        raise KeyboardInterrupt

    dolt(Path("results"), "branch", taken)  # Somebody else's.
    with pytest.raises(KeyboardInterrupt), recorded.swapped("data", "data") as (workspace, found):
        body(workspace, found)
    dolt(Path("results"), "branch", "-D", taken)


@pytest.mark.usefixtures("untouched")
def test_an_interrupt_after_a_step_has_written(recorded: Recorded) -> None:
    def tell(line: str) -> None:
        if line == "AttributedFlow/start: finished successfully":
            (branch,) = sql(Path("results"), "select hash from dolt_branches where name like 'attribute/%'")
            assert len(sql(Path("results"), f"select * from scaled as of '{branch['hash']}'")) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), recorded.swapped("parameter", "parameter", tell=tell):
        pass


# What is refused, before anything is made


def test_refused(recorded: Recorded) -> None:
    def refusal(before: Pathspec, after: Pathspec, error: type[Exception]) -> str:
        with (
            open_workspace(load_settings(None), None, None) as workspace,
            pytest.raises(error) as caught,
            counterfactual(workspace, before, after, "data", python=sys.executable, tell=print),
        ):
            pass
        return str(caught.value)

    first, data = recorded.run("first"), recorded.run("data")
    told = refusal(first, Pathspec("OtherFlow", "1"), NotReplayableError)
    assert told.startswith(f"`{first}` and `OtherFlow/1` are runs of two flows")
    assert "knows a run `AttributedFlow/7`" in refusal(first, Pathspec("AttributedFlow", "7"), RunNotFoundError)
    with hidden(Path(".metaflow") / str(data)):
        told = refusal(first, data, NotReplayableError)
        assert told.startswith(f"`{data}` is not in Metaflow's store, so that it cannot be repeated.")
    with open_workspace(load_settings(None), None, None) as workspace:
        ((_, key),) = read_run(workspace, first).run.tasks[0].sources
    with hidden(next(Path(".metaflow").rglob(key))):
        told = refusal(first, data, FlowFileError)
        assert told.startswith(f"The code of `{first}` cannot be had.")


@contextmanager
def hidden(path: Path) -> Iterator[None]:
    elsewhere = path.rename(Path("hidden"))
    try:
        yield
    finally:
        elsewhere.rename(path)
