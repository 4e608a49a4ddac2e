"""What results look like: whole outputs, from graphs and runs made by hand."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import networkx
import pytest

from doltflow.demo import DemoResult
from doltflow.lineage import Resolved
from doltflow.model import Access, Commit, Run, TableVersion, TaskRecord
from doltflow.render.answer import demo_answer, runs_answer, show_answer, trace_answer, trace_warnings
from doltflow.render.envelope import error_envelope
from doltflow.render.forms import node_link
from doltflow.render.plain import plain
from doltflow.render.terminal import error, warnings
from doltflow.render.text import duration, moment, safe, value
from doltflow.runs import RunsResult
from doltflow.show import ShowResult
from doltflow.trace import TraceResult

Graph = networkx.DiGraph
PRICES, ANALYSIS = "hospital-price-transparency", "hospital-price-analysis"
MEDIANS, VARIANCE = (
    "HospitalPriceStateMedians/1763821990123456",
    "HospitalProcedurePriceVarianceByState/1763822000654321",
)


@pytest.fixture(autouse=True)
def _kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kathmandu")  # 5:45 ahead of UTC
        time.tzset()
        yield
    time.tzset()


class Terminal(StringIO):
    """A terminal without colour."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    def of_width(width: int) -> Terminal:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("NO_COLOR", "1")
        return Terminal()

    return of_width


def commit(letter: str) -> str:
    return letter * 32


def add_table(graph: Graph, database: str, table: str, letter: str, **more: str) -> str:
    node = f"{database}/{table}@{commit(letter)}"
    graph.add_node(node, kind="table", database=database, table=table, commit=commit(letter), **more)
    return node


def add_by_hand(graph: Graph, database: str, table: str, letter: str, message: str, author: str = "Jane Doe") -> str:
    signed = {"author": author, "date": "2021-03-01T10:00:00+00:00", "message": message}
    node = add_table(graph, database, table, letter, **signed)
    maker = f"{database}@{commit(letter)}"
    graph.add_node(maker, kind="commit", database=database, commit=commit(letter), **signed)
    graph.add_edge(maker, node, kind="write", accesses=[])
    return node


def add_run(graph: Graph, pathspec: str, kind: str = "run", **more: Any) -> str:
    flow, run_id, *_ = pathspec.split("/")
    graph.add_node(pathspec, kind=kind, pathspec=pathspec, flow=flow, run_id=run_id, **more)
    return pathspec


def add_read(graph: Graph, table: str, run: str, rows: int | None, columns: list[str] | None = None) -> None:
    name = graph.nodes[table]["table"]
    access = {"kind": "read", "tables": [name], "rows": rows, "columns": {name: columns}}
    graph.add_edge(table, run, kind="read", accesses=[access])


def add_write(graph: Graph, run: str, table: str, rows: int | None, mode: str = "replace") -> None:
    name = graph.nodes[table]["table"]
    graph.add_edge(run, table, kind="write", accesses=[{"kind": "write", "tables": [name], "rows": rows, "mode": mode}])


def hospitals() -> TraceResult:
    graph: Graph = networkx.DiGraph()
    ran = {"status": "successful", "user": "alice"}
    variance = add_table(graph, ANALYSIS, "variance_by_procedure", "3")
    second = add_run(
        graph, VARIANCE, **ran, started="2025-11-22T14:31:00+00:00", finished="2025-11-22T14:31:02.100000+00:00",
        rerun_of={"pathspec": "HospitalProcedurePriceVarianceByState/1763821999000000", "kind": "replay"},
        own_reads=[{"kind": "read", "database": ANALYSIS, "tables": ["scratch"]}],
    )  # fmt: skip
    medians = add_table(graph, ANALYSIS, "state_procedure_medians", "4")
    first = add_run(
        graph, MEDIANS, **ran, started="2025-11-22T14:29:00+00:00", finished="2025-11-22T14:30:05+00:00",
        unchanged=[{"kind": "write", "database": ANALYSIS, "tables": ["states"], "rows": 51}],
    )  # fmt: skip
    prices = add_by_hand(graph, PRICES, "prices", "5", "March update\n\nWith new hospitals.")
    places = add_by_hand(graph, PRICES, "hospitals", "6", "February update")
    add_write(graph, second, variance, 1234)
    add_read(graph, medians, second, 12345)
    add_write(graph, first, medians, 12345)
    add_read(graph, prices, first, 30123, ["price", "npi_number", "code"])
    add_read(graph, places, first, 36, ["npi_number", "state"])
    parameters = {"hospital_price_db": PRICES, "hospital_price_db_branch": "main", "historical_run_path": None}
    runs = {
        MEDIANS: Run(*MEDIANS.split("/"), parameters=parameters),
        VARIANCE: Run(*VARIANCE.split("/"), parameters={"states": ["AL", "AZ"], "note": "a long text " * 10}),
    }
    return TraceResult(graph, variance, "run", runs, ("The store is old.",))


