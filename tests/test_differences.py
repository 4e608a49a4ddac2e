"""What two versions of a table differ in, on every way to compare them, against what pandas says."""

import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pairs import (
    KEYS,
    NUMBERS,
    PREDICATES,
    VALUES,
    Databases,
    Pair,
    Predicate,
    Row,
    between,
    commit,
    databases,
    declared,
    pairs,
    plain,
)

from doltflow.compare.changed import Asked
from doltflow.compare.schema import SchemaChange
from doltflow.compare.summary import ColumnDifference, Largest, RowDifference, TableDifference, summarise
from doltflow.compare.tolerance import Tolerance

MANY = 1_000
MOST = sys.float_info.max
TOLERANCES = ["0", "1e-10", "1", "1.5", "1e30", "0%", "50%", "100%", "33.3%", "1e-300", "1e400%"]
KEYED = tuple(name for name in KEYS if name != "none")
quick = settings(phases=[Phase.generate], deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with databases(tmp_path_factory.mktemp("differences")) as found:
        yield found


# What pandas says


def merged(pair: Pair, on: list[str]) -> list[tuple[str, Row | None, Row | None]]:
    """The rows of both versions, set one against the other: `left_only`, `right_only` or `both`."""
    names = [*pair.key, *VALUES]
    frames = []
    for rows in (pair.before, pair.after):
        frame = pd.DataFrame([plain(row, names) for row in rows], columns=names, dtype=object)
        frame["row"] = range(len(frame))
        if not pair.key:
            # Equal rows are told apart by their number.
            frame["copy"] = frame.groupby(on, dropna=False, sort=False).cumcount() if len(frame) else 0
        frames.append(frame[[*on, "row"] if pair.key else [*on, "copy", "row"]])
    keys = on if pair.key else [*on, "copy"]
    found = frames[0].merge(frames[1], on=keys, how="outer", indicator=True, suffixes=("_before", "_after"))
    result = []
    for one in found.to_dict("records"):
        old = pair.before[int(one["row_before"])] if one["_merge"] != "right_only" else None
        new = pair.after[int(one["row_after"])] if one["_merge"] != "left_only" else None
        result.append((str(one["_merge"]), old, new))
    return result


def differ(name: str, old: Any, new: Any, tolerance: Tolerance | None) -> bool:
    if old is None or new is None:
        return old is not new
    if plain({name: old}, [name]) == plain({name: new}, [name]):
        return False
    if tolerance is None or name not in NUMBERS:
        return True
    if name in ("double", "float"):
        amount = float(min(tolerance.amount, Fraction(MOST)))
        old, new = (plain({name: value}, [name])[name] for value in (old, new))  # type: ignore[index]
        off = 2.0**-51 * max(abs(old), abs(new))
        return abs(new - old) > (abs(old) * amount if tolerance.is_relative else amount) + off
    apart = abs(Fraction(new) - Fraction(old))
    return apart > (tolerance.amount * abs(Fraction(old)) if tolerance.is_relative else tolerance.amount)


def pandas_says(pair: Pair, asked: Asked, where: Predicate | None) -> tuple[dict[str, Any], list[Any]]:
    """The counts with the columns' figures, and the rows that differ."""
    compared = [name for name in VALUES if name in (asked.columns or VALUES)]
    rows: list[tuple[str, Row, Row | None, Row | None, tuple[str, ...]]] = []
    for kind, old, new in merged(pair, list(pair.key) or compared):
        if where is not None and not any(where.holds(row) for row in (old, new) if row is not None):
            continue
        key = plain(new or old, list(pair.key)) or {}
        cells = [plain(row, compared) for row in (old, new)]
        changed: tuple[str, ...] = ()
        if kind == "both":
            assert old is not None
            assert new is not None
            names = compared if pair.key else []
            changed = tuple(n for n in VALUES if n in names and differ(n, old[n], new[n], asked.tolerance))
            if not changed:
                continue
        rows.append(({"both": "modified", "left_only": "removed", "right_only": "added"}[kind], key, *cells, changed))
    if pair.key:
        rows.sort(key=lambda row: tuple(row[1].values()))
    counts = {kind: sum(row[0] == kind for row in rows) for kind in ("added", "removed", "modified")}
    figures = {}
    for name in VALUES:
        cells_ = [(row[1], row[2][name], row[3][name]) for row in rows if name in row[4] and row[2] and row[3]]
        if cells_:
            figures[name] = figures_of(name, cells_)
    return {**counts, "columns": figures}, rows


def figures_of(name: str, cells: list[tuple[Row, Any, Any]]) -> tuple[Any, ...]:
    if name not in NUMBERS:
        return False, len(cells), None, None, None, None
    numbers = [(new - old, old, new, key) for key, old, new in cells if old is not None and new is not None]
    if not numbers:
        return True, len(cells), 0, None, None, None
    largest = max(numbers, key=lambda number: abs(number[0]))
    changes = pd.Series([float(number[0]) for number in numbers])
    return True, len(cells), len(numbers), changes, float(changes.median()), largest


def same_mean(found: float | None, changes: pd.Series | None) -> bool:
    if found is None or changes is None:
        return found is None and changes is None
    if not all(map(math.isfinite, changes)):
        expected = float(changes.mean())
        return found == expected or (math.isnan(found) and math.isnan(expected))
    # Of the greatest numbers pandas' own sum is out of range.
    mean = float(sum(map(Fraction, changes)) / len(changes))
    return math.isclose(found, mean, rel_tol=1e-9, abs_tol=1e-12 * float(changes.abs().max()))


def told(column: ColumnDifference) -> tuple[Any, ...]:
    largest = column.largest
    most = None if largest is None else (largest.change, largest.before, largest.after, dict(largest.key))
    return column.is_numeric, column.changed, column.count, column.mean, column.median, most


def told_row(row: RowDifference) -> tuple[Any, ...]:
    cells = [plain(side, list(side)) if side is not None else None for side in (row.before, row.after)]
    return row.change, dict(row.key), *cells, row.columns


def check(found: TableDifference, expected: dict[str, Any], rows: list[Any], *, is_keyed: bool) -> None:
    counts = {"added": found.added, "removed": found.removed, "modified": found.modified}
    assert counts == {kind: expected[kind] for kind in counts}
    assert [column.name for column in found.columns] == list(expected["columns"])
    for column in found.columns:
        is_numeric, changed, count, mean, median, largest = told(column)
        wanted = expected["columns"][column.name]
        assert (is_numeric, changed, count, largest) == (*wanted[:3], wanted[5])
        assert same_mean(mean, wanted[3]), (mean, wanted[3])
        assert median == wanted[4] or (math.isnan(median) and math.isnan(wanted[4]))
    sample = [told_row(row) for row in found.sample]
    if is_keyed:
        assert sample == rows
    else:
        assert sorted(map(repr, sample)) == sorted(map(repr, rows))


# The property


@st.composite
def questions(draw: st.DrawFn, pair: Pair) -> tuple[Asked, Predicate | None]:
    columns = draw(st.just([]) | st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=6, unique=True))
    # Of equal rows without a key it is not said which ones are too many: a predicate on what is left out could tell.
    able = [p for p in PREDICATES if pair.key or not columns or set(p.columns) <= set(columns)]
    where = draw(st.none() | st.sampled_from(able))
    tolerance = draw(st.none() | st.sampled_from(TOLERANCES))
    asked = Asked(
        where.text if where is not None else None,
        tuple(columns),
        Tolerance.parse(tolerance) if tolerance is not None else None,
    )
    return asked, where


