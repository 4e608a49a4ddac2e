"""DoltDT in a notebook: it reads, pinned and exact, and records nothing."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import dolt, footprint, head, sql
from flows.harness import world

from doltflow import DoltConfig, DoltDT
from doltflow.errors import (
    ColumnNotFoundError,
    DatabaseNotFoundError,
    DoltflowError,
    NotInFlowError,
    NotMadeByRunError,
    QueryError,
    RecordError,
    RefNotFoundError,
    RemoteError,
    TableNotFoundError,
    UsageError,
)
from doltflow.model.quoting import quote
from doltflow.sources.dolt import Database

RUN = "Medians/1617810636925188/start/1"
ODD = "ta`ble 'x' \"y\" 100% 表"


Refused = tuple[Callable[[Any], Any], type[DoltflowError], list[str]]


@dataclass(frozen=True)
class Databases:
    folder: Path
    path: Path
    commits: dict[str, str]
    before: dict[str, str]

    def open(self, **settings: Any) -> DoltDT:
        return DoltDT(config=DoltConfig(database=str(self.path), **settings))


def numbers(path: Path, **settings: Any) -> DoltConfig:
    return DoltConfig(str(path / "numbers"), **settings)


def commit(path: Path, message: str, *statements: str) -> str:
    dolt(path, "sql", stdin=";\n".join([*statements, f"call dolt_commit('-Am', '{message}', '--allow-empty')"]))
    return head(path, "HEAD")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with world(tmp_path_factory.mktemp("outside")) as here:
        path = here.database(
            "numbers",
            "create table prices (code varchar(20) primary key, hospital int, price decimal(10,2), seen date)",
            "insert into prices values ('00123', 1, 1.10, '2021-04-07'), ('', 2, null, null), ('x', 1, 3.30, null)",
            "create table hospitals (id int primary key, state varchar(2))",
            "insert into hospitals values (1, 'NY'), (2, 'CA')",
            "create table flags (id int primary key, flag boolean, moment time)",
            "insert into flags values (1, true, '01:02:03'), (2, null, null)",
            f"create table {quote(ODD)} (id int primary key)",
            "create view cheap as select code, state from prices join hospitals on id = hospital where price < 2",
        )
        commits = {"setup": head(path)}
        commits["run"] = commit(
            path, f"Run: {RUN}", "create table medians (state varchar(2) primary key, price double)",
            "insert into medians values ('NY', 2.2)",
        )  # fmt: skip
        commits["hand"] = commit(path, "Corrected the prices", "update prices set price = 9.99 where code = 'x'")
        commits["same"] = commit(path, "Run: Medians/1617810636925189/start/1")
        dolt(path, "tag", "v1", commits["setup"])
        dolt(path, "branch", "old", commits["run"])
        dolt(
            path,
            "sql",
            "-q",
            "create view moving as select * from prices as of 'main'; call dolt_commit('-Am', 'view')",
        )
        # Somebody works here: another table is dirty, and one is staged.
        dolt(path, "sql", "-q", "insert into flags values (3, false, null)")
        yield Databases(here.folder, path, commits, footprint(path))


# Frames


def test_a_table_comes_whole_in_the_order_of_its_key_with_its_types(databases: Databases) -> None:
    frame = databases.open(commit="v1").read("prices")
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["code"]) == ["", "00123", "x"]
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "code": "string[pyarrow]", "hospital": "int32[pyarrow]", "price": "decimal128(10, 2)[pyarrow]",
        "seen": "date32[day][pyarrow]",
    }  # fmt: skip
    assert frame["price"].isna().tolist() == [True, False, False]


def test_the_kinds_of_frames(databases: Databases) -> None:
    reader = databases.open(commit="v1")
    arrow = reader.read("prices", as_="arrow")
    assert isinstance(arrow, pa.Table)
    assert arrow.column("code").to_pylist() == ["", "00123", "x"]
    polars = reader.sql("select code, price from prices where price > 2 order by code", "q", as_="polars")
    assert isinstance(polars, pl.DataFrame)
    assert polars.rows() == [("x", arrow.column("price")[2].as_py())]
    numpy = reader.read("hospitals", dtypes="numpy")
    assert str(numpy["id"].dtype) == "int32"
    assert numpy["state"].tolist() == ["NY", "CA"]
    flags = reader.read("flags", as_="arrow")
    assert str(flags.schema.field("flag").type) == "bool"
    assert str(flags.schema.field("moment").type) == "time64[us]"


def test_some_columns_and_some_rows(databases: Databases) -> None:
    reader = databases.open(commit="v1")
    frame = reader.read("prices", columns=["price", "code"], where="hospital = 1 and code <> 'a%b'")
    assert list(frame.columns) == ["price", "code"]
    assert list(frame["code"]) == ["00123", "x"]
    assert list(reader.read("prices", columns="code").columns) == ["code"]
    assert list(reader.read("prices", columns=("CODE",)).columns) == ["code"]
    assert len(reader.read("PRICES", where="price is null")) == 1
    assert len(reader.read("prices", where="code = 'it''s'")) == 0


def test_a_table_with_an_odd_name(databases: Databases) -> None:
    assert list(databases.open().read(ODD).columns) == ["id"]


def test_queries(databases: Databases) -> None:
    reader = databases.open(commit="v1")
    joined = reader.sql(
        """
        -- with comments, a CTE, a join, a union
        WITH cheap AS (SELECT * FROM prices WHERE price < 2)
        SELECT c.code, h.state FROM cheap c JOIN hospitals AS h ON h.id = c.hospital
        UNION SELECT '100%', 'XX';
        """,
        "joined",
    )
    assert sorted(map(tuple, joined.values.tolist())) == [("00123", "NY"), ("100%", "XX")]
    assert reader.sql("select count(*) as n from cheap", "view")["n"].tolist() == [1]
    at = databases.commits["hand"]
    both = f"select a.price as earlier, b.price as later from prices a join prices as of '{at}' b on a.code = b.code"
    past = reader.sql(f"{both} where a.code = 'x'", "past", as_="arrow")
    assert [[str(value) for value in row.values()] for row in past.to_pylist()] == [["3.30", "9.99"]]


# What is refused


REFUSED: list[Refused] = [
        (lambda dt: dt.read("price"), TableNotFoundError, ["`price`", "`prices`"]),
        (lambda dt: dt.read(""), UsageError, []),
        (lambda dt: dt.read(None), UsageError, ["None"]),
        (lambda dt: dt.read("prices", as_key=""), UsageError, ["key"]),
        (lambda dt: dt.read("prices", as_key=5), UsageError, ["key", "5"]),
        (lambda dt: dt.read("prices", columns=["code", "prise"]), ColumnNotFoundError, ["`prise`", "`price`"]),
        (lambda dt: dt.read("prices", columns=[]), UsageError, ["columns"]),
        (lambda dt: dt.read("prices", columns=[1]), UsageError, ["column is 1"]),
        (lambda dt: dt.read("prices", where="prise > 1"), ColumnNotFoundError, ["prise"]),
        (lambda dt: dt.read("prices", where="price >"), QueryError, []),
        (lambda dt: dt.read("prices", where=""), UsageError, ["predicate"]),
    (lambda dt: dt.read("prices", where=5), UsageError, ["predicate", "5"]),
    (lambda dt: dt.read("prices", columns=5), UsageError, ["5"]),
    (lambda dt: dt.read("prices", columns=["code", "CODE"]), UsageError, ["`code`", "twice"]),
    (lambda dt: dt.read("pri\ud800ces"), UsageError, ["half a character"]),
    (lambda dt: dt.sql("select code, code from prices", "q", as_="polars"), UsageError, ["`code`", "polars"]),
    (lambda dt: dt.sql("select cast(1e40 as decimal(60)) as big", "q", as_="polars"), UsageError, ["`big`", "polars"]),
    (lambda dt: dt.sql(5, "q"), UsageError, ["query", "5"]),
    (lambda dt: dt.get_run(5), UsageError, ["5"]),
    (lambda dt: dt.get_run("medians", 5), UsageError, ["5"]),
    (lambda dt: dt.diff("v1", 5, "prices"), UsageError, ["5"]),
    (lambda dt: dt.diff("v1", "main", 5), UsageError, ["5"]),
        (lambda dt: dt.read("prices", where="1 = 1; drop table prices"), QueryError, []),
        (lambda dt: dt.read("prices", where="1 = 1) or (1 = 1"), QueryError, []),
        (lambda dt: dt.read("prices", where="1 = 1 union select * from prices"), QueryError, []),
        (lambda dt: dt.read("prices", where="hospital in (select id from hospitals)"), QueryError, ["sql"]),
        (lambda dt: dt.read("prices", as_="spark"), UsageError, ["spark", "arrow"]),
        (lambda dt: dt.read("prices", dtypes="object"), UsageError, ["object", "numpy"]),
        (lambda dt: dt.sql("select 1", ""), UsageError, ["key"]),
        (lambda dt: dt.sql("select 1", None), UsageError, ["key"]),
        (lambda dt: dt.sql("", "q"), UsageError, ["query"]),
        (lambda dt: dt.sql("select * from price", "q"), TableNotFoundError, ["`price`", "`prices`"]),
        (lambda dt: dt.sql("select prise from prices", "q"), ColumnNotFoundError, ["prise"]),
        (lambda dt: dt.sql("select * frm prices", "q"), QueryError, []),
        (lambda dt: dt.sql("select * from prices; select 1", "q"), QueryError, []),
        (lambda dt: dt.sql("insert into prices values ('z', 1, 1, null)", "q"), QueryError, []),
        (lambda dt: dt.sql("delete from prices", "q"), QueryError, []),
        (lambda dt: dt.sql("drop table prices", "q"), QueryError, []),
        (lambda dt: dt.sql("call dolt_commit('--allow-empty', '-m', 'x')", "q"), QueryError, []),
        (lambda dt: dt.sql("select * from prices into outfile '/tmp/x'", "q"), QueryError, []),
        (lambda dt: dt.sql("use numbers", "q"), QueryError, []),
        (lambda dt: dt.sql("select * from prices as of 'main'", "q"), QueryError, ["HEAD OF main"]),
        (lambda dt: dt.sql("select * from prices as of 'v1'", "q"), QueryError, ["COMMIT OF v1"]),
        (lambda dt: dt.sql("select * from prices as of 'nowhere'", "q"), QueryError, ["nowhere", "full hash"]),
        (lambda dt: dt.sql("select * from prices as of timestamp('2030-01-01')", "q"), QueryError, ["move"]),
        (lambda dt: dt.sql(f"select * from prices as of '{'0' * 32}'", "q"), QueryError, ["does not have"]),
        (lambda dt: dt.sql("select * from numbers.prices", "q"), QueryError, ["`numbers`"]),
        (lambda dt: dt.sql("select * from `numbers/main`.prices", "q"), QueryError, ["HEAD OF main"]),
        (lambda dt: dt.sql("select * from other.prices", "q"), QueryError, ["`other`"]),
        (lambda dt: dt.sql(f"select * from `other/{'0' * 32}`.prices", "q"), QueryError, ["`other`"]),
        (lambda dt: dt.sql("select * from dolt_log('main')", "q"), QueryError, ["HEAD OF main"]),
        (lambda dt: dt.sql("select * from dolt_branches", "q"), QueryError, []),
        (lambda dt: dt.sql("select * from moving", "q"), QueryError, ["`moving`", "HEAD OF main"]),
        (lambda dt: dt.diff("v1", "main", "price"), TableNotFoundError, ["`price`", "`prices`"]),
        (lambda dt: dt.diff("v2", "main", "prices"), RefNotFoundError, ["`v2`", "`v1`"]),
        (lambda dt: dt.get_run("median"), TableNotFoundError, ["`median`", "`medians`"]),
        (lambda dt: dt.get_run("medians", "v1"), TableNotFoundError, ["`medians`"]),
        (lambda dt: dt.get_run("medians", "nowhere"), RefNotFoundError, ["`nowhere`"]),
        (lambda dt: dt.get_run("medians", branch="v1"), RefNotFoundError, ["`v1`", "branch"]),
        (lambda dt: dt.get_run("medians", branch="main", commit="v1"), UsageError, ["one of"]),
        (lambda dt: dt.get_run("prices"), NotMadeByRunError, ["Corrected the prices", "hand", "COMMIT hand"]),
        (lambda dt: dt.write(pd.DataFrame({"id": [1]}), "new"), NotInFlowError, ["`new`", "step"]),
]  # fmt: skip


def check_refused(cases: list[Refused], subject: Any, meanings: dict[str, str]) -> None:
    """Checks the error of each case, all of them before any is told."""
    wrong = []
    for number, (ask, error, words) in enumerate(cases):
        try:
            found: object = ask(subject)
        except Exception as raised:
            found = raised
        missing = [word for word in words if meanings.get(word, word) not in str(found)]
        if type(found) is not error or missing:
            wrong.append(f"{number}: {type(found).__name__}: {found} (wanted {error.__name__} with {words})")
    assert not wrong, "\n".join(wrong)


def test_what_is_refused(databases: Databases) -> None:
    meanings = {
        "HEAD OF main": head(databases.path),
        "COMMIT OF v1": databases.commits["setup"],
        "COMMIT hand": databases.commits["hand"],
    }
    with databases.open() as reader:
        check_refused(REFUSED, reader, meanings)
    assert head(databases.path, "HEAD~1") == databases.commits["same"], "nothing was committed"


UNMADE: list[Refused] = [
        (lambda path: DoltDT(), UsageError, ["config"]),
        (lambda path: DoltDT(config="numbers"), UsageError, ["str", "DoltConfig"]),
        (lambda path: DoltDT(run=5), UsageError, ["int"]),
        (lambda path: DoltDT(audit=[]), RecordError, ["`dolt`", "list"]),
        (lambda path: DoltDT(audit={"actions": {}}), RecordError, ["`dolt`"]),
        (lambda path: DoltConfig(database=5), UsageError, ["5"]),
        (lambda path: DoltConfig(branch=""), UsageError, ["branch"]),
        (lambda path: DoltConfig(commit=5), UsageError, ["commit"]),
        (lambda path: DoltDT(config=numbers(path, push_on_commit=True)).read("t"), RemoteError, ["no remote"]),
        (lambda path: DoltConfig(database="mysql://root:pw@localhost/db"), UsageError, ["has a password in it"]),
        (lambda path: DoltDT(config=DoltConfig(str(path / "number"))).read("t"), DatabaseNotFoundError, ["`numbers`"]),
        (lambda path: DoltDT(config=DoltConfig(str(path))).read("t"), DatabaseNotFoundError, ["not a Dolt database"]),
        (lambda path: DoltDT(config=numbers(path, branch="mian")).read("t"), RefNotFoundError, ["`mian`", "`main`"]),
        (lambda path: DoltDT(config=numbers(path, commit="v2")).read("t"), RefNotFoundError, ["`v2`", "`v1`"]),
        (lambda path: DoltDT(config=numbers(path, branch="v1")).read("t"), RefNotFoundError, ["`v1`"]),
        (lambda path: DoltDT(config=numbers(path, branch="mian")).__enter__(), RefNotFoundError, ["`mian`"]),
]  # fmt: skip


@pytest.mark.folder
def test_a_context_that_cannot_be_made(databases: Databases) -> None:
    check_refused(UNMADE, databases.folder, {})


# Pins


@pytest.mark.folder
def test_a_config_names_its_commit_in_every_way(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    def price(**settings: Any) -> str:
        return str(databases.open(**settings).sql("select price from prices where code = 'x'", "q", as_="arrow")[0][0])

    hand, setup = databases.commits["hand"], databases.commits["setup"]
    assert price() == "9.99", "the branch that is checked out"
    assert [price(commit=ref) for ref in (setup, setup[:10], "v1", "old", "main~3")] == ["3.30"] * 5
    assert price(branch="old") == "3.30"
    assert price(branch="old", commit=hand) == "9.99"
    monkeypatch.chdir(databases.folder)
    assert "9.99" in str(DoltDT(config=DoltConfig("numbers")).read("prices"))
    monkeypatch.chdir(databases.path)
    assert "9.99" in str(DoltDT(config=DoltConfig()).read("prices"))
    monkeypatch.setenv("HOME", str(databases.folder))
    assert "9.99" in str(DoltDT(config=DoltConfig("~/numbers")).read("prices"))
    assert "9.99" in str(DoltDT(config=DoltConfig(databases.path)).read("prices"))


def test_what_is_not_committed_is_not_read(databases: Databases) -> None:
    assert databases.open().read("flags")["id"].tolist() == [1, 2]


def test_reads_of_one_object_or_context_see_one_commit(databases: Databases, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(databases.path, copy)
    loose = DoltDT(config=DoltConfig(str(copy), branch="main"))
    assert len(loose.read("hospitals")) == 2
    context = DoltDT(config=DoltConfig(str(copy)))
    with context as reader:
        assert len(reader.read("hospitals")) == 2
        with Database.at(copy).open():  # So that the server does not end while another process goes through it.
            dolt(copy, "sql", "-q", "insert into hospitals values (3, 'TX'); call dolt_commit('-am', 'more')")
        assert len(reader.read("hospitals")) == 2
        assert reader.sql("select count(*) as n from hospitals", "n")["n"].tolist() == [2]
        assert len(loose.read("hospitals")) == 2
        assert len(DoltDT(config=DoltConfig(str(copy))).read("hospitals")) == 3
    assert not (copy / ".dolt" / "sql-server.info").exists(), "the server is gone with the context"
    with context as reader:
        assert len(reader.read("hospitals")) == 3, "a context begun again is pinned again"
        with pytest.raises(UsageError, match="already open"):
            context.__enter__()
        assert len(reader.read("hospitals")) == 3


# History


def test_the_run_that_last_changed_a_table(databases: Databases) -> None:
    reader = databases.open()
    assert reader.get_run("medians") == RUN
    assert reader.get_run("MEDIANS", "main") == RUN
    assert reader.get_run("medians", databases.commits["same"]) == RUN, "a run that changed nothing did not make it"
    assert reader.get_run("medians", branch="old") == RUN
    assert reader.get_run("medians", commit=databases.commits["run"][:12]) == RUN
    assert databases.open(branch="old").get_run("medians") == RUN
    assert databases.open(commit=databases.commits["run"]).get_run("medians") == RUN


def test_differences(databases: Databases) -> None:
    reader = databases.open()
    found = reader.diff("v1", "main", ["prices", "medians"])
    assert list(found) == ["prices", "medians"]
    (row,) = found["prices"].to_dict("records")
    assert (str(row["from_price"]), str(row["to_price"]), row["diff_type"]) == ("3.30", "9.99", "modified")
    assert found["medians"]["diff_type"].tolist() == ["added"]
    assert reader.diff("main", "v1", "medians")["medians"]["diff_type"].tolist() == ["removed"]
    assert len(reader.diff(databases.commits["setup"], databases.commits["run"], "prices")["prices"]) == 0


def test_nothing_is_recorded_and_nothing_changed(databases: Databases) -> None:
    """Runs last: all tests above have read the databases."""
    with databases.open() as reader:
        reader.read("prices")
        with pytest.raises(NotInFlowError):
            reader.write(pd.DataFrame({"id": [1]}), "new")
    assert footprint(databases.path) == databases.before
    assert not list(databases.folder.rglob(".metaflow"))
    assert len(sql(databases.path, "select * from dolt_log")) == 6
