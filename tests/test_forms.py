"""The same graph in every form: each is parsed again, and has the nodes, edges and kinds that the others have."""

import csv
import io
import json
import re
from typing import Any
from xml.etree import ElementTree

import networkx
import pytest
from conftest import sql
from hypothesis import given
from hypothesis import strategies as st

from doltflow.render.answer import trace_answer
from doltflow.render.graphs import GraphOutput
from doltflow.trace import TraceResult, trace

Graph = networkx.DiGraph
Edges = set[tuple[str, str, str]]

NASTY = st.text(
    st.sampled_from("ab/@.`'\"<>&;#%{}[]()|\\ \n\r\t\x00\x01\x1b\x7f\x85\u2028\u202e\ufeff\ufffe\ud800é价😀")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NASTY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs of the shape that traces have, with names and attributes of any kind."""
    graph: Graph = networkx.DiGraph()
    tables = draw(st.lists(NASTY, min_size=1, max_size=4, unique=True))
    for name in tables:
        more = draw(st.dictionaries(st.sampled_from(["author", "message", "columns", "odd & <name>"]), VALUES))
        graph.add_node(f"{name}@1", kind="table", database=draw(NASTY), table=name, commit="1" * 32, **more)
    makers = draw(st.lists(NASTY, max_size=3, unique=True))
    for name in makers:
        kind = draw(st.sampled_from(["run", "step", "task", "commit"]))
        known: dict[str, Any] = {"database": "d", "commit": "2" * 32} if kind == "commit" else {"pathspec": name}
        graph.add_node(f"run/{name}", kind=kind, **known, own_reads=draw(VALUES))
    ends = st.tuples(st.sampled_from(list(graph)), st.sampled_from(list(graph)))
    for first, second in draw(st.lists(ends, max_size=6, unique=True)):
        kinds = {graph.nodes[first]["kind"] == "table", graph.nodes[second]["kind"] == "table"}
        if kinds == {False}:
            graph.add_edge(first, second, kind="next")
        elif kinds == {True, False}:
            kind = "read" if graph.nodes[first]["kind"] == "table" else "write"
            rows = draw(st.none() | st.integers(0, 10**6))
            graph.add_edge(first, second, kind=kind, accesses=[{"kind": kind, "rows": rows, "query": draw(NASTY)}])
    return graph


def answer(graph: Graph, output: GraphOutput) -> str:
    return "".join(trace_answer(TraceResult(graph, "the target", "run", {}, ("Ünsure.",)), output, None))


def kinds(graph: Graph) -> dict[str, str]:
    return {node: data["kind"] for node, data in graph.nodes(data=True)}


def edges(graph: Graph) -> Edges:
    return {(a, b, data["kind"]) for a, b, data in graph.edges(data=True)}


def told_back(text: str) -> str:
    r"""An id that was written as `\x1b` and the like, a backslash doubled."""

    def character(match: re.Match[str]) -> str:
        code = match[1]
        return {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}.get(code) or chr(int(code[1:], 16))

    return re.sub(r"\\(\\|n|r|t|x[0-9a-f]{2}|u[0-9a-f]{4})", character, text)


def test_every_escape_is_told_back() -> None:
    assert told_back("a\\\\n\\n\\x1b\\u2028\\ud800") == "a\\n\n\x1b\u2028\ud800"


# JSON and GraphML: everything


def loaded(text: str) -> Graph:
    """What a program reads of a GraphML document with networkx, the values that are JSON decoded."""
    root = ElementTree.fromstring(text)
    space = "{http://graphml.graphdrawing.org/xmlns}"
    declared = [key for key in root.findall(f"{space}key") if key.findtext(f"{space}desc") == "JSON"]
    coded = {(key.attrib["for"], key.attrib["attr.name"]) for key in declared}
    plain = {(key.attrib["for"], key.attrib["attr.name"]) for key in root.findall(f"{space}key")} - coded
    read = networkx.read_graphml(io.BytesIO(text.encode()))
    again: Graph = networkx.DiGraph()
    jsons = {key.attrib["id"] for key in declared}

    def decoded(kind: str, element: ElementTree.Element, attributes: dict[str, Any]) -> dict[str, Any]:
        found = {data.attrib["key"] for data in element.findall(f"{space}data")}
        names = {key.attrib["attr.name"] for key in declared if key.attrib["id"] in found & jsons}
        assert {(kind, name) for name in attributes} <= coded | plain
        assert None not in attributes.values()
        return {name: json.loads(value) if name in names else value for name, value in attributes.items()}

    body = root.find(f"{space}graph")
    assert body is not None
    names = {}
    for element in body.findall(f"{space}node"):
        attributes = decoded("node", element, dict(read.nodes[element.attrib["id"]]))
        names[element.attrib["id"]] = attributes.pop("id", element.attrib["id"])
        again.add_node(names[element.attrib["id"]], **attributes)
    for element in body.findall(f"{space}edge"):
        ends = element.attrib["source"], element.attrib["target"]
        again.add_edge(*map(names.__getitem__, ends), **decoded("edge", element, dict(read.edges[ends])))
    again.graph.update(decoded("graph", body, {k: v for k, v in read.graph.items() if not k.endswith("_default")}))
    return again


def same(first: Graph, second: Graph) -> bool:
    return dict(first.nodes(data=True)) == dict(second.nodes(data=True)) and first.adj == second.adj


@given(graphs())
def test_json_and_graphml_lose_nothing(graph: Graph) -> None:
    assert same(networkx.node_link_graph(json.loads(answer(graph, "json"))["data"], edges="edges"), graph)
    again = loaded(answer(graph, "graphml"))
    assert same(again, graph)
    assert again.graph == {
        "target": "the target", "zoom": "run", "direction": "upstream", "warnings": ["Ünsure."]
    }  # fmt: skip


def test_graphml_as_a_whole() -> None:
    graph: Graph = networkx.DiGraph()
    graph.add_node("d/t@1", kind="table", table="t", message='a <b> & "c"\r\n', author="\x01", columns=None)
    graph.add_node("d/\x01", kind="run", status="")
    graph.add_edge("d/t@1", "d/\x01", kind="read", accesses=[{"rows": 3, "key": "\u202e"}], all_columns=True, share=0.5)
    graph.add_node("alone")
    lines = answer(graph, "graphml").splitlines()
    assert lines[4:] == [
        '  <key id="d0" for="graph" attr.name="target" attr.type="string"/>',
        '  <key id="d1" for="graph" attr.name="zoom" attr.type="string"/>',
        '  <key id="d2" for="graph" attr.name="direction" attr.type="string"/>',
        '  <key id="d3" for="graph" attr.name="warnings" attr.type="string"><desc>JSON</desc></key>',
        '  <key id="d4" for="node" attr.name="kind" attr.type="string"/>',
        '  <key id="d5" for="node" attr.name="table" attr.type="string"/>',
        '  <key id="d6" for="node" attr.name="message" attr.type="string"/>',
        '  <key id="d7" for="node" attr.name="author" attr.type="string"><desc>JSON</desc></key>',
        '  <key id="d8" for="node" attr.name="columns" attr.type="string"><desc>JSON</desc></key>',
        '  <key id="d9" for="node" attr.name="status" attr.type="string"><desc>JSON</desc></key>',
        '  <key id="d10" for="node" attr.name="id" attr.type="string"><desc>JSON</desc></key>',
        '  <key id="d11" for="edge" attr.name="kind" attr.type="string"/>',
        '  <key id="d12" for="edge" attr.name="accesses" attr.type="string"><desc>JSON</desc></key>',
        '  <key id="d13" for="edge" attr.name="all_columns" attr.type="boolean"/>',
        '  <key id="d14" for="edge" attr.name="share" attr.type="double"/>',
        '  <graph edgedefault="directed">',
        '    <data key="d0">the target</data>',
        '    <data key="d1">run</data>',
        '    <data key="d2">upstream</data>',
        '    <data key="d3">["Ünsure."]</data>',
        '    <node id="d/t@1">',
        '      <data key="d4">table</data>',
        '      <data key="d5">t</data>',
        '      <data key="d6">a &lt;b&gt; &amp; "c"&#13;&#10;</data>',
        '      <data key="d7">"\\u0001"</data>',
        '      <data key="d8">null</data>',
        "    </node>",
        '    <node id="d/\\x01">',
        '      <data key="d4">run</data>',
        '      <data key="d9">""</data>',
        '      <data key="d10">"d/\\u0001"</data>',
        "    </node>",
        '    <node id="alone"/>',
        '    <edge source="d/t@1" target="d/\\x01">',
        '      <data key="d11">read</data>',
        '      <data key="d12">[{"rows": 3, "key": "\\u202e"}]</data>',
        '      <data key="d13">true</data>',
        '      <data key="d14">0.5</data>',
        "    </edge>",
        "  </graph>",
        "</graphml>",
    ]


def test_two_ids_that_would_be_escaped_alike_stay_two() -> None:
    graph: Graph = networkx.DiGraph()
    graph.add_nodes_from(["a\x01", "a\\x01", "a\\x01_"], kind="run")
    again = loaded(answer(graph, "graphml"))
    assert set(again) == set(graph)


# Mermaid, DOT and CSV: nodes, edges and kinds


def from_mermaid(text: str) -> tuple[dict[str, str], Edges]:
    """The nodes by their ids with their shape's kind, and the edges, of which only `next` can be told by the arrow."""
    shapes = {"[(": "table", ">": "commit", "([": "run"}

    def plain(escaped: str) -> str:
        return told_back(re.sub(r"#(\d+);", lambda match: chr(int(match[1])), escaped))

    ids = {name: plain(id_) for name, id_ in re.findall(r"^    %% (n\d+) = (.*)$", text, re.MULTILINE)}
    boxes = re.findall(r'^    (n\d+)(\[\(|\(\[|>)".*"(?:\)\]|\]\)|\])$', text, re.MULTILINE)
    arrows = re.findall(r'^    (n\d+) (-->|-\.->)(?:\|".*"\|)? (n\d+)$', text, re.MULTILINE)
    assert len(text.splitlines()) == 1 + len(ids) + len(boxes) + len(arrows)
    found = {ids[name]: shapes[shape] for name, shape in boxes}
    return found, {
        (ids[a], ids[b], "next" if arrow == "-.->" else "read" if found[ids[a]] == "table" else "write")
        for a, arrow, b in arrows
    }


NAME = r'"((?:[^"\\]|\\.)*)"'


def from_dot(text: str) -> tuple[dict[str, str], Edges]:
    shapes = {"cylinder": "table", "note": "commit", "box": "run"}

    def plain(escaped: str) -> str:
        return told_back(re.sub(r"\\(.)", r"\1", escaped).replace("&amp;", "&"))

    head, direction, *lines, end = text.splitlines()
    assert (head, direction, end) == ("digraph doltflow {", "    rankdir=LR;", "}")
    nodes: dict[str, str] = {}
    found: Edges = set()
    for line in lines:
        if box := re.fullmatch(rf"    {NAME} \[shape=(\w+), label={NAME}\];", line):
            nodes[plain(box[1])] = shapes[box[2]]
        else:
            arrow = re.fullmatch(rf"    {NAME} -> {NAME}(?: \[(?:label={NAME})?(style=dashed)?\])?;", line)
            assert arrow is not None, line
            source, target = plain(arrow[1]), plain(arrow[2])
            kind = "next" if arrow[4] else "read" if nodes[source] == "table" else "write"
            found.add((source, target, kind))
    return nodes, found


def from_csv(text: str) -> tuple[dict[str, str], Edges]:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(text.splitlines()) == 1 + len(rows)
    nodes: dict[str, str] = {}
    found: Edges = set()
    for row in rows:
        source, target = told_back(row["source"]), told_back(row["target"])
        nodes[source] = row["source_kind"]
        if row["kind"]:
            nodes[target] = row["target_kind"]
            found.add((source, target, row["kind"]))
        else:
            assert (row["target"], row["target_kind"]) == ("", "")
    return nodes, found


def shaped(graph: Graph) -> dict[str, str]:
    """The kinds that a shape can tell."""
    return {node: kind if kind in ("table", "commit") else "run" for node, kind in kinds(graph).items()}


@given(graphs())
def test_every_form_leads_back_to_every_node_and_edge_and_steers_no_terminal(graph: Graph) -> None:
    assert from_csv(answer(graph, "csv")) == (kinds(graph), edges(graph))
    assert from_dot(answer(graph, "dot")) == from_mermaid(answer(graph, "mermaid")) == (shaped(graph), edges(graph))
    for output in ("mermaid", "dot", "graphml", "csv", "json"):
        text = answer(graph, output)
        text.encode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]", text)


