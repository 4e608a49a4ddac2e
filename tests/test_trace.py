"""`trace`, `runs` and `show` on real databases and real runs, from both records and from either alone."""

import gzip
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import networkx
import pytest
from conftest import FlowRun, check_out, dolt, footprint, head, sql
from flows.harness import World, is_served, wait_for, world

import doltflow
from doltflow.errors import (
    AmbiguousRunError,
    DatabaseNotFoundError,
    RefNotFoundError,
    RunNotFoundError,
    TableNotFoundError,
    UsageError,
)
from doltflow.model.run import Run
from doltflow.runs import runs
from doltflow.show import show
from doltflow.sources.metaflow import store
from doltflow.trace import trace, trace_table

NO_STORE = "There is no Metaflow store (`.metaflow`) in {} or above it. Going on from the commits alone."


def by_hand(folder: Path, message: str, *statements: str, branch: str = "main", author: str = "Ben <b@x>") -> str:
    """A commit on a branch that no run made; the checkout stays where it is."""
    commit = f"call dolt_commit('-Am', '{message}', '--author', '{author}')"
    dolt(folder, "sql", stdin=";\n".join([f"call dolt_checkout('{branch}')", *statements, commit]))
    return head(folder, branch)


@dataclass(frozen=True)
class Pipeline:
    """Two flows over two databases, and what became of them.

    Attributes:
        names: Short names for commits and runs, to read a graph by.
    """

    world: World
    prices: Path
    analysis: Path
    runs: dict[str, FlowRun]
    names: dict[str, str]

    def short(self, node: str) -> str:
        for long, name in self.names.items():
            node = node.replace(long, name)
        return node

    def node(self, short: str) -> str:
        for long, name in self.names.items():
            short = short.replace(f"@{name}", f"@{long}")
        return short

    def edges(self, graph: "networkx.DiGraph[str]") -> set[tuple[str, str, str]]:
        return {(self.short(a), data["kind"], self.short(b)) for a, b, data in graph.edges(data=True)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with world(tmp_path_factory.mktemp("pipeline")) as here:
        prices = here.database(
            "prices",
            "create table prices (code varchar(9) primary key, price int)",
            "insert into prices values ('a', 1), ('b', 2)",
            "create table hospitals (id int primary key)",
            "insert into hospitals values (1)",
        )
        analysis = here.database("analysis")
        names = {head(prices): "january", head(analysis): "nothing"}
        names[by_hand(prices, "February", "update prices set price = 3 where code = 'a'")] = "february"
        dolt(prices, "tag", "v1")
        done = {"medians": here.run("trace_medians.py")}
        names[head(analysis)] = "medians"
        names[by_hand(prices, "Notes", "create table notes (id int primary key)")] = "notes"
        done["again"] = here.run("trace_medians.py")
        names[head(analysis)] = "again"
        done["variances"] = here.run("trace_variances.py")
        names[head(analysis)] = "variances"
        done["failed"] = here.run("trace_variances.py", "--fail", "True", check=False)
        names[by_hand(prices, "March", "update prices set price = 4 where code = 'a'")] = "march"
        dolt(analysis, "branch", "side")
        done["side"] = here.run("trace_medians.py", "--branch", "side")
        names[head(analysis, "side")] = "side"
        merge = "call dolt_merge('side', '--no-ff', '-m', 'Merge side', '--author', 'Eve <e@x>')"
        dolt(analysis, "branch", "one_side")
        by_hand(analysis, "Remarks", "create table remarks (id int primary key)", branch="one_side")
        dolt(analysis, "sql", stdin=f"call dolt_checkout('one_side');\n{merge}")
        dolt(analysis, "branch", "both")
        names[by_hand(analysis, "By hand", "insert into medians values ('z', 9)", branch="both")] = "by_hand"
        dolt(analysis, "sql", stdin=f"call dolt_checkout('both');\n{merge}")
        names[head(analysis, "both")] = "merged"
        names |= {run.pathspec: name.upper() for name, run in done.items()}
        before = [footprint(database) for database in (prices, analysis)]
        yield Pipeline(here, prices, analysis, done, names)
        assert [footprint(database) for database in (prices, analysis)] == before


@pytest.fixture
def pipeline(built: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """The pipeline, for tests that only ask; its folder is the current one. Afterwards no server runs."""
    built.world.visit(monkeypatch)
    yield built
    assert not is_served(built.prices)
    assert not is_served(built.analysis)


@pytest.fixture
def copied(built: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The pipeline in another folder, to be changed."""
    folder = tmp_path / "copied"
    shutil.copytree(built.world.folder, folder)
    monkeypatch.chdir(folder)
    moved = World(folder, built.world.environment)
    return Pipeline(moved, folder / "prices", folder / "analysis", built.runs, built.names)


SOURCES = {
    ("prices@february", "write", "prices/prices@february"),
    ("prices@january", "write", "prices/hospitals@january"),
}
MEDIANS = SOURCES | {
    ("prices/prices@february", "read", "MEDIANS"),
    ("prices/hospitals@january", "read", "MEDIANS"),
    ("MEDIANS", "write", "analysis/medians@medians"),
}
WHOLE = MEDIANS | {
    ("analysis/medians@medians", "read", "VARIANCES"),
    ("VARIANCES", "write", "analysis/variances@variances"),
}


def test_a_table_is_traced_over_two_flows_and_two_databases_to_what_no_run_made(pipeline: Pipeline) -> None:
    result = doltflow.trace_table("variances")
    assert isinstance(result.graph, networkx.DiGraph)
    assert pipeline.edges(result.graph) == WHOLE
    assert pipeline.short(result.target) == "analysis/variances@variances"
    assert result.warnings == ()
    assert result.zoom == "run"


def test_what_no_run_made_shows_its_author_date_and_message(pipeline: Pipeline) -> None:
    graph = trace("variances").graph
    shown = {pipeline.short(node): data for node, data in graph.nodes(data=True) if data["kind"] == "commit"}
    assert {node: (data["author"], data["message"], data["database"]) for node, data in shown.items()} == {
        "prices@february": ("Ben", "February", "prices"),
        "prices@january": ("Ann", "setup", "prices"),
    }
    (dated,) = sql(pipeline.prices, "select date from dolt_log where message = 'February'")
    assert shown["prices@february"]["date"].replace("T", " ").startswith(dated["date"][:19])


def test_the_runs_of_a_trace_come_with_their_parameters(pipeline: Pipeline) -> None:
    result = trace("variances")
    assert sorted(pipeline.short(name) for name in result.runs) == ["MEDIANS", "VARIANCES"]
    assert result.runs[pipeline.runs["medians"].pathspec].parameters == {"branch": "main", "secret": "hunter2"}


def test_a_trace_is_json(pipeline: Pipeline) -> None:
    graph = trace("variances").graph
    data = json.loads(json.dumps(networkx.node_link_data(graph, edges="edges")))
    again = networkx.node_link_graph(data, edges="edges")
    assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
    assert again.adj == graph.adj


def test_reads_at_two_commits_between_which_the_table_did_not_change_are_one_node(pipeline: Pipeline) -> None:
    result = trace(pipeline.runs["again"].pathspec)
    assert pipeline.edges(result.graph) == SOURCES | {
        ("prices/prices@february", "read", "AGAIN"),
        ("prices/hospitals@january", "read", "AGAIN"),
    }
    (read,) = result.graph.edges[pipeline.node("prices/prices@february"), result.target]["accesses"]
    assert pipeline.short(read["commit"]) == "notes"


def test_a_write_that_changed_nothing_is_told_with_the_run(pipeline: Pipeline) -> None:
    result = trace(pipeline.runs["again"].pathspec)
    (write,) = result.graph.nodes[result.target]["unchanged"]
    assert (write["tables"], pipeline.short(write["commit"]), write["changed"]) == (["medians"], "again", False)


def test_what_a_run_read_back_is_told_with_the_run(pipeline: Pipeline) -> None:
    graph = trace("variances").graph
    (read,) = graph.nodes[pipeline.runs["variances"].pathspec]["own_reads"]
    assert (read["tables"], read["key"]) == (["variances"], "variances")


def test_the_zoom_of_steps_leads_through_steps_that_touched_no_table(pipeline: Pipeline) -> None:
    result = trace("variances", zoom="step")
    assert pipeline.edges(result.graph) == SOURCES | {
        ("prices/prices@february", "read", "MEDIANS/start"),
        ("prices/hospitals@january", "read", "MEDIANS/start"),
        ("MEDIANS/start", "next", "MEDIANS/think"),
        ("MEDIANS/think", "next", "MEDIANS/end"),
        ("MEDIANS/end", "write", "analysis/medians@medians"),
        ("analysis/medians@medians", "read", "VARIANCES/start"),
        ("VARIANCES/start", "write", "analysis/variances@variances"),
    }
    assert {data["kind"] for _, data in result.graph.nodes(data=True)} == {"table", "commit", "step"}


def test_the_zoom_of_tasks(pipeline: Pipeline) -> None:
    edges = pipeline.edges(trace("variances", zoom="task").graph)
    assert ("MEDIANS/start/1", "next", "MEDIANS/think/2") in edges
    assert ("MEDIANS/end/3", "write", "analysis/medians@medians") in edges
    assert len(edges) == 9


@pytest.mark.parametrize(
    ("depth", "nodes"),
    [
        (0, {"analysis/variances@variances"}),
        (2, {"analysis/variances@variances", "VARIANCES", "analysis/medians@medians"}),
    ],
)
def test_a_depth(pipeline: Pipeline, depth: int, nodes: set[str]) -> None:
    assert {pipeline.short(node) for node in trace("variances", depth=depth).graph} == nodes


@pytest.mark.parametrize("ref", ["HEAD", "HEAD~1", "HEAD~2", "main~1", "medians"])
def test_a_table_at_an_earlier_commit(pipeline: Pipeline, ref: str) -> None:
    at = next((long for long, name in pipeline.names.items() if name == ref), ref)
    assert pipeline.edges(trace("medians", at=at).graph) == MEDIANS
    assert pipeline.edges(trace("medians", at=at[:10]).graph) == MEDIANS


@pytest.mark.parametrize(
    ("ref", "commit"), [("v1", "february"), ("main", "march"), ("main~2", "february"), ("v1~1", "january")]
)
def test_a_table_at_a_tag_or_branch(pipeline: Pipeline, ref: str, commit: str) -> None:
    assert pipeline.edges(trace("prices", at=ref, database="prices").graph) == {
        (f"prices@{commit}", "write", f"prices/prices@{commit}")
    }


def test_through_a_merge_that_took_one_side(pipeline: Pipeline) -> None:
    assert pipeline.edges(trace("medians", at="one_side").graph) == {
        ("prices@march", "write", "prices/prices@march"),
        ("prices@january", "write", "prices/hospitals@january"),
        ("prices/prices@march", "read", "SIDE"),
        ("prices/hospitals@january", "read", "SIDE"),
        ("SIDE", "write", "analysis/medians@side"),
    }


def test_through_a_merge_of_both_sides(pipeline: Pipeline) -> None:
    result = trace("medians", at="both")
    edges = pipeline.edges(result.graph)
    assert edges - pipeline.edges(trace("medians", at="side").graph) == (MEDIANS - SOURCES) | {
        ("prices@february", "write", "prices/prices@february"),
        ("analysis/medians@medians", "read", "analysis@by_hand"),
        ("analysis/medians@side", "read", "analysis@merged"),
        ("analysis/medians@by_hand", "read", "analysis@merged"),
        ("analysis@merged", "write", "analysis/medians@merged"),
        ("analysis@by_hand", "write", "analysis/medians@by_hand"),
        # What was changed by hand is still what a run had made.
        ("analysis/medians@medians", "read", "analysis@by_hand"),
        ("MEDIANS", "write", "analysis/medians@medians"),
        ("prices/hospitals@january", "read", "MEDIANS"),
        ("prices/prices@february", "read", "MEDIANS"),
        ("prices@february", "write", "prices/prices@february"),
    }
    assert result.graph.nodes[pipeline.node("analysis@merged")]["message"] == "Merge side"


@pytest.mark.parametrize("name", ["{flow}/{id}", "{id}", "{flow}/latest"])
def test_a_run_is_traced_with_what_it_wrote(pipeline: Pipeline, name: str) -> None:
    flow, number = pipeline.runs["variances"].pathspec.split("/")
    result = trace(name.format(flow=flow, id=number))
    assert pipeline.edges(result.graph) == WHOLE
    assert pipeline.short(result.target) == "VARIANCES"


def test_the_latest_run_is_the_newest_successful_one(pipeline: Pipeline) -> None:
    assert pipeline.short(trace("TraceVariances/latest").target) == "VARIANCES"
    assert pipeline.short(trace("TraceMedians/latest").target) == "SIDE"


@pytest.mark.parametrize(("below", "zoom"), [("end", "step"), ("end/3", "task")])
def test_a_step_or_a_task_of_a_run(pipeline: Pipeline, below: str, zoom: str) -> None:
    result = trace(f"{pipeline.runs['medians'].pathspec}/{below}")
    assert result.zoom == zoom
    assert pipeline.short(result.target) == f"MEDIANS/{below}"
    edges = pipeline.edges(result.graph)
    assert (f"MEDIANS/{below}", "write", "analysis/medians@medians") in edges
    assert edges >= SOURCES


def test_a_run_at_the_zoom_of_steps_ends_at_its_last_step(pipeline: Pipeline) -> None:
    result = trace(pipeline.runs["medians"].pathspec, zoom="step")
    assert pipeline.short(result.target) == "MEDIANS/end"
    assert ("MEDIANS/end", "write", "analysis/medians@medians") in pipeline.edges(result.graph)


def test_the_depth_of_a_run(pipeline: Pipeline) -> None:
    run = pipeline.runs["variances"].pathspec
    assert {pipeline.short(node) for node in trace(run, depth=0).graph} == {"VARIANCES"}
    assert {pipeline.short(node) for node in trace(run, depth=1).graph} == {
        "VARIANCES",
        "analysis/medians@medians",
        "analysis/variances@variances",
    }


def test_a_failed_run_shows_what_it_had_read(pipeline: Pipeline) -> None:
    result = trace(pipeline.runs["failed"].pathspec)
    assert ("analysis/medians@medians", "read", "FAILED") in pipeline.edges(result.graph)
    assert result.graph.nodes[result.target]["status"] == "failed"


def test_from_the_databases_alone(copied: Pipeline) -> None:
    shutil.rmtree(copied.world.folder / ".metaflow")
    result = trace("variances")
    assert copied.edges(result.graph) == WHOLE
    assert result.warnings == (NO_STORE.format(copied.world.folder),)
    assert not (copied.world.folder / ".metaflow").exists()
    (read,) = result.graph.edges[copied.node("analysis/medians@medians"), copied.runs["variances"].pathspec]["accesses"]
    assert copied.short(read["commit"]) == "again"


def test_from_the_databases_alone_at_the_zoom_of_steps_no_source_is_lost(copied: Pipeline) -> None:
    shutil.rmtree(copied.world.folder / ".metaflow")
    edges = copied.edges(trace("variances", zoom="step").graph)
    assert edges == SOURCES | {
        ("prices/prices@february", "read", "MEDIANS/end"),
        ("prices/hospitals@january", "read", "MEDIANS/end"),
        ("MEDIANS/end", "write", "analysis/medians@medians"),
        ("analysis/medians@medians", "read", "VARIANCES/start"),
        ("VARIANCES/start", "write", "analysis/variances@variances"),
    }


def test_from_a_folder_that_was_moved_nothing_is_missing(copied: Pipeline) -> None:
    result = trace("variances")
    assert copied.edges(result.graph) == WHOLE
    assert result.warnings == ()
    assert result.runs[copied.runs["medians"].pathspec].parameters["branch"] == "main"


# A foreach, an attempt that failed after its commit, and a run that was resumed


@dataclass(frozen=True)
class Forks:
    world: World
    database: Path
    failed: FlowRun
    resumed: FlowRun

    def edges(self, graph: "networkx.DiGraph[str]") -> set[tuple[str, str, str]]:
        """The edges, the commit of each table left out: each is there but once."""

        def short(node: str) -> str:
            names = {self.failed.pathspec: "FAILED", self.resumed.pathspec: "RESUMED"}
            for long, name in names.items():
                node = node.replace(long, name)
            return node.partition("@")[0].removeprefix("forks/") or node

        return {(short(a), data["kind"], short(b)) for a, b, data in graph.edges(data=True)}


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with world(tmp_path_factory.mktemp("forks")) as here:
        tables = ("in_x", "in_y")
        made = [f"create table {table} (id int primary key, v int)" for table in tables]
        rate = ["create table rate (v int primary key)", "insert into rate values (2)"]
        database = here.database("forks", *made, *(f"insert into {table} values (1, 5)" for table in tables), *rate)
        (here.folder / "fail").touch()
        failed = here.run("trace_fork.py", check=False)
        (here.folder / "fail").unlink()
        resumed = here.run("trace_fork.py", "--origin-run-id", failed.pathspec.split("/")[1], command="resume")
        yield Forks(here, database, failed, resumed)


@pytest.fixture
def in_forks(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> Forks:
    forks.world.visit(monkeypatch)
    return forks


INPUTS = {("forks", "write", table) for table in ("rate", "in_x", "in_y")}
FOREACH = INPUTS | {(table, "read", "FAILED") for table in ("rate", "in_x", "in_y")}
FOREACH |= {("FAILED", "write", table) for table in ("out_x", "out_y")}


def test_a_foreach_with_an_attempt_that_failed_after_its_commit(in_forks: Forks) -> None:
    result = trace(in_forks.failed.pathspec)
    assert in_forks.edges(result.graph) == FOREACH
    assert result.warnings == ()
    writes = [
        write
        for table in result.graph.successors(result.target)
        for write in result.graph.edges[result.target, table]["accesses"]
    ]
    assert sorted((write["tables"], write["attempt"]) for write in writes) == [(["out_x"], 0), (["out_y"], 1)]


def test_a_foreach_at_the_zoom_of_tasks(in_forks: Forks) -> None:
    edges = in_forks.edges(trace(in_forks.failed.pathspec, zoom="task").graph)
    branches = {"x": "2", "y": "3"}
    assert edges == INPUTS | {("rate", "read", "FAILED/start/1")} | {
        edge
        for name, task in branches.items()
        for edge in (
            (f"in_{name}", "read", f"FAILED/work/{task}"),
            (f"FAILED/work/{task}", "write", f"out_{name}"),
            ("FAILED/start/1", "next", f"FAILED/work/{task}"),
            (f"FAILED/work/{task}", "next", "FAILED/join/4"),
        )
    }


RESUMED = FOREACH | {(table, "read", "RESUMED") for table in ("rate", "in_x", "in_y", "out_x", "out_y")}
RESUMED |= {("RESUMED", "write", "copy")}


def test_a_resumed_run_comes_from_what_the_tasks_had_read_that_it_did_not_repeat(in_forks: Forks) -> None:
    result = trace("copy")
    assert in_forks.edges(result.graph) == RESUMED
    assert result.warnings == ()


def test_a_resumed_run_is_not_said_to_have_written_what_it_only_took_over(in_forks: Forks) -> None:
    result = trace(in_forks.resumed.pathspec)
    assert in_forks.edges(result.graph) == RESUMED | {("RESUMED", "write", "total")}
    shown = show(in_forks.resumed.pathspec)
    assert [(item.access.kind, item.version.table) for item in shown.resolved if item.access.kind == "write"] == [
        ("write", "total"),
        ("write", "copy"),
    ]


def test_a_resumed_run_at_the_zoom_of_steps(in_forks: Forks) -> None:
    edges = in_forks.edges(trace("copy", zoom="step").graph)
    assert {edge for edge in edges if "FAILED" not in edge[0] + edge[2] and edge not in INPUTS} == {
        ("rate", "read", "RESUMED/start"),
        ("in_x", "read", "RESUMED/work"),
        ("in_y", "read", "RESUMED/work"),
        ("out_x", "read", "RESUMED/join"),
        ("out_y", "read", "RESUMED/join"),
        ("RESUMED/start", "next", "RESUMED/work"),
        ("RESUMED/work", "next", "RESUMED/join"),
        ("RESUMED/join", "next", "RESUMED/end"),
        ("RESUMED/join", "write", "total"),
        ("total", "read", "RESUMED/end"),
        ("RESUMED/end", "write", "copy"),
    }


@pytest.mark.folder
def test_a_foreach_and_a_resumed_run_from_the_databases_alone(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(forks.database, tmp_path / "alone" / "forks")
    monkeypatch.chdir(tmp_path / "alone")
    result = trace("copy")
    assert forks.edges(result.graph) == RESUMED
    assert result.warnings == (NO_STORE.format(tmp_path / "alone"),)
    assert forks.edges(trace(forks.failed.pathspec).graph) == FOREACH


# The original integration's record


@dataclass(frozen=True)
class Original:
    world: World
    first: FlowRun
    second: FlowRun

    def edges(self, graph: "networkx.DiGraph[str]") -> set[tuple[str, str, str]]:
        def short(node: str) -> str:
            node = node.replace(self.first.pathspec, "FIRST").replace(self.second.pathspec, "SECOND")
            return node.partition("@")[0]

        return {(short(a), data["kind"], short(b)) for a, b, data in graph.edges(data=True)}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    with world(tmp_path_factory.mktemp("original")) as here:
        made = "create table prices (code varchar(9) primary key, price int)"
        here.database("prices", made, "insert into prices values ('a', 1)")
        here.database("analysis")
        first = here.run("trace_original.py", "--source", "prices", "--table", "prices", "--into", "medians")
        second = here.run("trace_original.py", "--source", "analysis", "--table", "medians", "--into", "variances")
        yield Original(here, first, second)


@pytest.fixture
def original(originals: Original, monkeypatch: pytest.MonkeyPatch) -> Original:
    monkeypatch.chdir(originals.world.folder)
    return originals


WRITTEN = {("FIRST", "write", "analysis/medians"), ("SECOND", "write", "analysis/variances")}


@pytest.mark.folder
def test_the_original_integrations_runs_are_traced_from_their_artifacts(original: Original) -> None:
    (message,) = sql(original.world.folder / "analysis", "select message from dolt_log('main') limit 1")
    assert message["message"] == f"Run: {original.second.pathspec}/start/1"
    result = trace("variances")
    assert original.edges(result.graph) == WRITTEN | {
        ("prices", "write", "prices/prices"),
        ("prices/prices", "read", "FIRST"),
        ("analysis/medians", "read", "SECOND"),
    }
    assert result.warnings == ()
    reads = next(data["accesses"] for a, _, data in result.graph.edges(data=True) if a.startswith("prices/"))
    assert [(read["key"], read["tables"]) for read in reads] == [("prices", ["prices"]), ("joined", ["prices"])]


@pytest.mark.folder
def test_with_neither_artifact_nor_trailers_the_commit_still_names_its_run(
    originals: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    for name in ("prices", "analysis"):
        shutil.copytree(originals.world.folder / name, alone / name)
    monkeypatch.chdir(alone)
    assert originals.edges(trace("variances").graph) == {("SECOND", "write", "analysis/variances")}
    listed = runs().runs
    assert [run.pathspec for run in listed] == [originals.second.pathspec, originals.first.pathspec]
    assert [[access.tables for access in run.accesses] for run in listed] == [[("variances",)], [("medians",)]]


# Artifacts that are none of doltflow's, or that say something else than the commits


def artifact_file(store: Path, task: str) -> Path:
    """The file that holds the artifact `dolt` of a task's first attempt."""
    data = json.loads((store / task / "0.data.json").read_text())
    key = data["objects"]["dolt"]
    return store / task.partition("/")[0] / "data" / key[:2] / key


def pickled(value: object) -> Callable[[bytes], bytes]:
    return lambda _: gzip.compress(pickle.dumps(value, protocol=4))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pickled("a ticket for the museum"), "The artifact `dolt` is a str, not a record of Dolt accesses."),
        (pickled({"actions": {}}), "KeyError: 'configs'."),
        (pickled({"configs": {}, "accesses": [{"kind": "read"}]}), "KeyError: 'tables'."),
        (lambda content: content[: len(content) // 2], "Compressed file ended before the end-of-stream marker"),
        (lambda _: b"", "cannot be read: "),
        (
            lambda _: gzip.compress(b"cno_such_module\nThing\n."),
            "is not read: it holds `no_such_module.Thing`, and no plain data alone",
        ),
    ],
)
def test_an_artifact_that_is_no_record_is_named_and_the_commit_tells_the_rest(
    copied: Pipeline, change: Callable[[bytes], bytes], said: str
) -> None:
    run = copied.runs["medians"].pathspec
    file = artifact_file(copied.world.folder / ".metaflow", f"{run}/end/3")
    file.write_bytes(change(file.read_bytes()))
    result = trace("medians")
    assert copied.edges(result.graph) == MEDIANS
    (warning,) = result.warnings
    assert warning.startswith(f"{run}/end/3: ")
    assert said in warning
    assert [text for text in runs().warnings if "read" in text or "is a str" in text] == [warning]
    assert show(run).warnings == (warning,)


@dataclass(frozen=True)
class Foreign:
    database: Path
    inputs: str
    other: str
    run: FlowRun


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Foreign]:
    (tmp_path / "foreign").mkdir()
    with world(tmp_path / "foreign") as here:
        tables = ("shown", "hidden", "moved", "invented")
        database = here.database("foreign", *(f"create table {table} (id int primary key)" for table in tables))
        inputs = head(database)
        other = by_hand(database, "Run: Other/1/start/2", "create table other (id int primary key)")
        here.visit(monkeypatch)
        yield Foreign(database, inputs, other, here.run("trace_foreign.py", "--inputs", inputs, "--other", other))


def test_everything_that_the_two_records_say_differently_is_named(foreign: Foreign) -> None:
    run, commit = foreign.run.pathspec, head(foreign.database)
    task, this = f"{run}/start/1", f"the commit {commit} of `foreign`"
    assert set(trace(run).warnings) == {
        f"{run} read `hidden` of `foreign` at {foreign.other}, says {this}; no artifact says so.",
        f"{run} read `moved` of `foreign` at {foreign.other}, says {this}; no artifact says so.",
        f"{task} wrote `out_hidden`, says {this}; no artifact says so.",
        f"{task} wrote `invented`, says its artifact; {this} does not say so.",
        f"{run} read `invented` of `foreign` at {foreign.other}, says its artifact; {this} does not say so.",
        f"{run} read `moved` of `foreign` at {'0' * 32}, says its artifact; {this} does not say so.",
        f"{task} says that it made the commit {foreign.other} of `foreign`, which is of Other/1/start/2.",
        f"{task} says that it made the commit {foreign.inputs} of `foreign`, which is “setup” by Ann.",
        f"{task} names the commit {'0' * 32}, which `foreign` does not have.",
    }
    assert set(show(run).warnings) == set(trace(run).warnings)


@pytest.mark.folder
def test_a_commit_that_is_gone_is_named(copied: Pipeline) -> None:
    gone = head(copied.analysis)
    for branch in ("one_side", "both", "side"):
        dolt(copied.analysis, "branch", "-D", branch)
    dolt(copied.analysis, "reset", "--hard", "HEAD~1")
    dolt(copied.analysis, "gc")
    run = copied.runs["variances"].pathspec
    result = trace(run)
    assert result.warnings == (
        f"{run}/start/1 names the commit {gone}, which `analysis` does not have.",
        f"{run}/end/2 names the commit {gone}, which `analysis` does not have.",
    )
    assert copied.edges(result.graph) == WHOLE


@pytest.mark.folder
def test_a_commit_of_a_branch_that_was_deleted_is_no_contradiction(copied: Pipeline) -> None:
    for branch in ("one_side", "both", "side"):
        dolt(copied.analysis, "branch", "-D", branch)
    result = trace(copied.runs["side"].pathspec)
    assert result.warnings == ()
    assert ("SIDE", "write", "analysis/medians@side") in copied.edges(result.graph)


@pytest.mark.folder
def test_a_trailer_that_cannot_be_read_is_named(copied: Pipeline) -> None:
    run = copied.runs["variances"].pathspec
    message = f"Run: {run}/start/1\n\nDoltflow-Version: 1\nDoltflow-Read: {{half"
    dolt(copied.analysis, "commit", "--allow-empty", "-m", message)
    warnings = trace(run).warnings
    assert warnings == (
        f"The commit {head(copied.analysis)} of `analysis` has a trailer that cannot be read: Doltflow-Read: {{half",
    )


def test_a_task_that_was_killed_before_its_artifact_was_stored_contradicts_nothing(copied: Pipeline) -> None:
    run = copied.runs["variances"].pathspec
    for file in (copied.world.folder / ".metaflow" / run / "start" / "1").glob("0.DONE.lock"):
        file.unlink()
    shutil.rmtree(copied.world.folder / ".metaflow" / run / "end")
    result = trace("variances")
    assert copied.edges(result.graph) == WHOLE
    assert result.warnings == ()


# What runs there are, and one of them


@pytest.mark.folder
def test_the_runs_newest_first(pipeline: Pipeline) -> None:
    result = runs()
    assert result.warnings == ()
    assert [pipeline.short(run.pathspec) for run in result.runs] == ["SIDE", "FAILED", "VARIANCES", "AGAIN", "MEDIANS"]
    assert [run.status for run in result.runs] == ["successful", "failed", "successful", "successful", "successful"]
    for run in result.runs:
        assert run.started is not None
        assert run.finished is not None
        assert timedelta(0) < run.finished - run.started < timedelta(minutes=5)
        assert run.started.tzinfo is UTC
        assert run.user == "tester"
    told = [(a.kind, a.database, a.tables, pipeline.short(a.commit or "")) for a in result.runs[2].accesses]
    assert told == [
        ("read", "analysis", ("medians",), "again"),
        ("write", "analysis", ("variances",), "variances"),
        ("read", "analysis", ("variances",), "variances"),
    ]


def test_the_runs_of_one_flow_and_only_so_many(pipeline: Pipeline) -> None:
    flow = runs(flow="TraceMedians").runs
    assert [pipeline.short(run.pathspec) for run in flow] == ["SIDE", "AGAIN", "MEDIANS"]
    assert runs(flow="TraceMedians", limit=2).runs == flow[:2]
    assert runs(limit=0).runs == ()


@pytest.mark.folder
def test_the_runs_from_the_databases_alone(copied: Pipeline) -> None:
    before = {run.pathspec: run for run in runs().runs}
    shutil.rmtree(copied.world.folder / ".metaflow")
    result = runs()
    assert result.warnings == (NO_STORE.format(copied.world.folder),)
    assert [copied.short(run.pathspec) for run in result.runs] == ["SIDE", "VARIANCES", "AGAIN", "MEDIANS"]
    for run in result.runs:
        told = {(a.kind, a.database, a.tables, a.commit) for a in run.accesses}
        known = {(a.kind, a.database, a.tables, a.commit) for a in before[run.pathspec].accesses}
        # That a run read its own table after its last commit is in no commit.
        assert known - told <= {("read", "analysis", ("variances",), head(copied.analysis))}
        assert told <= known
        assert (run.status, run.finished, run.parameters) == ("unknown", None, {})
    assert copied.short(trace("TraceVariances/latest").target) == "VARIANCES"


def test_what_a_run_did(pipeline: Pipeline) -> None:
    result = show(pipeline.runs["again"].pathspec)
    assert result.warnings == ()
    assert result.run.parameters == {"branch": "main", "secret": "hunter2"}
    assert [pipeline.short(commit.hash) for commit in result.commits] == ["again"]
    assert [
        (item.access.key, item.access.rows, item.version.table, pipeline.short(item.version.commit))
        for item in result.resolved
    ] == [
        ("prices", 2, "prices", "february"),
        ("states", 1, "hospitals", "january"),
        ("medians", 2, "medians", "medians"),
    ]
    tasks = {task.pathspec.rpartition("/")[0].rpartition("/")[2]: task for task in result.run.tasks}
    assert set(tasks) == {"start", "end"}
    assert Path(str(tasks["end"].script)).name == "trace_medians.py"
    assert tasks["end"].doltflow == doltflow.__version__


def test_what_a_step_or_a_task_did(pipeline: Pipeline) -> None:
    run = pipeline.runs["medians"].pathspec
    for name in (f"{run}/end", f"{run}/end/3"):
        result = show(name)
        assert [item.access.key for item in result.resolved] == ["medians"]
        assert [pipeline.short(commit.hash) for commit in result.commits] == ["medians"]
    assert [item.access.key for item in show(f"{run}/start").resolved] == ["prices", "states"]
    assert show(f"{run}/start").commits == ()
    assert show(f"{run}/think").resolved == ()


def test_the_latest_run_of_a_flow_whose_runs_failed(copied: Pipeline) -> None:
    shutil.rmtree(copied.world.folder / ".metaflow" / copied.runs["variances"].pathspec)
    with pytest.raises(RunNotFoundError, match="`TraceVariances` has no successful run that is no rerun"):
        trace("TraceVariances/latest")


# How runs end


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, dict[str, str]]]:
    """Runs that ended in different ways, and what each printed."""
    with world(tmp_path_factory.mktemp("states")) as here:
        database = here.database("states")
        processes = {how: here.start("trace_states.py", "--how", how) for how in ("killed", "alone", "asking", "late")}
        printed = {how: process.communicate()[0] for how, process in processes.items()}
        wait_for(lambda: not is_served(database), "the end of the server whose last user was killed")
        yield here, printed


