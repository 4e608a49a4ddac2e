"""`cat`: a table of now, of then, as a run had it; exact in every form."""

import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import dolt, footprint
from dated import commit, dated_database, run_message
from flows.harness import is_served, world
from test_cli import PROGRAM, in_terminal

from doltflow.cat import CatResult, cat
from doltflow.cli import main
from doltflow.errors import (
    AccessNotFoundError,
    AmbiguousDatabaseError,
    ColumnNotFoundError,
    DoltflowError,
    QueryError,
    RefNotFoundError,
    RunNotFoundError,
    TableNotFoundError,
    UsageError,
)
from doltflow.model.commit import ReadTrailer
from doltflow.render.rows import csv_rows, json_rows, parquet_rows
from doltflow.sources.dolt import Database

VALUES = (
    "create table exact (id bigint primary key, small tinyint, flag boolean, big bigint unsigned, "
    "price decimal(40,12), ratio double, rough float, name varchar(40), day date, at datetime(6), "
    "clock time(6), span time(6), y year, bits bit(8), bytes varbinary(8), doc json, kind enum('x','y,z'))",
    "insert into exact values (-9223372036854775808, -128, true, 18446744073709551615, "
    "1234567890123456789012345678.123456789012, 0.1, 0.1, '', '0999-01-02', '2026-03-01 12:00:00', '12:34:56', "
    "'-100:00:00.5', 2026, 255, '', '{\"a\": [1, null]}', 'y,z')",
    "insert into exact (id, price, ratio, name, at, clock, span, bytes) values (7, 0.000000000001, 1e300, "
    "'a \"b\", c\\r\\n\\td', '2026-03-01 12:00:00.000001', '00:00:00.5', '838:59:59', x'00ff')",
    "insert into exact (id, name, ratio, rough) values (8, 'größe \U0001f600\u2028', -0.5, 16777216)",
)
HEADER = "id,small,flag,big,price,ratio,rough,name,day,at,clock,span,y,bits,bytes,doc,kind"
CSV = (
    f"{HEADER}\n"
    '-9223372036854775808,-128,1,18446744073709551615,1234567890123456789012345678.123456789012,0.1,0.1,"",0999-01-02,'
    '2026-03-01 12:00:00,12:34:56,-100:00:00.500000,2026,255,0x,"{""a"":[1,null]}","y,z"\n'
    '7,,,,0.000000000001,1e+300,,"a ""b"", c\r\n\td",,2026-03-01 12:00:00.000001,00:00:00.500000,838:59:59,,,0x00ff,,\n'
    "8,,,,,-0.5,16777216,größe \U0001f600\u2028,,,,,,,,,\n"
)
NONE: dict[str, Any] = dict.fromkeys(HEADER.split(","))
OBJECTS = [
    NONE
    | {
        "id": -(2**63),
        "small": -128,
        "flag": True,
        "big": 2**64 - 1,
        "price": "1234567890123456789012345678.123456789012",
        "ratio": 0.1,
        "rough": 0.1,
        "name": "",
        "day": "0999-01-02",
        "at": "2026-03-01 12:00:00",
        "clock": "12:34:56",
        "span": "-100:00:00.500000",
        "y": 2026,
        "bits": 255,
        "bytes": "0x",
        "doc": '{"a":[1,null]}',
        "kind": "y,z",
    },
    NONE
    | {
        "id": 7,
        "price": "0.000000000001",
        "ratio": 1e300,
        "name": 'a "b", c\r\n\td',
        "at": "2026-03-01 12:00:00.000001",
        "clock": "00:00:00.500000",
        "span": "838:59:59",
        "bytes": "0x00ff",
    },
    NONE | {"id": 8, "name": "größe \U0001f600\u2028", "ratio": -0.5, "rough": 16777216.0},
]
MANY = (
    "insert into many with recursive n as (select 1 as id union all select id + 1 from n where id < 5000) "
    "select id, concat('a text that is no short one ', id) from n"
)