def test_no_comment_of_mermaid_is_a_directive() -> None:
    graph: Graph = networkx.DiGraph()
    graph.add_node("%%{init: {'theme': 'dark'}}%%", kind="run", pathspec="F/1")
    last = answer(graph, "mermaid").splitlines()[-1]
    assert last == "    %% n0 = #37;#37;#123;init#58; #123;#39;theme#39;#58; #39;dark#39;#125;#125;#37;#37;"


# The demo


@pytest.mark.parametrize("zoom", ["run", "step", "task"])
def test_the_demos_graph_is_the_same_in_every_form(demo_folder: Any, zoom: Any) -> None:
    result = trace("variance_by_procedure", zoom=zoom, columns=True)

    def said(output: GraphOutput) -> str:
        return "".join(trace_answer(result, output, None))

    graph = networkx.node_link_graph(json.loads(said("json"))["data"], edges="edges")
    assert same(graph, result.graph)
    assert same(loaded(said("graphml")), result.graph)
    assert from_csv(said("csv")) == (kinds(graph), edges(graph))
    assert from_dot(said("dot")) == from_mermaid(said("mermaid")) == (shaped(graph), edges(graph))
    assert len(graph) >= 8
    assert set(networkx.read_graphml(io.BytesIO(said("graphml").encode()))) == set(graph)


