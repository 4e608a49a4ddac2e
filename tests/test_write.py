"""What a write leaves in a table: by every mode, from every kind of frame, into tables that others have made."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import folder_of
from writing import PATHS, columns_of, opened, rows_of, sql, write

from doltflow.errors import BadValueError, DoltError, SchemaMismatchError
from doltflow.model.access import Mode
from doltflow.sources.dolt import Session
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.write import Write, commit_writes, prepare


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened(tmp_path_factory.mktemp("write")) as session:
        yield session


def arrow(**columns: Any) -> pa.Table:
    return pa.table(columns)


def written(session: Session, frame: Any, table: str, **options: Any) -> list[tuple[Any, ...]]:
    write(session, frame, table, **options)
    return rows_of(session, table)


# Modes


@pytest.mark.parametrize("path", PATHS)
def test_replace_leaves_exactly_the_frame(session: Session, path: str) -> None:
    table = f"replace {path}"
    write(session, arrow(id=[3, 1, 2], v=["c", "a", "NULL"]), table, "id", path=path)
    assert rows_of(session, table) == [(1, "a"), (2, "NULL"), (3, "c")]
    write(session, arrow(id=[2, 4], v=["B", None]), table, path=path)
    assert rows_of(session, table) == [(2, "B"), (4, None)]


@pytest.mark.parametrize("path", PATHS)
def test_update_inserts_and_overwrites(session: Session, path: str) -> None:
    table = f"update {path}"
    write(session, arrow(a=[1, 1, 2], b=["x", "y", "x"], v=[1.0, 2.0, 3.0]), table, ["a", "b"], "update", path=path)
    write(session, arrow(v=[20.0, None, 4.0], b=["y", "x", "NULL"], a=[1, 2, 2]), table, mode="update", path=path)
    assert rows_of(session, table) == [(1, "x", 1.0), (1, "y", 20.0), (2, "NULL", 4.0), (2, "x", None)]
    keys = write(session, arrow(b=["x"], a=[1]), table, mode="update", path=path)
    assert (keys.changed, len(rows_of(session, table))) == ([False], 4)


@pytest.mark.parametrize("path", PATHS)
def test_append_adds_rows_and_refuses_keys_that_are_there(session: Session, path: str) -> None:
    table = f"append {path}"
    write(session, arrow(id=[1], v=["a"]), table, "id", "append", path=path)
    write(session, arrow(id=[3, 2], v=["c", "b"]), table, mode="append", path=path)
    with pytest.raises(BadValueError, match=rf"The frame could not be written to `{table}`.*duplicate primary key.*2"):
        write(session, arrow(id=[4, 2], v=["d", "B"]), table, mode="append", path=path)
    assert rows_of(session, table) == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize("pks", ["id", None])
def test_a_second_identical_replacement_changes_nothing_but_is_a_commit(session: Session, pks: str | None) -> None:
    table = f"twice {pks}"
    frame = arrow(id=list(range(50)), v=[n % 3 for n in range(50)])
    first = write(session, frame, table, pks, message="Run: Flow/1/start/1")
    second = write(session, frame.take(list(reversed(range(50)))), table, message="Run: Flow/2/start/1")
    assert (first.changed, second.changed) == ([True], [False])
    assert session.table_hash(table, first.commit) == session.table_hash(table, second.commit)
    assert session.commit(second.commit).parents == (first.commit,)
    assert session.branches() == {"main": second.commit}
    assert session.last_change(table, second.commit) == first.commit


def test_a_table_without_a_key_has_rows_as_often_as_they_were_written(session: Session) -> None:
    write(session, arrow(v=[1, 1, None], w=["a", "a", "b"]), "keyless")
    write(session, arrow(v=[1], w=["a"]), "keyless", mode="append")
    assert sorted(rows_of(session, "keyless"), key=str) == [(1, "a"), (1, "a"), (1, "a"), (None, "b")]
    with pytest.raises(SchemaMismatchError, match=r"`keyless` has no key, so rows cannot be updated by key"):
        write(session, arrow(v=[1], w=["a"]), "keyless", mode="update")
    with pytest.raises(SchemaMismatchError, match=r"`new keyless` has no key"):
        write(session, arrow(v=[1]), "new keyless", mode="update")


def test_several_writes_are_one_commit(session: Session) -> None:
    before = session.resolve("main")
    writes = [
        Write("one", prepare(arrow(id=[1], v=[1]), "id"), "replace"),
        Write("two", prepare(arrow(v=["x"])), "append"),
        Write("one", prepare(arrow(id=[1, 2], v=[10, 20], w=["new", None])), "update"),
    ]
    commit, stored = session.commit_writes("main", writes, "Run: Flow/9/start/1\n\nmore: 'text' 😀", "Bea <b@x>")
    assert (rows_of(session, "one"), rows_of(session, "two")) == ([(1, 10, "new"), (2, 20, None)], [("x",)])
    assert [(done.table, done.mode, done.rows, done.changed) for done in stored] == [
        ("one", "replace", 1, True),
        ("two", "append", 1, True),
        ("one", "update", 2, True),
    ]
    made = session.commit(commit)
    assert (made.message, made.author, made.email) == ("Run: Flow/9/start/1\n\nmore: 'text' 😀", "Bea", "b@x")
    assert made.parents == (before,)


def test_where_one_write_fails_none_is_kept(session: Session) -> None:
    before = session.branches()
    writes = [
        Write("kept out", prepare(arrow(id=[1])), "replace"),
        Write("bad", prepare(arrow(id=[1]), "id"), "append"),
        Write("bad", prepare(arrow(id=[1])), "append"),
    ]
    with pytest.raises(BadValueError, match=r"`bad`.*duplicate primary key"):
        session.commit_writes("main", writes, "m", "A <a@x>")
    assert session.branches() == before
    assert not {"kept out", "bad"} & set(session.tables(session.resolve("main")))


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"id": []}, dtype="int64"), pl.DataFrame({"id": []}, schema={"id": pl.Int64})]
)
@pytest.mark.parametrize("mode", ["replace", "update", "append"])
def test_frames_without_rows(session: Session, mode: Mode, frame: Any) -> None:
    table = f"empty {mode} {type(frame).__module__[:6]}"
    write(session, frame, table, "id", mode)
    assert (columns_of(session, table), rows_of(session, table)) == (["`id` bigint NOT NULL", "PRIMARY KEY (`id`)"], [])
    write(session, arrow(id=[1]), table, mode="append")
    assert written(session, frame, table, mode=mode) == ([] if mode == "replace" else [(1,)])


def test_many_rows_go_in_bulk_and_come_back(session: Session) -> None:
    height = 20_000
    order = np.random.default_rng(5).permutation(height)
    frame = pd.DataFrame(
        {
            "a.b": [f"{n:05}" for n in order],
            "v": pd.array([Decimal(int(n)) / 100 for n in order], pd.ArrowDtype(pa.decimal128(10, 2))),
            "s": [None if n % 5 == 0 else "NULL" if n % 5 == 1 else f"a\tb\n{n}\\" for n in order],
            "b": pd.Series([bytes([n % 256]) for n in order], dtype=object),
        }
    )
    expected = [
        tuple(row) for row in frame.sort_values("a.b").astype(object).where(frame.notna(), None).itertuples(index=False)
    ]
    assert written(session, frame, "many", pks="a.b") == expected
    assert not any(write(session, frame.iloc[::-1], "many").changed)
    half = frame[["v", "a.b"]].iloc[: height // 2].assign(v=Decimal(1))
    half.loc[:10, "a.b"] = half["a.b"][:11] + "x"
    updated = written(session, half, "many", mode="update")
    new = {key: row for row in expected for key in [row[0]]}
    for key in half["a.b"]:
        new[key] = (key, Decimal(1), *new.get(key, (key, None, None, None))[2:])
    assert updated == sorted(new.values())
    assert not list((folder_of(session) / ".dolt" / "temptf").iterdir())


def test_a_server_that_may_not_load_files_is_given_inserts(session: Session) -> None:
    frame = prepare(arrow(id=list(range(5000)), b=[b"\x00'\\%s"] * 5000, s=["é'\\\n%s"] * 5000), "id")
    foreign = Connection(replace(session._connection.endpoint, load_folder=None), session._connection.database)
    commit_writes(foreign, "main", [Write("inserts", frame, "replace")], "m", "A <a@x>")
    foreign.close()
    assert rows_of(session, "inserts") == [(n, b"\x00'\\%s", "é'\\\n%s") for n in range(5000)]


# Keys


def test_the_key_is_as_it_was_asked_for(session: Session) -> None:
    write(session, arrow(a=[2, 1], b=["x", "y"], c=[1, 2]), "key order", ["b", "a"])
    assert columns_of(session, "key order") == [
        "`a` bigint NOT NULL",
        "`b` varchar(255) NOT NULL",
        "`c` bigint",
        "PRIMARY KEY (`b`,`a`)",
    ]
    # By another order, another case, no index and a named index: the key stays.
    write(session, arrow(A=[2], B=["x"], c=[5]), "key order", ["A", "B"], "update")
    write(session, pd.DataFrame({"a": [1], "b": ["y"], "c": [6]}), "key order", mode="update")
    write(session, pd.DataFrame({"a": [3], "b": ["z"], "c": [7]}).set_index("c"), "key order", mode="update")
    assert rows_of(session, "key order") == [(2, "x", 5), (1, "y", 6), (3, "z", 7)]
    assert columns_of(session, "key order")[-1] == "PRIMARY KEY (`b`,`a`)"


def test_another_key_than_the_tables_is_an_error(session: Session) -> None:
    write(session, arrow(a=[1], b=[1]), "one key", "a")
    write(session, arrow(a=[1], b=[1]), "no key")
    for mode in ("replace", "update", "append"):
        with pytest.raises(SchemaMismatchError, match=r"`one key` has the key \(a\), and the frame asks for \(a, b\)"):
            write(session, arrow(a=[1], b=[1]), "one key", ["a", "b"], mode)
        with pytest.raises(SchemaMismatchError, match=r"`one key` has the key \(a\), and the frame asks for none"):
            write(session, arrow(a=[1], b=[1]), "one key", [], mode)
        with pytest.raises(SchemaMismatchError, match=r"`no key` has no key, and the frame asks for \(a\)"):
            write(session, arrow(a=[1], b=[1]), "no key", "a", mode)
        with pytest.raises(SchemaMismatchError, match=r"The frame lacks `a` of the key of the table `one key`"):
            write(session, arrow(b=[1]), "one key", mode=mode)
    with pytest.raises(
        SchemaMismatchError, match=r"The key column `c` is not in the frame, whose columns are `a`, `b`"
    ):
        write(session, arrow(a=[1], b=[1]), "other", ["a", "c"])
    with pytest.raises(SchemaMismatchError, match=r"The key \(a, a\) names a column twice"):
        write(session, arrow(a=[1]), "other", ["a", "a"])


@pytest.mark.parametrize("mode", ["replace", "update", "append"])
def test_null_in_a_key_is_shown(session: Session, mode: Mode) -> None:
    frame = pd.DataFrame({"Code": ["a", None, "b", None], "n": [1, 2, 3, 4]})
    with pytest.raises(
        BadValueError,
        match=r"key column `Code` of `null key` is NULL in 2 rows .* row 1: Code=NULL, n=2; row 3: Code=NULL, n=4\.",
    ):
        write(session, frame, "null key", ["n", "Code"], mode)


KEYS: dict[str, list[Any]] = {
    "ints": [1, 1, 2],
    "texts": ["a", "a", "A"],
    "floats": [0.0, -0.0, 1.0],
    "decimals": [Decimal("1.5"), Decimal("1.50"), Decimal("2.5")],
    "dates": [datetime(2020, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 2)],
    "times": [time(1), time(1), time(2)],
    "spans": [pd.Timedelta(hours=-1), pd.Timedelta(hours=-1), pd.Timedelta(hours=1)],
    "bytes": [b"a", b"a", b"b"],
    "booleans": [True, True, False],
}


@pytest.mark.parametrize("name", KEYS)
def test_duplicates_in_a_key_are_shown(session: Session, name: str) -> None:
    frame = pd.DataFrame({"k.1": pd.Series(KEYS[name], dtype=object), "n": [1, 2, 3], "s": ["x" * 99] * 3})
    with pytest.raises(
        BadValueError,
        match=r"1 key of `doubled` \(k\.1\) is in several rows .*row 0: k\.1=.*, n=1, s='x{60}'…; row 1: k\.1=.*, n=2",
    ):
        write(session, frame, "doubled", "k.1")
    kept = prepare(frame.iloc[1:]).table
    got = written(session, frame.iloc[1:], f"single {name}", pks="k.1", path="load")
    assert [row[0] for row in got] == sorted(kept.column(0).to_pylist())


def test_duplicates_are_counted_and_only_some_are_shown(session: Session) -> None:
    frame = arrow(a=[n // 2 for n in range(100)], b=["x"] * 100)
    with pytest.raises(
        BadValueError, match=r"50 keys of `doubles` \(b, a\) are in several rows .*row 4: b='x', a=2 …\."
    ):
        write(session, frame, "doubles", ["b", "a"])


# Frames


def test_what_is_missing_is_null(session: Session) -> None:
    frame = pd.DataFrame(
        {
            "float": [np.nan, 1.0],
            "object": pd.Series([float("nan"), "x"], dtype=object),
            "na": pd.Series([pd.NA, "x"], dtype=object),
            "nat": pd.Series([pd.NaT, datetime(2020, 1, 1)], dtype=object),
            "time": pd.to_datetime([None, "2020-01-01"]),
            "nullable": pd.Series([pd.NA, 1.5], dtype="Float64"),
            "arrow": pd.Series([None, float("nan")], dtype="float64[pyarrow]"),
            "string": pd.Series([pd.NA, ""], dtype="string"),
            "decimal": pd.Series([Decimal("NaN"), Decimal(1)], dtype=object),
        }
    )
    first, second = sorted(written(session, frame, "missing"), key=lambda row: row[0] is not None)
    assert first == (None,) * 9
    assert second == (1.0, "x", "x", datetime(2020, 1, 1), datetime(2020, 1, 1), 1.5, None, "", Decimal(1))
    polars = written(session, pl.DataFrame({"v": [float("nan"), 1.0, None]}), "missing polars")
    assert sorted(polars, key=str) == [(1.0,), (None,), (None,)]


@pytest.mark.parametrize(
    ("values", "row"),
    [
        (pd.Series([1.0, float("inf")]), "Row 1 of the column `v` is inf"),
        (pd.Series([None, float("-inf")], dtype="float32[pyarrow]"), "Row 1 of the column `v` is -inf"),
        (pd.Series([None, 1, float("inf")], dtype=object), "Row 2 of the column `v` is inf"),
        (pd.Series([Decimal(1), Decimal("-Infinity")], dtype=object), "Row 1 of the column `v` is -Infinity"),
    ],
)
def test_infinity_is_named_by_row(values: pd.Series, row: str) -> None:
    with pytest.raises(BadValueError, match=f"{row}, and SQL has no infinity"):
        prepare(pd.DataFrame({"v": values}))


def test_an_index_without_a_name_that_is_no_row_number_is_refused(session: Session) -> None:
    frame = pd.DataFrame({"v": [1, 2]}, index=["x", "y"])
    with pytest.raises(SchemaMismatchError, match="The frame's index has no name"):
        write(session, frame, "unnamed")
    assert "unnamed" not in session.tables("main")


def test_named_levels_of_the_index_are_the_key(session: Session) -> None:
    frame = pd.DataFrame({"code": ["b", "a", "a"], "state": ["X", "Y", "X"], "price": [1.0, 2.0, 4.0]})
    medians = frame.groupby(["state", "code"]).median()
    assert written(session, medians, "medians") == [("X", "a", 4.0), ("X", "b", 1.0), ("Y", "a", 2.0)]
    assert columns_of(session, "medians")[-1] == "PRIMARY KEY (`state`,`code`)"
    assert written(session, frame.groupby("code")["price"].var(), "variance") == [("a", 2.0), ("b", None)]
    assert columns_of(session, "variance") == ["`code` varchar(255) NOT NULL", "`price` double", "PRIMARY KEY (`code`)"]
    half = medians.reset_index("state", drop=True).set_index(pd.Index([7, 8, 9]), append=True)
    assert written(session, half.iloc[:2], "half named") == [("a", 4.0), ("b", 1.0)]
    assert written(session, medians, "asked", pks="price") == [("X", "b", 1.0), ("Y", "a", 2.0), ("X", "a", 4.0)]
    assert columns_of(session, "asked")[-1] == "PRIMARY KEY (`price`)"


def test_an_index_without_a_name_is_dropped(session: Session) -> None:
    frame = pd.DataFrame({"v": [1, 2, 3]})
    assert sorted(written(session, frame[frame["v"] > 1], "row numbers")) == [(2,), (3,)]
    assert columns_of(session, "row numbers") == ["`v` bigint"]
    assert sorted(written(session, pd.Series([1, 2]), "series")) == [(1,), (2,)]
    assert columns_of(session, "series") == ["`value` bigint"]
    with pytest.raises(SchemaMismatchError, match="The frame's index has no name, and is not the number of a row"):
        write(session, pd.DataFrame({"v": [1]}, index=["a"]), "row numbers")


def test_times_with_a_zone_are_stored_as_instants_in_utc(session: Session) -> None:
    frame = pd.DataFrame(
        {"id": [1, 2], "t": pd.to_datetime(["2020-07-01 12:00", None]).tz_localize("America/New_York")}
    )
    assert written(session, frame, "zoned", pks="id") == [(1, datetime(2020, 7, 1, 16)), (2, None)]


def test_what_is_done_to_the_frame_afterwards_is_not_written(session: Session) -> None:
    frames = {
        "numpy": pd.DataFrame({"id": [1, 2], "v": [1.5, 2.5], "t": pd.to_datetime(["2020", "2021"]).astype("M8[us]")}),
        "masked": pd.DataFrame(
            {"id": [1, 2], "v": pd.Series([1.5, 2.5], dtype="Float64"), "t": pd.Series([1, 2], dtype="Int64")}
        ),
    }
    for name, frame in frames.items():
        expected = [tuple(row) for row in prepare(frame).table.to_pandas().itertuples(index=False)]
        waiting = Write(f"afterwards {name}", prepare(frame, "id"), "replace")
        for column in frame:
            frame[column].array[0] = frame[column].array[1]
        session.commit_writes("main", [waiting], "m", "A <a@x>")
        assert rows_of(session, f"afterwards {name}") == expected


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "two columns of one name": (
        lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "`a` and `a` of the frame have one name",
    ),
    "names that differ in case": (
        lambda: pa.table({"Ä": [1], "ä": [1]}),
        "`Ä` and `ä` of the frame are one column to SQL",
    ),
    "no name": (lambda: pd.DataFrame({"": [1]}), "A column of the frame has no name"),
    "None as a name": (lambda: pd.DataFrame({None: [1]}), "A column of the frame has no name"),
    "a long name": (lambda: pl.DataFrame({"x" * 65: [1]}), "`x{65}` has more than 64 characters"),
    "no columns": (lambda: pd.DataFrame(index=[1, 2]), "The frame has no columns"),
    "levels of columns": (
        lambda: pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
        "The frame's columns have several levels",
    ),
    "index and column": (
        lambda: pd.DataFrame({"a": [1]}, index=pd.Index([1], name="a")),
        "`a` is both an index level and a column",
    ),
    "a dictionary": (
        lambda: {"a": [1]},
        "A dict cannot be written. Give a pandas or polars DataFrame or an Arrow table",
    ),
    "a polars series": (lambda: pl.Series("a", [1]), "A Series cannot be written"),
    "a lazy frame": (lambda: pl.LazyFrame({"a": [1]}), r"A LazyFrame cannot be written. `.collect\(\)` it first"),
    "text and number": (
        lambda: pd.DataFrame({"a": pd.Series(["x", 1], dtype=object)}),
        "`a` holds values .*: int, str",
    ),
    "text and bytes": (
        lambda: pd.DataFrame({"a": pd.Series(["x", b"x"], dtype=object)}),
        "`a` holds values .*: bytes, str",
    ),
    "boolean and number": (
        lambda: pd.DataFrame({"a": pd.Series([True, 1], dtype=object)}),
        "`a` holds values .*: bool, int",
    ),
    "decimal and float": (
        lambda: pd.DataFrame({"a": pd.Series([Decimal(1), 1.5], dtype=object)}),
        "`a` holds values .*: Decimal, float",
    ),
    "date and time": (
        lambda: pd.DataFrame({"a": pd.Series([datetime(2020, 1, 1).date(), datetime(2020, 1, 1, 5)], dtype=object)}),
        "`a` holds values .*: date, datetime",
    ),
    "with and without a zone": (
        lambda: pd.DataFrame({"a": pd.Series([datetime(2020, 1, 1), pd.Timestamp("2020", tz="UTC")], dtype=object)}),
        "`a` holds times both with and without a zone",
    ),
    "time of day with a zone": (
        lambda: pd.DataFrame({"a": pd.Series([pd.Timestamp("2020", tz="UTC").timetz()], dtype=object)}),
        "`a` holds times of day with a zone",
    ),
    "huge numbers": (lambda: pd.DataFrame({"a": pd.Series([2**64], dtype=object)}), "`a` holds values .*: int"),
    "objects": (lambda: pd.DataFrame({"a": pd.Series([object()], dtype=object)}), "`a` holds values .*: object"),
    "polars objects": (lambda: pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}), "`a` is of type Object"),
    "polars int128": (lambda: pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}), "`a` is of type Int128"),
    "complex": (lambda: pd.DataFrame({"a": [1j]}), "`a` is of type complex128, which has no SQL type"),
    "periods": (lambda: pd.DataFrame({"a": pd.period_range("2020", periods=1)}), "`a` is of type .*period"),
    "intervals": (lambda: pd.DataFrame({"a": pd.interval_range(0, 1)}), "`a` is of type .*interval"),
    "months": (
        lambda: pa.table({"a": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}),
        "`a` is of type month_day_nano",
    ),
    "sets": (lambda: pd.DataFrame({"a": pd.Series([{1}], dtype=object)}), "`a` holds values that are not JSON: set"),
    "NaN in lists": (lambda: pd.DataFrame({"a": pd.Series([[float("nan")]], dtype=object)}), "not JSON: Out of range"),
    "dates in structs": (
        lambda: pa.table({"a": [{"d": datetime(2020, 1, 1)}]}),
        "`a` holds values that are not JSON: datetime",
    ),
    "large ints in lists": (
        lambda: pl.DataFrame({"a": [[2**53 + 1]]}),
        "9007199254740993 in row 0 loses digits in JSON",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_frames_that_are_refused(session: Session, name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(SchemaMismatchError, match=reason):
        write(session, make(), "refused")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            pd.to_datetime([1_577_836_800_000_001_000, 1_577_836_800_000_000_001]),
            r"Row 1 of the column `a` .*ns.*loses digits",
        ),
        (pd.to_timedelta([None, 1], unit="ns"), r"Row 1 of the column `a` .*ns.*loses digits"),
        (pa.array([10**15], pa.timestamp("s")), r"`a` of type timestamp\[s\] loses digits as timestamp\[us\]"),
        (pd.Series(["x", "\ud800"], dtype=object), r"Row 1 of the column `a` is '\\ud800', half of a character"),
        (pd.Series([["x"], ["\ud800"]], dtype=object), r"Row 1 of the column `a` is .*half of a character"),
    ],
)
def test_values_that_would_not_come_back_are_named_by_row(values: Any, reason: str) -> None:
    with pytest.raises(BadValueError, match=reason):
        prepare(pa.table({"a": values}) if isinstance(values, pa.Array) else pd.DataFrame({"a": values}))


# Names

NAMES = [
    "a b",
    "a`b",
    "a'b",
    'a"b',
    "100%",
    "%s",
    "%(x)s",
    "a.b",
    ".",
    "a,b",
    "a;b",
    "a\\b",
    "a/b",
    "-x",
    "--all",
    "#x",
    "@v",
]
NAMES += ["$1", "?", "select", "values", "Tabelle ä", "表", " lead", "x" * 64, "a -> b", "HEAD", "main"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_tables_and_columns(session: Session, name: str) -> None:
    other = f"{name[:60]}_2"
    frame = arrow(**{name: ["k1", "NULL"], other: [1, None]})
    first = write(session, frame, name, name, path="load")
    second = write(session, frame.slice(0, 1).set_column(1, other, pa.array([2])), name, mode="update", path="insert")
    third = write(session, arrow(**{name: ["k3"]}), name, mode="append", path="load")
    write(session, arrow(**{name: ["k3"], other: [3]}), name, mode="update", path="load")
    write(session, arrow(**{name: ["x" * 300]}), name, mode="append")
    assert rows_of(session, name) == [("NULL", None), ("k1", 2), ("k3", 3), ("x" * 300, None)]
    assert session.last_change(name, third.commit) == third.commit
    assert session.last_change(name, first.commit) != session.last_change(name, second.commit)
    assert session.find_table(name.upper(), third.commit) == name


@pytest.mark.parametrize("name", ["trail ", "😀", "dolt_x"])
def test_names_that_dolt_refuses(session: Session, name: str) -> None:
    before = session.branches()
    with pytest.raises(DoltError, match=rf"The frame could not be written to `{name}`.*nvalid table name"):
        write(session, arrow(id=[1]), name)
    assert session.branches() == before


# Tables that others have made


def test_auto_increment(session: Session) -> None:
    sql(session, "create table auto (id int auto_increment primary key, v varchar(9))", "call dolt_commit('-Am', 'x')")
    assert written(session, arrow(v=["a", "b"]), "auto", mode="append") == [(1, "a"), (2, "b")]
    assert written(session, arrow(id=[7], v=["c"]), "auto", mode="append")[-1] == (7, "c")
    assert written(session, arrow(v=["d"]), "auto", mode="append")[-1] == (8, "d")
    for mode in ("replace", "update"):
        with pytest.raises(SchemaMismatchError, match=r"lacks `id` of the key of the table `auto`"):
            write(session, arrow(v=["e"]), "auto", mode=mode)
    frame = arrow(id=[2, 1], v=["b", "a"])
    assert [write(session, frame, "auto").changed, write(session, frame, "auto").changed] == [[True], [False]]


@pytest.mark.parametrize("path", PATHS)
def test_constraints_are_kept(session: Session, path: str) -> None:
    table = f"checked {path}"
    sql(session, f"create table `{table}` (id int primary key, v int, u varchar(9) unique, check (v < 10))")
    sql(session, f"insert into `{table}` values (1, 1, 'a'), (2, 2, 'b')", "call dolt_commit('-Am', 'x')")
    before = rows_of(session, table)
    for mode in ("replace", "update", "append"):
        with pytest.raises(BadValueError, match=rf"`{table}`.*Check constraint .* violated"):
            write(session, arrow(id=[3], v=[10], u=["c"]), table, mode=mode, path=path)
    with pytest.raises(BadValueError, match=rf"`{table}`.*duplicate unique key given: \[c\]"):
        write(session, arrow(id=[3, 4], v=[1, 1], u=["c", "c"]), table, path=path)
    # Neither must the row that has the value be overwritten nor removed.
    for mode in ("update", "append"):
        with pytest.raises(BadValueError, match=rf"`{table}`.*duplicate unique key given: \[a\]"):
            write(session, arrow(id=[3], v=[3], u=["a"]), table, mode=mode, path=path)
    with pytest.raises(BadValueError, match=rf"`{table}`.*duplicate unique key given: \[b\]"):
        write(session, arrow(id=[1], v=[3], u=["b"]), table, mode="update", path=path)
    assert rows_of(session, table) == before
    write(session, arrow(id=[3, 1], v=[3, 4], u=["c", "A"]), table, mode="update", path=path)
    assert rows_of(session, table) == [(1, 4, "A"), (2, 2, "b"), (3, 3, "c")]


@pytest.mark.parametrize("path", PATHS)
def test_texts_that_the_collation_takes_for_equal(session: Session, path: str) -> None:
    table = f"folding {path}"
    sql(session, f"create table `{table}` (k varchar(9) primary key, v int) collate utf8mb4_0900_ai_ci")
    sql(session, f"insert into `{table}` values ('a', 1)", "call dolt_commit('-Am', 'x')")
    for mode in ("replace", "update", "append"):
        with pytest.raises(BadValueError, match=rf"`{table}`.*duplicate primary key given: \[[bB]\]"):
            write(session, arrow(k=["b", "B"], v=[1, 2]), table, mode=mode, path=path)
    with pytest.raises(BadValueError, match=rf"`{table}`.*duplicate primary key given: \[A\]"):
        write(session, arrow(k=["A"], v=[1]), table, mode="append", path=path)
    write(session, arrow(k=["A", "c"], v=[10, 3]), table, mode="update", path=path)
    assert rows_of(session, table) == [("a", 10), ("c", 3)]


def test_foreign_keys(session: Session) -> None:
    sql(
        session,
        "create table parent (a int, b varchar(9), n int, primary key (a, b))",
        "create table child (id int primary key, a int, b varchar(9), foreign key (a, b) references parent (a, b))",
        "create table dependent (id int primary key, a int, b varchar(9), "
        "foreign key (a, b) references parent (a, b) on delete cascade on update cascade)",
        "insert into parent values (1, 'x', 1), (2, 'y', 2)",
        "insert into child values (1, 1, 'x'), (2, null, 'z')",
        "insert into dependent values (1, 2, 'y')",
        "call dolt_commit('-Am', 'x')",
    )
    for path in PATHS:
        write(session, arrow(a=[1, 2], b=["x", "y"], n=[10, len(path)]), "parent", path=path)
        write(session, arrow(a=[1, 2], b=["x", "y"], n=[11, len(path)]), "parent", mode="update", path=path)
    assert (len(rows_of(session, "child")), rows_of(session, "dependent")) == (2, [(1, 2, "y")])
    before = session.branches()
    with pytest.raises(
        BadValueError, match=r"breaks the foreign key `child_ibfk_1`: `child` \(a, b\) refers to \(1, x\)"
    ):
        write(session, arrow(a=[2], b=["y"], n=[1]), "parent")
    with pytest.raises(BadValueError, match=r"`dependent` \(a, b\) refers to \(2, y\), which `parent` does not have"):
        write(session, arrow(a=[1], b=["x"], n=[1]), "parent")
    with pytest.raises(BadValueError, match=r"`child` \(a, b\) refers to \(9, x\), which `parent` does not have"):
        write(session, arrow(id=[3], a=[9], b=["x"]), "child", mode="append")
    assert session.branches() == before
    writes = [
        Write("child", prepare(arrow(id=[3], a=[9], b=["x"])), "append"),
        Write("parent", prepare(arrow(a=[9], b=["x"], n=[9])), "append"),
    ]
    session.commit_writes("main", writes, "both", "A <a@x>")
    assert rows_of(session, "child")[-1] == (3, 9, "x")


def test_foreign_keys_that_were_broken_before_do_not_stand_in_the_way(session: Session) -> None:
    sql(
        session,
        "create table p (id int primary key)",
        "create table c (id int primary key, p int, foreign key (p) references p (id))",
        "set foreign_key_checks = 0",
        "insert into c values (1, 99)",
        "call dolt_commit('-Am', 'x')",
        "set foreign_key_checks = 1",
    )
    write(session, arrow(id=[1]), "p")
    write(session, arrow(id=[2], p=[1]), "c", mode="append")
    with pytest.raises(BadValueError, match=r"`c` \(p\) refers to \(\d+\), which `p` does not have"):
        write(session, arrow(id=[3], p=[2]), "c", mode="append")


def test_a_table_that_is_ignored_is_written_all_the_same(session: Session) -> None:
    sql(session, "insert into dolt_ignore values ('scratch%', true)", "call dolt_commit('-Am', 'x')")
    assert write(session, arrow(id=[1]), "scratch one", "id").changed == [True]
    assert rows_of(session, "scratch one") == [(1,)]


def test_a_view_is_no_table(session: Session) -> None:
    sql(session, "create view sight as select 1 as id", "call dolt_commit('-Am', 'x')")
    with pytest.raises(SchemaMismatchError, match="`sight` is a view, and only tables can be written"):
        write(session, arrow(id=[1]), "sight")
