"""`log`: which commits there are, which run made each, which tables each changed."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt, footprint, head
from dated import commit, dated_database, run_message
from flows.harness import is_served, world
from test_cli import PROGRAM, in_terminal

from doltflow.cli import main
from doltflow.errors import DatabaseNotFoundError, RefNotFoundError, TableNotFoundError, UsageError
from doltflow.log import LogResult, log
from doltflow.model.commit import ReadTrailer
from doltflow.sources.dolt import Database

STRANGE = "a,b"


@dataclass(frozen=True)
class Past:
    """Two databases, and the hashes of their commits by short names."""

    folder: Path
    hashes: dict[str, str]

    def listed(self, result: LogResult) -> list[str]:
        names = {hash_: name for name, hash_ in self.hashes.items()}
        return [names[item.commit.hash] for item in result.commits]

    def tables(self, result: LogResult) -> dict[str, tuple[str, ...]]:
        return {name: item.tables for name, item in zip(self.listed(result), result.commits, strict=True)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with world(tmp_path_factory.mktemp("log")) as here:
        one, two = (dated_database(here.folder / name, "2026-01-01T00:00:00Z") for name in ("one", "two"))
        hashes = {"one": head(one), "two": head(two)}

        def make(folder: Path, name: str, date: str, *statements: str, message: str = "", branch: str = "main") -> None:
            hashes[name] = commit(folder, f"2026-{date}T12:00:00Z", message or name, *statements, branch=branch)

        make(one, "t", "01-02", "create table t (id int primary key, v int)", "create table u (id int primary key)")
        make(one, "rows", "01-04", "insert into t values (1, 1)")
        dolt(one, "branch", "side")
        make(one, "side", "01-06", "insert into t values (2, 2)", branch="side")
        make(one, "u", "01-08", "insert into u values (1)", f"create table `{STRANGE}` (id int primary key)")
        make(one, "merge", "01-09", "call dolt_merge('side', '--no-commit')")
        make(one, "renamed", "02-01", "rename table u to w")
        make(one, "dropped", "02-02", "drop table w", "insert into t values (3, 3)")
        make(one, "key", "02-03", "alter table t drop primary key, add primary key (id, v)")
        make(one, "nothing", "02-04")
        make(one, "view", "02-05", "create view looked as select 1 as one")
        read = ReadTrailer("one", hashes["rows"], ("t",), "main")
        made = run_message("Flow/1/start/2", "m", read)
        make(two, "run", "01-05", "create table m (id int primary key)", message=made)
        make(two, "quoted", "01-07", "insert into m values (1)", message="it's \\ \x1b[31m\nbelow")
        with Database.at(one).open(), Database.at(two).open():  # Each question would start its own servers.
            yield Past(here.folder, hashes)


@pytest.fixture
def past(built: Past, monkeypatch: pytest.MonkeyPatch) -> Past:
    """The databases, for tests that only ask; their folder is the current one."""
    monkeypatch.chdir(built.folder)
    return built


ONE = ["view", "nothing", "key", "dropped", "renamed", "merge", "u", "side", "rows", "t", "one"]
TWO = ["quoted", "run", "two"]


def test_a_database_newest_first(past: Past) -> None:
    assert past.listed(log("one")) == ONE
    result = log("two")
    assert past.listed(result) == TWO
    assert (result.more, result.warnings) == (False, ())


def test_a_database_by_its_folder(past: Past) -> None:
    assert past.listed(log(str(past.folder / "two"))) == TWO
    assert past.listed(log("two", folder=past.folder / "one" / "..")) == TWO


def test_all_databases_by_date(past: Past) -> None:
    result = log()
    assert past.listed(result)[:7] == ["view", "nothing", "key", "dropped", "renamed", "merge", "u"]
    assert past.listed(result)[7:12] == ["quoted", "side", "run", "rows", "t"]
    assert sorted(past.listed(result)[12:]) == ["one", "two"]
    assert {item.commit.database for item in result.commits} == {"one", "two"}


def test_the_tables_that_each_commit_changed(past: Past) -> None:
    assert past.tables(log()) == {
        "one": (),
        "t": ("t", "u"),
        "rows": ("t",),
        "side": ("t",),
        "u": (STRANGE, "u"),
        "merge": ("t",),  # Against its first parent.
        "renamed": ("u", "w"),
        "dropped": ("t", "w"),
        "key": ("t",),
        "nothing": (),
        "view": ("dolt_schemas",),
        "two": (),
        "run": ("m",),
        "quoted": ("m",),
    }


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("t", ["key", "dropped", "merge", "side", "rows", "t"]),
        ("T", ["key", "dropped", "merge", "side", "rows", "t"]),
        ("u", ["renamed", "u", "t"]),
        ("w", ["dropped", "renamed"]),
        (STRANGE, ["u"]),
        ("m", ["quoted", "run"]),
    ],
)
def test_the_commits_of_a_table(past: Past, table: str, expected: list[str]) -> None:
    assert past.listed(log(table=table)) == expected


def test_a_merge_that_left_the_table_as_the_branch_had_it_is_left_out(past: Past) -> None:
    # Dolt lists it, as the other parent has another `u`.
    assert "merge" not in past.listed(log("one", table="u"))
    for limit in (1, 3):
        result = log("one", table="u", limit=limit)
        assert past.listed(result) == ["renamed", "u", "t"][:limit]
        assert result.more is (limit < 3)


@pytest.mark.parametrize("limit", [0, 3, len(ONE) - 1, len(ONE)])
def test_a_limit(past: Past, limit: int) -> None:
    result = log("one", limit=limit)
    assert past.listed(result) == ONE[:limit]
    assert result.more is (limit < len(ONE))


def test_a_limit_over_several_databases(past: Past) -> None:
    everything = past.listed(log())
    for limit in (1, 8, 12, 14):
        assert past.listed(log(limit=limit)) == everything[:limit]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"at": "side"}, ["side", "rows", "t", "one"]),
        ({"at": "merge~1"}, ["u", "rows", "t", "one"]),
        ({"at": "2026-01-05"}, ["run", "rows", "t", "one", "two"]),
        ({"since": "2026-01-05", "until": "2026-01-07"}, ["quoted", "side", "run"]),
        ({"until": "2026-01-04T12:00:00Z", "since": "2026-01-04T12:00:00Z"}, ["rows"]),
        ({"since": "2027-01-01"}, []),
        ({"until": "2026-01-07", "table": "t"}, ["side", "rows", "t"]),
        ({"since": "2026-02-03", "table": STRANGE}, []),
    ],
)
def test_where_and_when(past: Past, options: dict[str, str], expected: list[str]) -> None:
    if "merge" in options.get("at", ""):
        options = options | {"at": options["at"].replace("merge", past.hashes["merge"])}
    assert past.listed(log(**options)) == expected  # type: ignore[arg-type]


def test_a_database_that_lacks_the_ref_is_left_out(past: Past) -> None:
    result = log(at="side")
    assert result.warnings == ("Left out: `two` has no branch, tag or commit `side`.",)
    with pytest.raises(RefNotFoundError) as caught:
        log(at="nope")
    lacks = "has no branch, tag or commit `nope`."
    assert caught.value.message == f"`one` {lacks} `two` {lacks}"


@pytest.mark.parametrize("name", ["nope", "", "-D", "a,c", "`it's; größe\x00"])
def test_a_table_that_never_was(past: Past, name: str) -> None:
    with pytest.raises(TableNotFoundError) as caught:
        log(table=name)
    assert caught.value.message == f"No commit of `one`, `two` has changed a table `{name}`."


def test_bad_questions(past: Past, tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFoundError, match="There is no database `nope`"):
        log("nope")
    with pytest.raises(UsageError, match="The limit is -1"):
        log(limit=-1)
    with pytest.raises(UsageError, match="is after"):
        log(since="2026-02-01", until="2026-01-01")
    with pytest.raises(DatabaseNotFoundError, match="There is no Dolt database in"):
        log(folder=tmp_path)


def test_json(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "two", "--limit", "2", "--output", "json"]) == 0
    out, err = capsys.readouterr()
    message = run_message("Flow/1/start/2", "m", ReadTrailer("one", past.hashes["rows"], ("t",), "main"))
    author: dict[str, Any] = {"author": "Ben", "email": "b@x"}
    assert json.loads(out) == {
        "schema": "doltflow.log/1",
        "data": {
            "commits": [
                {"database": "two", "hash": past.hashes["quoted"], "date": "2026-01-07T12:00:00+00:00"}
                | author
                | {"message": "it's \\ \x1b[31m\nbelow", "run": None, "tables": ["m"], "parents": [past.hashes["run"]]},
                {"database": "two", "hash": past.hashes["run"], "date": "2026-01-05T12:00:00+00:00"}
                | author
                | {"message": message, "run": "Flow/1/start/2", "tables": ["m"], "parents": [past.hashes["two"]]},
            ],
            "more": True,
            "warnings": [],
        },
    }
    assert err == ""


def test_jsonl_is_all_unless_limited(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "one", "--output", "jsonl"]) == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["hash"] for line in lines] == [past.hashes[name] for name in ONE]
    assert lines[ONE.index("merge")]["parents"] == [past.hashes["u"], past.hashes["side"]]
    assert err == ""


def test_text(past: Past, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert main(["log", "two"]) == 0
    assert capsys.readouterr() == (
        f"{past.hashes['quoted']} two\n"
        "  2026-01-07 12:00:00 · Ben\n"
        "  “it's \\ \\x1b[31m”\n"
        "  changed m\n"
        "\n"
        f"{past.hashes['run']} two\n"
        "  2026-01-05 12:00:00 · Ben\n"
        "  Run: Flow/1/start/2\n"
        "  changed m\n"
        "\n"
        f"{past.hashes['two']} two\n"
        "  2026-01-01 00:00:00 · Ann\n"
        "  “Initialize data repository”\n"
        "  changed no table\n",
        "",
    )
    assert main(["log", "one", "--until", "2026-02-01T12:00:00Z", "--since", "2026-01-31"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "  changed u, w"
    assert main(["log", "--since", "2030-01-01"]) == 0
    assert capsys.readouterr() == ("", "No commit is as asked for.\n")


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal(past: Past, columns: int) -> None:
    shown = in_terminal(columns, *PROGRAM, "log", "two", NO_COLOR="1")
    assert max(map(len, shown.splitlines())) <= columns
    assert past.hashes["run"] in shown
    assert "Run: Flow/1/start/2" in shown


def test_on_a_terminal_the_newest_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "many"
    dated_database(folder, "2026-01-01T00:00:00Z")
    commits = [f"call dolt_commit('--allow-empty', '-m', 'number {number}')" for number in range(20)]
    dolt(folder, "sql", stdin=";\n".join(commits))
    monkeypatch.chdir(folder)
    assert in_terminal(80, *PROGRAM, "log", NO_COLOR="1").count(" many\n") == 20
    shown = in_terminal(80, "sh", "-c", f"{' '.join(PROGRAM)} log 2>&1", NO_COLOR="1")
    assert shown.count(" many\n") == 20
    assert "“number 0”" in shown
    assert "Initialize" not in shown
    assert "These are the newest 20; `--limit` shows more.\n" in shown
    piped = in_terminal(80, "sh", "-c", f"{' '.join(PROGRAM)} log 2>&1 | cat", NO_COLOR="1")
    assert piped.count(" many\n") == 21
    assert "--limit" not in piped


def test_asking_changes_nothing(built: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built.folder, copy, ignore=shutil.ignore_patterns("sql-server.*"))
    monkeypatch.chdir(copy)
    dolt(copy / "one", "sql", "-q", "insert into t values (9, 9)")
    before = footprint(copy / "one")
    assert built.listed(log("one", table="t"))[0] == "key"
    assert not is_served(copy / "one")
    assert footprint(copy / "one") == before


def test_the_demo(demo_folder: Path) -> None:
    listed = log(table="prices", until="2021-02-28").commits
    assert [(item.commit.date.date().isoformat(), item.commit.run, item.tables) for item in listed] == [
        ("2021-02-15", None, ("hospitals", "prices")),
        ("2021-01-15", None, ("hospitals", "prices")),
    ]
    made = log("hospital-price-analysis", limit=2).commits
    runs = [item.commit.run.pathspec.flow for item in made if item.commit.run is not None]
    assert runs == ["HospitalProcedurePriceVarianceByState", "HospitalPriceStateMedians"]