def run_that(how: str) -> Run:
    (run,) = [run for run in runs().runs if run.parameters["how"] == how]
    return run


@pytest.mark.folder
@pytest.mark.parametrize(
    ("how", "status", "has_end"),
    [
        ("killed", "failed", False),
        ("alone", "unknown", False),
        ("asking", "successful", True),
        ("late", "failed", True),
    ],
)
def test_how_a_run_ended(
    states: tuple[World, dict[str, str]], monkeypatch: pytest.MonkeyPatch, how: str, status: str, has_end: bool
) -> None:
    here, printed = states
    monkeypatch.chdir(here.folder)
    monkeypatch.setattr(store, "QUIET", timedelta(0))
    run = run_that(how)
    assert (run.status, run.finished is not None) == (status, has_end), printed[how]
    assert [access.tables for access in run.accesses] == [(f"by_{how}",)]


def test_a_run_that_runs_is_told_apart(states: tuple[World, dict[str, str]]) -> None:
    _, printed = states
    assert "status: running" in printed["asking"]


def test_a_run_between_two_attempts_of_a_task_has_not_failed(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(forks.world.folder, tmp_path / "between")
    monkeypatch.chdir(tmp_path / "between")
    run = tmp_path / "between" / ".metaflow" / forks.failed.pathspec
    shutil.rmtree(run / "join")
    for file in (run / "work" / "3").glob("1.*"):
        file.unlink()
    (found,) = [found for found in runs().runs if found.pathspec == forks.failed.pathspec]
    assert found.status in ("running", "unknown")
    assert found.finished is None


def test_a_run_of_which_nothing_was_heard_for_a_moment_counts_as_running(
    states: tuple[World, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = states
    here.visit(monkeypatch)
    monkeypatch.setattr(store, "QUIET", timedelta(days=1))
    assert run_that("alone").status == "running"


# What was asked for is not there


def test_a_table_that_is_not_there(pipeline: Pipeline) -> None:
    with pytest.raises(TableNotFoundError, match=r"None of the databases `analysis`, `prices` has a table `varances`"):
        trace("varances")
    with pytest.raises(TableNotFoundError) as caught:
        trace("varances")
    assert caught.value.hint.startswith("Did you mean `variances`")
    with pytest.raises(TableNotFoundError, match=r"The database `prices` has no table `variances` on its default"):
        trace("variances", database="prices")
    with pytest.raises(TableNotFoundError, match=r"has no table `variances` at `HEAD~1`.*Did you mean"):
        trace("variances", at="HEAD~1", database="analysis")


def test_a_table_that_only_another_branch_has(pipeline: Pipeline) -> None:
    with pytest.raises(TableNotFoundError) as caught:
        trace("remarks")
    assert caught.value.hint.endswith("The branch `one_side` of `analysis` has it: `--at one_side`.")


@pytest.mark.parametrize("ref", ["nonsense", "HEAD~99", "0123456789abcdefghijklmnopqrstuv", "", "-h", "a b'c`d;"])
def test_a_ref_that_is_not_there(pipeline: Pipeline, ref: str) -> None:
    with pytest.raises(RefNotFoundError, match="has no branch, tag or commit"):
        trace("variances", at=ref)


def test_the_nearest_ref_is_named(pipeline: Pipeline) -> None:
    with pytest.raises(RefNotFoundError) as caught:
        trace("medians", at="onesided", database="analysis")
    assert caught.value.hint.startswith("Did you mean `one_side`")


@pytest.mark.parametrize("ask", [trace, show])
def test_a_run_that_is_not_there(pipeline: Pipeline, ask: Callable[[str], Any]) -> None:
    run = pipeline.runs["medians"].pathspec
    flow, number = run.split("/")
    with pytest.raises(RunNotFoundError, match=r"There is no flow `TraceMedian`.*`TraceMedians`"):
        ask("TraceMedian/1")
    with pytest.raises(RunNotFoundError, match=f"The flow `{flow}` has no run `{number}0`.*{number}"):
        ask(f"{flow}/{number}0")
    with pytest.raises(RunNotFoundError, match="There is no run `1`"):
        ask("1")
    with pytest.raises(RunNotFoundError, match=f"The run `{run}` has no step `ende`. Did you mean `end`"):
        ask(f"{run}/ende")
    with pytest.raises(RunNotFoundError, match=f"The step `{run}/end` has no task `9`. There is `3`"):
        ask(f"{run}/end/9")


def test_a_run_that_is_not_there_from_the_databases_alone(copied: Pipeline) -> None:
    shutil.rmtree(copied.world.folder / ".metaflow")
    run = copied.runs["medians"].pathspec
    with pytest.raises(RunNotFoundError, match="There is no run `TraceMedians/1`"):
        trace("TraceMedians/1")
    with pytest.raises(RunNotFoundError, match=f"No commit here is of `{run}/start`. Did you mean `{run}/end/3`"):
        show(f"{run}/start")


def test_a_flow_that_is_not_there(pipeline: Pipeline) -> None:
    with pytest.raises(RunNotFoundError, match=r"There is no flow `Medians`\. Did you mean `TraceMedians`"):
        runs(flow="Medians")


@pytest.mark.folder
def test_a_run_id_that_two_flows_have(copied: Pipeline) -> None:
    flow, number = copied.runs["medians"].pathspec.split("/")
    dolt(copied.analysis, "commit", "--allow-empty", "-m", f"Run: Other/{number}/start/1")
    assert copied.short(trace(number).target) == "MEDIANS"
    shutil.rmtree(copied.world.folder / ".metaflow")
    with pytest.raises(AmbiguousRunError, match=f"Several flows have a run `{number}`"):
        trace(number)
    assert copied.edges(trace(f"{flow}/{number}").graph) == MEDIANS


@pytest.mark.folder
def test_a_run_that_touched_no_table(copied: Pipeline) -> None:
    dolt(copied.analysis, "commit", "--allow-empty", "-m", "Run: Other/1/start/1")
    with pytest.raises(RunNotFoundError, match="`Other/1` has neither read nor written a table"):
        trace("Other/1")
    assert "Other/1" not in [run.pathspec for run in runs().runs]
    with pytest.raises(RunNotFoundError, match="There is no flow `Others`"):
        trace("Others/1")


@pytest.mark.folder
def test_a_database_that_is_not_here(copied: Pipeline) -> None:
    expected = trace("variances")
    elsewhere = copied.world.folder / "elsewhere"
    elsewhere.mkdir()
    copied.prices.rename(elsewhere / "prices")
    # The runs noted where it was when they ran, and there it still is.
    assert copied.edges(trace("variances").graph) == copied.edges(expected.graph)
    with pytest.raises(DatabaseNotFoundError, match="There is no database `price`"):
        trace("variances", database="price")


@pytest.mark.folder
def test_a_database_that_is_nowhere(copied: Pipeline, built: Pipeline) -> None:
    away = built.world.folder.parent / "away"
    built.prices.rename(away)
    try:
        shutil.rmtree(copied.prices)
        result = trace("variances")
    finally:
        away.rename(built.prices)
    run = copied.runs["medians"].pathspec
    assert result.warnings == (f"The database `prices`, which {run}/start/1 names, is not here.",)
    assert copied.edges(result.graph) == WHOLE - SOURCES - {
        ("prices/prices@february", "read", "MEDIANS"),
        ("prices/hospitals@january", "read", "MEDIANS"),
    } | {("prices/prices@february", "read", "MEDIANS"), ("prices/hospitals@february", "read", "MEDIANS")}


@pytest.mark.folder
def test_a_database_whose_folder_was_renamed(copied: Pipeline) -> None:
    copied.prices.rename(copied.world.folder / "costs")
    result = trace("variances")
    assert result.warnings == ()
    renamed = {tuple(part.replace("prices", "costs", 1) for part in edge) for edge in WHOLE}
    assert copied.edges(result.graph) == renamed


@pytest.mark.parametrize(("depth", "zoom"), [(-1, "run"), (None, "flow")])
def test_a_depth_or_a_zoom_that_makes_no_sense(pipeline: Pipeline, depth: int | None, zoom: Any) -> None:
    with pytest.raises(UsageError):
        trace("variances", depth=depth, zoom=zoom)
    with pytest.raises(UsageError):
        trace_table("variances", depth=depth, zoom=zoom)


def test_a_table_is_meant_before_a_run(pipeline: Pipeline) -> None:
    with pytest.raises(TableNotFoundError, match="has a table `TraceMedians/latest`"):
        trace_table("TraceMedians/latest")
    with pytest.raises(TableNotFoundError):
        trace("TraceMedians/latest", at="main")


# Nothing is changed by asking


@pytest.mark.folder
def test_asking_changes_nothing(copied: Pipeline) -> None:
    check_out(copied.prices, "elsewhere", "main")
    for statement in ("update prices set price = 7", "create table fresh (id int primary key)"):
        dolt(copied.prices, "sql", "-q", statement)
    dolt(copied.prices, "add", "prices")
    dolt(copied.prices, "sql", "-q", "update prices set price = 8 where code = 'a'")
    shutil.rmtree(copied.world.folder / ".metaflow")
    files = {path: path.stat().st_mtime_ns for path in copied.world.folder.rglob("*") if ".dolt" not in path.parts}
    before = [footprint(database) for database in (copied.prices, copied.analysis)]
    trace("variances")
    runs()
    show(copied.runs["medians"].pathspec)
    assert not is_served(copied.prices)
    assert not is_served(copied.analysis)
    assert [footprint(database) for database in (copied.prices, copied.analysis)] == before
    after = {path: path.stat().st_mtime_ns for path in copied.world.folder.rglob("*") if ".dolt" not in path.parts}
    assert after == files


def test_asking_leaves_metaflows_own_settings_as_they_are(pipeline: Pipeline) -> None:
    code = (
        "import metaflow\nfrom doltflow.runs import runs\n"
        "metaflow.namespace('user:somebody')\n"
        "assert len(runs().runs) == 5\n"
        "print(metaflow.get_namespace())\n"
        "from metaflow.plugins.datastores.local_storage import LocalStorage\n"
        "print(LocalStorage.datastore_root)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["user:somebody", "None"], done.stderr


def test_threads_that_ask_the_store_at_the_same_time_see_every_users_runs(pipeline: Pipeline) -> None:
    code = (
        "import metaflow\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from doltflow.sources.metaflow.store import Store\n"
        "metaflow.namespace('user:somebody')\n"
        "store = Store()\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(*set(pool.map(lambda _: len(store.started()), range(80))))\n"
        "print(metaflow.get_namespace())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["5", "user:somebody"], done.stderr
