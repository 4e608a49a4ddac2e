"""Two tables that no database can compare, row by row: read in one order, and never held whole.

By their key where both have the same; else by all that is in them, as a table may hold equal rows more than once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.compare.cells import alike, differs, joined
from doltflow.compare.schema import Matched, Pair
from doltflow.model.quoting import quote
from doltflow.sources.dolt import Session
from doltflow.sources.dolt.column import BYTES, INTEGERS, TEXTS, Column
from doltflow.sources.dolt.definition import Definition
from doltflow.sources.dolt.differing import DIFF_TYPE, MATCHES, Names, Where, named
from doltflow.sources.dolt.stream import stream_type

_FAMILIES = {
    **dict.fromkeys((*INTEGERS, "year", "bit", "decimal"), "exact"),
    **dict.fromkeys(("float", "double"), "float"),
}
_FAMILIES |= dict.fromkeys(TEXTS, "text") | dict.fromkeys(BYTES, "bytes")
_FAMILIES |= {"date": "date", "datetime": "datetime", "timestamp": "datetime", "time": "time"}
_Order = tuple[tuple[bool, Any], ...]


@dataclass(frozen=True, slots=True)
class Side:
    """A table at a commit of an open database."""

    session: Session
    definition: Definition
    commit: str

    def others(self, names: Names) -> list[tuple[str, str | None]]:
        """The names that a predicate may use and the table does not have, with what they mean."""
        known = {column.name.casefold() for column in self.definition.columns}
        return [(name, own) for name, own in names if name.casefold() not in known]


@dataclass(frozen=True, slots=True)
class _By:
    """What the rows are ordered and matched by: the places of columns, and which of them are compared as text."""

    places: tuple[int, ...]
    as_text: tuple[bool, ...]

    def sql(self, columns: Sequence[Column]) -> list[tuple[str, bool]]:
        """The expressions to order by, each with whether it is a text."""
        # A collation takes for equal what is not; the text of any value stands in one order everywhere.
        as_text = "cast({} as char) collate utf8mb4_0900_bin"
        names = [quote(columns[place].name) for place in self.places]
        return [
            (as_text.format(name) if is_text else name, is_text)
            for name, is_text in zip(names, self.as_text, strict=True)
        ]

    def columns(self, table: pa.Table) -> list[pa.ChunkedArray]:
        """The values to match by."""
        names = [
            f"order_{number}" if is_text else f"value_{place}"
            for number, (place, is_text) in enumerate(zip(self.places, self.as_text, strict=True))
        ]
        return [table.column(name) for name in names]


def merging(before: Side, after: Side, of: Matched, where: Where | None, only: Sequence[int]) -> Iterator[pa.Table]:
    """The rows in which two versions of a table differ, as `Session.differing` gives them, in the order of the key.

    Args:
        before: The earlier version.
        after: The later version.
        of: Their columns.
        where: Which rows.
        only: The places in `of.pairs` of the columns by which rows without a key are told apart.

    Returns:
        Tables; none where nothing differs.
    """
    by = _by(of, only)
    sides = [
        _Reader(
            before, [*(pair.before for pair in of.pairs), *of.before_only], by, where and (where.text, where.before)
        ),
        _Reader(after, [*(pair.after for pair in of.pairs), *of.after_only], by, where and (where.text, where.after)),
    ]
    match = _Matcher(of, by, is_keyed=bool(of.key))
    while True:
        for side in sides:
            side.fill()
        bound = min((side.last for side in sides if not side.is_done), default=None)
        windows = [side.take(bound) for side in sides]
        if bound is None:
            yield from match.window(*windows)
            return
        if not any(window.num_rows for window in windows):
            # All of one piece is equal to its last row: what comes may be, too.
            for side in sides:
                if not side.is_done and side.last == bound:
                    side.extend()
            continue
        yield from match.window(*windows)


def _by(of: Matched, only: Sequence[int]) -> _By:
    places = of.key or tuple(only)
    return _By(places, tuple(_is_text(of.pairs[place]) for place in places))


def _is_text(pair: Pair) -> bool:
    """Whether two columns have no order of their own that both share, and that Python knows."""
    families = {_FAMILIES.get(column.base) for column in (pair.before, pair.after)}
    return len(families) > 1 or None in families or pair.before.folds or pair.after.folds


class _Reader:
    """One side's rows in order, a piece of them at a time."""

    def __init__(self, side: Side, columns: Sequence[Column], by: _By, where: Any) -> None:
        text, names = where or (None, ())
        self._by = by
        self._pieces = side.session.ordered(
            side.definition.name, side.commit, columns, by.sql(columns), text, side.others(names)
        )
        self._rows: pa.Table | None = None
        names = {f"value_{number}": stream_type(column) for number, column in enumerate(columns)}
        names |= {f"order_{number}": pa.string() for number, is_text in enumerate(by.as_text) if is_text}
        names |= {MATCHES: pa.int8()} if text is not None else {}
        self._empty = pa.table({name: pa.array([], kind) for name, kind in names.items()})
        self.is_done = False
        self.last: _Order = ()

    def fill(self) -> None:
        """Has rows, unless there are no more."""
        if not self.is_done and (self._rows is None or not self._rows.num_rows):
            self._set(next(self._pieces, None))

    def extend(self) -> None:
        """Has more rows, unless there are no more."""
        more = next(self._pieces, None)
        if more is None:
            self.is_done = True
        else:
            self._set(more if self._rows is None else pa.concat_tables([self._rows, more]))

    def _set(self, rows: pa.Table | None) -> None:
        self._rows = rows
        self.is_done = rows is None
        if rows is not None:
            self.last = self._at(rows.num_rows - 1)

    def _at(self, row: int) -> _Order:
        if self._rows is None:
            return ()
        values = (column[row].as_py() for column in self._by.columns(self._rows))
        return tuple((value is not None, value) for value in values)  # NULL comes first, as in SQL.

    def take(self, bound: _Order | None) -> pa.Table:
        """Takes the rows that come before a bound; without one, all."""
        rows = self._rows
        if rows is None:
            return self._empty
        low, high = (0 if bound is not None else rows.num_rows), rows.num_rows
        while bound is not None and low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._at(middle) < bound else (low, middle)
        self._rows = rows.slice(low)
        return rows.slice(0, low)


