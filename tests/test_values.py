"""Values go to Dolt and come back as they were, by every path there and every path back."""

import json
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from conftest import isolated, make_database
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from doltflow.errors import BadValueError, ColumnNotFoundError, DoltError, TableNotFoundError, UsageError
from doltflow.sources.dolt import Database, Session, fetch, stream
from doltflow.sources.dolt.write import Write, prepare, rows

NEVER, ALWAYS = 10**9, 0
WRITE_PATHS = {"insert": NEVER, "load": ALWAYS}
READ_PATHS = {"plain": NEVER, "bulk": 1}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("values")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in isolated(folder / "home").items():
            patch.setenv(name, value)
        make_database(folder / "db", "create table zero (id int primary key, d date, t datetime)")
        with Database.at(folder / "db").open() as session:
            yield session


def write(session: Session, frame: Any, table: str, path: str, types: dict[str, str]) -> str:
    """The commit of a replacement of a table by INSERT or by LOAD DATA."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "LOAD_ROWS", WRITE_PATHS[path])
        write = Write(table, prepare(frame, ["id"]), "replace", tuple(types.items()))
        return session.commit_writes("main", [write], "values", "A <a@example.com>")[0]


def read(session: Session, table: str, at: str, path: str) -> pa.Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "BULK_ROWS", READ_PATHS[path])
        patch.setattr(stream, "BULK_ROWS", READ_PATHS[path])
        got = session.read(table, at)
        batches = session.read_batches(table, at)
        assert pa.Table.from_batches(batches.batches, batches.schema).equals(got)
        assert batches.rows == got.num_rows
        return got


def query(session: Session, text: str, at: str, path: str) -> pa.Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "BULK_ROWS", READ_PATHS[path])
        got = session.query(text, at)
        batches = session.query_batches(text, at)
        assert pa.Table.from_batches(batches.batches, batches.schema).equals(with_spans(got))
        return got


def with_spans(table: pa.Table) -> pa.Table:
    """A table whose times of day are spans."""
    for place, field in enumerate(table.schema):
        if pa.types.is_time(field.type):
            spans = table.column(place).cast(pa.int64()).cast(pa.duration("us"))
            table = table.set_column(place, field.name, spans)
    return table


# The property

ENUM = "enum('','a','b''c','x,y','NULL','é 😀')"
TYPES = {"json": "json", "enum": ENUM}
SPECIAL = [
    "",
    "00123",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "'",
    '"',
    ",",
    "\\",
    "\\N",
    "\\\\N",
    "\x00",
    "NULL",
    "null",
    "N",
    "%s",
]
SPECIAL += [
    "😀",
    "é",
    "blank ",
    " ",
    "a\\",
    "\\'",
    "--",
    "`",
    ";",
    "\x1a",
    "\u2028",
    "\ufeff",
    "\U0010ffff",
    "1e5",
    "NaN",
]
LONGEST = timedelta(hours=838, minutes=59, seconds=59)

texts = st.lists(st.sampled_from(SPECIAL) | st.characters(exclude_categories=["Cs"]), max_size=12).map("".join)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, list | dict))
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "string": (pa.string(), texts),
    "int64": (pa.int64(), st.sampled_from([-(2**63), 2**63 - 1, 0]) | st.integers(-(2**63), 2**63 - 1)),
    "uint64": (pa.uint64(), st.sampled_from([2**64 - 1, 2**63, 0]) | st.integers(0, 2**64 - 1)),
    "decimal": (
        pa.decimal128(38, 10),
        st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}e-10")) | st.just(Decimal("1E-10")),
    ),
    "double": (
        pa.float64(),
        st.sampled_from([-0.0, 5e-324, 1e308, -1.7976931348623157e308, 0.1])
        | st.floats(allow_nan=False, allow_infinity=False),
    ),
    "boolean": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.sampled_from([date(1, 1, 1), date(9999, 12, 31)]) | st.dates()),
    "datetime": (
        pa.timestamp("us"),
        st.sampled_from([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]) | st.datetimes(),
    ),
    "time": (pa.time64("us"), st.times()),
    "span": (pa.duration("us"), st.sampled_from([-LONGEST, LONGEST]) | st.timedeltas(-LONGEST, LONGEST)),
    "json": (pa.string(), jsons.map(lambda value: json.dumps(value, ensure_ascii=False))),
    "blob": (pa.binary(), st.sampled_from([b"", b"\x00", b"\xff\n", b"NULL", b"\\N"]) | st.binary(max_size=20)),
    "enum": (pa.string(), st.sampled_from(["", "a", "b'c", "x,y", "NULL", "é 😀"])),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    height = draw(st.integers(0, 4))
    columns = {"id": pa.array(range(height), pa.int64())}
    for name, (kind, values) in COLUMNS.items():
        columns[name] = pa.array(draw(st.lists(st.none() | values, min_size=height, max_size=height)), kind)
    return pa.table(columns)


def edge_cases() -> pa.Table:
    """The values that are most likely to go wrong, each beside NULL."""
    columns: dict[str, list[Any]] = {
        "string": SPECIAL,
        "int64": [-(2**63), 2**63 - 1],
        "uint64": [2**64 - 1, 2**63],
        "decimal": [Decimal("1E-10"), Decimal("-9999999999999999999999999999.9999999999")],
        "double": [-0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1 + 0.2],
        "boolean": [True, False],
        "date": [date(1, 1, 1), date(999, 12, 31), date(9999, 12, 31)],
        "datetime": [
            datetime(1, 1, 1),
            datetime(9999, 12, 31, 23, 59, 59, 999999),
            datetime(1969, 12, 31, 23, 59, 59, 1),
        ],
        "time": [time(0), time(23, 59, 59, 999999)],
        "span": [-LONGEST, LONGEST, timedelta(microseconds=-1)],
        "json": ['{"a": [1, 9007199254740992, -1.5e-7, null, true, "\\n\\"\\u0000😀"], "": {}}', "[]", '["NULL"]'],
        "blob": [b"", b"\x00\xff\r\n\t\\", b"NULL", b"\\N"],
        "enum": ["", "a", "b'c", "x,y", "NULL", "é 😀"],
    }
    height = max(map(len, columns.values())) + 1
    padded = {name: values + [None] * (height - len(values)) for name, values in columns.items()}
    arrays = {name: pa.array(values, COLUMNS[name][0]) for name, values in padded.items()}
    return pa.table({"id": pa.array(range(height), pa.int64()), **arrays})


def comparable(table: pa.Table) -> dict[str, list[Any]]:
    """A table's values, JSON parsed, times as spans, BOOLEAN as numbers."""
    result: dict[str, list[Any]] = table.to_pydict()
    result["json"] = [None if text is None else json.loads(text, parse_int=float) for text in result["json"]]
    for name in ("time", "span"):
        result[name] = [
            None
            if value is None
            else timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
            if isinstance(value, time)
            else value
            for value in result[name]
        ]
    return result


