"""Which columns queries read and compute from, and how they are followed through a graph; never a guess."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import networkx
import pytest
from conftest import head, make_database, run_flow
from conftest import sql as rows_of

from doltflow.cli.entry import main
from doltflow.lineage import Facts, Resolved
from doltflow.lineage_columns import ColumnsRead, columns_read, follow_columns
from doltflow.model.access import Access
from doltflow.model.table import TableVersion
from doltflow.recorder.scope import Scope, derived_of, scope_of
from doltflow.render.answer import trace_answer
from doltflow.sources.dolt import Database, Session
from doltflow.sql import Output, analyse, derive
from doltflow.trace import trace
from doltflow.workspace import load_settings, open_workspace, with_columns

Graph = networkx.DiGraph

SCHEMA = {"T": ["id", "a", "b"], "u": ["id", "C"], "w": ["k", "d"]}


def derived(query: str, **views: Any) -> dict[str, str | None] | None:
    """What a query's columns are computed from, blanks between them, by position where they have no name."""
    outputs = derive(query, SCHEMA, views)
    if outputs is None:
        return None
    return {
        output.name or str(at): None if output.sources is None else " ".join(map(".".join, output.sources))
        for at, output in enumerate(outputs)
    }


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        ("SELECT * FROM t", "t"),
        ("TABLE t", "t"),
        ("SELECT t.*, u.id FROM t JOIN u ON t.id = u.id", "t"),
        ("SELECT * FROM t JOIN u USING (id)", "t u"),
        ("SELECT * FROM t NATURAL JOIN u", "t u"),
        ("SELECT *, a FROM t", "t"),
        ("WITH q AS (SELECT * FROM t) SELECT a FROM q", "t"),
        ("SELECT * FROM (SELECT a FROM t) d", ""),
        ("SELECT id, a, b FROM t", ""),
        ("SELECT count(*) FROM t", ""),
        ("SELECT x FROM t JOIN u ON true", ""),
        ("SELECT t.id FROM t NATURAL JOIN u", ""),
        ("SELECT * FROM t AS OF 'v1', u", "u"),
        ("SELECT * FROM dolt_diff_t", ""),
    ],
)
def test_every_column_is_another_thing_than_nobody_knows_which(query: str, whole: str) -> None:
    reads = analyse(query, SCHEMA)
    assert reads.whole == tuple(whole.split())
    assert all(names is None for table, names in reads.columns if table in reads.whole)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM t", {"id": "T.id", "a": "T.a", "b": "T.b"}),
        ("TABLE t", {"id": "T.id", "a": "T.a", "b": "T.b"}),
        ("SELECT a, avg(b) AS m, count(*), 1 FROM t GROUP BY a", {"a": "T.a", "m": "T.b", "2": "", "3": ""}),
        ("SELECT A, t.b AS x FROM t WHERE id > 1 ORDER BY id", {"A": "T.a", "x": "T.b"}),
        ("SELECT t.a, c FROM t JOIN u ON t.id = u.id", {"a": "T.a", "c": "u.C"}),
        ("SELECT id, a FROM t JOIN u USING (id)", {"id": "T.id u.id", "a": "T.a"}),
        ("SELECT x.a, y.b FROM t x LEFT JOIN t y ON x.id = y.id", {"a": "T.a", "b": "T.b"}),
        ("WITH q AS (SELECT a, b + id AS s FROM t) SELECT s * 2 AS z, a FROM q", {"z": "T.b T.id", "a": "T.a"}),
        ("WITH q (x, y) AS (SELECT a, b FROM t) SELECT y, q.x FROM q", {"y": "T.b", "x": "T.a"}),
        ("WITH t AS (SELECT b AS a FROM t) SELECT a FROM t", {"a": "T.b"}),
        ("SELECT d.* FROM (SELECT a, c FROM t, u) d", {"a": "T.a", "c": "u.C"}),
        ("SELECT d.p FROM (SELECT a, b FROM t) d (o, p)", {"p": "T.b"}),
        ("SELECT a FROM t UNION SELECT c FROM u UNION ALL SELECT d FROM w", {"a": "T.a u.C w.d"}),
        ("SELECT a FROM t INTERSECT SELECT c FROM u", {"a": "T.a u.C"}),
        ("SELECT a FROM t EXCEPT SELECT c FROM u", {"a": "T.a"}),
        ("(SELECT a FROM t ORDER BY b LIMIT 1)", {"a": "T.a"}),
        ("SELECT sum(b) OVER (PARTITION BY a ORDER BY id) AS s FROM t", {"s": "T.a T.b T.id"}),
        ("SELECT CASE WHEN a > 1 THEN b END AS x FROM t", {"x": "T.a T.b"}),
        ("SELECT a, (SELECT max(c) FROM u WHERE u.id = t.id) AS m FROM t", {"a": "T.a", "m": "u.C"}),
        ("SELECT (SELECT a) AS x FROM t", {"x": "T.a"}),
        ("SELECT a IN (SELECT c FROM u) AS x FROM t", {"x": "T.a u.C"}),
        ("SELECT l.q FROM t, LATERAL (SELECT a + c AS q FROM u) l", {"q": "T.a u.C"}),
        ("SELECT * FROM (t JOIN u ON t.id = u.id) JOIN w ON k = a", {"id": "u.id", "a": "T.a", "b": "T.b", "C": "u.C",
                                                                      "k": "w.k", "d": "w.d"}),
        ("SELECT current_date, a FROM t", {"0": "", "a": "T.a"}),
        # Not to be told, which is said and not guessed.
        ("SELECT * FROM t JOIN u USING (id)", None),
        ("SELECT * FROM t NATURAL JOIN u", None),
        ("SELECT *, a FROM unknown, t", None),
        ("SELECT * FROM t AS OF 'v1'", None),
        ("SELECT * FROM dolt_diff_t", None),
        ("VALUES ROW(1, 2)", None),
        ("SELECT a FROM t UNION SELECT id, c FROM u", None),
        ("SELECT id, a FROM t, u", {"id": None, "a": "T.a"}),
        ("SELECT id, a FROM t NATURAL JOIN u", {"id": None, "a": None}),
        ("SELECT nothing, a FROM t", {"nothing": None, "a": "T.a"}),
        ("SELECT x.a, t.b FROM t AS OF 'v1' AS x, t", {"a": None, "b": "T.b"}),
        ("SELECT z, a FROM unknown, t", {"z": None, "a": "T.a"}),
        ("SELECT EXISTS (SELECT 1 FROM u) AS e FROM t", {"e": None}),
        ("SELECT sum(b) OVER o AS s FROM t WINDOW o AS (PARTITION BY a)", {"s": None}),
        ("SELECT a + (SELECT * FROM unknown) AS x FROM t", {"x": None}),
        ("SELECT d.x FROM (SELECT a AS x, b AS x FROM t) d", {"x": None}),
        ("SELECT j.n, t.a FROM t, JSON_TABLE(t.b, '$[*]' COLUMNS (n INT PATH '$')) j", {"n": None, "a": "T.a"}),
        ("WITH RECURSIVE r AS (SELECT id AS n FROM t UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", {"n": None}),
        ("DROP TABLE t", None),
        ("SELECT (", None),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, None),
    ],
)  # fmt: skip
def test_what_a_result_is_computed_from(query: str, expected: dict[str, str | None] | None) -> None:
    assert derived(query) == expected


