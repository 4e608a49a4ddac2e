"""`trace` of rows and cells: the runs behind them, what those were made from, and what cannot be asked."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import networkx
import pytest
from conftest import sql
from histories import Histories, histories
from writing import uncommitted

import doltflow
from doltflow.cli import main
from doltflow.errors import (
    ColumnNotFoundError,
    DoltflowError,
    NoKeyError,
    QueryError,
    RowNotFoundError,
    TableNotFoundError,
    UsageError,
)
from doltflow.render.cells import exact
from doltflow.rows import RowsResult, parse_key, trace_rows
from doltflow.sources.dolt import Session


@dataclass
class Told:
    """A folder with two databases, and the commits made there by short names."""

    folder: Path
    commits: dict[str, str]
    sessions: list[Session]

    def short(self, text: str) -> str:
        for name, commit in self.commits.items():
            text = text.replace(commit, name).replace(commit[:8], name)
        return text

    def brief(self, result: RowsResult) -> list[tuple[dict[str, Any], list[tuple[str, str, str | None]]]]:
        return [
            (
                dict(row.key),
                [
                    (
                        self.short(one.commit.hash),
                        one.change.change,
                        str(one.commit.run.pathspec) if one.commit.run is not None else None,
                    )
                    for one in row.changes
                ],
            )
            for row in result.rows
        ]

    def edges(self, graph: "networkx.DiGraph[str]") -> set[tuple[str, str, str]]:
        return {(self.short(a), data["kind"], self.short(b)) for a, b, data in graph.edges(data=True)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Prices by hand, medians of them by three runs, one of them on a branch that was merged; no Metaflow store."""
    folder = tmp_path_factory.mktemp("rows")
    with histories(folder) as made:
        yield Told(folder, _build(made), list(made.sessions.values()))


def _build(made: Histories) -> dict[str, str]:
    made.database("prices", "prices")
    made.database("analysis", "unused")
    january = made.by_hand("prices", "insert into prices values (1, 10), (2, 20), (3, 30)", message="January")
    names = {"january": january}
    create = [
        "create table medians (state varchar(2), code varchar(9), price decimal(12,2), primary key (state, code))",
        "insert into medians values ('TX', '27447', 10.10), ('TX', '00123', 5), ('CA', 'a=b,c', null)",
    ]
    reads = [("prices", "prices", january)]
    names["first"] = made.run("analysis", "Medians/1/start/1", "medians", *create, reads=reads)
    names["february"] = made.by_hand("prices", "update prices set v = 11 where id = 1", message="February")
    made.branch("analysis", "side")
    update = "update medians set price = 11.10 where code = '27447'"
    reads = [("prices", "prices", names["february"])]
    names["second"] = made.run("analysis", "Medians/2/start/1", "medians", update, reads=reads, branch="side")
    names["hand"] = made.by_hand("analysis", "delete from medians where code = '00123'", message="Wrong\nvery")
    names["merged"] = made.merge("analysis", "side")
    names["keyless"] = made.by_hand("analysis", "create table notes (v int)", "insert into notes values (1)")
    return names


@pytest.fixture
def told(built: Told, monkeypatch: pytest.MonkeyPatch) -> Told:
    """That folder as the current one, for tests that only ask."""
    monkeypatch.chdir(built.folder)
    return built


FIRST = {
    ("prices@january", "write", "prices/prices@january"),
    ("prices/prices@january", "read", "Medians/1"),
    ("Medians/1", "write", "analysis/medians@first"),
}
SECOND = {
    ("prices@february", "write", "prices/prices@february"),
    ("prices/prices@february", "read", "Medians/2"),
    ("Medians/2", "write", "analysis/medians@second"),
}


def test_a_row_leads_to_the_run_that_changed_it_and_up_to_its_inputs(told: Told) -> None:
    result = doltflow.trace_rows("medians", key={"state": "TX", "code": "27447"})
    assert told.brief(result) == [
        ({"state": "TX", "code": "27447"}, [("second", "modified", "Medians/2/start/1")]),
    ]
    change = result.rows[0].changes[0].change
    assert (change.before, change.after, change.columns) == (
        {"state": "TX", "code": "27447", "price": Decimal("10.10")},
        {"state": "TX", "code": "27447", "price": Decimal("11.10")},
        ("price",),
    )
    assert told.edges(result.graph) == SECOND
    assert [told.short(target) for target in result.targets] == ["analysis/medians@second"]
    assert (result.database, result.table, result.column, result.matched) == ("analysis", "medians", None, 1)
    assert list(result.runs) == ["Medians/2"]
    assert [text.partition(" (")[0] for text in result.warnings] == ["There is no Metaflow store"]