@given(table=tables(), as_pandas=st.booleans())
@example(table=edge_cases(), as_pandas=False)
@example(table=edge_cases(), as_pandas=True)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_value_comes_back_as_it_was(session: Session, table: pa.Table, as_pandas: bool) -> None:
    frame: Any = table
    if as_pandas:
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        objects = [None if text is None else json.loads(text) for text in table["json"].to_pylist()]
        frame["json"] = pd.Series(objects, dtype=object)
    hashes = set()
    for way in WRITE_PATHS:
        at = write(session, frame, "round trip", way, TYPES)
        hashes.add(session.table_hash("round trip", at))
        for back in READ_PATHS:
            got = read(session, "round trip", at, back)
            assert comparable(got) == comparable(table)
            types = {name: got.schema.field(name).type for name in table.column_names if name != "span"}
            assert types == {name: table.schema.field(name).type for name in types}
            asked = query(session, "SELECT * FROM `round trip`", at, back)
            assert comparable(asked) == comparable(table)
            assert asked.drop_columns(["boolean"]).schema == got.drop_columns(["boolean"]).schema
    assert len(hashes) == 1


# Further types, one by one

VALUES: dict[str, tuple[str, pa.DataType, list[Any]]] = {
    "DECIMAL(65,30)": (
        "decimal(65,30)",
        pa.decimal256(65, 30),
        [Decimal("1E-30"), Decimal("-" + "9" * 35 + "." + "9" * 30), Decimal(0), None],
    ),
    "DECIMAL(5,0)": ("decimal(5,0)", pa.decimal128(5, 0), [Decimal(99999), Decimal(-1), None]),
    "FLOAT": ("float", pa.float32(), [0.100000001490116, 3.4028234663852886e38, 1.401298464324817e-45, None]),
    "YEAR": ("year", pa.int16(), [0, 1901, 1970, 2069, 2155, None]),
    "SET": ("set('','p','q''r','NULL')", pa.string(), ["", "p", "q'r", "p,q'r", "NULL", None]),
    "BIT(64)": ("bit(64)", pa.uint64(), [0, 1, 48, 2**63, 2**64 - 1, None]),
    "BIT(9)": ("bit(9)", pa.uint64(), [0, 1, 256, 511, None]),
    "VARBINARY": ("varbinary(8)", pa.binary(), [b"", b"\x00\xff\\\t\n", b"NULL", None]),
    "BINARY": ("binary(3)", pa.binary(), [b"\x00\x00\x00", b"\\N\n", None]),
    "TINYBLOB": ("tinyblob", pa.binary(), [b"", bytes(range(255)), None]),
    "TINYTEXT": ("tinytext", pa.string(), ["", "é" * 127, "NULL", None]),
    "TEXT": ("text", pa.string(), ["", "\r\n" * 1000, "x" * 65_535, None]),
    "MEDIUMTEXT": ("mediumtext", pa.string(), ["", "😀" * 20_000, None]),
    "LONGTEXT": ("longtext", pa.string(), ["", "\x00\t\\" * 400_000, None]),
    "CHAR": ("char(5)", pa.string(), ["", "a  ", "😀😀😀😀😀", "NULL", None]),
    "TIMESTAMP": (
        "timestamp(6)",
        pa.timestamp("us"),
        [datetime(1970, 1, 1, 0, 0, 1), datetime(2038, 1, 19, 3, 14, 7, 999999), None],
    ),
    "DATETIME": ("datetime", pa.timestamp("us"), [datetime(2020, 2, 29, 23, 59, 59), None]),
    "TINYINT": ("tinyint", pa.int8(), [-128, 127, None]),
    "TINYINT UNSIGNED": ("tinyint unsigned", pa.uint8(), [0, 255, None]),
    "SMALLINT": ("smallint", pa.int16(), [-(2**15), 2**15 - 1, None]),
    "SMALLINT UNSIGNED": ("smallint unsigned", pa.uint16(), [0, 65_535, None]),
    "MEDIUMINT": ("mediumint", pa.int32(), [-(2**23), 2**23 - 1, None]),
    "MEDIUMINT UNSIGNED": ("mediumint unsigned", pa.uint32(), [0, 2**24 - 1, None]),
    "INT UNSIGNED": ("int unsigned", pa.uint32(), [0, 2**32 - 1, None]),
    "BOOLEAN": ("boolean", pa.bool_(), [True, False, None]),
    "nothing but NULL": ("varchar(9)", pa.string(), [None, None]),
}