def compare(places: Databases, pair: Pair, asked: Asked, where: Predicate | None) -> None:
    expected, rows = pandas_says(pair, asked, where)
    results = {}
    for name, of in places.routes(pair, asked).items():
        found = results[name] = summarise(of, MANY)
        check(found, expected, rows, is_keyed=bool(pair.key))
        assert found.schema_changes == ()
        assert (found.more, found.is_different) == (0, bool(rows))
        stat = summarise(of, 0, is_counted=False)
        assert (stat.added, stat.removed, stat.modified) == (found.added, found.removed, found.modified)
        assert (stat.is_different, stat.schema_changes) == (found.is_different, ())
        part = summarise(of, 2)
        assert (part.sample, part.more) == (found.sample[:2], max(len(rows) - 2, 0))
    if pair.key:
        assert len({repr(result) for result in results.values()}) == 1


@given(data=st.data())
@settings(quick, max_examples=15)
def test_all_that_differs(places: Databases, data: st.DataObject) -> None:
    pair = data.draw(pairs(KEYED))
    compare(places, pair, Asked(), None)


@given(data=st.data())
@settings(quick, max_examples=15)
def test_what_is_asked_for(places: Databases, data: st.DataObject) -> None:
    pair = data.draw(pairs(KEYED))
    compare(places, pair, *data.draw(questions(pair)))