def test_rows_that_match_lead_to_all_the_runs_that_last_changed_them(told: Told) -> None:
    result = trace_rows("analysis/medians", where="price > 0 or price is null")
    assert told.brief(result) == [
        ({"state": "CA", "code": "a=b,c"}, [("first", "added", "Medians/1/start/1")]),
        ({"state": "TX", "code": "27447"}, [("second", "modified", "Medians/2/start/1")]),
    ]
    assert told.edges(result.graph) == FIRST | SECOND
    assert {told.short(target) for target in result.targets} == {"analysis/medians@first", "analysis/medians@second"}
    assert set(trace_rows("medians", where="1 = 1", depth=0).graph) == set(result.targets)
    steps = trace_rows("medians", where="1 = 1", zoom="task").graph
    assert {data["pathspec"] for _, data in steps.nodes(data=True) if data["kind"] == "task"} == {
        "Medians/1/start/1",
        "Medians/2/start/1",
    }


def test_the_history_of_a_row_and_of_a_cell(told: Told) -> None:
    whole = [("second", "modified", "Medians/2/start/1"), ("first", "added", "Medians/1/start/1")]
    key = {"state": "TX", "code": "27447"}
    result = trace_rows("medians", key=key, history=True)
    assert told.brief(result) == [(key, whole)]
    assert told.edges(result.graph) == SECOND
    assert told.brief(trace_rows("medians", key=key, column="PRICE", history=True)) == [(key, whole)]
    assert told.brief(trace_rows("medians", key=key, column="code", history=True)) == [(key, whole[1:])]
    assert told.brief(trace_rows("medians", where="code = '27447'", column="code")) == [(key, whole[1:])]


def test_a_row_that_was_removed(told: Told) -> None:
    key = {"state": "TX", "code": "00123"}
    result = trace_rows("medians", key=key)
    assert told.brief(result) == [(key, [("hand", "removed", None)])]
    change = result.rows[0].changes[0].change
    assert (change.before, change.after) == ({"state": "TX", "code": "00123", "price": Decimal("5.00")}, None)
    before = {"at": told.commits["first"]}
    assert told.brief(trace_rows("medians", key=key, **before)) == [(key, [("first", "added", "Medians/1/start/1")])]
    with pytest.raises(RowNotFoundError) as error:
        trace_rows("medians", where="medians.price < 6")
    assert str(error.value) == (
        "No row of `analysis/medians` matches `medians.price < 6` on its default branch, but rows that did were "
        "removed, such as state = 'TX', code = '00123'. Ask for it by `--key state=TX --key code=00123`."
    )
    assert told.brief(trace_rows("medians", where="code = '00123'", at="side")) == told.brief(
        trace_rows("medians", key=key, **before)
    )


def test_nothing_is_changed_by_asking(told: Told) -> None:
    before = [uncommitted(session) for session in told.sessions]
    trace_rows("medians", where="1 = 1", history=True)
    trace_rows("medians", key={"state": "TX", "code": "00123"})
    assert [uncommitted(session) for session in told.sessions] == before


# What cannot be asked


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({}, UsageError, "Rows are asked for by a predicate or by a key. Give one of `--where` and `--key`."),
        (
            {"where": "1 = 1", "key": {"code": "1"}},
            UsageError,
            "Rows are asked for by a predicate or by a key. Give one of `--where` and `--key`.",
        ),
        ({"where": "1 = 1", "limit": 0}, UsageError, "The limit is 0. It is 1 or more."),
        ({"where": "1 = 1", "depth": -1}, UsageError, "The depth is -1. It is 0 or more."),
        ({"where": "1 = 1", "zoom": "far"}, UsageError, "The zoom is 'far'. It is 'run', 'step' or 'task'."),
        ({"where": " "}, QueryError, "The predicate is empty. Leave it out to take every row."),
        ({"where": "1 = 1; drop table medians"}, QueryError, "The predicate ends at "),
        ({"where": "1 = 1) or (1 = 1"}, QueryError, "The predicate ends at "),
        ({"where": "code = 'x"}, QueryError, ""),
        (
            {"where": "code in (select v from notes)"},
            QueryError,
            "The predicate has a subquery, whose tables would not be recorded. "
            "Write the values themselves. In a step, `sql` takes the whole query.",
        ),
        ({"where": "1 = 1 -- all"}, QueryError, "The predicate has a comment"),
        (
            {"where": "cod = 'x'"},
            ColumnNotFoundError,
            "The table `medians` of `analysis` has no column `cod`. Did you mean `code`?",
        ),
        (
            {"where": "1 = 1", "column": "prize"},
            ColumnNotFoundError,
            "The table `medians` of `analysis` has no column `prize`. Did you mean `price`?",
        ),
        (
            {"where": "code = '1'"},
            RowNotFoundError,
            "No row of `analysis/medians` matches `code = '1'` on its default branch, nor did one that was removed. "
            "One that matched before it was changed can be asked for by `--key`.",
        ),
        (
            {"key": {"state": "'`\"\\", "code": "ü"}, "at": "side"},
            RowNotFoundError,
            "`analysis/medians` has no row with state = '\\'`\"\\\\', code = 'ü' at `side`, nor had it one before. "
            "`--where` searches by any column.",
        ),
    ],
)
def test_what_cannot_be_asked(told: Told, asked: dict[str, Any], kind: type[DoltflowError], message: str) -> None:
    with pytest.raises(kind) as error:
        trace_rows("medians", **asked)
    assert str(error.value).startswith(message)


