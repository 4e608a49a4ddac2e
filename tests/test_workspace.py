"""What a command looks at: which databases, which store, and what becomes of names that are strange or mean nothing."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import networkx
import pytest
from conftest import dolt, head, run_flow, sql
from flows.harness import world

import doltflow
from doltflow.errors import (
    AmbiguousDatabaseError,
    DatabaseNotFoundError,
    DoltNotFoundError,
    SettingsError,
    StoreNotFoundError,
    TableNotFoundError,
    UsageError,
)
from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.model.pathspec import Pathspec
from doltflow.runs import runs
from doltflow.show import show
from doltflow.trace import trace
from doltflow.workspace import load_settings

Make = Callable[..., Path]
STRANGE = [
    "two words",
    "back`tick",
    "it's",
    'a "b"',
    "größe 日本",
    "a/b",
    "a@b",
    "100%",
    "select",
    "semi;colon",
    "-v",
]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def run_commit(
    folder: Path, task: str, table: str, value: int, *reads: ReadTrailer, mode: str = "replace", attempt: int = 0
) -> str:
    """A commit as a run leaves it, with a row that it put into a table."""
    pathspec = Pathspec.parse(task)
    assert pathspec is not None
    message = encode_message(pathspec, attempt=attempt, writes=[WriteTrailer(table, mode, 1)], reads=reads)
    text = message.replace("\\", "\\\\").replace("'", "''")
    script = [
        f"create table if not exists {quoted(table)} (id int primary key)",
        f"insert into {quoted(table)} values ({value})",
        f"call dolt_commit('-Am', '{text}')",
    ]
    dolt(folder, "sql", stdin=";\n".join(script))
    return head(folder)


def edges(graph: "networkx.DiGraph[str]") -> set[tuple[str, str]]:
    return set(graph.edges)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two databases of which the second has a table that a run made of one of the first."""
    with world(tmp_path_factory.mktemp("template")) as here:
        source = here.database("source", "create table numbers (id int primary key)")
        target = here.database("target")
        read = ReadTrailer("source", head(source), ("numbers",), "main")
        run_commit(target, "Flow/1/start/2", "doubled", 1, read)
        yield here.folder


@pytest.fixture
def two(template: Path) -> tuple[Path, Path]:
    """The two databases, in the current folder."""
    for name in ("source", "target"):
        shutil.copytree(template / name, name)
    return Path.cwd() / "source", Path.cwd() / "target"


