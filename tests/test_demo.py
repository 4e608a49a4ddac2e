"""What a newcomer does: `doltflow demo`, then the commands that it names."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import networkx
import pytest

from tests.conftest import footprint, head, isolated, sql

pytestmark = pytest.mark.long

PRICES, ANALYSIS = "hospital-price-transparency", "hospital-price-analysis"
MEDIANS, VARIANCE = "HospitalPriceStateMedians", "HospitalProcedurePriceVarianceByState"


def doltflow(folder: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    """What doltflow prints on stdout and on stderr."""
    program = str(Path(sys.executable).with_name("doltflow"))
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def traced(folder: Path, *arguments: str) -> tuple["networkx.DiGraph[str]", str]:
    """The graph that `trace --output json` prints, and what it says on stderr."""
    out, err = doltflow(folder, "trace", *arguments, "--output", "json")
    envelope = json.loads(out)
    assert envelope["schema"] == "doltflow.trace/1"
    return networkx.node_link_graph(envelope["data"], edges="edges"), err


def shape(graph: "networkx.DiGraph[str]") -> tuple[set[Any], set[Any]]:
    """What both records must agree on: the tables with their commits, the runs, and who read and wrote what."""
    names = {
        node: (data["kind"], data.get("table"), data.get("flow"), data.get("run_id"), data.get("commit"))
        for node, data in graph.nodes(data=True)
    }
    return set(names.values()), {(names[a], names[b], data["kind"]) for a, b, data in graph.edges(data=True)}


def test_trace_leads_back_to_the_prices(demo_folder: Path) -> None:
    graph, _ = traced(demo_folder, "variance_by_procedure")
    prices, analysis = demo_folder / PRICES, demo_folder / ANALYSIS
    tables = {(d["database"], d["table"], d["commit"]) for _, d in graph.nodes(data=True) if d["kind"] == "table"}
    expected = {
        (PRICES, "prices", head(prices)),
        (ANALYSIS, "state_procedure_medians", head(analysis, "main~1")),
        (ANALYSIS, "variance_by_procedure", head(analysis)),
    }
    assert expected <= tables
    assert {table for _, table, _ in tables} == {
        "prices",
        "hospitals",
        "state_procedure_medians",
        "variance_by_procedure",
    }
    assert {d["flow"] for _, d in graph.nodes(data=True) if d["kind"] == "run"} == {MEDIANS, VARIANCE}
    sources = [d for node, d in graph.nodes(data=True) if graph.in_degree(node) == 0]
    assert {d["author"] for d in sources} == {"Price Loader"}
    assert all(d["message"].startswith("Updating") and d["date"].startswith("2021-") for d in sources)
    assert networkx.is_directed_acyclic_graph(graph)


def test_trace_from_the_commits_alone(demo_copy: Path) -> None:
    with_store, err = traced(demo_copy, "variance_by_procedure")
    assert err == ""
    (demo_copy / ".metaflow").rename(demo_copy.parent / "away")
    without, err = traced(demo_copy, "variance_by_procedure")
    assert "no Metaflow store" in err
    assert shape(without) == shape(with_store)
    assert not (demo_copy / ".metaflow").exists()
    out, err = doltflow(demo_copy, "runs", "--output", "json")
    assert [run["flow"] for run in json.loads(out)["data"]["runs"]] == [VARIANCE, MEDIANS]
    assert "no Metaflow store" in err


def test_trace_from_the_artifacts_alone(demo_copy: Path) -> None:
    with_trailers, _ = traced(demo_copy, "variance_by_procedure")
    commits = sql(demo_copy / ANALYSIS, "select message from dolt_log where message like 'Run: %' order by date")
    # The history again, with messages as the original integration wrote them.
    script = ["call dolt_branch('old', 'main~2')", f"use `{ANALYSIS}/old`"]
    for number, commit in enumerate(commits):
        at = f"main~{len(commits) - 1 - number}"
        subject = commit["message"].splitlines()[0]
        script += [f"call dolt_cherry_pick('{at}')", f"call dolt_commit('--amend', '-m', '{subject}')"]
    subprocess.run(
        ["dolt", "sql"], cwd=demo_copy / ANALYSIS, input=";\n".join(script), text=True, check=True, capture_output=True
    )
    graph, _ = traced(demo_copy, "variance_by_procedure", "--at", "old")
    flows = {d["flow"] for _, d in graph.nodes(data=True) if d["kind"] == "run"}
    assert flows == {VARIANCE, MEDIANS}
    assert {d["table"] for _, d in graph.nodes(data=True) if d["kind"] == "table"} == {
        d["table"] for _, d in with_trailers.nodes(data=True) if d["kind"] == "table"
    }


def test_runs_and_show(demo_folder: Path) -> None:
    out, err = doltflow(demo_folder, "runs", "--output", "json")
    runs = json.loads(out)["data"]["runs"]
    assert [(run["flow"], run["status"]) for run in runs] == [(VARIANCE, "successful"), (MEDIANS, "successful")]
    assert runs[1]["tables"] == ["hospitals", "prices", "state_procedure_medians"]
    assert err == ""
    for name in (runs[1]["pathspec"], f"{MEDIANS}/latest", runs[1]["run_id"]):
        out, _ = doltflow(demo_folder, "show", name, "--output", "json")
        data = json.loads(out)["data"]
        assert data["run"]["pathspec"] == runs[1]["pathspec"]
        assert data["run"]["parameters"]["hospital_price_db"] == PRICES
        assert {access["kind"] for access in data["accesses"]} == {"read", "write"}


def test_forms(demo_folder: Path) -> None:
    for form, begin in (("mermaid", "flowchart LR"), ("dot", "digraph"), ("text", "hospital-price-analysis/")):
        out, _ = doltflow(demo_folder, "trace", "variance_by_procedure", "--output", form)
        assert out.startswith(begin)
        for name in (VARIANCE, MEDIANS, "prices", "hospitals"):
            assert name in out


def test_asking_changes_nothing(demo_copy: Path) -> None:
    before = [footprint(demo_copy / name) for name in (PRICES, ANALYSIS)]
    for arguments in (("trace", "variance_by_procedure"), ("runs",), ("show", f"{VARIANCE}/latest")):
        doltflow(demo_copy, *arguments)
    assert [footprint(demo_copy / name) for name in (PRICES, ANALYSIS)] == before


def test_second_time_without_harm(demo_copy: Path) -> None:
    heads = [head(demo_copy / name) for name in (PRICES, ANALYSIS)]
    graph, _ = traced(demo_copy, "variance_by_procedure")
    doltflow(demo_copy.parent, "demo", demo_copy.name)
    assert head(demo_copy / PRICES) == heads[0]
    # The same figures are the same version of the table; that it ran again is on record.
    again, _ = traced(demo_copy, "variance_by_procedure")
    tables = [{node for node, d in g.nodes(data=True) if d["kind"] == "table"} for g in (graph, again)]
    assert tables[0] == tables[1]
    out, _ = doltflow(demo_copy, "runs", "--output", "json")
    assert len(json.loads(out)["data"]["runs"]) == 4


def test_without_dolt(demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    out, err = doltflow(demo_folder, "trace", "variance_by_procedure", code=3)
    assert out == ""
    assert len(err.strip().splitlines()) <= 2
    assert "no `dolt` program on PATH" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("trace", "variance_by_procedur"), "table-not-found", "variance_by_procedure"),
        (("trace", "prices", "--at", "mian"), "ref-not-found", "main"),
        (("trace", "prices", "--database", "hospital-price"), "database-not-found", "hospital-price-transparency"),
        (("trace", f"{MEDIANS}/1"), "run-not-found", MEDIANS),
        (("show", "HospitalPriceStateMedian/latest"), "run-not-found", MEDIANS),
    ],
)
def test_bad_input(demo_folder: Path, arguments: tuple[str, ...], code: str, words: str) -> None:
    out, err = doltflow(demo_folder, *arguments, code=3)
    assert out == ""
    assert words in " ".join(err.split())
    out, _ = doltflow(demo_folder, *arguments, "--output", "json", code=3)
    envelope = json.loads(out)
    assert envelope["schema"] == "doltflow.error/1"
    assert envelope["error"]["code"] == code
    assert words in envelope["error"]["message"] + envelope["error"]["hint"]


def test_founding_document(demo_folder: Path) -> None:
    """Every Python line of the lineage section of the article that started it."""
    script = f"""