class _Matcher:
    """Rows of both sides that stand between the same bounds, set one against the other."""

    def __init__(self, of: Matched, by: _By, *, is_keyed: bool) -> None:
        self._of = of
        self._by = by
        self._is_keyed = is_keyed

    def window(self, before: pa.Table, after: pa.Table) -> Iterator[pa.Table]:
        """The rows that differ, in order."""
        ordered = [
            alike(one.combine_chunks(), other.combine_chunks())
            for one, other in zip(self._by.columns(before), self._by.columns(after), strict=True)
        ]
        olds, news = (joined([pair[side] for pair in ordered]) for side in (0, 1))
        if self._is_keyed:
            places = pc.index_in(news, value_set=olds)
            removed = _where(pc.invert(pc.is_in(olds, value_set=news)))
            added = _where(pc.is_null(places))
            kept = _where(pc.is_valid(places))
            old, new = before.take(places.take(kept)), after.take(kept)
            changed = _where(self._changed(old, new))
            parts = [self._part("modified", old.take(changed), new.take(changed))]
            orders = [[pair[1].take(kept).take(changed) for pair in ordered]]
        else:
            removed, added = _surplus(olds, news), _surplus(news, olds)
            parts, orders = [], []
        parts += [self._part("removed", before.take(removed), None), self._part("added", None, after.take(added))]
        orders += [[pair[side].take(taken) for pair in ordered] for side, taken in ((0, removed), (1, added))]
        found = pa.concat_tables(parts)
        if not found.num_rows:
            return
        # NULL comes first, as it does where the rows are read.
        by = [column for values in zip(*orders, strict=True) for column in _nulls_first(pa.concat_arrays(values))]
        names = [str(number) for number in range(len(by))]
        keys = [(name, "ascending") for name in names]
        found = found.take(pc.sort_indices(pa.table(by, names=names), sort_keys=keys))
        if MATCHES in found.column_names:
            found = found.filter(found.column(MATCHES)).drop_columns([MATCHES])
        if found.num_rows:
            yield found

    def _changed(self, old: pa.Table, new: pa.Table) -> pa.Array:
        changed = pa.repeat(False, old.num_rows)
        for place in range(len(self._of.pairs)):
            one, other = (table.column(f"value_{place}").combine_chunks() for table in (old, new))
            changed = pc.or_(changed, differs(one, other))
        return changed

    def _part(self, diff_type: str, before: pa.Table | None, after: pa.Table | None) -> pa.Table:
        """Rows of one kind, under the names that `Session.differing` gives them."""
        count = next(table.num_rows for table in (before, after) if table is not None)
        columns = {DIFF_TYPE: pa.repeat(diff_type, count)}
        sides = {"from_": (before, self._numbers(0)), "to_": (after, self._numbers(1))}
        for name, column in named(self._of.columns):
            prefix = "from_" if name.startswith("from_") else "to_"
            table, numbers = sides[prefix]
            number = numbers[name.removeprefix(prefix)]
            columns[name] = pa.nulls(count, stream_type(column)) if table is None else table.column(f"value_{number}")
        flags = [
            table.column(MATCHES) for table in (before, after) if table is not None and MATCHES in table.schema.names
        ]
        if flags:
            flag = pc.fill_null(flags[0].cast(pa.bool_()), False)
            columns[MATCHES] = pc.or_(flag, pc.fill_null(flags[-1].cast(pa.bool_()), False))
        return pa.table(columns)

    def _numbers(self, side: int) -> dict[str, int]:
        """By the name of a side's column its place among those that were read."""
        pairs = [(pair.before, pair.after)[side] for pair in self._of.pairs]
        alone = (self._of.before_only, self._of.after_only)[side]
        return {column.name: number for number, column in enumerate([*pairs, *alone])}


def _nulls_first(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """What to sort values by."""
    return pc.is_valid(values).cast(pa.int8()), values


def _where(mask: pa.Array) -> pa.Array:
    return pc.indices_nonzero(mask)


def _surplus(mine: pa.Array, others: pa.Array) -> pa.Array:
    """The places of values that stand in one array more often than in another one; the last ones of equal values."""
    counts = {item["values"]: item["counts"] for item in pc.value_counts(others).to_pylist()}
    found = []
    for place, value in enumerate(mine.to_pylist()):
        left = counts.get(value, 0)
        if left:
            counts[value] = left - 1
        else:
            found.append(place)
    return pa.array(found, pa.int64())