@dataclass(frozen=True)
class Past:
    """Two databases that runs read and wrote; and the hashes of their commits, by short names."""

    folder: Path
    hashes: dict[str, str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with world(tmp_path_factory.mktemp("cat")) as here:
        source, made = (dated_database(here.folder / name, "2026-01-01T00:00:00Z") for name in ("source", "made"))
        hashes: dict[str, str] = {}
        rows = "create table numbers (id int primary key)", "insert into numbers values (1)"
        hashes["one"] = commit(source, "2026-01-10T00:00:00Z", "One", *rows)
        hashes["two"] = commit(source, "2026-01-20T00:00:00Z", "Two", "insert into numbers values (2)")
        view = "create view looked as select * from numbers"
        hashes["other"] = commit(source, "2026-01-21T00:00:00Z", "Other", "create table unread (id int)", view)
        hashes["exact"] = commit(source, "2026-01-22T00:00:00Z", "Exact", *VALUES)

        def read(name: str, table: str = "numbers", database: str = "source") -> ReadTrailer:
            return ReadTrailer(database, hashes[name], (table,), "main")

        total = "create table total (id int primary key)", "insert into total values (10)"
        message = run_message("Sum/1/start/1", "total", read("one"))
        hashes["first"] = commit(made, "2026-02-01T00:00:00Z", message, *total)
        message = run_message("Sum/1/end/2", "total", read("other"), read("one"), mode="update")
        hashes["last"] = commit(made, "2026-02-02T00:00:00Z", message, "insert into total values (11)")
        hashes["by hand"] = commit(made, "2026-02-03T00:00:00Z", "By hand", "insert into total values (12)")
        # It found what was made by hand, and put its own in its place.
        message = run_message("Sum/2/start/1", "total", read("by hand", "total", "made"))
        hashes["again"] = commit(made, "2026-02-04T00:00:00Z", message, "delete from total where id < 12")
        numbers = "create table numbers (id int primary key)", "insert into numbers values (99)"
        message = run_message("Copy/3/start/1", "numbers", read("two"))
        hashes["copied"] = commit(made, "2026-02-05T00:00:00Z", message, *numbers)
        with Database.at(source).open(), Database.at(made).open():  # Each question would start its own servers.
            yield Past(here.folder, hashes)


@pytest.fixture
def past(built: Past, monkeypatch: pytest.MonkeyPatch) -> Past:
    """The databases, for tests that only ask; their folder is the current one."""
    monkeypatch.chdir(built.folder)
    return built


def ids(result: CatResult) -> list[int]:
    return [int(number) for number in result.rows.column("id").to_pylist()]


# Which version


@pytest.mark.parametrize(
    ("options", "expected", "name"),
    [
        ({"table": "total"}, [12], "again"),
        ({"table": "TOTAL"}, [12], "again"),
        ({"table": "made/total"}, [12], "again"),
        ({"table": "total", "at": "HEAD~2"}, [10, 11, 12], "by hand"),
        ({"table": "total", "at": "2026-02-02"}, [10, 11], "last"),
        ({"table": "source/numbers", "at": "2026-01-15"}, [1], "one"),
        ({"table": "numbers", "database": "source"}, [1, 2], "two"),
        ({"table": "numbers", "database": "made"}, [99], "copied"),
        ({"table": "numbers", "database": "./source"}, [1, 2], "two"),
    ],
)
def test_a_table_now_and_then(past: Past, options: dict[str, Any], expected: list[int], name: str) -> None:
    result = cat(**options)
    assert ids(result) == expected
    assert result.commit == past.hashes[name]
    assert (result.taken, result.others, result.warnings) == (None, (), ())
    assert f"{result.database}/{result.table}" in ("made/total", "made/numbers", "source/numbers")


@pytest.mark.parametrize(
    ("run", "table", "expected", "name", "others"),
    [
        ("Sum/1", "total", [10, 11], "last", ["first"]),
        ("Sum/1/start", "total", [10], "first", []),
        ("Sum/1/end/2", "Total", [10, 11], "last", []),
        ("1", "made/total", [10, 11], "last", ["first"]),
        ("Sum/latest", "total", [12], "again", ["by hand"]),
        ("Sum/1", "numbers", [1, 2], "two", ["one"]),
        ("Sum/1/start/1", "numbers", [1], "one", []),
        ("Copy/3", "source/numbers", [1, 2], "two", []),
        ("Copy/3", "made/numbers", [99], "copied", []),
    ],
)
def test_a_table_as_a_run_had_it(
    past: Past, run: str, table: str, expected: list[int], name: str, others: list[str]
) -> None:
    result = cat(table, run=run)
    assert ids(result) == expected
    assert result.commit == past.hashes[name]
    assert result.taken is not None
    assert result.taken.version.commit == result.commit
    assert [other.version.commit for other in result.others] == [past.hashes[other] for other in others]


def test_a_run_that_read_and_wrote_the_table_says_so(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cat", "total", "--run", "Sum/2"]) == 0
    out, err = capsys.readouterr()
    assert out == "id\n12\n"
    assert err.splitlines()[-1] == (
        f"made/total @ {past.hashes['again'][:8]}, as Sum/2/start/1 wrote it. Another version than that: "
        f"Sum/2/start/1 read it at {past.hashes['by hand']}."
    )


def test_the_same_name_in_two_databases(past: Past) -> None:
    for options in ({}, {"run": "Copy/3"}, {"at": "HEAD"}):
        with pytest.raises(AmbiguousDatabaseError, match="everal databases"):
            cat("numbers", **options)
    assert ids(cat("numbers", run="Copy/3", database="source")) == [1, 2]
    assert ids(cat("numbers", run="Copy/3", database="made")) == [99]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"table": "totals"}, TableNotFoundError, "has a table `totals` on its default branch"),
        ({"table": "made/totals"}, TableNotFoundError, "`made` has no table `totals`"),
        ({"table": "total", "at": "2026-01-31"}, TableNotFoundError, "has a table `total` at `2026-01-31`"),
        ({"table": "total", "at": "nope"}, RefNotFoundError, "no branch, tag or commit `nope`"),
        ({"table": "total", "at": "2025-01-01"}, RefNotFoundError, "has no commit at or before 2025-01-01"),
        ({"table": "looked"}, TableNotFoundError, "`looked` of `source` is a view"),
        ({"table": "source/LOOKED", "at": "main"}, TableNotFoundError, "`LOOKED` of `source` is a view"),
        ({"table": "unread", "run": "Sum/1"}, AccessNotFoundError, "`Sum/1` neither read nor wrote a table `unread`"),
        ({"table": "total", "run": "Copy/3"}, AccessNotFoundError, "`Copy/3` neither read nor wrote"),
        ({"table": "total", "run": "Sum/9"}, RunNotFoundError, "There is no run `Sum/9`"),
        ({"table": "total", "run": "Sum/1/nope"}, RunNotFoundError, "No commit here is of `Sum/1/nope`"),
        ({"table": "total", "run": "1", "at": "main"}, UsageError, "Both a run and a ref"),
        ({"table": "total", "limit": -1}, UsageError, "The limit is -1"),
        ({"table": "total", "columns": ["id", "ID"]}, UsageError, "`ID` is asked for twice"),
        ({"table": "total", "columns": ["idd"]}, ColumnNotFoundError, "has no column `idd`"),
        ({"table": "total", "where": "nope = 1"}, ColumnNotFoundError, "nope"),
        ({"table": "total", "where": "id = 1; drop table total"}, QueryError, "goes on"),
        ({"table": "total", "where": "id = 1 or exists (select 1)"}, QueryError, ""),
        ({"table": "total", "where": "id = 'a"}, QueryError, ""),
        ({"table": "total", "where": ""}, QueryError, ""),
        *[
            ({"table": name}, TableNotFoundError, "")
            for name in ("", "`", "it's", "-D", "größe", "dolt_log", "a;b", "/")
        ],
    ],
)
def test_what_cannot_be_read(past: Past, options: dict[str, Any], error: type[DoltflowError], message: str) -> None:
    with pytest.raises(error) as caught:
        cat(**options)
    assert message in caught.value.message