@pytest.mark.parametrize("way", WRITE_PATHS)
@pytest.mark.parametrize("name", VALUES)
def test_every_type_comes_back_as_it_was(session: Session, name: str, way: str) -> None:
    declared, kind, values = VALUES[name]
    table = pa.table({"id": pa.array(range(len(values)), pa.int64()), "v": pa.array(values, kind)})
    at = write(session, table, f"{name} {way}", way, {"v": declared})
    for back in READ_PATHS:
        assert read(session, f"{name} {way}", at, back) == table


@pytest.mark.parametrize("back", READ_PATHS)
def test_a_query_gives_the_types_of_its_columns(session: Session, back: str) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),
            "d": pa.array([Decimal("1.25"), None, Decimal("3.50")], pa.decimal128(10, 2)),
            "u": pa.array([2**64 - 1, None, 1], pa.uint64()),
            "b": pa.array([True, None, False]),
            "bits": pa.array([2**64 - 1, None, 1], pa.uint64()),
        }
    )
    at = write(session, table, "queried", "insert", {"bits": "bit(64)"})

    def asked(text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        got = query(session, text, at, back)
        return [str(kind) for kind in got.schema.types], [tuple(row.values()) for row in got.to_pylist()]

    assert asked("select id, d, u from queried order by id") == (
        ["int64", "decimal128(10, 2)", "uint64"],
        [(1, Decimal("1.25"), 2**64 - 1), (2, None, None), (3, Decimal("3.50"), 1)],
    )
    # Whether a TINYINT is a BOOLEAN, the protocol does not say.
    assert asked("select b from queried order by id") == (["int8"], [(1,), (None,), (0,)])
    assert asked("select max(d) as m, d / 3 as t from queried where id = 3 group by d") == (
        ["decimal128(10, 2)", "decimal128(14, 6)"],
        [(Decimal("3.50"), Decimal("1.166667"))],
    )
    assert asked("select d * d * d * d as p from queried where id = 3") == (
        ["decimal128(28, 8)"],
        [(Decimal("150.06250000"),)],
    )
    assert asked("select cast(bits as unsigned) as n from queried where id = 1") == (["uint64"], [(2**64 - 1,)])
    assert asked("select null as n, 'x' as t, 1.5 as d, 1e0 as f") == (
        ["null", "string", "decimal128(2, 1)", "double"],
        [(None, "x", Decimal("1.5"), 1.0)],
    )
    assert asked("select id, d from queried where id > 9") == (["int64", "decimal128(10, 2)"], [])
    same = query(session, "select a.id, b.id from queried a join queried b using (id) order by 1", at, back)
    assert (same.column_names, same.column(0).to_pylist(), same.column(1).to_pylist()) == (
        ["id", "id"],
        [1, 2, 3],
        [1, 2, 3],
    )


def test_bits_in_a_query_are_refused(session: Session) -> None:
    table = pa.table({"id": [1], "bits": pa.array([1], pa.uint64())})
    at = write(session, table, "bits", "insert", {"bits": "bit(8)"})
    with pytest.raises(DoltError, match=r"`bits` of the query is a BIT.*CAST\(bits AS UNSIGNED\)"):
        session.query("select * from bits", at)


@pytest.mark.parametrize("back", READ_PATHS)
def test_a_date_that_is_none_is_named(session: Session, back: str) -> None:
    connection = session._connection
    connection.use("main")
    connection.rows(
        "replace into zero values (1, '0000-00-00', '0000-00-00'), (2, '0099-12-31', '0000-01-01 01:02:03')"
    )
    at = str(connection.value("call dolt_commit('--allow-empty', '-am', 'zero')"))
    with pytest.raises(BadValueError, match=r"column `d` holds a date that is none.*0000-00-00.*CAST\(`d` AS CHAR\)"):
        read(session, "zero", at, back)
    early = session.read("zero", at, where="id = 2")
    assert early["d"].to_pylist() == [date(99, 12, 31)]
    assert early["t"].cast(pa.string()).to_pylist() == ["0000-01-01 01:02:03.000000"]


def test_infinity_that_others_have_written_is_read(session: Session) -> None:
    connection = session._connection
    connection.use("main")
    folder = session._connection.endpoint.load_folder
    assert folder is not None
    folder.mkdir()
    file = folder / "infinity.tsv"
    file.write_text("1\t1e309\n2\t-1e309\n")
    connection.rows("create table infinite (id int primary key, v double)")
    connection.rows(f"load data infile '{file}' into table infinite fields terminated by '\\t'")
    file.unlink()
    folder.rmdir()
    at = str(connection.value("call dolt_commit('-Am', 'infinite')"))
    for back in READ_PATHS:
        assert read(session, "infinite", at, back)["v"].to_pylist() == [math.inf, -math.inf]


def test_columns_and_rows_are_picked(session: Session) -> None:
    table = pa.table({"id": [1, 2, 3], "a b": ["x", "y", None], "v": [1.5, None, 2.5]})
    at = write(session, table, "picked", "insert", {})
    assert session.read("picked", at, ["V", "a b"], "id < 3").to_pydict() == {"v": [1.5, None], "a b": ["x", "y"]}
    with pytest.raises(
        ColumnNotFoundError, match=r"`picked` of `db` has no column `w` at commit .* There is `a b`, `id`, `v`"
    ):
        session.read("picked", at, ["id", "w"])
    with pytest.raises(TableNotFoundError, match=r"`db` has no table `pick` at commit"):
        session.read("pick", at)
    with pytest.raises(UsageError, match="No column of `picked` was asked for"):
        session.read("picked", at, [])


def test_long_results_are_read_whole_by_both_readers(session: Session) -> None:
    table = pa.table({"id": list(range(30_000)), "s": [None if n % 7 == 0 else f"{n:05}" for n in range(30_000)]})
    at = write(session, table, "long", "load", {})
    for back in READ_PATHS:
        assert read(session, "long", at, back) == table