def text(result: TraceResult, stream: Terminal | None = None) -> str:
    return "".join(trace_answer(result, "text", stream))


PLAIN_TREE = """\
hospital-price-analysis/variance_by_procedure @ 33333333
└── HospitalProcedurePriceVarianceByState/1763822000654321
      wrote 1,234 rows · 2025-11-22 20:16 · successful · 2.1 s · by alice
      replay of HospitalProcedurePriceVarianceByState/1763821999000000
      states=["AL", "AZ"]  note="a long text a long text a long text a …
      read back: hospital-price-analysis/scratch
    └── hospital-price-analysis/state_procedure_medians @ 44444444
          read 12,345 rows
        └── HospitalPriceStateMedians/1763821990123456
              wrote 12,345 rows · 2025-11-22 20:14 · successful · 1 min 5 s · by alice
              hospital_price_db=hospital-price-transparency  hospital_price_db_branch=main
              left unchanged: hospital-price-analysis/states (the same 51 rows)
            ├── hospital-price-transparency/hospitals @ 66666666
            │     read 36 rows · columns npi_number, state
            │     by hand: Jane Doe, 2021-03-01 15:45, “February update”
            └── hospital-price-transparency/prices @ 55555555
                  read 30,123 rows · columns code, npi_number, price
                  by hand: Jane Doe, 2021-03-01 15:45, “March update”
"""

NARROW_TREE = """\
hospital-price-analysis/variance_by_proc
edure @ 33333333
└── HospitalProcedurePriceVarianceByStat
    e/1763822000654321
      wrote 1,234 rows · 2025-11-22
      20:16 · successful · 2.1 s · by
      alice
      replay of
      HospitalProcedurePriceVarianceBySt
      ate/1763821999000000
      states=["AL", "AZ"]  note="a long
      text a long text a long text a …
      read back:
      hospital-price-analysis/scratch
    └── hospital-price-analysis/state_pr
        ocedure_medians @ 44444444
          read 12,345 rows
        └── HospitalPriceStateMedians/17
            63821990123456
              wrote 12,345 rows ·
              2025-11-22 20:14 ·
              successful · 1 min 5 s ·
              by alice
              hospital_price_db=hospital
              -price-transparency
              hospital_price_db_branch=m
              ain
              left unchanged:
              hospital-price-analysis/st
              ates (the same 51 rows)
            ├── hospital-price-transpare
            │   ncy/hospitals @ 66666666
            │     read 36 rows · columns
            │     npi_number, state
            │     by hand: Jane Doe,
            │     2021-03-01 15:45,
            │     “February update”
            └── hospital-price-transpare
                ncy/prices @ 55555555
                  read 30,123 rows ·
                  columns code,
                  npi_number, price
                  by hand: Jane Doe,
                  2021-03-01 15:45,
                  “March update”
"""


def test_tree_where_lines_have_no_end() -> None:
    assert text(hospitals()) == PLAIN_TREE


def test_tree_on_a_terminal(terminal: Any) -> None:
    folded = PLAIN_TREE.replace(" · by alice\n              hosp", " · by\n              alice\n              hosp")
    folded = folded.replace("transparency  hosp", f"transparency\n{' ' * 14}hosp")
    assert text(hospitals(), terminal(80)) == folded


def test_tree_on_a_narrow_terminal(terminal: Any) -> None:
    assert text(hospitals(), terminal(40)) == NARROW_TREE