def expected(source: Path, target: Path) -> set[tuple[str, str]]:
    made, wrote = head(source), head(target)
    return {
        (f"source@{made}", f"source/numbers@{made}"),
        (f"source/numbers@{made}", "Flow/1"),
        ("Flow/1", f"target/doubled@{wrote}"),
    }


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without databases, below another one; it is the current one now."""
    folder = Path.cwd() / "project" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


# Where databases are looked for


def test_databases_in_the_folder_and_just_below_it(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert edges(trace("doubled").graph) == expected(*two)
    monkeypatch.chdir(two[1])
    result = trace("doubled")
    assert ("Flow/1", result.target) in edges(result.graph)
    assert "The database `source`, which Flow/1/start/2 names, is not here." in result.warnings


def test_another_folder_is_looked_at_where_it_is_named(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch)
    with pytest.raises(DatabaseNotFoundError, match="There is no Dolt database in"):
        trace("doubled")
    assert edges(trace("doubled", folder=two[0].parent).graph) == expected(*two)
    assert edges(trace("doubled", folder=Path("../..")).graph) == expected(*two)
    assert [run.pathspec for run in runs(folder=two[0].parent).runs] == ["Flow/1"]
    assert show("Flow/1", folder=two[0].parent).run.pathspec == "Flow/1"


@pytest.mark.parametrize("place", ["project/doltflow.toml", "project/pyproject.toml", "project/deep/doltflow.toml"])
def test_databases_that_a_file_names(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    top = Path.cwd()
    elsewhere(monkeypatch)
    up = "../" * place.count("/")
    line = f"databases = ['{up}source', '{top / 'target'}']\n"
    (top / place).write_text(line if place.endswith("doltflow.toml") else f"[tool.doltflow]\n{line}")
    result = doltflow.trace_table("doubled")
    assert edges(result.graph) == expected(*two)
    assert [run.pathspec for run in runs().runs] == ["Flow/1"]


def test_the_variable_comes_before_the_files(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch)
    Path("doltflow.toml").write_text("databases = ['nonsense']")
    monkeypatch.setenv("DOLTFLOW_DATABASES", os.pathsep.join(["../../source", str(two[1]), ""]))
    assert edges(trace("doubled").graph) == expected(*two)


def test_the_nearest_file_with_settings_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "doltflow.toml").write_text("databases = ['outer']")
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.other]\n")
    assert load_settings(inner).databases == (str(tmp_path / "outer"),)
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.doltflow]\n")
    assert load_settings(inner).databases == ()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("doltflow.toml", "databases = [", "cannot be read"),
        ("doltflow.toml", "databases = 'one'", "is 'one', not a list of folders"),
        ("doltflow.toml", "databases = [1]", "is [1], not a list of folders"),
        ("doltflow.toml", "database = ['one']", "sets `database`, which is no setting. Did you mean `databases`?"),
        ("doltflow.toml", "databases = ['~nobody-here/x']", "names the folder `~nobody-here/x`"),
        ("pyproject.toml", "[tool]\ndoltflow = 5", "is 5, not a table of settings"),
        ("pyproject.toml", "\x00", "cannot be read"),
    ],
)
def test_settings_that_make_no_sense(name: str, text: str, said: str) -> None:
    Path(name).write_text(text)
    with pytest.raises(SettingsError) as caught:
        trace("t")
    assert said in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("text", ["tool = 3", "[tool.other]\nx = 1", ""])
def test_a_project_without_settings(two: tuple[Path, Path], text: str) -> None:
    Path("pyproject.toml").write_text(text)
    assert edges(trace("doubled").graph) == expected(*two)


def test_a_folder_that_is_set_and_is_no_database(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("plain").mkdir()
    monkeypatch.setenv("DOLTFLOW_DATABASES", "plain")
    with pytest.raises(DatabaseNotFoundError, match=r"plain` is not a Dolt database.*DOLTFLOW_DATABASES names it"):
        trace("doubled")
    monkeypatch.setenv("DOLTFLOW_DATABASES", "sourc")
    with pytest.raises(DatabaseNotFoundError, match=r"no folder .*sourc`\. DOLTFLOW_DATABASES names it\. .*`source`"):
        runs()


# Which database is meant


@pytest.mark.parametrize("name", ["target", "./target", "target/", "{}", "../work/target"])
def test_a_database_is_asked_for_by_name_or_place(two: tuple[Path, Path], name: str) -> None:
    assert edges(trace("doubled", database=name.format(two[1])).graph) == expected(*two)


def test_a_database_that_is_asked_for_is_looked_at_though_it_is_elsewhere(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(monkeypatch)
    result = trace("doubled", database="../../target")
    made = head(two[0])
    assert (f"source/numbers@{made}", "Flow/1") in edges(result.graph)
    assert "The database `source`, which Flow/1/start/2 names, is not here." in result.warnings


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tarket", "There is no database `tarket` in .* Did you mean `target`"),
        ("plain", "The folder `plain` is not a Dolt database"),
        ("./nowhere", "There is no folder `./nowhere`"),
        ("file", "The folder `file` is not a Dolt database"),
        ("~nobody-here/x", "There is no folder `~nobody-here/x`"),
        ("nul\0", "cannot be opened|There is no database"),
        ("", "There is no database|not a Dolt database"),
    ],
)
@pytest.mark.parametrize("target", ["doubled", "Flow/1"])
def test_a_database_that_is_not_there(two: tuple[Path, Path], name: str, said: str, target: str) -> None:
    Path("plain").mkdir()
    Path("file").touch()
    with pytest.raises(DatabaseNotFoundError, match=said):
        trace(target, database=name)


def test_a_table_that_two_databases_have(two: tuple[Path, Path], database: Make) -> None:
    database("third", "create table Doubled (id int primary key)")
    with pytest.raises(AmbiguousDatabaseError, match=r"Several databases have a table `doubled`: target, third\."):
        trace("doubled")
    assert edges(trace("doubled", database="target").graph) == expected(*two)
    assert trace("doubled", database="third").target.startswith("third/Doubled@")


def test_the_database_that_is_asked_for_comes_before_another_one_of_its_name(
    two: tuple[Path, Path], database: Make
) -> None:
    other = database("more/target", "create table doubled (id int primary key)")
    result = trace("doubled", database="more/target")
    assert result.target == f"target/doubled@{head(other)}"
    (warning,) = [text for text in result.warnings if "Two databases" in text]
    assert warning == (f"Two databases are called `target`: {other} is looked at, {two[1]} is not.")


def test_a_database_that_cannot_be_read_is_left_out(two: tuple[Path, Path]) -> None:
    broken = Path("broken")
    (broken / ".dolt" / "noms").mkdir(parents=True)
    (broken / ".dolt" / "noms" / "manifest").write_text("nonsense")
    result = trace("doubled")
    assert edges(result.graph) == expected(*two)
    (warning,) = [text for text in result.warnings if "broken" in text]
    assert warning.startswith("The database `broken` is left out: Dolt cannot serve")
    with pytest.raises(TableNotFoundError, match=r"`broken` was left out: Dolt cannot serve"):
        trace("lost")


def test_without_the_program_dolt(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for ask in (lambda: trace("doubled"), runs, lambda: show("Flow/1")):
        with pytest.raises(DoltNotFoundError):
            ask()


def test_where_there_is_nothing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = elsewhere(monkeypatch)
    with pytest.raises(StoreNotFoundError, match=f"There is neither a Metaflow store nor a Dolt database in {folder}"):
        runs()
    with pytest.raises(DatabaseNotFoundError, match=f"There is no Dolt database in {folder} or just below it"):
        trace("t")
    assert list(folder.iterdir()) == []


def test_a_limit_below_zero(two: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError):
        runs(limit=-1)


# Names as strange as Dolt allows


def test_tables_with_strange_names(database: Make) -> None:
    source = database("source", *(f"create table {quoted(name)} (id int primary key)" for name in STRANGE))
    target = database("target")
    made = head(source)
    run_commit(target, "Flow/1/s/1", "größe `of` 'all'", 1, ReadTrailer("source", made, tuple(STRANGE), "main"))
    result = trace("größe `of` 'all'")
    assert set(result.graph.predecessors("Flow/1")) == {f"source/{name}@{made}" for name in STRANGE}
    assert result.graph.nodes[result.target]["table"] == "größe `of` 'all'"
    assert len(result.warnings) == 1
    data = json.loads(json.dumps(networkx.node_link_data(result.graph, edges="edges")))
    assert edges(networkx.node_link_graph(data, edges="edges")) == edges(result.graph)
    for name in ("back`tick", "a/b", "a@b", "-v"):
        assert trace(name).target == f"source/{name}@{made}"


def test_a_table_is_found_in_any_case_and_shown_as_dolt_spells_it(two: tuple[Path, Path]) -> None:
    assert trace("DOUBLED").target == f"target/doubled@{head(two[1])}"


def test_branches_with_strange_names(two: tuple[Path, Path]) -> None:
    names = ["feature/x", "it's", "a.b-c", "0123abcd"]
    for name in names:
        dolt(two[1], "branch", name)
    dolt(two[1], "sql", "-q", "drop table doubled; call dolt_commit('-Am', 'dropped')")
    before = {(a, b.replace(head(two[1]), head(two[1], "main~1"))) for a, b in expected(*two)}
    for name in names:
        assert edges(trace("doubled", at=name, database="target").graph) == before


def test_a_table_that_was_dropped(two: tuple[Path, Path]) -> None:
    dolt(two[1], "sql", "-q", "drop table doubled; call dolt_commit('-Am', 'dropped')")
    with pytest.raises(TableNotFoundError):
        trace("doubled")
    result = trace("doubled", at="HEAD~1", database="target")
    assert result.target == f"target/doubled@{head(two[1], 'main~1')}"


def test_a_table_that_was_changed_and_changed_back_was_made_by_the_last_change(two: tuple[Path, Path]) -> None:
    last = run_commit(two[1], "Flow/2/s/1", "doubled", 9)
    back = "delete from doubled where id = 9; call dolt_commit('-Am', 'Back', '--author', 'Ben <b@x>')"
    dolt(two[1], "sql", "-q", back)
    result = trace("doubled")
    made = head(two[1])
    assert edges(result.graph) == {
        ("Flow/2", f"target/doubled@{last}"),
        (f"target/doubled@{last}", f"target@{made}"),
        (f"target@{made}", f"target/doubled@{made}"),
    }


def test_a_table_by_the_name_that_doltflow_shows(two: tuple[Path, Path], database: Make) -> None:
    database("third", "create table doubled (id int primary key)")
    for ask in (trace, doltflow.trace_table):
        assert edges(ask("target/doubled").graph) == expected(*two)
        assert ask("target/doubled", at="main", database="target").target == f"target/doubled@{head(two[1])}"
        with pytest.raises(TableNotFoundError, match="The database `third` has no table `numbers`"):
            ask("third/numbers")


# Metaflow's store


def test_a_store_further_up(database: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    database("numbers", "create table source (id int primary key, v int)", "insert into source values (1, 2)")
    run_flow(Path.cwd(), "counter_flow.py")
    below = Path("below")
    below.mkdir()
    shutil.move("numbers", below / "numbers")
    monkeypatch.chdir(below)
    result = trace("final")
    assert result.warnings == ()
    (run,) = result.runs.values()
    assert run.parameters["factor"] == 2


def test_a_store_that_cannot_be_read_is_named_and_the_commits_tell_the_rest(two: tuple[Path, Path]) -> None:
    meta = Path(".metaflow/Flow/1/_meta")
    meta.mkdir(parents=True)
    (meta / "_self.json").write_text('{"run_number": "1", "flow')
    (meta.parents[1] / "_meta").mkdir()
    (meta.parents[1] / "_meta" / "_self.json").write_text('{"flow_id": "Flow", "ts_epoch": 1}')
    result = trace("doubled")
    assert edges(result.graph) == expected(*two)
    (warning,) = result.warnings
    assert warning.startswith("Metaflow's store cannot be read for run `Flow/1`: JSONDecodeError: ")
    assert warning.endswith("Going on from the commits alone.")
    assert [run.pathspec for run in runs().runs] == ["Flow/1"]
    assert trace("Flow/1").target == "Flow/1"


def test_an_empty_store(two: tuple[Path, Path]) -> None:
    Path(".metaflow").mkdir()
    result = trace("doubled")
    assert edges(result.graph) == expected(*two)
    assert result.warnings == ()
    assert [run.pathspec for run in runs().runs] == ["Flow/1"]
    assert list(Path(".metaflow").iterdir()) == []


def test_a_store_that_is_a_file(two: tuple[Path, Path]) -> None:
    Path(".metaflow").touch()
    result = trace("doubled")
    assert edges(result.graph) == expected(*two)
    assert "There is no Metaflow store" in result.warnings[0]


# What commits say, where nothing else does


def test_a_failed_attempts_commit_is_no_version_of_the_run(two: tuple[Path, Path]) -> None:
    first = run_commit(two[1], "Flow/7/s/1", "tried", 1)
    second = run_commit(two[1], "Flow/7/s/1", "tried", 2, attempt=1)
    assert edges(trace("Flow/7").graph) == {("Flow/7", f"target/tried@{second}")}
    assert edges(trace("tried", at=first, database="target").graph) == {("Flow/7", f"target/tried@{first}")}


@pytest.mark.parametrize("mode", ["update", "append"])
def test_what_a_write_left_in_a_table_leads_to_who_had_put_it_there(two: tuple[Path, Path], mode: str) -> None:
    first = head(two[1])
    second = run_commit(two[1], "Flow/5/s/1", "doubled", 5, mode=mode)
    third = run_commit(two[1], "Flow/6/s/1", "doubled", 6, mode=mode)
    result = trace("doubled")
    assert edges(result.graph) == {(a, b.replace(third, first)) for a, b in expected(*two)} | {
        (f"target/doubled@{first}", "Flow/5"),
        ("Flow/5", f"target/doubled@{second}"),
        (f"target/doubled@{second}", "Flow/6"),
        ("Flow/6", f"target/doubled@{third}"),
    }
    (kept,) = result.graph.edges[f"target/doubled@{first}", "Flow/5"]["accesses"]
    assert (kept["kind"], kept["mode"], kept["tables"]) == ("read", mode, ["doubled"])
    assert "rows" not in kept


def test_what_a_task_left_of_its_own_in_a_table_was_not_read(two: tuple[Path, Path]) -> None:
    before = head(two[1])
    run_commit(two[1], "Flow/5/s/1", "doubled", 5, mode="append")
    last = run_commit(two[1], "Flow/5/s/1", "doubled", 6, mode="append")
    graph = trace("doubled", depth=2).graph
    assert set(graph) == {f"target/doubled@{last}", "Flow/5", f"target/doubled@{before}"}
    assert "own_reads" not in graph.nodes["Flow/5"]


def test_what_a_second_attempt_left_in_a_table_is_not_what_the_first_one_had_put_there(two: tuple[Path, Path]) -> None:
    before = head(two[1])
    run_commit(two[1], "Flow/5/s/1", "doubled", 5, mode="append")
    run_commit(two[1], "Flow/9/s/1", "other", 5)
    last = run_commit(two[1], "Flow/5/s/1", "doubled", 6, mode="append", attempt=1)
    assert set(trace("doubled", depth=2).graph) == {
        f"target/doubled@{last}",
        "Flow/5",
        f"target/doubled@{before}",
    }


def test_a_read_that_two_commits_of_a_run_list_counts_for_both_steps(two: tuple[Path, Path]) -> None:
    source, target = two
    read = ReadTrailer("source", head(source), ("numbers",), "main")
    run_commit(target, "Flow/4/first/1", "one", 1, read)
    run_commit(target, "Flow/4/second/2", "other", 1, read)
    graph = trace("other", zoom="step").graph
    assert (f"source/numbers@{head(source)}", "Flow/4/second") in edges(graph)
    assert len(trace("Flow/4").graph.edges[f"source/numbers@{head(source)}", "Flow/4"]["accesses"]) == 1


def test_a_rerun_is_not_the_latest_run(two: tuple[Path, Path]) -> None:
    pathspec = Pathspec("Flow", "8", "s", "1")
    message = encode_message(
        pathspec,
        attempt=0,
        writes=[WriteTrailer("doubled", "replace", 1)],
        reads=[],
        rerun_of={"pathspec": "Flow/1", "kind": "replay"},
    )
    dolt(two[1], "sql", stdin=f"insert into doubled values (7);\ncall dolt_commit('-Am', '{message}')")
    assert trace("Flow/latest").target == "Flow/1"
    assert trace("Flow/8").graph.nodes["Flow/8"]["rerun_of"] == {"pathspec": "Flow/1", "kind": "replay"}


def test_a_commit_copied_to_another_branch_is_the_runs_as_well(two: tuple[Path, Path]) -> None:
    source, target = two
    dolt(target, "sql", stdin="call dolt_checkout('-b', 'copy', 'main~1');\ncall dolt_cherry_pick('main')")
    copy = head(target, "copy")
    assert copy != head(target)
    result = trace("doubled", at="copy", database="target")
    assert edges(result.graph) == {(a, b.replace(head(target), copy)) for a, b in expected(source, target)}


def test_what_merely_looks_like_a_runs_commit_was_made_by_hand(two: tuple[Path, Path]) -> None:
    for message in ("Run: Flow/1/start", "Run: Flow/1/start/2 again", "run: Flow/1/start/2", "Run Flow/1/start/2"):
        query = f"insert into doubled select max(id) + 1 from doubled; call dolt_commit('-Am', '{message}')"
        dolt(two[1], "sql", "-q", query)
        result = trace("doubled")
        assert list(result.graph.predecessors(result.target)) == [f"target@{head(two[1])}"]
        assert result.graph.nodes[result.target]["message"] == message


def test_reads_of_a_commit_or_a_table_that_is_not_there(two: tuple[Path, Path]) -> None:
    source, target = two
    reads = (ReadTrailer("source", "0" * 32, ("numbers",)), ReadTrailer("source", head(source), ("lost",)))
    run_commit(target, "Flow/3/s/1", "made", 1, *reads)
    result = trace("made")
    assert set(result.warnings[1:]) == {
        f"Flow/3/s/1 names the commit {'0' * 32}, which `source` does not have.",
        f"Flow/3/s/1 names the table `lost`, which `source` does not have at {head(source)}.",
    }
    assert edges(result.graph) == {
        (f"source/numbers@{'0' * 32}", "Flow/3"),
        ("Flow/3", f"target/made@{head(target)}"),
    }


def test_no_branch_and_no_file_is_left_behind(two: tuple[Path, Path]) -> None:
    before = [sql(folder, "select name, hash from dolt_branches") for folder in two]
    trace("doubled")
    assert [sql(folder, "select name, hash from dolt_branches") for folder in two] == before
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["source", "target"]