def test_what_a_view_is_computed_from_is_handed_on() -> None:
    view = (Output("p", (("T", "a"), ("T", "b"))), Output("q"))
    assert derived("SELECT p, q AS r, c FROM v, u", v=view) == {"p": "T.a T.b", "r": None, "c": "u.C"}
    assert derived("SELECT p FROM v", v=None) == {"p": None}


# On a database

TABLES = (
    "create table t (id int primary key, a int, b int, `größe` int)",
    "insert into t values (1, 3, 5, 7), (2, 4, 6, 7)",
    "create table u (id int primary key, x int, `odd.name``s` int)",
    "insert into u values (1, 11, 13), (2, 12, 14)",
    "create table w (k int primary key, d int)",
    "insert into w values (1, 21), (2, 22)",
    "create table counted (id int primary key, note int)",
    "insert into counted values (1, 1)",
    "create view v (id, p, `größe`) as select id, a + b, `größe` from t",
    "create view whole as select * from t",
    "create view deep as select v.p, whole.* from v join whole on v.id = whole.id",
)
MUTATED = {"t": ("a", "b", "größe"), "u": ("x", "odd.name`s"), "w": ("d",)}
SHAPES = [
    "select * from t",
    "select a + 1 as o, b from t",
    "select t.a, u.x as o from t join u on t.id = u.id",
    "select id, a, x from t join u using (id)",
    "select id, x from u right join t using (id)",
    "select t.*, u.x from t left join u on t.id = u.id",
    "select * from t join u using (id)",
    "select a, x from t natural join u",
    "select x.a, y.b from t x join t y on x.id = y.id",
    "with q as (select a, b + id as s from t) select s * 2 as z, a from q",
    "with q (m, n) as (select a, b from t) select n, q.m from q",
    "with recursive r as (select id, a as n from t union all select id + 2, n + 1 from r where id < 3) select n from r",
    "select d.o from (select id, b from t) d (i, o)",
    "select d.* from (select t.a, u.x as y from t join u on t.id = u.id) d",
    "select a from t union all select x from u",
    "select id, a from t union all select k, d from w order by 1",
    "select a from t except select 0 from u",
    "select id, sum(b) over (order by id) as s, row_number() over (partition by `größe` order by id) as n from t",
    "select id, sum(b) over o as s from t window o as (order by id)",
    "select id, case when a > 3 then b else 0 end as y from t",
    "select t.id, (select max(u.x) from u where u.id <= t.id) as m from t",
    "select t.id, t.a in (select u.x from u) as i from t",
    "select t.id, exists (select 1 from u where u.x > t.a) as e from t",
    "select t.id, l.q from t, lateral (select t.a + u.x as q from u where u.id = t.id) l",
    "select max(a) as b, min(b) as a, count(*) from t",
    "select id, concat(a, '-', `größe`) as s, coalesce(a, b) from t",
    "select `odd.name``s`, `odd.name``s` + x as `o.p` from u",
    "select p, `größe` from v",
    "select v.p * 2 as o, u.x from v join u on u.id = v.id",
    "select * from whole",
    "select p, a, b from deep",
    "select sum(p) as s from (select p from v union all select d from w) z",
    "select json_object('a', a, 'b', b) as j, group_concat(x order by x) as g from t join u using (id) group by a, b",
    "select if(t.a > 0, t.b, u.x) as i, t.a <=> u.x as s from t join u on t.id = u.id",
]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("columns") / "db", *TABLES)


