"""Tables, columns, branches, databases and folders of any name, and data that steers: written, read and shown."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx
import pytest
from conftest import FlowRun, dolt, folder_of, footprint
from flows.harness import World, world
from hostile import NAMES, STEERING, steers
from test_cli import in_terminal

from doltflow.cli.entry import main
from doltflow.model.quoting import literal, quote
from doltflow.sources.dolt import Database, Session

SOURCE = "so`ur'ce; --\u05e9\u05dc\u05d5\u05dd \U0001f600"
TARGET = f"-D tar\nget{STEERING}"
BRANCH = "it's;`b`\"--x"
COLUMNS = [*NAMES, "\U0001f600", "a ", " a"]
KEY = COLUMNS[-4]
# The recorder gives no table a name with control characters; one that somebody else has given it reads.
PAIRS = [(name, name if name.isprintable() else "plain") for name in NAMES]


@dataclass(frozen=True)
class Hostile:
    """Two databases, in each of which every name that there is stands for a table, and two runs between them."""

    world: World
    source: Session
    target: Session
    first: FlowRun
    second: FlowRun


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    with world(tmp_path_factory.mktemp("hostile")) as above, ExitStack() as stack:
        here = World(above.folder / "my \u202ework\n'$HOME' \u05e9", above.environment)
        here.folder.mkdir()
        folders = [here.database(SOURCE), here.database(TARGET)]
        # Held open, so that the commands find a server that runs.
        source, target = (stack.enter_context(Database.at(folder).open()) for folder in folders)
        connection = source._connection
        connection.use()
        declared = ", ".join(f"{quote(name)} varchar(200)" for name in COLUMNS if name != KEY)
        filler = ", ".join([literal(STEERING)] * (len(COLUMNS) - 1))
        for name in NAMES:
            connection.rows(f"create table {quote(name)} ({quote(KEY)} varchar(100) primary key, {declared})")
            connection.rows(f"insert into {quote(name)} values ({literal('k' + STEERING)}, {filler})")
        message, author = f"By hand{STEERING}\n\nBelow{STEERING}", "An\u202en \x1b[31m\x9b <a@x>"
        connection.rows("call dolt_commit('-Am', %s, '--author', %s)", [message, author])
        target._connection.use()
        target._connection.rows("call dolt_branch(%s, 'main')", [BRANCH])
        arguments = ["--source", SOURCE, "--target", TARGET, "--branch", BRANCH, "--tables", json.dumps(PAIRS)]
        first = here.run("hostile_flow.py", *arguments, "--note", f"one{STEERING}")
        for name in NAMES:
            connection.rows(f"insert into {quote(name)} values ({literal('other' + STEERING)}, {filler})")
        connection.rows("call dolt_commit('-Am', %s, '--author', %s)", [message, author])
        second = here.run("hostile_flow.py", *arguments, "--note", f"two{STEERING}")
        yield Hostile(here, source, target, first, second)


@pytest.fixture
def hostile(built: Hostile, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    built.world.enter(monkeypatch)
    return built


def ran(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command answers; neither that nor what it says beside it steers a terminal."""
    found = main(arguments)
    captured = capsys.readouterr()
    assert found == code, captured.err + captured.out
    assert steers(captured.out) == [], arguments
    assert steers(captured.err) == [], arguments
    return captured.out