def test_an_unknown_column_of_a_predicate_names_the_columns(past: Past) -> None:
    with pytest.raises(ColumnNotFoundError) as caught:
        cat("total", where="nope = 1")
    assert caught.value.hint == "`total` has `id`."


def test_a_commit_that_is_gone(built: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built.folder, copy, ignore=shutil.ignore_patterns("sql-server.*"))
    monkeypatch.chdir(copy)
    shutil.rmtree("source")
    dated_database(copy / "source", "2026-01-01T00:00:00Z")
    with pytest.raises(RefNotFoundError, match=r"Sum/1/start/1 names the commit \w+, which `source` does not have"):
        cat("numbers", run="Sum/1/start")
    shutil.rmtree("source")
    with pytest.raises(DoltflowError, match="The database `source`, which Sum/1/start/1 names, is not here"):
        cat("numbers", run="Sum/1/start")


def test_rows_and_columns(past: Past) -> None:
    result = cat("total", at="HEAD~2", where="id > 10", limit=1)
    assert ids(result) == [11]
    assert cat("exact", columns=["NAME", "id"], limit=1).rows.to_pydict() == {"name": [""], "id": [-(2**63)]}
    assert cat("exact", limit=0).rows.num_rows == 0


def test_asking_changes_nothing(built: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built.folder, copy, ignore=shutil.ignore_patterns("sql-server.*"))
    monkeypatch.chdir(copy)
    dolt(copy / "made", "sql", "-q", "delete from total")
    before = footprint(copy / "made")
    assert ids(cat("total")) == [12]
    assert not is_served(copy / "made")
    assert footprint(copy / "made") == before