@given(data=st.data())
@settings(quick, max_examples=15)
def test_rows_without_a_key(places: Databases, data: st.DataObject) -> None:
    pair = data.draw(pairs(["none"]))
    compare(places, pair, *data.draw(questions(pair) | st.just((Asked(), None))))


# What no drawing comes upon


def test_the_greatest_numbers(places: Databases) -> None:
    """Where the sum of changes is out of range, their mean is not."""
    session = places.both
    table = places.new_name()
    before = commit(
        session,
        declared(table, {"k": "int", "v": "double"}, ["k"]),
        f"insert into `{table}` values (1, 0), (2, 0), (3, 0)",
    )
    after = commit(session, f"update `{table}` set v = 1.5e308", f"update `{table}` set v = 0.75e308 where k = 3")
    (column,) = summarise(between(session, table, before, after), 0).columns
    assert column == ColumnDifference("v", True, 3, 3, 1.25e308, 1.5e308, Largest(1.5e308, 0.0, 1.5e308, {"k": 1}))


def test_a_negative_zero_is_equal_to_zero_but_not_the_same_content(places: Databases) -> None:
    session = places.both
    table, without = places.new_name(), places.new_name()
    before = commit(
        session,
        declared(table, {"k": "int", "v": "double"}, ["k"]),
        declared(without, {"v": "double"}, []),
        f"insert into `{table}` values (1, 0)",
        f"insert into `{without}` values (0)",
    )
    after = commit(
        session,
        f"update `{table}` set v = 1",
        f"update `{table}` set v = '-0'",
        f"delete from `{without}`",
        f"insert into `{without}` values ('-0')",
    )
    changes = (SchemaChange("definition-changed", None, "its content hash", "another one, without any other trace"),)
    found = summarise(between(session, table, before, after), 9)
    assert found == TableDifference(True, 0, 0, 0, changes)
    # Without a key Dolt knows rows by what they are stored as.
    found = summarise(between(session, without, before, after), 0)
    assert (found.added, found.removed, found.modified) == (1, 1, 0)


def test_a_predicate_on_columns_that_changed_their_names(places: Databases) -> None:
    session = places.both
    table = places.new_name()
    before = commit(
        session,
        declared(table, {"k": "int", "v": "int", "from_v": "int", "to_v": "int", "gone": "int"}, ["k"]),
        f"insert into `{table}` values (1, 1, 1, 1, 1), (2, 2, 2, 2, 2), (3, 3, 3, 3, 3)",
    )
    after = commit(
        session,
        f"alter table `{table}` rename column v to w",
        f"alter table `{table}` drop column gone",
        f"alter table `{table}` add column come int",
        f"update `{table}` set w = w + 10, come = 5 where k < 3",
        f"delete from `{table}` where k = 3",
    )
    for where, keys in {
        "v = 1": [1],
        "w = 12": [2],
        "v is null": [],
        "from_v = 2 or to_v = 3": [2, 3],
        "gone = 3": [3],
        "gone is null": [1, 2],
        "come = 5 and k = 2": [2],
        "come is null": [1, 2, 3],
    }.items():
        found = summarise(between(session, table, before, after, Asked(where)), 9)
        assert (where, [row.key["k"] for row in found.sample]) == (where, keys)