def data(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> Any:
    return json.loads(ran(capsys, command, "--output", "json", *arguments))["data"]


def test_what_was_written_is_what_was_read(hostile: Hostile) -> None:
    at, of = hostile.target.branch_head(BRANCH), hostile.source.branch_head("main")
    assert sorted(hostile.target.tables(at)) == sorted(new for _, new in PAIRS)
    for name, new in PAIRS:
        written, read = hostile.target.read(new, at), hostile.source.read(name, of)
        assert sorted(written.column_names) == sorted(COLUMNS)
        assert written.select(COLUMNS).to_pylist() == read.select(COLUMNS).to_pylist()


GRAPHS = ["text", "json", "mermaid", "dot", "graphml", "csv"]
SHORT = [PAIRS[4], PAIRS[9], PAIRS[-1]]


@pytest.mark.parametrize(("name", "new"), SHORT)
def test_a_table_of_any_name(hostile: Hostile, name: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    there = ["-d", TARGET, "--at", BRANCH]
    graphs = {output: ran(capsys, "trace", *there, "--output", output, "--", new) for output in GRAPHS}
    graph = networkx.node_link_graph(json.loads(graphs["json"])["data"], edges="edges")
    tables = {(node["database"], node["table"]) for _, node in graph.nodes(data=True) if node["kind"] == "table"}
    assert tables == {(TARGET, new), *((SOURCE, read) for read in NAMES)}
    assert networkx.parse_graphml(graphs["graphml"]).number_of_nodes() == graph.number_of_nodes()
    assert len(list(csv.DictReader(io.StringIO(graphs["csv"])))) == graph.number_of_edges()
    assert data(capsys, "trace", *there, "--columns", "--zoom", "step", "--", new)["nodes"]
    assert data(capsys, "trace", "-d", SOURCE, "--downstream", "--", name)["nodes"]
    key = f"{KEY}=k{STEERING}"
    assert data(capsys, "trace", "-d", SOURCE, "--key", key, "--history", "--", name)
    ran(capsys, "trace", "-d", SOURCE, "--where", f"{quote(name)} is not null", "--", name)
    rows = ran(capsys, "cat", *there, "--output", "jsonl", "--columns", as_list([name, KEY]), "--", new).splitlines()
    assert {tuple(json.loads(row)) for row in rows} == {(name, KEY) if name != KEY else (KEY,)}
    assert len(data(capsys, "log", SOURCE, "--table", name)["commits"]) == 2
    assert data(capsys, "impact", f"{SOURCE}@main~1", "--table", name)
    diff = data(capsys, "diff", hostile.first.pathspec, hostile.second.pathspec, "--table", new)
    assert [(table["table"], table["added"], table["modified"]) for table in diff["tables"]] == [(new, 1, 0)]
    ran(capsys, "diff", hostile.first.pathspec, hostile.second.pathspec, "--table", new)
    ran(capsys, "diff", f"{SOURCE}@main~1", f"{SOURCE}@main", "--table", name, "--where", f"{quote(name)} is not null")
    ran(capsys, "diff", f"{SOURCE}@main~1", f"{SOURCE}@main", "--table", name, "--output", "jsonl")
    ran(capsys, "status", "-d", TARGET, "--", new)


@pytest.mark.long
@pytest.mark.parametrize(("name", "new"), [pair for pair in PAIRS if pair not in SHORT])
def test_the_other_names(hostile: Hostile, name: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    test_a_table_of_any_name(hostile, name, new, capsys)


def as_list(names: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="", quoting=csv.QUOTE_ALL).writerow(dict.fromkeys(names))
    return out.getvalue()


def test_a_patch_applies(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    # A name has no other spelling in SQL: the patch has it as it is, but where a terminal shows it.
    assert main(["diff", f"{SOURCE}@main~1", f"{SOURCE}@main", "--output", "sql"]) == 0
    patch = capsys.readouterr().out
    connection = hostile.source._connection
    connection.use()
    connection.rows("call dolt_branch('scratch', 'main~1')")
    dolt(folder_of(hostile.source), "--branch", "scratch", "sql", stdin=patch)
    for name in NAMES:
        hashes = [hostile.source.table_hash(name, branch) for branch in ("scratch", "main")]
        assert hashes[0] == hashes[1] is not None, name
    connection.use()
    connection.rows("call dolt_branch('-D', 'scratch')")


def test_no_text_steers_a_terminal(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = hostile.first.pathspec, hostile.second.pathspec
    for arguments in [
        ["runs"],
        ["show", first],
        ["log"],
        ["log", "--at", BRANCH, "--", TARGET],
        ["status"],
        ["status", "--output", "json"],
        ["audit"],
        ["audit", second],
        ["impact", f"{SOURCE}@main~1"],
        *(["impact", f"{SOURCE}@main~1", "--output", output] for output in GRAPHS),
        ["diff", first, second],
        ["diff", first, second, "--stat"],
        ["diff", f"{SOURCE}@main~1", f"{SOURCE}@main"],
        ["diff", "--", f"{TARGET}@main", f"{TARGET}@{BRANCH}"],
        ["replay", second, "--dry-run"],
        ["backtest", "-d", SOURCE, "--commit", hostile.source.resolve("main~1"), "--dry-run"],
        ["backtest", "--list"],
    ]:
        ran(capsys, *arguments)


WRONG = [
    ["trace", "{}"],
    ["trace", NAMES[0], "-d", "{}"],
    ["trace", "it's", "--at", "{}"],
    ["trace", "-d", SOURCE, "--where", "{} = 1", "it's"],
    ["trace", "-d", SOURCE, "--key", "{}=1", "it's"],
    ["cat", "-d", SOURCE, "--columns", '"{}"', "it's"],
    ["cat", "-d", SOURCE, "it's", "--to", "nowhere/at all/{}"],
    ["cat", "-d", SOURCE, "--run", "{}", "it's"],
    ["log", "{}"],
    ["log", SOURCE, "--table", "{}"],
    ["log", "--since", "{}"],
    ["impact", SOURCE + "@{}"],
    ["impact", "{}@main"],
    ["show", "{}"],
    ["show", "Flow/{}"],
    ["status", "{}"],
    ["audit", "{}"],
    ["diff", "{}", SOURCE + "@main"],
    ["diff", SOURCE + "@{}", SOURCE + "@main"],
    ["diff", SOURCE + "@main~1", SOURCE + "@main", "--table", "{}"],
    ["replay", "{}"],
    ["backtest", "--commit", "{}"],
    ["backtest", "--remove", "{}", "--yes"],
    ["runs", "--output", "{}"],
    ["{}"],
]


@pytest.mark.parametrize("name", ["x" * 10_000, "-" + "D" * 10_000, f"n{STEERING}", "\0", "\udcff", "../etc"])
def test_what_is_not_there(hostile: Hostile, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in WRONG:
        found = main([argument.replace("{}", name) for argument in arguments])
        out, err = capsys.readouterr()
        assert found in (2, 3), (arguments, out, err)
        assert out == ""
        assert steers(err) == [], arguments
        assert len(err) < 3_000, arguments
        assert err.startswith("error: ")


def test_a_terminal_is_shown_no_row_that_steers_it(hostile: Hostile) -> None:
    both = [f"{SOURCE}@main~1", f"{SOURCE}@main"]
    for arguments in (
        ["cat", "-d", SOURCE, "it's"],
        ["cat", "-d", SOURCE, "it's", "--output", "jsonl"],
        ["diff", *both, "--table", NAMES[-1]],
        *(["diff", *both, "--table", NAMES[-1], "--output", output] for output in ("sql", "csv", "jsonl")),
    ):
        shown = in_terminal(80, sys.executable, "-m", "doltflow", *arguments, NO_COLOR="1")
        assert set(steers(shown)) <= {"\t"}, arguments
        assert "\\x1b" in shown or "\\u001b" in shown


BRANCHES = ["-D", "--force", "-f", "--help", "--", "-", "a b", " a", "x" * 10_000, f"n{STEERING}"]


def test_branches_that_dolt_would_take_for_options(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    before = [footprint(folder_of(session)) for session in (hostile.source, hostile.target)]
    commit = hostile.source.resolve("main~1")
    for name in BRANCHES:
        for arguments in (
            ["backtest", "-d", SOURCE, "--commit", commit, f"--branch={name}"],
            ["backtest", "-d", SOURCE, "--commit", commit, f"--branch={name}", "--dry-run"],
            ["replay", hostile.first.pathspec, f"--branch={name}"],
            ["backtest", "--remove", name, "--yes"],
            ["cat", "-d", TARGET, f"--at={name}", "--", "it's"],
        ):
            found = main(arguments)
            out, err = capsys.readouterr()
            assert found in (2, 3), (arguments, out)
            assert out == ""
            assert steers(err) == []
            assert len(err) < 3_000
    assert [footprint(folder_of(session)) for session in (hostile.source, hostile.target)] == before


def test_files_of_any_name(hostile: Hostile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a b.csv", "new\nline.jsonl", "-o.csv", "\u202e\u05e9.csv", f"{STEERING}.csv", "it's;`x`$(touch y)"):
        file = tmp_path / name
        ran(capsys, "cat", "-d", SOURCE, "--to", str(file), "--", "it's")
        assert file.read_text(encoding="utf-8")
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 6