@contextmanager
def opened(folder: Path) -> Iterator[Session]:
    with Database.at(folder).open() as session:
        yield session


@pytest.fixture
def session(databases: Path) -> Iterator[Session]:
    with opened(databases) as session:
        yield session


def told(session: Session, query: str) -> tuple[Scope, dict[str, tuple[str, ...] | None] | None]:
    commit = session.branch_head("main")
    scope = scope_of(session, query, commit)
    found = derived_of(scope.outputs, session.query(query, commit).column_names)
    return scope, None if found is None else dict(found)


@pytest.mark.parametrize(
    ("query", "columns", "whole", "derived"),
    [
        ("select P from V", {"t": ("a", "b", "größe", "id")}, (), {"P": ("t.a", "t.b")}),
        ("select * from whole", {"t": None}, ("t",), {name: (f"t.{name}",) for name in ("id", "a", "b", "größe")}),
        ("select deep.p, x from deep join u on u.id = deep.id", {"t": None, "u": ("id", "x")}, ("t",),
         {"p": ("t.a", "t.b"), "x": ("u.x",)}),
        ("select count( * ), max(a)+1 from t", {"t": ("a",)}, (), {"count( * )": (), "max(a)+1": ("t.a",)}),
        ("select t.id, u.id, x from t, u", {"t": ("id",), "u": ("id", "x")}, (), {"id": None, "x": ("u.x",)}),
        ("select `odd.name``s` as `o.p` from u", {"u": ("odd.name`s",)}, (), {"o.p": ("u.`odd.name``s`",)}),
        ("select * from t natural join u", {"t": None, "u": None}, ("t", "u"), None),
        ("select a from t natural join u", {"t": None, "u": None}, (), {"a": None}),
        ("select id from t where exists (select 1 from counted)", {"counted": (), "t": ("id",)}, (), {"id": ("t.id",)}),
    ],
)  # fmt: skip
def test_the_recorder_looks_through_views(session: Session, query: str, columns: Any, whole: Any, derived: Any) -> None:
    scope, found = told(session, query)
    assert (dict(scope.columns), scope.whole, found) == (columns, whole, derived)