from metaflow import Flow, Run
from doltflow import DoltDT, DoltConfig
downstream_doltdt = DoltDT(config=DoltConfig(database={str(demo_folder / ANALYSIS)!r}))
run = downstream_doltdt.get_run('variance_by_procedure')
print(run)
commit = Run('/'.join(run.split('/')[:2])).data.dolt['actions']['state_procedure_medians']['commit']
run = downstream_doltdt.get_run('state_procedure_medians', commit)
print(run)
upstream_doltdt = DoltDT(run=Run('/'.join(run.split('/')[:2])))
df = upstream_doltdt.read('prices')
print(len(df))
dolt = DoltDT(run=Flow({VARIANCE!r}).latest_successful_run)
print(list(dolt.read('variance_by_procedure').columns))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=demo_folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, rows, columns = done.stdout.splitlines()
    assert first.startswith(f"{VARIANCE}/")
    assert first.endswith("/start/1")
    assert second.startswith(f"{MEDIANS}/")
    assert int(rows) == sql(demo_folder / PRICES, "select count(*) as n from prices")[0]["n"]
    assert columns == "['code', 'price']"


def test_historical_run_path(demo_copy: Path) -> None:
    """A flow on the data of an earlier run, although the prices have changed since."""
    subprocess.run(
        ["dolt", "sql", "-q", "update prices set price = 2 * price; call dolt_commit('-am', 'doubled')"],
        cwd=demo_copy / PRICES,
        capture_output=True,
        check=True,
    )
    before = sql(demo_copy / ANALYSIS, "select dolt_hashof_table('state_procedure_medians') as h")
    environment = isolated(demo_copy.parent / "home") | {"PATH": os.environ["PATH"]}
    runs = json.loads(doltflow(demo_copy, "runs", "--flow", MEDIANS, "--output", "json")[0])["data"]["runs"]
    script = [sys.executable, "hospital_price_state_medians.py", "run"]
    for arguments, same in ((["--historical-run-path", runs[0]["pathspec"]], True), ([], False)):
        done = subprocess.run([*script, *arguments], cwd=demo_copy, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        after = sql(demo_copy / ANALYSIS, "select dolt_hashof_table('state_procedure_medians') as h")
        assert (after == before) == same
    assert shutil.which("dolt")
