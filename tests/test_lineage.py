"""The graph that is built from facts: whole graphs of small histories, and what holds for every history."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doltflow.lineage import ZOOMS, Facts, Resolved, Zoom, build, order, upstream
from doltflow.model.access import Access
from doltflow.model.commit import Commit, RunCommit
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.model.table import TableVersion

START = datetime(2024, 3, 1, tzinfo=UTC)


def version(table: str, commit: str, database: str = "d") -> TableVersion:
    return TableVersion(database, table, commit)


def commit(hash_: str, task: str | None = None, database: str = "d", parents: Iterable[str] = ()) -> Commit:
    pathspec = Pathspec.parse(task) if task is not None else None
    run = RunCommit(pathspec, version=1) if pathspec is not None else None
    author, message = ("Bob", f"Run: {task}") if run is not None else ("Ann", f"by hand {hash_}")
    return Commit(database, hash_, tuple(parents), author, f"{author}@example.com", START, message, run)


def facts(resolved: Iterable[Resolved], commits: Iterable[Commit], **more: Any) -> Facts:
    return Facts(list(resolved), {(c.database, c.hash): c for c in commits}, **more)


def did(
    kind: Literal["read", "write"], task: str, what: TableVersion, at: str | None = None, moment: float = 0.0
) -> Resolved:
    """An access by a task, at the commit that changed the table or at a later one."""
    seen = at or what.commit
    access = Access(kind, what.table, what.database, "main", seen, (what.table,), task, timestamp=moment)
    return Resolved(access, what)


def shape(graph: "networkx.DiGraph[str]") -> dict[tuple[str, str], str]:
    return {(source, target): data["kind"] for source, target, data in graph.edges(data=True)}


def keys(accesses: Iterable[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(access["pathspec"], access["tables"][0], access["commit"]) for access in accesses]


MEDIANS, VARIANCES = "Medians/1", "Variances/2"
PIPELINE = facts(
    [
        did("read", f"{MEDIANS}/start/1", version("prices", "p1"), at="p3"),
        did("read", f"{MEDIANS}/start/1", version("hospitals", "p3"), at="p3"),
        did("write", f"{MEDIANS}/end/3", version("medians", "a1", "a")),
        did("read", f"{VARIANCES}/start/1", version("medians", "a1", "a")),
        did("read", f"{VARIANCES}/start/1", version("medians", "a1", "a"), at="a2"),
        did("write", f"{VARIANCES}/start/1", version("variances", "a3", "a")),
    ],
    [
        commit("p1"),
        commit("p3"),
        commit("a1", f"{MEDIANS}/end/3", "a"),
        commit("a3", f"{VARIANCES}/start/1", "a"),
    ],
    runs={MEDIANS: Run("Medians", "1", "successful", START, START + timedelta(seconds=5), "tester")},
    steps=[
        (f"{MEDIANS}/start/1", f"{MEDIANS}/middle/2"),
        (f"{MEDIANS}/middle/2", f"{MEDIANS}/end/3"),
        (f"{VARIANCES}/start/1", f"{VARIANCES}/end/2"),
    ],
)
SOURCES = {
    ("d@p1", "d/prices@p1"): "write",
    ("d@p3", "d/hospitals@p3"): "write",
}


def test_a_pipeline_at_the_zoom_of_runs():
    graph = build(PIPELINE)
    assert shape(graph) == SOURCES | {
        ("d/prices@p1", MEDIANS): "read",
        ("d/hospitals@p3", MEDIANS): "read",
        (MEDIANS, "a/medians@a1"): "write",
        ("a/medians@a1", VARIANCES): "read",
        (VARIANCES, "a/variances@a3"): "write",
    }
    by_hand = {"author": "Ann", "date": START.isoformat()}
    assert dict(graph.nodes(data=True)) == {
        "d/prices@p1": {"kind": "table", "database": "d", "table": "prices", "commit": "p1", "message": "by hand p1"}
        | by_hand,
        "d@p1": {"kind": "commit", "database": "d", "commit": "p1", "message": "by hand p1"} | by_hand,
        "d/hospitals@p3": {
            "kind": "table",
            "database": "d",
            "table": "hospitals",
            "commit": "p3",
            "message": "by hand p3",
        }
        | by_hand,
        "d@p3": {"kind": "commit", "database": "d", "commit": "p3", "message": "by hand p3"} | by_hand,
        "a/medians@a1": {
            "kind": "table",
            "database": "a",
            "table": "medians",
            "commit": "a1",
            "author": "Bob",
            "date": START.isoformat(),
            "message": "Run: Medians/1/end/3",
        },
        "a/variances@a3": {
            "kind": "table",
            "database": "a",
            "table": "variances",
            "commit": "a3",
            "author": "Bob",
            "date": START.isoformat(),
            "message": "Run: Variances/2/start/1",
        },
        MEDIANS: {
            "kind": "run",
            "pathspec": MEDIANS,
            "flow": "Medians",
            "run_id": "1",
            "status": "successful",
            "started": "2024-03-01T00:00:00+00:00",
            "finished": "2024-03-01T00:00:05+00:00",
            "user": "tester",
        },
        VARIANCES: {"kind": "run", "pathspec": VARIANCES, "flow": "Variances", "run_id": "2"},
    }


def test_an_edge_lists_every_access_that_it_stands_for():
    graph = build(PIPELINE)
    assert graph.edges["a/medians@a1", VARIANCES]["accesses"] == [
        {
            "kind": "read",
            "key": "medians",
            "database": "a",
            "branch": "main",
            "commit": seen,
            "tables": ["medians"],
            "pathspec": f"{VARIANCES}/start/1",
            "attempt": 0,
            "timestamp": 0.0,
        }
        for seen in ("a1", "a2")
    ]
    assert graph.edges["d@p1", "d/prices@p1"]["accesses"] == []


def test_a_pipeline_at_the_zoom_of_steps():
    graph = build(PIPELINE, zoom="step")
    assert shape(graph) == SOURCES | {
        ("d/prices@p1", f"{MEDIANS}/start"): "read",
        ("d/hospitals@p3", f"{MEDIANS}/start"): "read",
        (f"{MEDIANS}/start", f"{MEDIANS}/middle"): "next",
        (f"{MEDIANS}/middle", f"{MEDIANS}/end"): "next",
        (f"{MEDIANS}/end", "a/medians@a1"): "write",
        ("a/medians@a1", f"{VARIANCES}/start"): "read",
        (f"{VARIANCES}/start", "a/variances@a3"): "write",
        (f"{VARIANCES}/start", f"{VARIANCES}/end"): "next",
    }
    assert graph.nodes[f"{MEDIANS}/middle"] == {
        "kind": "step",
        "pathspec": f"{MEDIANS}/middle",
        "flow": "Medians",
        "run_id": "1",
        "status": "successful",
        "started": "2024-03-01T00:00:00+00:00",
        "finished": "2024-03-01T00:00:05+00:00",
        "user": "tester",
    }


def test_what_a_first_step_read_leads_to_what_the_last_one_wrote():
    graph = upstream(build(PIPELINE, zoom="step"), "a/medians@a1")
    assert {"d/prices@p1", "d/hospitals@p3"} <= set(graph)
    assert f"{VARIANCES}/start" not in graph


def test_a_pipeline_at_the_zoom_of_tasks():
    graph = build(PIPELINE, zoom="task")
    assert shape(graph) == SOURCES | {
        ("d/prices@p1", f"{MEDIANS}/start/1"): "read",
        ("d/hospitals@p3", f"{MEDIANS}/start/1"): "read",
        (f"{MEDIANS}/start/1", f"{MEDIANS}/middle/2"): "next",
        (f"{MEDIANS}/middle/2", f"{MEDIANS}/end/3"): "next",
        (f"{MEDIANS}/end/3", "a/medians@a1"): "write",
        ("a/medians@a1", f"{VARIANCES}/start/1"): "read",
        (f"{VARIANCES}/start/1", "a/variances@a3"): "write",
        (f"{VARIANCES}/start/1", f"{VARIANCES}/end/2"): "next",
    }


def test_what_a_run_wrote_and_read_back_is_an_attribute_where_one_node_did_both():
    made = version("t", "c1")
    history = facts([did("read", "F/1/end/2", made), did("write", "F/1/start/1", made)], [commit("c1", "F/1/start/1")])
    whole = build(history)
    assert shape(whole) == {("F/1", "d/t@c1"): "write"}
    assert keys(whole.nodes["F/1"]["own_reads"]) == [("F/1/end/2", "t", "c1")]
    steps = build(history, zoom="step")
    assert shape(steps) == {("F/1/start", "d/t@c1"): "write", ("d/t@c1", "F/1/end"): "read"}
    assert "own_reads" not in steps.nodes["F/1/end"]


def test_a_write_that_changed_nothing_is_an_attribute():
    history = facts(
        [did("write", "F/1/s/1", version("t", "c1")), did("write", "F/2/s/1", version("t", "c1"), at="c2")],
        [commit("c1", "F/1/s/1")],
    )
    graph = build(history)
    assert shape(graph) == {("F/1", "d/t@c1"): "write"}
    assert keys(graph.nodes["F/2"]["unchanged"]) == [("F/2/s/1", "t", "c2")]
    assert "unchanged" not in graph.nodes["F/1"]


def test_the_commit_alone_says_which_run_made_a_version():
    graph = build(facts([], [commit("c1", "F/1/s/1")]), [version("t", "c1")])
    assert shape(graph) == {("F/1", "d/t@c1"): "write"}
    assert graph.edges["F/1", "d/t@c1"]["accesses"] == []


def test_a_version_of_a_database_that_is_not_here_was_made_by_who_says_so():
    made = version("t", "gone", "elsewhere")
    unchanged = did("write", "G/1/s/1", made)
    unchanged = replace(unchanged, access=replace(unchanged.access, changed=False))
    graph = build(facts([did("read", "F/1/end/2", made), did("write", "F/1/s/1", made), unchanged], []))
    assert shape(graph) == {("F/1", "elsewhere/t@gone"): "write"}
    assert keys(graph.nodes["F/1"]["own_reads"]) == [("F/1/end/2", "t", "gone")]
    assert keys(graph.nodes["G/1"]["unchanged"]) == [("G/1/s/1", "t", "gone")]
    assert graph.nodes["elsewhere/t@gone"] == {
        "kind": "table",
        "database": "elsewhere",
        "table": "t",
        "commit": "gone",
    }


def test_a_merge_leads_back_to_what_it_merged():
    merged, left, right, base = (version("t", c) for c in ("m", "l", "r", "b"))
    history = facts(
        [],
        [commit("m", parents=["l", "r"]), commit("l", "F/1/s/1"), commit("r", parents=["b", "x"]), commit("b")],
        merges={merged: [left, right], right: [base]},
    )
    assert shape(build(history, [merged])) == {
        ("d@m", "d/t@m"): "write",
        ("d/t@l", "d@m"): "read",
        ("d/t@r", "d@m"): "read",
        ("F/1", "d/t@l"): "write",
        ("d@r", "d/t@r"): "write",
        ("d/t@b", "d@r"): "read",
        ("d@b", "d/t@b"): "write",
    }


def test_a_history_of_thousands_of_merges():
    versions = [version("t", f"c{number}") for number in range(3_000)]
    history = facts(
        [],
        [commit(v.commit, parents=["x", "y"]) for v in versions],
        merges={later: [earlier] for earlier, later in pairwise(versions)},
    )
    assert len(upstream(build(history, versions[-1:]), versions[-1].id)) == 6_000


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("one", "other"), [("F/1", "G/2"), ("G/1", "F/2")])
def test_two_runs_that_read_what_the_other_wrote(one: str, other: str, backwards: bool):
    first, second = version("t", "c1"), version("u", "c2")
    resolved = [
        did("write", f"{one}/a/1", first, moment=1.0),
        did("read", f"{other}/a/1", first, moment=2.0),
        did("write", f"{other}/b/2", second, moment=3.0),
        did("read", f"{one}/b/2", second, moment=4.0),
    ]
    history = facts(
        resolved[::-1] if backwards else resolved, [commit("c1", f"{one}/a/1"), commit("c2", f"{other}/b/2")]
    )
    graph = build(history)
    assert shape(graph) == {(one, "d/t@c1"): "write", ("d/t@c1", other): "read", (other, "d/u@c2"): "write"}
    assert keys(graph.nodes[one]["own_reads"]) == [(f"{one}/b/2", "u", "c2")]
    assert shape(build(history, zoom="task")) == {
        (f"{one}/a/1", "d/t@c1"): "write",
        ("d/t@c1", f"{other}/a/1"): "read",
        (f"{other}/b/2", "d/u@c2"): "write",
        ("d/u@c2", f"{one}/b/2"): "read",
    }


def test_circles_of_reads_whose_moment_nobody_recorded_break_at_a_read():
    first, second = version("t", "c1"), version("u", "c2")
    resolved = [did("read", "z/2/a/1", first), did("read", "z/1/b/2", second)]
    resolved = [replace(item, access=replace(item.access, timestamp=None)) for item in resolved]
    graph = build(facts(resolved, [commit("c1", "z/1/a/1"), commit("c2", "z/2/b/2")]))
    kinds = list(shape(graph).values())
    assert (kinds.count("write"), kinds.count("read")) == (2, 1)


def test_a_read_that_counts_for_two_tasks_is_listed_once_where_both_are_one_node():
    item = did("read", "F/1/start/1", version("t", "c1"))
    history = facts([item, replace(item, task="F/1/end/2"), item], [commit("c1")])
    assert len(build(history).edges["d/t@c1", "F/1"]["accesses"]) == 1
    steps = build(history, zoom="step")
    assert shape(steps) == {
        ("d@c1", "d/t@c1"): "write",
        ("d/t@c1", "F/1/start"): "read",
        ("d/t@c1", "F/1/end"): "read",
    }
    assert keys(steps.edges["d/t@c1", "F/1/end"]["accesses"]) == [("F/1/start/1", "t", "c1")]


def test_a_flow_that_loops():
    tasks = [f"F/1/{task}" for task in ("a/1", "b/2", "a/3", "a/4", "b/5", "end/6")]
    steps = list(pairwise(tasks))
    history = facts([did("read", "F/1/a/1", version("t", "c1"))], [commit("c1")], steps=steps)
    assert set(steps) < set(shape(build(history, zoom="task")))
    looped = build(history, zoom="step")
    assert networkx.is_directed_acyclic_graph(looped)
    assert all("own_reads" not in data for _, data in looped.nodes(data=True))


@pytest.mark.parametrize(
    ("depth", "nodes"),
    [
        (0, {"a/variances@a3"}),
        (1, {"a/variances@a3", VARIANCES}),
        (2, {"a/variances@a3", VARIANCES, "a/medians@a1"}),
        (3, {"a/variances@a3", VARIANCES, "a/medians@a1", MEDIANS}),
        (4, {"a/variances@a3", VARIANCES, "a/medians@a1", MEDIANS, "d/prices@p1", "d/hospitals@p3"}),
        (99, set(build(PIPELINE))),
        (None, set(build(PIPELINE))),
    ],
)
def test_upstream_up_to_a_depth(depth: int | None, nodes: set[str]):
    graph = build(PIPELINE)
    part = upstream(graph, "a/variances@a3", depth)
    assert set(part) == nodes
    assert shape(part) == {ends: kind for ends, kind in shape(graph).items() if set(ends) <= nodes}


def test_upstream_of_a_source_is_the_source_and_who_made_it():
    assert set(upstream(build(PIPELINE), "d/prices@p1")) == {"d/prices@p1", "d@p1"}


# What holds for every history

TASKS = [f"{flow}/{run}/{step}/{task}" for flow, run in ("F1", "F2", "G3") for step, task in ("a1", "a2", "b3")]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["read", "write", "rewrite", "hand", "merge"]),
        st.sampled_from(TASKS),
        st.sampled_from(["t", "u", "v"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


def play(events: list[tuple[str, str, str, int]]) -> Facts:
    """A history in which tasks of all runs work at once: what happens, happens in this order."""
    resolved: list[Resolved] = []
    commits: list[Commit] = []
    merges: dict[TableVersion, list[TableVersion]] = {}
    past: dict[str, list[TableVersion]] = {name: [] for name in "tuv"}
    for moment, (what, task, table, back) in enumerate(events):
        known = past[table]
        if what == "read" and known:
            # A pin may be as old as one likes.
            resolved.append(did("read", task, known[-1 - min(back, len(known) - 1)], moment=float(moment)))
        elif what == "rewrite" and known:
            resolved.append(did("write", task, known[-1], at=f"c{moment}", moment=float(moment)))
        elif what in ("write", "hand", "merge"):
            made = version(table, f"c{moment}")
            commits.append(commit(made.commit, task if what == "write" else None))
            if what == "write":
                resolved.append(did("write", task, made, moment=float(moment)))
            elif what == "merge" and len(known) > 1:
                merges[made] = [known[-1], known[-1 - min(back + 1, len(known) - 1)]]
            known.append(made)
    steps = [
        (f"{run}/a/{number}", f"{run}/b/3")
        for run in sorted({"/".join(task.split("/")[:2]) for task in TASKS})
        for number in (1, 2)
    ]
    return facts(resolved, commits, merges=merges, steps=steps)


def node_of(task: str, zoom: Zoom) -> str:
    return "/".join(task.split("/")[: {"run": 2, "step": 3, "task": 4}[zoom]])


def listed(graph: "networkx.DiGraph[str]") -> list[tuple[str, str, str, float]]:
    """Every access in the graph: whose it is, which version it concerns, what it is listed as."""
    found = []
    for source, target, data in graph.edges(data=True):
        node, of = (target, source) if data["kind"] == "read" else (source, target)
        found += [(node, of, data["kind"], access["timestamp"]) for access in data.get("accesses", ())]
    for node, data in graph.nodes(data=True):
        for name in ("own_reads", "unchanged"):
            found += [(node, f"d/{a['tables'][0]}", name, a["timestamp"]) for a in data.get(name, ())]
    return sorted(found)


@pytest.mark.parametrize("zoom", ZOOMS)
@given(events=EVENTS)
def test_every_history_gives_a_graph_without_circles_that_json_keeps(zoom: Zoom, events: list[Any]):
    graph = build(play(events), zoom=zoom)
    assert networkx.is_directed_acyclic_graph(graph)
    assert sorted(order(graph)) == sorted(graph)
    text = json.dumps(networkx.node_link_data(graph, edges="edges"), allow_nan=False)
    again = networkx.node_link_graph(json.loads(text), edges="edges")
    assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
    assert again.adj == graph.adj


@pytest.mark.parametrize("zoom", ZOOMS)
@given(events=EVENTS)
def test_no_access_is_lost_or_told_twice(zoom: Zoom, events: list[Any]):
    history = play(events)
    graph = build(history, zoom=zoom)
    told = sorted((node, moment) for node, _, _, moment in listed(graph))
    done = sorted((node_of(item.access.pathspec, zoom), item.access.timestamp) for item in history.resolved)
    assert told == done


@pytest.mark.parametrize("zoom", ZOOMS)
@given(events=EVENTS)
def test_every_version_has_its_maker(zoom: Zoom, events: list[Any]):
    history = play(events)
    graph = build(history, zoom=zoom)
    for item in history.resolved:
        made = history.commit(item.version)
        assert made is not None
        maker = node_of(str(made.run.pathspec), zoom) if made.run else f"d@{made.hash}"
        assert list(graph.predecessors(item.version.id)) == [maker]


@pytest.mark.parametrize("zoom", ZOOMS)
@given(events=EVENTS)
def test_a_read_is_left_out_only_where_the_reader_had_led_to_what_it_read(zoom: Zoom, events: list[Any]):
    history = play(events)
    graph = build(history, zoom=zoom)
    before: networkx.DiGraph[str] = networkx.DiGraph()
    before.add_nodes_from(graph)
    before.add_edges_from(ends for ends, kind in shape(graph).items() if kind != "read" or "@" in ends[1])
    last = {
        (item.version.id, node_of(item.access.pathspec, zoom)): item.access.timestamp or 0.0
        for item in history.resolved
        if item.access.kind == "read"
    }
    for read, reader in sorted(last, key=lambda ends: last[ends]):
        if not graph.has_edge(read, reader):
            assert networkx.has_path(before, reader, read)
        before.add_edge(read, reader)


@pytest.mark.parametrize("zoom", ZOOMS)
@given(events=EVENTS, random=st.randoms(use_true_random=False))
def test_the_order_of_the_facts_does_not_matter(zoom: Zoom, events: list[Any], random: Any):
    history = play(events)
    resolved = list(history.resolved)
    random.shuffle(resolved)
    graph, shuffled = build(history, zoom=zoom), build(replace(history, resolved=resolved), zoom=zoom)
    assert shape(graph) == shape(shuffled)
    assert listed(graph) == listed(shuffled)