@pytest.fixture(scope="module")
def variants(databases: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """For each column that no condition looks at a commit at which its values are others."""
    folder = databases
    found = {}
    for table, names in MUTATED.items():
        for number, name in enumerate(names):
            column, branch = name.replace("`", "``"), f"{table}{number}"
            rows_of(
                folder,
                f"call dolt_checkout('-b', '{branch}'); update {table} set `{column}` = 1000 + 3 * `{column}`; "
                f"call dolt_commit('-am', '{branch}')",
            )
            found[table, name] = head(folder, branch)
    return found


@pytest.mark.parametrize("query", SHAPES)
def test_no_column_changes_a_result_that_is_not_said_to_come_from_it(
    session: Session, variants: dict[tuple[str, str], str], query: str
) -> None:
    scope, found = told(session, query)
    base = session.query(query, session.branch_head("main"))
    assert len(set(base.column_names)) == len(base.column_names)
    read = dict(scope.columns)
    for (table, column), commit in variants.items():
        other = session.query(query, commit)
        changed = {name for name in base.column_names if base[name].to_pylist() != other[name].to_pylist()}
        said = f"{table}.`odd.name``s`" if column == "odd.name`s" else f"{table}.{column}"
        if found is not None:
            assert {name for name in changed if found[name] is not None and said not in (found[name] or ())} == set()
        if changed:
            assert table in read
            assert read[table] is None or column in (read[table] or ())


def test_the_shapes_tell_most(session: Session) -> None:
    # Else the test above could pass by saying nothing.
    untold = [query for query in SHAPES if (found := told(session, query)[1]) is None or None in found.values()]
    assert untold == [
        "select * from t join u using (id)",
        "select a, x from t natural join u",
        SHAPES[11],
        "select id, sum(b) over o as s from t window o as (order by id)",
        "select t.id, exists (select 1 from u where u.x > t.a) as e from t",
    ]


# Records


def access(**told: Any) -> Access:
    given: dict[str, Any] = {"kind": "read", "key": "k", "database": "db", "branch": "main", "commit": "c",
                             "tables": ("t",), "pathspec": "F/1/start/2"}  # fmt: skip
    return Access(**given | told)


@pytest.mark.parametrize(
    ("told", "is_all"),
    [
        ({"whole": ("T",)}, True),
        ({"whole": (), "table_name": "t"}, False),
        # Records from before it was told.
        ({"table_name": "t", "columns": (("t", None),), "query": "SELECT * FROM `t`"}, True),
        ({"table_name": "t"}, True),
        ({"table_name": "t", "columns": (("t", ("a",)),), "query": "SELECT `a` FROM `t`"}, False),
        ({"table_name": "t", "query": "SELECT a FROM t"}, False),
        ({"columns": (("t", None),), "query": "SELECT * FROM t"}, False),
        ({}, False),
        ({"kind": "write", "table_name": "t"}, False),
    ],
)
def test_a_record_tells_of_all_columns_or_says_nothing(told: dict[str, Any], is_all: bool) -> None:
    assert access(**told).takes_all("t") is is_all
    assert access(**told).summary().get("all_columns") == (["t"] if is_all else None)


def test_columns_of_several_reads() -> None:
    one, two = {"columns": {"T": ["b", "A"]}}, {"columns": {"t": ["a", "c"]}}
    assert columns_read([one, two], "t") == ColumnsRead(("A", "b", "c"))
    assert columns_read([one, {"columns": {"t": None}}], "t") == ColumnsRead()
    assert columns_read([one, {"columns": {"t": None}, "all_columns": ["t"]}], "T") == ColumnsRead(is_all=True)
    assert columns_read([{"columns": {"t": []}}], "t") == ColumnsRead(())
    assert columns_read([], "t") == ColumnsRead()


def test_an_old_record_is_told_by_its_query(databases: Path) -> None:
    commit = head(databases)
    past = access(commit=commit, tables=("t",), query=f"select x.a from t as of '{commit}' x join u on u.id = x.id")
    asked = {
        "select a, x as y from t join u on t.id = u.id": ("t", "u"),
        "select * from T": ("t",),
        "select count(*) from t": ("t",),
        "select p from v": ("t",),
        "select nonsense from": ("t",),
        "select * from gone": ("gone",),
    }
    accesses = [access(commit=commit, tables=tables, query=query) for query, tables in asked.items()]
    unknown = [
        access(query="select a from t"),
        access(commit="0" * 32, query="select a from t"),
        access(commit=commit),
        access(commit=commit, query="select a from t", whole=()),
        access(kind="write", commit=commit, query="select * from t"),
        past,
    ]
    items = [Resolved(one, TableVersion("db", "t", commit)) for one in [*accesses, *unknown]]
    with open_workspace(load_settings(databases), None, databases) as workspace:
        found = [item.access for item in with_columns(workspace, Facts(items, {})).resolved]
        again = with_columns(workspace, Facts(items, {})).resolved
    assert [item.access for item in again] == found
    join, star, counted, *same = found
    assert join.columns == (("t", ("a", "id")), ("u", ("id", "x")))
    assert (join.whole, join.derived) == ((), (("a", ("t.a",)), ("y", ("u.x",))))
    assert (star.columns, star.whole) == ((("t", None),), ("t",))
    assert star.derived == tuple((name, (f"t.{name}",)) for name in ("id", "a", "b", "größe"))
    assert (counted.columns, counted.whole, counted.derived) == ((("t", ()),), (), None)
    assert same == [*accesses[3:], *unknown]


# In the graph


def test_a_table_has_the_columns_that_lead_on() -> None:
    graph: Graph = networkx.DiGraph()
    known = {"t": ["id", "B", "a"], "out": ["x", "y"], "side": ["z"]}
    for node in ("t", "lost", "out", "side"):
        graph.add_node(node, kind="table", table=node)
    graph.add_node("hand", kind="commit")
    for node in ("one", "two"):
        graph.add_node(node, kind="run")
    graph.add_edge("hand", "t", kind="write", accesses=[])
    graph.add_edge("t", "one", kind="read", accesses=[{"columns": {"t": ["a"]}}])
    graph.add_edge("t", "two", kind="read", accesses=[{"columns": {"t": ["b", "A"]}}])
    graph.add_edge("lost", "one", kind="read", accesses=[{"columns": {"lost": ["q"]}}, {}])
    graph.add_edge("one", "two", kind="next")
    graph.add_edge("two", "out", kind="write", accesses=[{}])
    graph.add_edge("one", "side", kind="write", accesses=[{}])
    follow_columns(graph, "out", known)
    assert {node: graph.nodes[node].get("columns", "none") for node in graph} == {
        "t": ["B", "a"], "lost": None, "out": ["x", "y"], "side": ["z"], "hand": "none", "one": "none", "two": "none",
    }  # fmt: skip

    def said(first: str, second: str) -> dict[str, Any]:
        return {name: value for name, value in graph.edges[first, second].items() if name != "accesses"}

    assert said("hand", "t") == {"kind": "write", "columns": ["id", "B", "a"], "via": "by hand"}
    assert said("t", "two") == {"kind": "read", "columns": ["B", "a"], "all_columns": False}
    assert said("lost", "one") == {"kind": "read", "columns": None, "all_columns": False}
    assert said("one", "two") == {"kind": "next"}
    assert said("two", "out") == {"kind": "write", "columns": ["x", "y"], "via": "by code"}
    graph.edges["t", "one"]["accesses"] = [{"all_columns": ["t"]}]
    follow_columns(graph, "out", known)
    assert (graph.nodes["t"]["columns"], graph.edges["t", "one"]["columns"]) == (["id", "B", "a"], ["id", "B", "a"])
    follow_columns(graph, "out", {})
    assert (graph.nodes["t"]["columns"], graph.edges["t", "one"]["all_columns"]) == (None, True)
    assert graph.nodes["out"]["columns"] is None


def test_a_flow_is_followed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    make_database(Path.cwd() / "db", *TABLES)
    run = f"ColumnsFlow/{run_flow(Path.cwd(), 'columns_flow.py').pathspec.rpartition('/')[2]}"
    commit, source = head(Path.cwd() / "db"), head(Path.cwd() / "db", "main~1")
    result = trace("out", columns=True)
    graph = result.graph
    tables = {node: data["columns"] for node, data in graph.nodes(data=True) if data["kind"] == "table"}
    assert tables == {
        f"db/out@{commit}": ["mean", "n"],
        f"db/t@{source}": ["id", "a", "b", "größe"],
        f"db/u@{source}": None,
        f"db/w@{source}": ["k", "d"],
        f"db/counted@{source}": [],
    }
    assert graph.edges[run, f"db/out@{commit}"]["via"] == "by code"
    join, untold = graph.edges[f"db/u@{source}", run]["accesses"]
    assert join["columns"] == {"t": ["a", "b", "größe", "id"], "u": ["id"]}
    assert join["derived"] == {"größe": ["t.größe"], "mean": ["t.a", "t.b"], "n": [], "e": None}
    assert (untold["columns"], untold["derived"]) == ({"u": None, "w": None}, {"x": None})
    assert not any("columns" in data for _, data in trace("out").graph.nodes(data=True))

    assert main(["trace", "out", "--columns"]) == 0
    lines = [line.strip(" │├└─") for line in capsys.readouterr().out.splitlines()]
    hand = next(line for line in lines if line.startswith("by hand"))
    assert [line for line in lines if line != hand] == [
        f"db/out @ {commit[:8]}",
        run,
        next(line for line in lines if line.startswith("wrote 1 row · by code: columns mean, n · ")),
        f"db/counted @ {source[:8]}",
        "read 1 row · no columns",
        f"db/t @ {source[:8]}",
        "query over 2 tables gave 1 row · columns id, a, b, größe · mean ← a, b",
        f"db/u @ {source[:8]}",
        "query over 2 tables gave 5 rows in 2 parts · columns not known",
        f"db/w @ {source[:8]}",
        "query over 2 tables gave 4 rows, read 2 rows · all columns",
    ]
    assert main(["show", run]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("    read")]
    assert [line.split(" · ", 1)[1] for line in shown] == [
        "query over 2 tables gave 1 row · columns a, b, größe, id · mean ← a, b · as join · branch main",
        "query over 2 tables gave 1 row · column id · as join · branch main",
        "query over 2 tables gave 4 rows · columns not known · as untold · branch main",
        "query over 2 tables gave 4 rows · columns not known · as untold · branch main",
        "2 rows · all columns · branch main",
        "1 row · no columns · branch main",
    ]
    assert main(["trace", "out", "--columns", "--output", "json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert {node["id"]: node["columns"] for node in data["nodes"] if node["kind"] == "table"} == tables


@pytest.mark.parametrize("zoom", ["run", "task"])
def test_the_demos_columns(demo_folder: Path, zoom: Any) -> None:
    result = trace("variance_by_procedure", zoom=zoom, columns=True)
    tables = {data["table"]: data["columns"] for _, data in result.graph.nodes(data=True) if data["kind"] == "table"}
    assert tables == {
        "variance_by_procedure": ["code", "price"],
        "state_procedure_medians": ["state", "code", "price"],
        "hospitals": ["npi_number", "state"],
        "prices": ["npi_number", "code", "price"],
    }
    drawn = "".join(trace_answer(result, "mermaid", None))
    assert "read 36 rows · columns npi_number, state" in drawn
    assert "by code#58; columns code, price" in drawn
    assert r"· columns npi_number, code, price" in "".join(trace_answer(result, "dot", None))
