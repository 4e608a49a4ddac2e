"""The tables that frames make, and how far a frame may change a table that is there."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from writing import columns_of, opened, rows_of, sql, write

from doltflow.errors import BadValueError, DoltError, SchemaMismatchError, UsageError
from doltflow.model.access import Mode
from doltflow.sources.dolt import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("schema")) as session:
        yield session


def arrow(**columns: Any) -> pa.Table:
    return pa.table(columns)


def declared(session: Session, frame: Any, table: str, **options: Any) -> list[str]:
    write(session, frame, table, **options)
    return columns_of(session, table)


# New tables


def test_pandas_types(session: Session) -> None:
    index = pd.RangeIndex(2)
    frame = pd.DataFrame(
        {
            "int8": np.array([1, 2], "int8"),
            "uint16": np.array([1, 2], "uint16"),
            "int32": np.array([1, 2], "int32"),
            "int64": np.array([1, 2], "int64"),
            "uint64": np.array([1, 2**64 - 1], "uint64"),
            "float16": np.array([1, 2], "float16"),
            "float32": np.array([1, 2], "float32"),
            "float64": [1.0, np.nan],
            "bool": [True, False],
            "object bool": pd.Series([True, None], index, dtype=object),
            "boolean": pd.Series([True, None], index, dtype="boolean"),
            "nullable int": pd.Series([1, None], index, dtype="Int64"),
            "nullable float": pd.Series([1, None], index, dtype="Float64"),
            "str": ["x", None],
            "string": pd.Series(["x", None], index, dtype="string"),
            "category": pd.Series(["x", None], index, dtype="category"),
            "datetime": pd.to_datetime(["2020-01-01", None]),
            "zoned": pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Paris"),
            "timedelta": pd.to_timedelta([1, None], unit="s"),
            "sparse": pd.arrays.SparseArray([0.0, 1.0]),
            "date": pd.Series([date(2020, 1, 1), None], index, dtype=object),
            "time": pd.Series([time(1), None], index, dtype=object),
            "decimal": pd.Series([Decimal("1.50"), None], index, dtype=object),
            "bytes": pd.Series([b"x", None], index, dtype=object),
            "dict": pd.Series([{"a": 1}, None], index, dtype=object),
            "list": pd.Series([[1, "a"], None], index, dtype=object),
            "nothing": pd.Series([None, None], index, dtype=object),
            "python int": pd.Series([2**63, None], index, dtype=object),
            "arrow int": pd.Series([1, None], index, dtype="int16[pyarrow]"),
            "arrow decimal": pd.Series([Decimal("1.5"), None], index, dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
            "arrow list": pd.Series([[1], None], index, dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        }
    )
    assert declared(session, frame, "pandas") == [
        "`int8` tinyint",
        "`uint16` smallint unsigned",
        "`int32` int",
        "`int64` bigint",
        "`uint64` bigint unsigned",
        "`float16` float",
        "`float32` float",
        "`float64` double",
        "`bool` tinyint(1)",
        "`object bool` tinyint(1)",
        "`boolean` tinyint(1)",
        "`nullable int` bigint",
        "`nullable float` double",
        "`str` varchar(255)",
        "`string` varchar(255)",
        "`category` varchar(255)",
        "`datetime` datetime(6)",
        "`zoned` datetime(6)",
        "`timedelta` time(6)",
        "`sparse` double",
        "`date` date",
        "`time` time(6)",
        "`decimal` decimal(38,2)",
        "`bytes` longblob",
        "`dict` json",
        "`list` json",
        "`nothing` varchar(255)",
        "`python int` bigint unsigned",
        "`arrow int` smallint",
        "`arrow decimal` decimal(10,2)",
        "`arrow list` json",
    ]


def test_arrow_types(session: Session) -> None:
    storage = pa.array(['{"a": [1]}'])
    frame = arrow(
        int8=pa.array([1], pa.int8()),
        uint8=pa.array([1], pa.uint8()),
        uint32=pa.array([1], pa.uint32()),
        half=pa.array([1.5], pa.float16()),
        boolean=pa.array([True]),
        bool8=pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())),
        decimal=pa.array([Decimal("1.5")], pa.decimal128(38, 10)),
        decimal256=pa.array([Decimal("1.5")], pa.decimal256(65, 30)),
        decimal32=pa.array([Decimal("1.5")], pa.decimal32(5, 2)),
        rounded=pa.array([Decimal("1500")], pa.decimal128(5, -2)),
        deep=pa.array([Decimal("1.5")], pa.decimal128(38, 35)),
        large=pa.array(["x"], pa.large_string()),
        view=pa.array(["x"], pa.string_view()),
        dictionary=pa.array(["x"]).dictionary_encode(),
        runs=pa.RunEndEncodedArray.from_arrays([1], ["x"]),
        uuid=pa.array([b"0123456789abcdef"], pa.binary(16)).cast(pa.uuid()),
        binary=pa.array([b"x"], pa.large_binary()),
        fixed=pa.array([b"x"], pa.binary(1)),
        date=pa.array([86_400_000], pa.date64()),
        seconds=pa.array([1], pa.timestamp("s")),
        zoned=pa.array([datetime(2020, 1, 1)], pa.timestamp("us", "Asia/Tokyo")),
        time=pa.array([1], pa.time32("s")),
        duration=pa.array([1], pa.duration("ms")),
        null=pa.nulls(1),
        json=pa.ExtensionArray.from_storage(pa.json_(), storage),
        struct=pa.array([{"a": 1}]),
        map=pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    )
    assert declared(session, frame, "arrow") == [
        "`int8` tinyint",
        "`uint8` tinyint unsigned",
        "`uint32` int unsigned",
        "`half` float",
        "`boolean` tinyint(1)",
        "`bool8` tinyint(1)",
        "`decimal` decimal(38,10)",
        "`decimal256` decimal(65,30)",
        "`decimal32` decimal(5,2)",
        "`rounded` decimal(7,0)",
        "`deep` decimal(38,30)",
        "`large` varchar(255)",
        "`view` varchar(255)",
        "`dictionary` varchar(255)",
        "`runs` varchar(255)",
        "`uuid` varchar(255)",
        "`binary` longblob",
        "`fixed` longblob",
        "`date` date",
        "`seconds` datetime(6)",
        "`zoned` datetime(6)",
        "`time` time(6)",
        "`duration` time(6)",
        "`null` varchar(255)",
        "`json` json",
        "`struct` json",
        "`map` json",
    ]
    assert session.read("arrow", session.resolve("main"), ["uuid", "zoned", "map", "json", "rounded"]).to_pylist() == [
        {
            "uuid": "30313233-3435-3637-3839-616263646566",
            "zoned": datetime(2020, 1, 1),  # the instant, in UTC
            "map": '{"a":1}',
            "json": '{"a":[1]}',
            "rounded": Decimal(1500),
        }
    ]


def test_polars_types(session: Session) -> None:
    frame = pl.DataFrame(
        {
            "int": pl.Series([1], dtype=pl.Int16),
            "unsigned": pl.Series([1], dtype=pl.UInt64),
            "float": pl.Series([1.5], dtype=pl.Float32),
            "text": ["x"],
            "category": pl.Series(["x"], dtype=pl.Categorical),
            "enum": pl.Series(["x"], dtype=pl.Enum(["x", "y"])),
            "boolean": [True],
            "decimal": pl.Series([Decimal("1.50")], dtype=pl.Decimal(10, 2)),
            "date": [date(2020, 1, 1)],
            "datetime": [datetime(2020, 1, 1)],
            "time": [time(1)],
            "duration": [timedelta(hours=-1)],
            "binary": [b"x"],
            "list": [[1, 2]],
            "struct": [{"a": 1}],
            "null": [None],
        }
    )
    assert declared(session, frame, "polars", pks="int") == [
        "`int` smallint NOT NULL",
        "`unsigned` bigint unsigned",
        "`float` float",
        "`text` varchar(255)",
        "`category` varchar(255)",
        "`enum` varchar(255)",
        "`boolean` tinyint(1)",
        "`decimal` decimal(10,2)",
        "`date` date",
        "`datetime` datetime(6)",
        "`time` time(6)",
        "`duration` time(6)",
        "`binary` longblob",
        "`list` json",
        "`struct` json",
        "`null` varchar(255)",
        "PRIMARY KEY (`int`)",
    ]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (255, "varchar(255)"),
        (256, "varchar(1023)"),
        (1024, "varchar(4095)"),
        (4095, "varchar(4095)"),
        (4096, "longtext"),
    ],
)
def test_texts_get_room_to_grow(session: Session, length: int, expected: str) -> None:
    text = "é" * length
    assert declared(session, arrow(s=[text, None]), f"text {length}") == [f"`s` {expected}"]
    assert rows_of(session, f"text {length}") in ([(text,), (None,)], [(None,), (text,)])


def test_keys_of_long_texts(session: Session) -> None:
    # The real prices have a key of three texts, one of them of 300 characters.
    frame = arrow(a=["x" * 40, "y"], b=["é" * 300, "é" * 299], c=["standard", ""], v=[1, None])
    assert declared(session, frame, "long key", pks=["a", "b", "c"]) == [
        "`a` varchar(255) NOT NULL",
        "`b` varchar(1023) NOT NULL",
        "`c` varchar(255) NOT NULL",
        "`v` bigint",
        "PRIMARY KEY (`a`,`b`,`c`)",
    ]
    assert rows_of(session, "long key") == [("x" * 40, "é" * 300, "standard", 1), ("y", "é" * 299, "", None)]
    longer = arrow(a=["x" * 300, "y" * 5000], b=["", ""], c=["", ""], v=[1, 1])
    write(session, longer, "long key", mode="append")
    assert columns_of(session, "long key")[0] == "`a` varchar(5000) NOT NULL"
    assert [len(row[0]) for row in rows_of(session, "long key")] == [40, 300, 1, 5000]


def test_a_key_that_is_too_long_for_dolt(session: Session) -> None:
    with pytest.raises(SchemaMismatchError, match=r"`too long` are too wide.*65,504 bytes"):
        write(session, arrow(a=["x" * 16_376]), "too long", "a")
    assert "too long" not in session.tables(session.resolve("main"))


def test_wide_frames(session: Session) -> None:
    frame = arrow(id=[1], **{f"c{n}": ["x" * (n % 33)] for n in range(200)})
    lines = declared(session, frame, "wide", pks="id")
    # As many as needed have less room to grow.
    assert lines[1:-1] == [f"`c{n}` varchar({32 if n < 175 else 255})" for n in range(200)]
    assert rows_of(session, "wide") == [tuple(frame.to_pylist()[0].values())]
    wider = frame.append_column("more", pa.array(["x" * 5000]))
    for n in range(100):
        wider = wider.append_column(f"d{n}", pa.array(["y" * 300]))
    write(session, wider, "wide", mode="update")
    assert rows_of(session, "wide") == [tuple(wider.to_pylist()[0].values())]
    kinds = [line.partition("` ")[2] for line in columns_of(session, "wide")[201:-1]]
    assert set(kinds) == {"longtext"}


# `types`


def test_types_override(session: Session) -> None:
    types = {
        "A": "DECIMAL(10, 2)",
        "b": "Enum('x', 'y''z')",
        "c": "TEXT",
        "d": "int unsigned",
        "e": "boolean",
        "f": "bit",
    }
    frame = arrow(a=[1.25], b=["y'z"], c=["x"], d=[5], e=[1], f=[True], g=["x"])
    before = declared(session, frame, "overridden", types={**types, "g": "varchar(9) collate utf8mb4_0900_ai_ci"})
    assert before == [
        "`a` decimal(10,2)",
        "`b` enum('x','y''z')",
        "`c` text",
        "`d` int unsigned",
        "`e` tinyint(1)",
        "`f` bit(1)",
        "`g` varchar(9) COLLATE utf8mb4_0900_ai_ci",
    ]
    assert rows_of(session, "overridden") == [(Decimal("1.25"), "y'z", "x", 5, True, 1, "x")]
    assert not any(write(session, frame, "overridden", types=types).changed)


def test_types_never_narrow(session: Session) -> None:
    wide = {"s": "varchar(100)", "u": "int unsigned"}
    write(session, arrow(id=[1], v=[10**6], s=["x"], u=[2**31]), "kept wide", "id", types=wide)
    narrow = {"v": "smallint", "s": "varchar(10)", "u": "smallint unsigned"}
    for mode in ("update", "append", "replace"):
        write(session, arrow(id=[2], v=[1], s=["y"], u=[1]), "kept wide", mode=mode, types=narrow)
        assert columns_of(session, "kept wide")[1:4] == ["`v` bigint", "`s` varchar(100)", "`u` int unsigned"]
        sql(session, "delete from `kept wide` where id = 2", "call dolt_commit('--allow-empty', '-am', 'x')")


def test_types_widen(session: Session) -> None:
    write(session, arrow(id=[1], v=[1.5], d=["x"]), "asked wider", "id", types={"v": "decimal(4,2)", "d": "varchar(5)"})
    write(
        session,
        arrow(id=[2], v=[2.5], d=["y"]),
        "asked wider",
        mode="append",
        types={"v": "decimal(10,1)", "d": "varchar(50)"},
    )
    assert columns_of(session, "asked wider")[1:3] == ["`v` decimal(11,2)", "`d` varchar(50)"]
    assert rows_of(session, "asked wider") == [(1, Decimal("1.50"), "x"), (2, Decimal("2.50"), "y")]


def test_types_change_the_kind_of_a_column_only_where_all_rows_are_replaced(session: Session) -> None:
    write(session, arrow(id=[1], v=[1.5]), "kind", "id")
    for mode in ("update", "append"):
        with pytest.raises(SchemaMismatchError, match=r"`kind`.`v` to be decimal\(9,2\), and it is double"):
            write(session, arrow(id=[2], v=[2.25]), "kind", mode=mode, types={"v": "decimal(9,2)"})
    write(session, arrow(id=[2], v=[2.25]), "kind", types={"v": "decimal(9,2)"})
    assert rows_of(session, "kind") == [(2, Decimal("2.25"))]


def test_types_that_make_no_sense(session: Session) -> None:
    with pytest.raises(UsageError, match=r"`types` names `nope`, which the frame for `senseless` does not have"):
        write(session, arrow(v=[1]), "senseless", types={"nope": "int"})
    with pytest.raises(SchemaMismatchError, match=r"asks for `senseless`.`v` to be VARCHAR\(3\).*need varchar\(32\)"):
        write(session, arrow(v=["long"]), "senseless", types={"v": "VARCHAR(3)"})
    with pytest.raises(SchemaMismatchError, match=r"`v` of the frame .int64. does not fit.*it holds no dates"):
        write(session, arrow(v=[1]), "senseless", types={"v": "date"})
    with pytest.raises(SchemaMismatchError, match=r"doltflow does not write this type"):
        write(session, arrow(v=[1]), "senseless", types={"v": "point"})
    with pytest.raises(DoltError, match=r"could not be written to `senseless`.*precision 70"):
        write(session, arrow(v=[Decimal("1.5")]), "senseless", types={"v": "decimal(70,2)"})
    assert "senseless" not in session.tables(session.resolve("main"))


# Evolution


@pytest.mark.parametrize("mode", ["replace", "update", "append"])
def test_a_new_column_in_every_mode(session: Session, mode: Mode) -> None:
    table = f"new in {mode}"
    write(session, arrow(id=[1, 2], v=["a", "b"]), table, "id")
    new = arrow(**{"a b.c": [Decimal("1.5"), None], "id": [2 if mode == "update" else 3, 4], "V": ["c", "d"]})
    write(session, new, table, mode=mode)
    assert columns_of(session, table) == [
        "`id` bigint NOT NULL",
        "`v` varchar(255)",
        "`a b.c` decimal(2,1)",
        "PRIMARY KEY (`id`)",
    ]
    old = [] if mode == "replace" else [(1, "a", None)] if mode == "update" else [(1, "a", None), (2, "b", None)]
    first = (2 if mode == "update" else 3, "c", Decimal("1.5"))
    assert rows_of(session, table) == [*old, first, (4, "d", None)]


WIDER: dict[str, tuple[str, pa.Array, str]] = {
    "tinyint": ("tinyint", pa.array([128]), "smallint"),
    "tinyint to bigint": ("tinyint", pa.array([-(2**63)]), "bigint"),
    "smallint": ("smallint", pa.array([2**15]), "mediumint"),
    "mediumint": ("mediumint", pa.array([-(2**23) - 1]), "int"),
    "int": ("int", pa.array([2**31]), "bigint"),
    "int from floats": ("int", pa.array([2.0**31]), "bigint"),
    "int from decimals": ("int", pa.array([Decimal(2**31)]), "bigint"),
    "small unsigned": ("tinyint unsigned", pa.array([300]), "smallint unsigned"),
    "unsigned": ("int unsigned", pa.array([2**32]), "bigint unsigned"),
    "unsigned to signed": ("int unsigned", pa.array([-1]), "bigint"),
    "signed to unsigned": ("bigint unsigned", pa.array([2**64 - 1], pa.uint64()), "bigint unsigned"),
    "boolean": ("boolean", pa.array([2]), "tinyint"),
    "boolean to int": ("boolean", pa.array([200]), "smallint"),
    "decimal digits": ("decimal(5,2)", pa.array([Decimal("1234.5")]), "decimal(6,2)"),
    "decimal scale": ("decimal(5,2)", pa.array([Decimal("1.2345")]), "decimal(7,4)"),
    "decimal both": ("decimal(5,2)", pa.array([Decimal("12345.678")]), "decimal(8,3)"),
    "decimal from ints": ("decimal(5,2)", pa.array([123_456]), "decimal(8,2)"),
    "decimal fraction only": ("decimal(2,2)", pa.array([Decimal("0.123")]), "decimal(3,3)"),
    "decimal as needed": ("decimal(5,2)", pa.array([Decimal("12345.5")], pa.decimal128(38, 10)), "decimal(7,2)"),
    "decimal to the most": ("decimal(35,0)", pa.array([Decimal("0." + "1" * 30)]), "decimal(65,30)"),
    "float": ("float", pa.array([0.1]), "double"),
    "float from ints": ("float", pa.array([2**24 + 1]), "double"),
    "float from decimals": ("float", pa.array([Decimal("0.1")]), "double"),
    "varchar": ("varchar(5)", pa.array(["x" * 6]), "varchar(32)"),
    "varchar to text": ("varchar(5)", pa.array(["x" * 5000]), "longtext"),
    "char": ("char(5)", pa.array(["x" * 6]), "varchar(32)"),
    "tinytext": ("tinytext", pa.array(["é" * 200]), "longtext"),
    "text": ("text", pa.array(["x" * 65_536]), "longtext"),
    "varbinary": ("varbinary(5)", pa.array([b"x" * 6]), "longblob"),
    "blob": ("blob", pa.array([b"x" * 65_536]), "longblob"),
    "binary": ("binary(2)", pa.array([b"xyz"]), "longblob"),
    "datetime": ("datetime", pa.array([datetime(2020, 1, 1, 1, 1, 1, 5)]), "datetime(6)"),
    "datetime(3)": ("datetime(3)", pa.array([datetime(2020, 1, 1, 1, 1, 1, 1500)]), "datetime(6)"),
    "timestamp": ("timestamp", pa.array([datetime(2020, 1, 1, 1, 1, 1, 5)]), "timestamp(6)"),
    "bit": ("bit(3)", pa.array([8]), "bit(4)"),
}


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, "append") for name in WIDER),
        *((name, mode) for name in ("int", "varchar") for mode in ("update", "replace")),
    ],
)
def test_columns_widen(session: Session, name: str, mode: Mode) -> None:
    before, values, after = WIDER[name]
    table = f"{name} {mode}"
    sql(session, f"create table `{table}` (id int primary key, v {before} comment 'kept')")
    sql(session, f"insert into `{table}` values (1, null)", "call dolt_commit('-Am', 'narrow')")
    write(session, arrow(id=pa.array([2], pa.int32()), v=values), table, mode=mode)
    assert columns_of(session, table)[1] == f"`v` {after} COMMENT 'kept'"
    old = [] if mode == "replace" else [(1, None)]
    value = values[0].as_py()
    assert rows_of(session, table) == [*old, (2, float(value) if after == "double" else value)]


STANDS: dict[str, tuple[str, pa.Array]] = {
    "smaller ints": ("bigint", pa.array([1], pa.int8())),
    "unsigned into signed": ("bigint", pa.array([1], pa.uint64())),
    "floats without fraction": ("int", pa.array([1.0, None])),
    "booleans": ("tinyint unsigned", pa.array([True])),
    "ones and zeros": ("boolean", pa.array([1, 0], pa.int64())),
    "fewer digits": ("decimal(38,10)", pa.array([Decimal("1.5")])),
    "floats in decimals": ("decimal(38,10)", pa.array([0.1, 1e20])),
    "single floats": ("float", pa.array([0.5, 2.0**100])),
    "float32 in double": ("double", pa.array([0.1], pa.float32())),
    "ints in double": ("double", pa.array([2**53])),
    "exact decimals": ("double", pa.array([Decimal("0.1")])),
    "shorter texts": ("longtext", pa.array(["x"])),
    "dates": ("datetime(6)", pa.array([date(2020, 1, 1)])),
    "midnights": ("date", pa.array([datetime(2020, 1, 1)])),
    "whole seconds": ("datetime", pa.array([datetime(2020, 1, 1, 1, 1, 1)])),
    "milliseconds": ("datetime(3)", pa.array([datetime(2020, 1, 1, 1, 1, 1, 1000)])),
    "JSON text": ("json", pa.array(['{"a": [1, "x", null]}', None])),
    "nothing": ("year", pa.nulls(1)),
    "nothing but NULL": ("enum('a')", pa.array([None], pa.string())),
}


@pytest.mark.parametrize("name", STANDS)
def test_a_schema_that_fits_stands(session: Session, name: str) -> None:
    kind, values = STANDS[name]
    sql(session, f"create table `stands {name}` (v {kind} default null comment 'kept')", "call dolt_commit('-Am', 'x')")
    before = columns_of(session, f"stands {name}")
    write(session, pa.table({"v": values}), f"stands {name}")
    assert columns_of(session, f"stands {name}") == before


MISFITS: dict[str, tuple[str, Any, str]] = {
    "text in int": ("int", pa.array(["x"]), "it holds no numbers"),
    "fraction in int": ("int", pa.array([1.5]), "not every value is an integer"),
    "too large for ints": ("bigint", pa.array([2**64 - 1], pa.uint64()), "no type of SQL holds both"),
    "both ends": ("bigint", pa.array([Decimal(-1), Decimal(2**64 - 1)]), "not every value is an integer of 64 bits"),
    "text in decimal": ("decimal(5,2)", pa.array(["1"]), "it holds no numbers"),
    "digits of floats": (
        "decimal(5,2)",
        pa.array([1.0, 0.125]),
        "0.125 in row 1 has more than 2 digits after the point",
    ),
    "too many digits": (
        "decimal(65,30)",
        pa.array([Decimal(10**35)]),
        r"need decimal\(36,0\), and no type of SQL holds both",
    ),
    "too deep": ("decimal(5,2)", pa.array([Decimal("1E-31")]), "DECIMAL has up to 65 digits, 30 of them"),
    "ints in double": ("double", pa.array([2**53 + 1]), "integers that a binary float cannot"),
    "decimals in double": ("double", pa.array([None, Decimal("0.1000000000000000001")]), "in row 1 loses digits"),
    "text in double": ("double", pa.array(["x"]), "it holds no numbers"),
    "ints in text": ("varchar(5)", pa.array([1]), "it holds no text"),
    "bytes in text": ("text", pa.array([b"x"]), "it holds no text"),
    "text in bytes": ("blob", pa.array(["x"]), "it holds no bytes"),
    "short bytes": ("binary(3)", pa.array([b"abc", b"ab"]), "a value has 2 bytes, and BINARY.3. would fill it up"),
    "enum": ("enum('a','b')", pa.array(["a", "c"]), "'c' is none of 'a', 'b'"),
    "set": ("set('a','b')", pa.array(["a,c"]), "'c' is none of 'a', 'b'"),
    "ints in enum": ("enum('a','b')", pa.array([1]), "it holds no text"),
    "no JSON": ("json", pa.array(["{}", ""]), "the text in row 1 is not JSON"),
    "NaN in JSON": ("json", pa.array(["[NaN]"]), "the text in row 0 is not JSON"),
    "half a character in JSON": ("json", pa.array(['"\\ud800"']), "the text in row 0 is not JSON"),
    "large ints in JSON": ("json", pa.array(["[9007199254740993]"]), "9007199254740993 in row 0 loses digits in JSON"),
    "ints in JSON": ("json", pa.array([1]), "neither JSON text nor dictionaries"),
    "text in date": ("date", pa.array(["2020-01-01"]), "`pandas.to_datetime` makes them from text"),
    "time of day in date": ("date", pa.array([datetime(2020, 1, 1, 1)]), "some of its values have a time of day"),
    "text in datetime": ("datetime", pa.array(["2020-01-01"]), "`pandas.to_datetime` makes them from text"),
    "datetime in time": ("time", pa.array([datetime(2020, 1, 1)]), "no times of day and no spans"),
    "negative bits": ("bit(8)", pa.array([-1]), "-1 is negative"),
    "geometry": ("point", pa.array([b"x"]), "doltflow does not write this type"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_named_and_nothing_changes(session: Session, name: str) -> None:
    kind, values, reason = MISFITS[name]
    table = f"misfit {name}"
    sql(session, f"create table `{table}` (v {kind})", "call dolt_commit('-Am', 'x')")
    before = session.resolve("main")
    for mode in ("replace", "append"):
        with pytest.raises(
            SchemaMismatchError, match=f"The column `v` of the frame .* does not fit `{table}`.`v`.*{reason}"
        ):
            write(session, pa.table({"v": values}), table, mode=mode)
    assert session.resolve("main") == before


OUTSIDE: dict[str, tuple[str, pa.Array, str]] = {
    "year": ("year", pa.array([2020, 99]), "Row 1 of the column `v` is 99, .* range of YEAR"),
    "year 2156": ("year", pa.array([2156]), "is 2156, .* range of YEAR"),
    "date": ("date", pa.array([2_932_897], pa.date32()), "Row 0 of the column `v` is 10000-01-01, .* range of DATE"),
    "before year 0": ("date", pa.array([-719_529], pa.date32()), "is -0001-12-31, .* range of DATE"),
    "datetime": ("datetime(6)", pa.array([253_402_300_800_000_000], pa.timestamp("us")), "range of DATETIME.6."),
    "timestamp": ("timestamp", pa.array([datetime(2000, 1, 1), datetime(1969, 12, 31)]), "Row 1 .* range of TIMESTAMP"),
    "timestamp 2038": ("timestamp", pa.array([datetime(2038, 1, 19, 3, 14, 8)]), "Row 0 .* range of TIMESTAMP"),
    "span": ("time", pa.array([timedelta(0), timedelta(hours=839)]), "Row 1 of the column `v` is 34 days, 23:00:00"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_values_outside_of_a_type_are_named_by_row(session: Session, name: str) -> None:
    kind, values, reason = OUTSIDE[name]
    with pytest.raises(BadValueError, match=reason):
        write(session, pa.table({"v": values}), f"outside {name}", types={"v": kind})
    assert f"outside {name}" not in session.tables(session.resolve("main"))


def test_a_widened_column_keeps_all_that_was_declared_of_it(session: Session) -> None:
    sql(
        session,
        "create table declared (id int auto_increment primary key, "
        "n smallint not null default 7 comment 'it''s a number', "
        "s varchar(5) collate utf8mb4_0900_ai_ci default 'x', `u``q` varchar(5) not null, d datetime default now(), "
        "g int generated always as (n + 1) stored, unique key uq (`u``q`), key (n), check (n > 0))",
        "insert into declared (n, `u``q`) values (1, 'a')",
        "call dolt_commit('-Am', 'x')",
    )
    check = next(line for line in columns_of(session, "declared") if "CHECK" in line)
    later = datetime(2020, 1, 1, 0, 0, 0, 5)
    write(
        session,
        arrow(id=[2**40], n=[2**20], s=["y" * 300], d=[later], **{"u`q": ["z" * 5000]}),
        "declared",
        mode="append",
    )
    assert columns_of(session, "declared") == [
        "`id` bigint NOT NULL AUTO_INCREMENT",
        "`n` mediumint NOT NULL DEFAULT '7' COMMENT 'it''s a number'",
        "`s` varchar(1023) COLLATE utf8mb4_0900_ai_ci DEFAULT 'x'",
        "`u``q` varchar(5000) NOT NULL",
        "`d` datetime(6) DEFAULT CURRENT_TIMESTAMP(6)",
        "`g` int GENERATED ALWAYS AS ((`n` + 1)) STORED",
        "PRIMARY KEY (`id`)",
        "KEY `n` (`n`)",
        "UNIQUE KEY `uq` (`u``q`)",
        check,
    ]
    assert rows_of(session, "declared")[1] == (2**40, 2**20, "y" * 300, "z" * 5000, later, 2**20 + 1)


# Columns that the frame lacks


def test_replace_drops_columns_that_the_frame_lacks(session: Session) -> None:
    write(session, arrow(id=[1], a=["x"], b=[1]), "dropped", "id")
    write(session, arrow(b=[2], id=[1]), "dropped")
    assert columns_of(session, "dropped") == ["`id` bigint NOT NULL", "`b` bigint", "PRIMARY KEY (`id`)"]
    assert rows_of(session, "dropped") == [(1, 2)]


@pytest.mark.parametrize("path", ["insert", "load"])
def test_update_keeps_what_the_frame_lacks(session: Session, path: str) -> None:
    table = f"partial {path}"
    sql(
        session,
        f"create table `{table}` (a int, b varchar(9), v int, w int default 5, n int not null, primary key (a, b))",
    )
    sql(session, f"insert into `{table}` values (1, 'x', 1, 1, 1), (1, 'y', 2, 2, 2)", "call dolt_commit('-Am', 'x')")
    write(session, arrow(b=["y", "x"], a=[1, 1], v=[20, None]), table, mode="update", path=path)
    assert rows_of(session, table) == [(1, "x", None, 1, 1), (1, "y", 20, 2, 2)]
    with pytest.raises(SchemaMismatchError, match=r"2 rows of the frame are new to the table .* lacks `n`"):
        write(session, arrow(b=["y", "z", "NULL"], a=[1, 1, 1], v=[1, 1, 1]), table, mode="update", path=path)
    write(session, arrow(b=["z", "NULL"], a=[1, 1], n=[3, 4]), table, mode="update", path=path)
    assert rows_of(session, table) == [
        (1, "NULL", None, 5, 4),
        (1, "x", None, 1, 1),
        (1, "y", 20, 2, 2),
        (1, "z", None, 5, 3),
    ]
    write(session, arrow(b=["z"], a=[1]), table, mode="update", path=path)
    assert len(rows_of(session, table)) == 4


def test_append_fills_what_the_frame_lacks(session: Session) -> None:
    sql(session, "create table filled (id int primary key, v int, w int not null default 5, n int not null)")
    sql(session, "call dolt_commit('-Am', 'x')")
    with pytest.raises(SchemaMismatchError, match=r"The frame lacks `n`, which the table `filled` requires"):
        write(session, arrow(id=[1], v=[1]), "filled", mode="append")
    write(session, arrow(id=[1], n=[1]), "filled", mode="append")
    assert rows_of(session, "filled") == [(1, None, 5, 1)]
    with pytest.raises(
        BadValueError, match=r"The NOT NULL column `n` of `filled` is NULL in 1 row .*row 1: n=NULL, id=3"
    ):
        write(session, arrow(id=[2, 3], n=[1, None]), "filled", mode="append")


def test_generated_columns_are_left_to_the_table(session: Session) -> None:
    sql(session, "create table computed (id int primary key, v int, g int generated always as (v * 2) stored)")
    sql(session, "call dolt_commit('-Am', 'x')")
    for mode in ("replace", "append", "update"):
        write(session, arrow(id=[len(mode)], v=[5]), "computed", mode=mode)
    assert rows_of(session, "computed") == [(6, 5, 10), (7, 5, 10)]
    with pytest.raises(SchemaMismatchError, match=r"`computed`.`g` is computed from other columns"):
        write(session, arrow(id=[1], v=[5], g=[10]), "computed")