def test_the_lines_of_the_edge_list(demo_folder: Any) -> None:
    result = trace("state_procedure_medians")
    rows = list(csv.DictReader(io.StringIO("".join(trace_answer(result, "csv", None)))))
    (run,) = (node for node, kind in kinds(result.graph).items() if kind == "run")
    table = result.graph.nodes[result.target]
    (count,) = sql(demo_folder / "hospital-price-analysis", "select count(*) as n from state_procedure_medians")
    assert [row for row in rows if row["source"] == run] == [
        {
            "source": run, "target": result.target, "kind": "write", "source_kind": "run", "target_kind": "table",
            "database": "hospital-price-analysis", "table": "state_procedure_medians", "commit": table["commit"],
            "accesses": "1", "rows": str(count["n"]), "columns": "",
        }
    ]  # fmt: skip
    read = {row["table"]: json.loads(row["columns"]) for row in rows if row["kind"] == "read"}
    assert read == {"hospitals": ["npi_number", "state"], "prices": ["code", "npi_number", "price"]}


def test_what_an_edge_list_says_of_rows_and_columns() -> None:
    graph: Graph = networkx.DiGraph()
    graph.add_node("run", kind="run", pathspec="F/1")
    one = {"tables": ["t"], "rows": 2, "columns": {"t": ["b", 'a,"b']}}
    cases: dict[str, list[dict[str, Any]]] = {
        "named": [one, one | {"rows": 3}],
        "all": [one, one | {"columns": {"t": None}, "all_columns": ["T"]}],
        "untold": [one, one | {"columns": {"t": None}, "rows": None}],
        "two tables": [one | {"tables": ["t", "u"]}],
        "bare": [],
        "none": [one | {"columns": {"t": []}}],
    }
    for name, accesses in cases.items():
        graph.add_node(name, kind="table", database="d", table="t", commit="1")
        graph.add_edge(name, "run", kind="read", accesses=accesses)
    graph.add_node("alone", kind="table", database="d", table="t", commit="1")
    graph.add_node("later", kind="run", pathspec="F/2")
    graph.add_edge("run", "later", kind="next")
    rows = csv.DictReader(io.StringIO(answer(graph, "csv")))
    assert {row["source"]: (row["accesses"], row["rows"], row["columns"]) for row in rows} == {
        "named": ("2", "5", '["a,\\"b", "b"]'),
        "all": ("2", "4", "*"),
        "untold": ("2", "", ""),
        "two tables": ("1", "", '["a,\\"b", "b"]'),
        "bare": ("0", "", ""),
        "none": ("1", "2", "[]"),
        "run": ("", "", ""),
        "alone": ("", "", ""),
    }