def test_only_tables_with_a_key_have_rows(told: Told) -> None:
    with pytest.raises(NoKeyError) as keyless:
        trace_rows("notes", key={"v": 1})
    assert keyless.value.exit_code == 3
    assert str(keyless.value) == (
        "The table `notes` of `analysis` has no primary key, so that none of its rows can be followed from one commit "
        "to another. `doltflow trace notes` shows where the whole table came from."
    )
    with pytest.raises(UsageError) as run:
        trace_rows("Medians/1", where="1 = 1")
    assert str(run.value) == (
        "`Medians/1` is a run, and only a table has rows. `doltflow show Medians/1` lists the tables it wrote."
    )
    with pytest.raises(TableNotFoundError):
        trace_rows("Medians/7", where="1 = 1")
    with pytest.raises(TableNotFoundError, match="Did you mean `medians`"):
        trace_rows("median", where="1 = 1")


@pytest.mark.parametrize(
    ("texts", "key"),
    [(["a=b=c,d"], {"a": "b=c,d"}), (["a=", " B =x"], {"a": "", "B": "x"}), (["ü`=\n"], {"ü`": "\n"})],
)
def test_keys_on_the_command_line(texts: list[str], key: dict[str, str]) -> None:
    assert parse_key(texts) == key


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a=1", "a=2"], [""]])
def test_what_is_no_key(texts: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_key(texts)


# The command


def ask(told: Told, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, list[str]]:
    """The exit code, the answer, and what was said aside, without the missing store."""
    done = main(["trace", *arguments])
    out, err = capsys.readouterr()
    return done, told.short(out), [line for line in err.splitlines() if "Metaflow store" not in line]


def dated(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE", text)


def test_the_text(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    done, out, err = ask(told, capsys, "medians", "--where", "code <> 'x'", "--history")
    assert (done, err) == (0, [])
    assert dated(out) == (
        "medians state=CA  code=a=b,c\n"
        "  added by Medians/1/start/1\n"
        "    DATE · commit first\n"
        "    price NULL\n"
        "\n"
        "medians state=TX  code=27447\n"
        "  modified by Medians/2/start/1\n"
        "    DATE · commit second\n"
        "    price 10.10 → 11.10\n"
        "  added by Medians/1/start/1\n"
        "    DATE · commit first\n"
        "    price 10.10\n"
        "\n"
        "analysis/medians @ second\n"
        "└── Medians/2\n"
        "      wrote 1 row · DATE · status unknown\n"
        "    └── prices/prices @ february\n"
        "          by hand: Ann, DATE, “February”\n"
        "\n"
        "analysis/medians @ first\n"
        "└── Medians/1\n"
        "      wrote 1 row · DATE · status unknown\n"
        "    └── prices/prices @ january\n"
        "          by hand: Ann, DATE, “January”\n"
    )


def test_the_text_of_a_removal_and_of_a_cell(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    key = ["--key", "STATE=TX", "--key", "code=00123"]
    done, out, err = ask(told, capsys, "medians", *key, "--column", "price")
    assert (done, err) == (0, [])
    assert dated(out).startswith(
        "medians state=TX  code=00123 price\n"
        "  removed by hand: Ann\n"
        "    DATE · commit hand · “Wrong”\n"
        "    price 5.00\n"
        "\n"
        "analysis/medians @ hand\n"
    )


def test_more_rows_than_are_shown(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    done, out, err = ask(told, capsys, "medians", "--where", "1 = 1", "--limit", "1")
    assert (done, err) == (0, ["2 rows match; the first 1 are shown. `--limit` shows more."])
    assert out.count("medians state=") == 1
    done, out, err = ask(told, capsys, "medians", "--where", "1 = 1", "--limit", "2", "--output", "json")
    assert (done, err, json.loads(out)["data"]["matched"]) == (0, [], 2)


def test_the_json(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    key = ["--key", "state=TX", "--key", "code=27447"]
    done, out, err = ask(told, capsys, "medians", *key, "--history", "--output", "json")
    assert (done, err) == (0, [])
    envelope = json.loads(out)
    assert envelope["schema"] == "doltflow.trace/1"
    data = envelope["data"]
    graph = networkx.node_link_graph(data, edges="edges")
    assert told.edges(graph) == SECOND
    assert data["graph"]["target"] == "analysis/medians@second"
    assert data["graph"]["targets"] == ["analysis/medians@second"]
    (row,) = data["rows"]
    history = row.pop("history")
    assert history[0] == row
    assert [change.pop("message").split("\n")[0] for change in history] == [
        "Run: Medians/2/start/1",
        "Run: Medians/1/start/1",
    ]
    assert [re.fullmatch(r"[-\d]{10}T[:.\d]+\+00:00", change.pop("date")) is not None for change in history] == [
        True
    ] * 2
    place = {
        "key": {"state": "TX", "code": "27447"},
        "database": "analysis",
        "table": "medians",
        "author": "Ann",
    }
    before = {"state": "TX", "code": "27447", "price": "10.10"}
    after = {"state": "TX", "code": "27447", "price": "11.10"}
    assert history == [
        place
        | {
            "change": "modified",
            "commit": "second",
            "run": "Medians/2/start/1",
            "before": before,
            "after": after,
            "columns": ["price"],
        },
        place
        | {
            "change": "added",
            "commit": "first",
            "run": "Medians/1/start/1",
            "before": None,
            "after": before,
            "columns": ["state", "code", "price"],
        },
    ]


@pytest.mark.parametrize("output", ["mermaid", "dot", "graphml", "csv"])
def test_the_forms_of_graphs_show_the_same_graph(output: str, told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    done, of_rows, _ = ask(told, capsys, "medians", "--where", "code = '27447'", "--output", output)
    assert done == 0
    at = ["--at", told.commits["second"]]
    assert ask(told, capsys, "medians", *at, "--output", output)[:2] == (0, of_rows)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--history"], 2, "`--column`, `--history` and `--limit` are about rows."),
        (["--column", "price"], 2, "`--column`, `--history` and `--limit` are about rows."),
        (["--limit", "3"], 2, "`--column`, `--history` and `--limit` are about rows."),
        (["--key", "code=1", "--limit", "3"], 2, "`--limit` goes with `--where`."),
        (["--where", "1", "--downstream"], 2, "Rows are traced upstream."),
        (["--where", "1", "--columns"], 2, "Rows are traced upstream."),
        (["--key", "code"], 2, "The key 'code' is not of the form NAME=VALUE."),
        (["--key", "code=1"], 2, "The key lacks `state`."),
        (["--where", "1 = 1", "--key", "code=1"], 2, "Rows are asked for by a predicate or by a key."),
        (["--where", ""], 3, "The predicate is empty."),
        (["--where", "code = '\x1b'"], 3, "No row of `analysis/medians` matches `code = '\\x1b'`"),
        (["--where", "1 = 1", "--at", "1999-01-01"], 3, ""),
    ],
)
def test_wrong_usage(
    arguments: list[str], code: int, message: str, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    done, out, err = ask(told, capsys, "medians", *arguments)
    assert (done, out) == (code, "")
    assert err[0].startswith(f"error: {message}")


# With the store


def test_a_row_of_the_demo(demo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = sql(demo_folder / "hospital-price-analysis", "select * from variance_by_procedure limit 1")
    done = main(["trace", "variance_by_procedure", "--key", f"code={row['code']}"])
    out, err = capsys.readouterr()
    assert (done, err) == (0, "")
    block, tree = out.split("\n\n")
    lines = dated(re.sub(r"\d{6,}", "RUN", re.sub(r"commit \w{8}", "commit HASH", block))).splitlines()
    assert lines[0] == f"variance_by_procedure code={row['code']}"
    assert lines[1] == "  added by HospitalProcedurePriceVarianceByState/RUN/start/1"
    assert lines[2] == "    DATE · commit HASH"
    assert lines[3].startswith("    ")
    assert "=main" in lines[3]
    assert tree.count("HospitalProcedurePriceVarianceByState/") == tree.count("HospitalPriceStateMedians/") == 1
    assert "hospital-price-transparency/prices @ " in tree


# Values


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (b"\x00\xff", "0x00ff"),
        (b"", "0x"),
        (None, None),
        ("", ""),
        (True, True),
        (2**64 - 1, 2**64 - 1),
        (0.1, 0.1),
        ("ü\x1b", "ü\x1b"),
    ],
)
def test_values_in_json(value: Any, shown: Any) -> None:
    assert exact(value) == shown
    assert type(exact(value)) is type(shown)
