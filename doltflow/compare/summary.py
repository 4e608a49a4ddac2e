"""How two versions of a table differ, in one pass over the rows that do: counts, statistics, and a sample."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.compare.cells import as_printed, difference, floats
from doltflow.compare.changed import Changed, Comparison
from doltflow.compare.median import Median
from doltflow.compare.schema import Pair, SchemaChange, table_options
from doltflow.model.row import Change, Row
from doltflow.sources.dolt.differing import DIFF_TYPE
from doltflow.sources.dolt.rowkeys import plain

_SMALL = 2.0**-64


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that differs.

    Attributes:
        change: `added`, `removed` or `modified`.
        key: The values of the key's columns; empty where the table has no key that both versions share.
        before, after: The row's cells in both versions, those of the key left out, by the columns' names there; None
            where it is not there. A TIME is a text, a BIT a number.
        columns: The columns in which a modified row differs, by their later names.
        renamed: The columns that have another name in the earlier version, by their later and their earlier one.
    """

    change: Change
    key: Row = field(hash=False)
    before: Row | None = field(hash=False)
    after: Row | None = field(hash=False)
    columns: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Largest:
    """The cell of a numeric column that changed most, up or down.

    Attributes:
        change: The later number less the earlier one; exact for integers and decimals.
        before, after: Both numbers.
        key: The row.
    """

    change: Any
    before: Any
    after: Any
    key: Row = field(hash=False)


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """The cells of a column that differ in rows that are in both versions.

    Attributes:
        name: The column's later name.
        is_numeric: Whether it is one of numbers in both versions; only then there is what follows.
        changed: How many cells differ.
        count: How many of them are numbers in both versions.
        mean, median: Of the changes of those, the later number less the earlier one.
        largest: The one that changed most; the first of several.
    """

    name: str
    is_numeric: bool
    changed: int
    count: int | None = None
    mean: float | None = None
    median: float | None = None
    largest: Largest | None = None


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How a table differs between two versions.

    Attributes:
        is_different: Whether it does, in what was asked for.
        added, removed, modified: Counts of rows. Of a table without a key that both versions share, rows are only
            added and removed.
        schema_changes: What has changed in its declaration.
        columns: The columns in which rows were modified.
        sample: The first rows that differ, in the order of the key.
        more: How many more there are.
    """

    is_different: bool
    added: int
    removed: int
    modified: int
    schema_changes: tuple[SchemaChange, ...]
    columns: tuple[ColumnDifference, ...] = ()
    sample: tuple[RowDifference, ...] = ()
    more: int = 0


def summarise(of: Comparison, limit: int, *, is_counted: bool = True) -> TableDifference:
    """How two versions of a table differ.

    Args:
        of: The versions, and what is asked.
        limit: So many rows are in the sample.
        is_counted: Whether statistics and a sample are wanted; without them the counts may come at less cost.
    """
    if of.is_same_content:
        changes = () if of.is_identical else of.schema_changes
        return TableDifference(bool(changes), 0, 0, 0, changes)
    if not is_counted and (counts := _counts(of)) is not None:
        changes = _told(of, sum(counts))
        is_different = bool(sum(counts) or changes) or of.is_unwritten
        return TableDifference(is_different, *counts, changes, more=sum(counts))
    counted = dict.fromkeys(("added", "removed", "modified"), 0)
    columns = [_Column(pair) for pair in of.compared]
    sample: list[RowDifference] = []
    for changed in of.changed():
        for item in pc.value_counts(changed.rows.column(DIFF_TYPE)).to_pylist():
            counted[item["values"]] += item["counts"]
        if len(sample) < limit:
            sample += rows_of(changed, limit - len(sample))
        if is_counted and of.before is not None and of.after is not None:
            for column in columns:
                column.add(changed)
    total = sum(counted.values())
    changes = _told(of, total)
    done = [column.done() for column in columns]
    return TableDifference(
        bool(total or changes) or of.is_unwritten,
        counted["added"],
        counted["removed"],
        counted["modified"],
        changes,
        tuple(column for column in done if column.changed),
        tuple(sample),
        total - len(sample),
    )


def _counts(of: Comparison) -> tuple[int, int, int] | None:
    """The counts, where Dolt itself tells them at less cost: of the whole rows, compared to the last digit."""
    before, after = of.before, of.after
    if not of.asked.is_all:
        return None
    if before is None or after is None:
        side = after or before
        rows = side.session.row_count(side.definition.name, side.commit) if side is not None else 0
        return (rows, 0, 0) if before is None else (0, rows, 0)
    if not (of.is_in_one_database and of.of.is_same_key and of.of.is_same):
        return None
    found = after.session.changed_rows(after.definition.name, before.commit, after.commit)
    return (found.added, found.removed, found.modified or 0) if found is not None else None


def _told(of: Comparison, rows: int) -> tuple[SchemaChange, ...]:
    """The changes of the declaration; one that nothing else tells of where the contents differ in nothing that is."""
    changes = of.schema_changes
    if changes or rows or not of.asked.is_all or of.before is None or of.after is None:
        return changes
    old, new = table_options(*(side.definition.options for side in (of.before, of.after)))
    if old is None and new is None:
        return (SchemaChange("definition-changed", None, "its content hash", "another one, without any other trace"),)
    return (SchemaChange("definition-changed", None, old, new),)


def rows_of(changed: Changed, limit: int | None = None) -> list[RowDifference]:
    """The rows of a piece one by one, at most so many."""
    rows = changed.rows if limit is None else changed.rows.slice(0, limit)
    key, columns_of = set(changed.key), changed.columns
    sides = [
        [(both.name, f"from_{both.before.name}", both.before.name) for both in columns_of if both.before is not None],
        [(both.name, f"to_{both.after.name}", both.after.name) for both in columns_of if both.after is not None],
    ]
    renamed = tuple(
        (both.after.name, both.before.name)
        for both in columns_of
        if both.before is not None and both.after is not None and both.before.name != both.after.name
    )
    cells = {name: mask.slice(0, len(rows)).to_pylist() for name, mask in changed.cells.items()}
    found = []
    for number, row in enumerate(_plain_rows(rows)):
        change: Change = row[DIFF_TYPE]
        there = [side for side in (0, 1) if (change, side) not in (("added", 0), ("removed", 1))]
        values = {name: row[place] for name, place, _ in sides[there[-1]] if name in key}
        before, after = (
            {own: row[place] for name, place, own in sides[side] if name not in key} if side in there else None
            for side in (0, 1)
        )
        columns = tuple(name for name, masks in cells.items() if masks[number])
        found.append(RowDifference(change, values, before, after, columns, renamed))
    return found


def _plain_rows(rows: pa.Table) -> Iterator[dict[str, Any]]:
    printed = pa.table({name: as_printed(rows.column(name)) for name in rows.column_names})
    for row in printed.to_pylist():
        yield {name: plain(value) for name, value in row.items()}


class _Column:
    """What is known of the changes of a column so far."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._is_numeric = Comparison.is_number(pair)
        self._changed = 0
        self._median = Median()
        self._sums: list[float] = []
        self._small_sums: list[float] = []
        self._largest: Largest | None = None

    def add(self, changed: Changed) -> None:
        mask = changed.cells.get(self._pair.name)
        number = pc.sum(mask).as_py() if mask is not None else 0
        if not number:
            return
        self._changed += number
        if not self._is_numeric:
            return
        places = pc.indices_nonzero(mask)
        before, after = (
            changed.rows.column(name).combine_chunks().take(places)
            for name in (f"from_{self._pair.before.name}", f"to_{self._pair.after.name}")
        )
        by = difference(before, after)
        valid = pc.indices_nonzero(pc.is_valid(by))
        if len(valid):
            by = by.take(valid)
            doubles = floats(by)
            self._median.add(doubles)
            self._sums.append(pc.sum(doubles).as_py())
            self._small_sums.append(pc.sum(pc.multiply(doubles, _SMALL)).as_py())
            self._compare(changed, by, (places.take(valid), before.take(valid), after.take(valid)))

    def _compare(self, changed: Changed, by: pa.Array, values: Sequence[pa.Array]) -> None:
        """Keeps the largest change."""
        apart = pc.abs(by)
        most = pc.max(apart)
        if self._largest is not None and most.as_py() <= abs(self._largest.change):
            return
        place = pc.index(apart, most).as_py()
        row = changed.rows.slice(values[0][place].as_py(), 1)
        key = rows_of(replace(changed, rows=row, cells={}))[0].key
        change = by[place].as_py()
        is_whole = pa.types.is_decimal(by.type) and by.type.scale == 0
        old, new = (as_printed(array)[place].as_py() for array in values[1:])
        self._largest = Largest(int(change) if is_whole else change, old, new, key)

    def done(self) -> ColumnDifference:
        if not self._is_numeric:
            return ColumnDifference(self._pair.name, False, self._changed)
        count = self._median.count
        mean = self._mean(count) if count else None
        return ColumnDifference(self._pair.name, True, self._changed, count, mean, self._median.value(), self._largest)

    def _mean(self, count: int) -> float:
        """The mean; of the greatest numbers, whose sum is out of range, by way of smaller ones."""
        total = _total(self._sums)
        return total / count if math.isfinite(total) else _total(self._small_sums) / count / _SMALL


def _total(numbers: Sequence[float]) -> float:
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # The sum is out of range, or that of both infinities.
        return math.nan