def test_tree_tells_everything_once() -> None:
    graph: Graph = networkx.DiGraph()
    target, left, right = (
        add_table(graph, "db", name, letter) for name, letter in (("t", "1"), ("l", "2"), ("r", "3"))
    )
    source = add_by_hand(graph, "db", "source", "4", "Import", author="")
    for run, outputs, inputs in (("F/1", [left, right], [source]), ("G/1", [target], [left, right, source])):
        add_run(graph, run)
        for table in outputs:
            add_write(graph, run, table, None)
        for table in inputs:
            add_read(graph, table, run, 7)
    assert (
        text(TraceResult(graph, target, "run", {}, ()))
        == """\
db/t @ 11111111
└── G/1
      status unknown
    ├── db/source @ 44444444
    │     read 7 rows
    ├── db/l @ 22222222
    │     read 7 rows
    │   └── F/1
    │         status unknown
    │       └── db/source @ 44444444 (see above)
    │             read 7 rows
    └── db/r @ 33333333
          read 7 rows
        └── F/1 (see above)
"""
    )


def test_tree_of_a_deep_history_goes_on_at_the_margin(terminal: Any) -> None:
    graph: Graph = networkx.DiGraph()
    versions = 1200  # deeper than Python's stack
    tables = [f"db/t@{number:032}" for number in range(versions)]
    for number, node in enumerate(tables):
        graph.add_node(node, kind="table", database="db", table="t", commit=f"{number:08}" * 4)
        run = add_run(graph, f"F/{number}", status="successful")
        graph.add_edge(run, node, kind="write", accesses=[])
        if number:
            graph.add_edge(tables[number - 1], run, kind="read", accesses=[])
    lines = text(TraceResult(graph, tables[-1], "run", {}, ()), terminal(80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[9:17] == [
        "                    └── db/t @ 00001196",
        "                        └── F/1196",
        "                              successful",
        "                            └── db/t @ 00001195 (see below)",
        "",
        "db/t @ 00001195",
        "└── F/1195",
        "      successful",
    ]
    told = Counter(line.split("─ ")[-1] for line in lines if "see below" not in line)
    assert [told[f"F/{number}"] for number in range(versions)] == [1] * versions


def test_tree_of_a_run_has_what_it_wrote() -> None:
    graph: Graph = networkx.DiGraph()
    run = add_run(graph, "F/1", status="failed", started="2025-11-22T14:31:00")
    for name, letter, mode in (("a", "1", "append"), ("b", "2", "update")):
        add_write(graph, run, add_table(graph, "db", name, letter), 1, mode)
    source = add_by_hand(graph, "db", "source", "3", "Import")
    add_read(graph, source, run, None)
    assert (
        text(TraceResult(graph, run, "run", {}, ()))
        == """\
F/1
  2025-11-22 20:16 · failed
  wrote db/a @ 11111111 · appended 1 row
  wrote db/b @ 22222222 · updated 1 row
└── db/source @ 33333333
      by hand: Jane Doe, 2021-03-01 15:45, “Import”
"""
    )


def test_tree_of_a_source() -> None:
    graph: Graph = networkx.DiGraph()
    source = add_by_hand(graph, "db", "source", "3", "Import")
    expected = "db/source @ 33333333\n  by hand: Jane Doe, 2021-03-01 15:45, “Import”\n"
    assert text(TraceResult(graph, source, "run", {}, ())) == expected


def test_tree_of_steps() -> None:
    graph: Graph = networkx.DiGraph()
    source = add_by_hand(graph, "db", "source", "1", "Import")
    start, end, aside = (add_run(graph, f"F/1/{step}", "step", status="running") for step in ("start", "end", "aside"))
    add_read(graph, source, start, 5)
    add_read(graph, source, aside, 5)
    graph.add_edge(start, end, kind="next")
    add_write(graph, end, add_table(graph, "db", "out", "2"), 3)
    runs = {"F/1": Run("F", "1", parameters={"a": 1})}
    assert (
        text(TraceResult(graph, end, "step", runs, ()))
        == """\
F/1/end
  running
  wrote db/out @ 22222222 · 3 rows
└── F/1/start
      came before · running
    └── db/source @ 11111111
          read 5 rows
          by hand: Jane Doe, 2021-03-01 15:45, “Import”

F/1/aside
  running
└── db/source @ 11111111 (see above)
      read 5 rows
"""
    )


def test_tree_of_a_merge() -> None:
    graph: Graph = networkx.DiGraph()
    merged = add_by_hand(graph, "db", "t", "1", "Merge branch 'b'")
    for letter in "23":
        source = add_by_hand(graph, "db", "t", letter, f"Side {letter}")
        graph.add_edge(source, f"db@{commit('1')}", kind="read", accesses=[])
    assert (
        text(TraceResult(graph, merged, "run", {}, ()))
        == """\
db/t @ 11111111
└── db @ 11111111
      merged by Jane Doe, 2021-03-01 15:45, “Merge branch 'b'”
    ├── db/t @ 22222222
    │     by hand: Jane Doe, 2021-03-01 15:45, “Side 2”
    └── db/t @ 33333333
          by hand: Jane Doe, 2021-03-01 15:45, “Side 3”
"""
    )


def test_rows_of_many_accesses() -> None:
    graph: Graph = networkx.DiGraph()
    target, run = add_table(graph, "db", "t", "1"), add_run(graph, "F/1")
    source = add_table(graph, "db", "s", "2", author="Joe", date="then", message="By a run that is not followed")
    reads = [{"kind": "read", "tables": ["s"], "rows": 5, "columns": {"S": list("abcdefgh")}}] * 3
    graph.add_edge(source, run, kind="read", accesses=[*reads, {"kind": "read", "tables": ["s", "t"], "rows": 9,
                                                               "columns": {"s": ["a"]}}])  # fmt: skip
    writes = [{"kind": "write", "rows": rows, "mode": "append"} for rows in (1, 2, None)]
    graph.add_edge(run, target, kind="write", accesses=writes)
    assert (
        text(TraceResult(graph, target, "run", {}, ()))
        == """\
db/t @ 11111111
└── F/1
      appended at least 3 rows in 3 parts · status unknown
    └── db/s @ 22222222
          read 5 rows 3 times, query over 2 tables gave 9 rows · columns a, b, c, d, e, f and 2 more
          committed: Joe, then, “By a run that is not followed”
"""
    )


EVIL = 'x\x1b[31m"`[bold]|\\\u202e\n<b>&lt;'


def test_nothing_in_the_data_steers_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    graph: Graph = networkx.DiGraph()
    target = add_by_hand(graph, "db", EVIL, "1", "\x9b2J" + EVIL, author=EVIL)
    run = add_run(graph, "F/1", status=EVIL, user=EVIL, rerun_of={"kind": EVIL, "pathspec": EVIL})
    add_read(graph, target, run, 1, [EVIL])
    runs = {"F/1": Run("F", "1", parameters={EVIL: EVIL, "b": [EVIL]})}
    result = TraceResult(graph, run, "run", runs, ())
    shown = text(result, Terminal())
    assert '\x1b[1;36mdb/x\\x1b[31m"`[bold]|\\\\u202e\\n<b>&lt; @ 11111111\x1b[0m' in shown
    outputs = [shown, *("".join(trace_answer(result, form, None)) for form in ("json", "mermaid", "dot"))]
    outputs += [warnings([EVIL], None), error(EVIL, EVIL, None), error_envelope("x", EVIL + "\x9b", "\udc80")]
    for output in outputs:
        uncoloured = re.sub("\x1b\\[[0-9;]*m", "", output)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", uncoloured)
        assert "\x1b[31m" not in output
        output.encode()


def test_trace_json() -> None:
    result = hospitals()
    envelope = json.loads("".join(trace_answer(result, "json", None)))
    assert envelope["schema"] == "doltflow.trace/1"
    again = networkx.node_link_graph(envelope["data"], edges="edges")
    assert again.graph == {
        "target": result.target,
        "zoom": "run",
        "direction": "upstream",
        "warnings": ["The store is old."],
    }
    again.graph.clear()
    assert networkx.utils.graphs_equal(again, result.graph)
    assert node_link(result.graph) == networkx.node_link_data(result.graph, edges="edges")


def test_mermaid() -> None:
    result = hospitals()
    result.graph.add_edge(MEDIANS, VARIANCE, kind="next")
    assert (
        "".join(trace_answer(result, "mermaid", None))
        == """\
flowchart LR
    n0[("hospital-price-analysis/variance_by_procedure<br/>@ 33333333")]
    n1(["HospitalProcedurePriceVarianceByState<br/>1763822000654321<br/>2025-11-22 20#58;16<br/>\
replay of HospitalProcedurePriceVarianceByState/1763821999000000"])
    n2[("hospital-price-analysis/state_procedure_medians<br/>@ 44444444")]
    n3(["HospitalPriceStateMedians<br/>1763821990123456<br/>2025-11-22 20#58;14"])
    n4[("hospital-price-transparency/prices<br/>@ 55555555")]
    n5>"hospital-price-transparency @ 55555555<br/>Jane Doe<br/>2021-03-01 15#58;45<br/>“March update”"]
    n6[("hospital-price-transparency/hospitals<br/>@ 66666666")]
    n7>"hospital-price-transparency @ 66666666<br/>Jane Doe<br/>2021-03-01 15#58;45<br/>“February update”"]
    n1 -->|"wrote 1,234 rows"| n0
    n2 -->|"read 12,345 rows"| n1
    n3 -->|"wrote 12,345 rows"| n2
    n3 -.-> n1
    n4 -->|"read 30,123 rows"| n3
    n5 --> n4
    n6 -->|"read 36 rows"| n3
    n7 --> n6
    %% n0 = hospital-price-analysis/variance_by_procedure@33333333333333333333333333333333
    %% n1 = HospitalProcedurePriceVarianceByState/1763822000654321
    %% n2 = hospital-price-analysis/state_procedure_medians@44444444444444444444444444444444
    %% n3 = HospitalPriceStateMedians/1763821990123456
    %% n4 = hospital-price-transparency/prices@55555555555555555555555555555555
    %% n5 = hospital-price-transparency@55555555555555555555555555555555
    %% n6 = hospital-price-transparency/hospitals@66666666666666666666666666666666
    %% n7 = hospital-price-transparency@66666666666666666666666666666666
"""
    )


def test_mermaid_of_any_name() -> None:
    graph: Graph = networkx.DiGraph()
    add_table(graph, "db", '_a b_c. "`[](){}|<>#;&\\$*~:\n价格 ﬂ°é', "1")
    assert (
        "".join(trace_answer(TraceResult(graph, "", "run", {}, ()), "mermaid", None))
        == """\
flowchart LR
    n0[("db/#95;a b_c#46; #34;#96;#91;#93;#40;#41;#123;#125;#124;#60;#62;#35;#59;#38;#92;#36;#42;#126;#58;#92;n\
价格 #64258;°é<br/>@ 11111111")]
    %% n0 = db/#95;a b_c#46; #34;#96;#91;#93;#40;#41;#123;#125;#124;#60;#62;#35;#59;#38;#92;#92;#36;#42;#126;#58;#92;n\
价格 #64258;°é@11111111111111111111111111111111
"""
    )


def test_mermaid_that_is_too_large_warns() -> None:
    result = hospitals()
    assert trace_warnings(result, "mermaid") == ("The store is old.",)
    for number in range(500):
        add_read(result.graph, add_table(result.graph, "db", f"t{number}", "1"), MEDIANS, None)
    assert trace_warnings(result, "text") == ("The store is old.",)
    assert trace_warnings(result, "mermaid")[1:] == (
        "Mermaid draws at most 500 arrows and 50,000 characters, unless its maxEdges and maxTextSize are raised; "
        "`--depth` gives a smaller flowchart.",
    )


def test_dot() -> None:
    graph: Graph = networkx.DiGraph()
    out, source = add_table(graph, "db", "out", "1"), add_by_hand(graph, "db", 'a"b\\c&lt;\nd', "2", "Import")
    start, end = add_run(graph, "F/1/start", "step"), add_run(graph, "F/1/end", "step")
    add_read(graph, source, start, 5)
    graph.add_edge(start, end, kind="next")
    add_write(graph, end, out, None)
    ones, twos = commit("1"), commit("2")
    assert (
        "".join(trace_answer(TraceResult(graph, out, "step", {}, ()), "dot", None))
        == rf"""digraph doltflow {{
    rankdir=LR;
    "db/out@{ones}" [shape=cylinder, label="db/out\n@ 11111111"];
    "db/a\"b\\\\c&amp;lt;\\nd@{twos}" [shape=cylinder, label="db/a\"b\\c&amp;lt;\\nd\n@ 22222222"];
    "db@{twos}" [shape=note, label="db @ 22222222\nJane Doe\n2021-03-01 15:45\n“Import”"];
    "F/1/start" [shape=box, label="F\n1/start"];
    "F/1/end" [shape=box, label="F\n1/end"];
    "db/a\"b\\\\c&amp;lt;\\nd@{twos}" -> "F/1/start" [label="read 5 rows"];
    "db@{twos}" -> "db/a\"b\\\\c&amp;lt;\\nd@{twos}";
    "F/1/start" -> "F/1/end" [style=dashed];
    "F/1/end" -> "db/out@{ones}";
}}
"""
    )


def a_run() -> Run:
    accesses = (
        Access("read", "prices", PRICES, "main", commit("5"), ("prices",), "F/12/start/1", rows=30123,
               table_name="prices", columns=(("prices", ("code", "price")),), timestamp=1.0),
        Access("read", "mine", PRICES, "main", commit("7"), ("prices", "hospitals"), "F/12/start/1", rows=10,
               query="select …", timestamp=1.5),
        Access("read", "odd", PRICES, None, commit("7"), None, "F/12/start/1", rows=10, query="call x", timestamp=1.6),
        Access("write", "out", ANALYSIS, "main", commit("8"), ("out",), "F/12/end/2", rows=5, mode="append",
               changed=True, attempt=1, timestamp=2.0),
        Access("write", "same", ANALYSIS, "main", commit("8"), ("same",), "F/12/end/2", rows=5, mode="replace",
               changed=False, attempt=1, timestamp=3.0),
        Access("write", "old", ANALYSIS, "main", commit("0"), ("old",), "F/11/start/1", rows=5, mode="replace"),
    )  # fmt: skip
    started = datetime(2025, 11, 22, 14, 31, tzinfo=UTC)
    return Run(
        "F", "12", "failed", started, started + timedelta(minutes=3, seconds=5), "bob",
        {"nothing": None, "spaced": "x y", "list": [1, float("inf")], "long": "z" * 100}, accesses,
        (TaskRecord("F/12/start/1", 0, "/home/x/flow.py", "abcdef1234", True, "3.11.4", "2.19", "0.1.0", "1.83.2"),),
        ("nightly",), {"pathspec": "F/11", "kind": "replay"},
    )  # fmt: skip


def bare_run() -> Run:
    return Run("G", "3", accesses=(Access("write", "t", "db", None, commit("9"), ("t",), "G/3/start/1"),))


RUN_DATA: dict[str, Any] = {
    "pathspec": "F/12",
    "flow": "F",
    "run_id": "12",
    "status": "failed",
    "started": "2025-11-22T14:31:00+00:00",
    "finished": "2025-11-22T14:34:05+00:00",
    "duration": 185.0,
    "user": "bob",
    "tables": ["hospitals", "out", "prices", "same"],
    "reads": [
        {"database": PRICES, "table": "prices", "commit": commit("5"), "rows": 30123},
        {"database": PRICES, "table": "prices", "commit": commit("7"), "rows": 10},
        {"database": PRICES, "table": "hospitals", "commit": commit("7"), "rows": 10},
        {"database": PRICES, "table": None, "commit": commit("7"), "rows": 10},
    ],
    "writes": [
        {"database": ANALYSIS, "table": "out", "commit": commit("8"), "rows": 5, "mode": "append", "changed": True},
        {"database": ANALYSIS, "table": "same", "commit": commit("8"), "rows": 5, "mode": "replace", "changed": False},
    ],
    "commits": [commit("8")],
    "rerun_of": {"pathspec": "F/11", "kind": "replay"},
}

BARE_RUN_DATA: dict[str, Any] = {
    "pathspec": "G/3",
    "flow": "G",
    "run_id": "3",
    "status": "unknown",
    "started": None,
    "finished": None,
    "duration": None,
    "user": None,
    "tables": ["t"],
    "reads": [],
    "writes": [{"database": "db", "table": "t", "commit": commit("9"), "rows": None, "mode": None, "changed": None}],
    "commits": [commit("9")],
    "rerun_of": None,
}


def test_runs(terminal: Any) -> None:
    assert (
        "".join(runs_answer(RunsResult((a_run(), bare_run()), ()), "text", terminal(80)))
        == """\
F/12
  2025-11-22 20:16 · failed · 3 min 5 s · by bob · replay of F/11
  read  hospital-price-transparency/prices @ 55555555 · 30,123 rows
  read  hospital-price-transparency/prices @ 77777777 · query over 2 tables gave
        10 rows
  read  hospital-price-transparency/hospitals @ 77777777 · query over 2 tables
        gave 10 rows
  read  hospital-price-transparency/? @ 77777777 · 10 rows
  wrote hospital-price-analysis/out @ 88888888 · appended 5 rows
  wrote hospital-price-analysis/same @ 88888888 · 5 rows · no change

G/3
  status unknown
  wrote db/t @ 99999999
"""
    )


def test_runs_json() -> None:
    result = RunsResult((a_run(), bare_run()), ("w",))
    envelope = json.loads("".join(runs_answer(result, "json", None)))
    assert envelope == {"schema": "doltflow.runs/1", "data": {"runs": [RUN_DATA, BARE_RUN_DATA], "warnings": ["w"]}}
    pieces = list(runs_answer(result, "jsonl", None))
    assert [piece.count("\n") for piece in pieces] == [1, 1]
    assert [json.loads(piece) for piece in pieces] == [RUN_DATA, BARE_RUN_DATA]


def shown() -> ShowResult:
    run = a_run()
    resolved = [
        Resolved(access, TableVersion(access.database, table, commit("5" if access.kind == "read" else "8")))
        for access in run.accesses[:-1]
        for table in access.tables or ()
    ]
    date = datetime(2025, 11, 22, 14, 32, tzinfo=UTC)
    made = Commit(ANALYSIS, commit("8"), (), "Jane", "j@x", date, "Run: F/12\n\nx")
    return ShowResult(run, tuple(resolved), (made,), ("w",))


def test_show(terminal: Any) -> None:
    assert (
        "".join(show_answer(shown(), "text", terminal(80)))
        == """\
F/12
  2025-11-22 20:16 · failed · 3 min 5 s · by bob · replay of F/11
  tags: nightly

Parameters
  nothing = None
  spaced = "x y"
  list = [1, "inf"]
  long =
  zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz
  zzzzzzzzzzzzzzzzzzzzzz

Code
  /home/x/flow.py · git abcdef12 with uncommitted changes · Python 3.11.4 ·
  Metaflow 2.19 · doltflow 0.1.0 · Dolt 1.83.2

Reads and writes
  start/1
    read  hospital-price-transparency/prices @ 55555555 · 30,123 rows · columns
          code, price · branch main
    read  hospital-price-transparency/prices @ 55555555 · query over 2 tables
          gave 10 rows · columns not known · as mine · branch main at 77777777
    read  hospital-price-transparency/hospitals @ 55555555 · query over 2 tables
          gave 10 rows · columns not known · as mine · branch main at 77777777
    read  hospital-price-transparency/? @ 77777777 · 10 rows · columns not known
          · as odd
  end/2 (attempt 1)
    wrote hospital-price-analysis/out @ 88888888 · appended 5 rows · branch main
    wrote hospital-price-analysis/same @ 88888888 · 5 rows · no change · branch
          main

Commits
  88888888888888888888888888888888 hospital-price-analysis · 2025-11-22 20:17 ·
  Jane · Run: F/12
"""
    )


def test_show_of_a_run_that_only_commits_tell_of() -> None:
    run = bare_run()
    resolved = (Resolved(run.accesses[0], TableVersion("db", "t", commit("9"))),)
    assert (
        "".join(show_answer(ShowResult(run, resolved, (), ()), "text", None))
        == """\
G/3
  status unknown

Reads and writes
  start/1
    wrote db/t @ 99999999
"""
    )


def test_show_json() -> None:
    result = shown()
    data = json.loads("".join(show_answer(result, "json", None)))["data"]
    parameters = {"nothing": None, "spaced": "x y", "list": [1, "inf"], "long": "z" * 100}
    assert data["run"] == RUN_DATA | {"parameters": parameters, "tags": ["nightly"]}
    assert data["tasks"] == [
        {"pathspec": "F/12/start/1", "attempt": 0, "script": "/home/x/flow.py", "git_commit": "abcdef1234",
         "git_dirty": True, "python": "3.11.4", "metaflow": "2.19", "doltflow": "0.1.0", "dolt": "1.83.2",
         "folder": None, "foreach": [], "packages": [], "sources": []}
    ]  # fmt: skip
    read, *_ = result.run.accesses
    assert data["accesses"][0] == read.summary() | {"table": "prices", "version": commit("5")}
    assert [(a["key"], a["table"], a["version"]) for a in data["accesses"][1:]] == [
        ("mine", "prices", commit("5")),
        ("mine", "hospitals", commit("5")),
        ("odd", None, None),
        ("out", "out", commit("8")),
        ("same", "same", commit("8")),
    ]
    assert data["commits"] == [
        {"hash": commit("8"), "database": ANALYSIS, "date": "2025-11-22T14:32:00+00:00", "author": "Jane",
         "subject": "Run: F/12"}
    ]  # fmt: skip
    assert data["warnings"] == ["w"]


def test_demo(terminal: Any) -> None:
    commands = ("cd doltflow-demo", "doltflow trace variance_by_procedure --output mermaid")
    result = DemoResult(Path("/tmp/doltflow-demo"), True, ("F/1", "G/2"), commands)
    graph: Graph = networkx.DiGraph()
    trace = TraceResult(graph, add_table(graph, "db", "t", "1"), "run", {}, ())
    assert (
        "".join(demo_answer(result, trace, "text", terminal(40)))
        == """\
The demo in /tmp/doltflow-demo is ready.
  ran F/1
  ran G/2

db/t @ 11111111

Try next:
  cd doltflow-demo
  doltflow trace variance_by_procedure --output mermaid
"""
    )
    data = {"folder": "/tmp/doltflow-demo", "created": True, "runs": ["F/1", "G/2"], "next": list(commands)}
    envelope = json.loads("".join(demo_answer(result, None, "json", None)))
    assert envelope == {"schema": "doltflow.demo/1", "data": data}


def test_messages_keep_their_lines() -> None:
    assert warnings(["one", "[bold]two"], None) == "warning: one\nwarning: [bold]two\n"
    assert error("Rows:\n\t1 \x07", "Do [it].", None) == "error: Rows:\n        1 \\x07\nDo [it].\n"


def test_a_terminal_that_knows_only_ascii() -> None:
    class Ascii(Terminal):
        encoding = "ascii"

    assert text(hospitals(), Ascii()).isascii()


class Odd:
    def __repr__(self) -> str:
        raise ValueError("no")


def test_plain_data() -> None:
    circle: list[Any] = []
    circle.append(circle)
    odd = {1: (Decimal("1.50"), {3, 1, 2}), "nan": float("nan"), "date": datetime(2025, 1, 2), "path": Path("a/b"),
           "bytes": b"x", "odd": Odd(), "true": True}  # fmt: skip
    assert plain(odd) == {
        "1": ["Decimal('1.50')", [1, 2, 3]], "nan": "nan", "date": "2025-01-02T00:00:00", "path": "a/b",
        "bytes": "b'x'", "odd": "<Odd>", "true": True,
    }  # fmt: skip
    assert plain(circle) == "[[...]]"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("main", "main"),
        ("", '""'),
        ("a b", '"a b"'),
        ("it's", '"it\'s"'),
        (None, "None"),
        (True, "true"),
        (1.5, "1.5"),
        ("x" * 40, "x" * 40),
        ("x" * 1_000_000, "x" * 39 + "…"),
        ("é\n", '"é\\n"'),
    ],
)
def test_parameter_values(data: Any, expected: str) -> None:
    assert value(data) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0.0 s"), (0.04, "0.0 s"), (2.14, "2.1 s"), (59.96, "1 min 0 s"), (3599.6, "1 h 0 min"), (90000, "1 d 1 h")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_moments() -> None:
    assert moment("2025-01-01T00:00:00Z") == moment(datetime(2025, 1, 1)) == "2025-01-01 05:45"
    assert moment(datetime(2025, 1, 1, tzinfo=UTC), seconds=True) == "2025-01-01 05:45:00"
    assert moment("yesterday\x1b") == "yesterday\\x1b"
    assert moment(datetime.max.replace(tzinfo=UTC)) == "9999-12-31 23:59:59.999999+00:00"
    assert moment(None) == ""


def test_safe_text() -> None:
    assert safe("a\tb\n\x00\x9b\u2028\udc80é👩‍👩‍👧") == "a\\tb\\n\\x00\\x9b\\u2028\\udc80é👩‍👩‍👧"
    assert safe("a\tb\n\r", lines=True) == "a\tb\n\\r"