def test_the_demo(demo_folder: Path) -> None:
    flow = "HospitalPriceStateMedians"
    read, wrote = (cat(table, run=f"{flow}/latest") for table in ("prices", "state_procedure_medians"))
    assert read.commit == cat("prices", at="2021-03-15").commit
    assert wrote.rows.equals(cat("state_procedure_medians").rows)
    assert [item.taken.access.kind for item in (read, wrote) if item.taken is not None] == ["read", "write"]
    assert cat("prices", at="2021-02-28").commit != read.commit


# How it is written


def test_csv_is_exact(past: Past, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    done = subprocess.run([*PROGRAM, "cat", "exact"], capture_output=True, env=os.environ | {"LC_ALL": "C"})
    assert done.stdout.decode() == CSV
    assert (done.returncode, done.stderr) == (0, b"")


def test_jsonl_is_exact(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cat", "exact", "--output", "jsonl"]) == 0
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.split("\n")[:-1]]
    assert found == OBJECTS
    assert {name: type(value) for name, value in found[2].items() if value is not None} == {
        "id": int, "name": str, "ratio": float, "rough": float,
    }  # fmt: skip
    assert "\u2028" not in out
    assert err == ""


def test_parquet_keeps_the_types(past: Past) -> None:
    rows = cat("exact").rows
    read = pq.read_table(io.BytesIO(b"".join(parquet_rows(rows))))
    assert read.equals(rows)
    assert read.schema.field("price").type == pa.decimal256(40, 12)
    assert read.column("bytes").to_pylist() == [b"", b"\x00\xff", None]
    empty = cat("exact", limit=0).rows
    assert pq.read_table(io.BytesIO(b"".join(parquet_rows(empty)))).equals(empty)


def test_no_rows(past: Past) -> None:
    rows = cat("total", where="id = 0").rows
    assert ("".join(csv_rows(rows)), "".join(json_rows(rows))) == ("id\n", "")


def test_rows_in_many_batches() -> None:
    count = 45_000
    values = {"n": range(count), "text": [None if n % 3 else f"row {n}" for n in range(count)]}
    table = pa.table({"n": pa.array(values["n"], pa.int64()), "text": pa.array(values["text"])})
    pieces = list(csv_rows(table))
    assert len(pieces) == 4
    assert list(csv.DictReader(io.StringIO("".join(pieces)))) == [
        {"n": str(n), "text": text or ""} for n, text in zip(values["n"], values["text"], strict=True)
    ]
    assert [json.loads(line) for piece in json_rows(table) for line in piece.splitlines()] == table.to_pylist()
    assert pq.read_table(io.BytesIO(b"".join(parquet_rows(table)))).equals(table)


def test_long_texts_make_short_batches() -> None:
    table = pa.table({"text": ["x" * 2**20] * 150})
    sizes = [len(piece) for piece in csv_rows(table)]
    assert (len(sizes), max(sizes) < 2**27) == (4, True)
    assert sum(sizes) == 5 + 150 * (2**20 + 1)


def test_names_and_values_of_all_kinds() -> None:
    table = pa.table(
        {
            'a "name", odd': pa.array([1, None], pa.int8()),
            "d": pa.array([Decimal("-1E-7"), Decimal(0)], pa.decimal128(38, 10)),
            "t": pa.array([time(1, 2, 3), None], pa.time64("us")),
            "n": pa.nulls(2),
            "z": pa.array([datetime(1, 1, 1), None], pa.timestamp("us")),
            "e": pa.array([date(9999, 12, 31), None], pa.date32()),
            "f": pa.array([-0.0, 1.0], pa.float64()),
        }
    )
    assert "".join(csv_rows(table)) == (
        '"a ""name"", odd",d,t,n,z,e,f\n'
        "1,-0.0000001000,01:02:03,,0001-01-01 00:00:00,9999-12-31,-0\n"
        ",0.0000000000,,,,,1\n"
    )
    assert "".join(json_rows(table)) == (
        '{"a \\"name\\", odd": 1, "d": "-0.0000001000", "t": "01:02:03", "n": null, "z": "0001-01-01 00:00:00", '
        '"e": "9999-12-31", "f": -0.0}\n'
        '{"a \\"name\\", odd": null, "d": "0.0000000000", "t": null, "n": null, "z": null, "e": null, "f": 1.0}\n'
    )


# Where it goes


def test_the_note_of_a_ref(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cat", "total", "--at", "2026-02-01"]) == 0
    assert capsys.readouterr() == ("id\n10\n", f"made/total @ {past.hashes['first'][:8]}.\n")
    assert main(["cat", "total"]) == 0
    assert capsys.readouterr() == ("id\n12\n", "")


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.csv", []), ("a", []), ("a.parquet", []), ("a.JSONL", []), ("a.csv", ["--output", "parquet"])],
)
def test_a_file(past: Past, name: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / name
    file.write_text("before")
    file.chmod(0o640)
    assert main(["cat", "total", "--to", str(file), *options]) == 0
    said = f"Wrote 1 row of made/total @ {past.hashes['again'][:8]} to {file}.\n"
    assert capsys.readouterr() == ("", said)
    if options or name.endswith("parquet"):
        assert pq.read_table(io.BytesIO(file.read_bytes())).to_pydict() == {"id": [12]}
    else:
        assert file.read_text() == ('{"id": 12}\n' if name == "a.JSONL" else "id\n12\n")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]


def test_a_link_to_a_file_stays_one(past: Past, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real.csv")
    assert main(["cat", "total", "--to", str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "id\n12\n"


@pytest.mark.parametrize("place", ["missing/a.csv", "", "/dev/full", "x" * 300, "loop"])
def test_a_file_that_cannot_be_written(
    past: Past, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(tmp_path.iterdir())
    assert main(["cat", "total", "--to", str(tmp_path / place)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "could not be written: " in err
    assert sorted(tmp_path.iterdir()) == before


def test_parquet_on_a_terminal_is_refused(past: Past) -> None:
    script = f"{' '.join(PROGRAM)} cat total --output parquet 2>&1; echo $?"
    assert in_terminal(80, "sh", "-c", script, NO_COLOR="1") == (
        "error: Parquet is binary, and standard output is a terminal.\nName a file with `--to`, or use a pipe.\n2\n"
    )


def test_parquet_of_a_terminals_command_into_a_file(past: Past, tmp_path: Path) -> None:
    file = tmp_path / "total.parquet"
    script = f"{' '.join(PROGRAM)} cat total --output parquet --at HEAD 2>&1 >{file}"
    assert in_terminal(80, "sh", "-c", script) == f"made/total @ {past.hashes['again'][:8]}.\n"
    assert pq.read_table(file).to_pydict() == {"id": [12]}


def test_a_terminal_is_not_steered(past: Past) -> None:
    copied = in_terminal(80, *PROGRAM, "cat", "exact", "--columns", "name", NO_COLOR="1")
    assert copied.splitlines() == ["name", '""', '"a ""b"", c\\r', '\td"', "größe \U0001f600\\u2028"]


@pytest.mark.parametrize(
    ("columns", "names"),
    [("id", ["id"]), ("name, id", ["name", "id"]), ('"id","name"', ["id", "name"])],
)
def test_columns_of_the_command(past: Past, columns: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cat", "exact", "--columns", columns, "--limit", "1", "--output", "jsonl"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == names


@pytest.mark.parametrize("columns", ["", "a,,b", '"a', ","])
def test_columns_that_make_no_sense(past: Past, columns: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cat", "exact", "--columns", columns]) == 2
    assert capsys.readouterr().err.startswith(("error: A column in", "error: The columns", "error: No column"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with world(tmp_path_factory.mktemp("many")) as here:
        folder = dated_database(here.folder / "many", "2026-01-01T00:00:00Z")
        make = "create table many (id int primary key, text varchar(40))"
        commit(folder, "2026-01-02T00:00:00Z", "Many", "set cte_max_recursion_depth = 10000", make, MANY)
        yield folder


def to_read(folder: Path, output: str) -> list[str]:
    return ["env", "-C", str(folder), *PROGRAM, "cat", "many", "--output", output]


@pytest.mark.parametrize("output", ["csv", "jsonl", "parquet"])
def test_a_reader_that_has_had_enough(many: Path, output: str) -> None:
    command = to_read(many, output)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        assert (child.wait(), child.stderr.read()) == (0, b"")


@pytest.mark.parametrize("output", ["csv", "jsonl", "parquet"])
def test_a_full_disk(many: Path, output: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(to_read(many, output), stdout=full, stderr=subprocess.PIPE, text=True)
    said = "error: The answer could not be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_a_pipe_as_the_file(many: Path) -> None:
    done = subprocess.run([*to_read(many, "parquet"), "--to", "/dev/stdout"], capture_output=True)
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 5000
    assert done.stderr.startswith(b"Wrote 5,000 rows of many/many @ ")


def test_a_closed_output(many: Path) -> None:
    script = f"{' '.join(to_read(many, 'csv'))} >&-"
    done = subprocess.run(["sh", "-c", script], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
