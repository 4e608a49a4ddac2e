"""The rows in which two versions of a table differ, piece by piece, with the cells that differ in each."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from doltflow.compare.asked import Asked
from doltflow.compare.cells import differs, is_numeric
from doltflow.compare.merging import Side, merging
from doltflow.compare.schema import Matched, Pair, SchemaChange, matched, schema_changes
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.definition import Definition
from doltflow.sources.dolt.differing import DIFF_TYPE, Both, named
from doltflow.sources.dolt.stream import stream_type


@dataclass(frozen=True, slots=True)
class Changed:
    """Some rows that differ.

    Attributes:
        rows: The column `diff_type` (`added`, `removed` or `modified`) and for each column its values in both versions,
            `from_` and `to_` before its name.
        columns: The columns, those of the key first.
        key: The later names of the key's columns; none where there is no key that both versions share.
        cells: For each column that is compared, by its later name, in which rows it was modified.
    """

    rows: pa.Table
    columns: tuple[Both, ...]
    key: tuple[str, ...]
    cells: dict[str, pa.Array]


@dataclass(frozen=True)
class Comparison:
    """Two versions of a table, of which one may be missing.

    Attributes:
        before, after: The versions; None where there is none.
        asked: What of their difference is meant.
        is_unwritten: Whether the missing version is one that a run did not write, rather than a table that is gone.
    """

    before: Side | None
    after: Side | None
    asked: Asked = field(default_factory=Asked)
    is_unwritten: bool = False

    @property
    def is_identical(self) -> bool:
        """Whether they differ in nothing at all, the name included."""
        return self.is_same_content and not self.is_renamed

    @property
    def is_renamed(self) -> bool:
        """Whether it is one table under two names."""
        return self.is_in_one_database and self._definitions[0].name != self._definitions[1].name

    @cached_property
    def is_same_content(self) -> bool:
        """Whether their content hashes are equal, which a database tells without a look at the rows."""
        hashes = [
            side.session.table_hash(side.definition.name, side.commit) if side is not None else None
            for side in (self.before, self.after)
        ]
        return hashes[0] == hashes[1]

    @cached_property
    def is_in_one_database(self) -> bool:
        """Whether one database has both versions, if only under another name since."""
        before, after = self.before, self.after
        return before is not None and after is not None and before.session is after.session

    @property
    def is_walked(self) -> bool:
        """Whether Dolt itself can walk what differs: in one database, by one key."""
        # Such a column would have the name of one of Dolt's own beside it.
        names = {column.name.casefold() for of in self._definitions for column in of.columns}
        return self.is_in_one_database and self.of.is_same_key and not names & {"commit", "commit_date"}

    @cached_property
    def of(self) -> Matched:
        """The columns of both; of a version that is missing, those of the other one."""
        before, after = self._definitions
        renames = {}
        if self.before is not None and self.after is not None and self.is_in_one_database:
            gone = {c.name for c in before.columns} - {c.name for c in after.columns}
            ask = gone or [c.name for c in before.columns] != [c.name for c in after.columns]
            if ask:
                session, name = self.after.session, after.name
                renames = session.renamed_columns(name, self.before.commit, self.after.commit)
        return matched(before, after, renames)

    @property
    def _definitions(self) -> tuple[Definition, Definition]:
        sides = [side for side in (self.before, self.after) if side is not None]
        return sides[0].definition, sides[-1].definition

    @cached_property
    def schema_changes(self) -> tuple[SchemaChange, ...]:
        """What has changed in the table's declaration; with some columns asked for, of those and of the key."""
        if self.is_unwritten:
            return ()
        if self.before is None:
            return (SchemaChange("table-added"),)
        if self.after is None:
            return (SchemaChange("table-removed"),)
        found = schema_changes(*self._definitions, self.of)
        if self.is_renamed:
            found = (SchemaChange("table-renamed", None, *(of.name for of in self._definitions)), *found)
        asked = {name.casefold() for name in self.asked.columns}
        if not asked:
            return found
        return tuple(
            change
            for change in found
            if change.change == "key-changed"
            or (change.column is not None and {change.column.casefold(), str(change.before).casefold()} & asked)
        )

    @cached_property
    def compared(self) -> tuple[Pair, ...]:
        """The columns that are compared: those that both have and that are asked for, without those of the key."""
        places = [place for place in range(len(self.of.pairs)) if place not in self.of.key]
        asked = {self.of.place(name) for name in self.asked.columns} if self.asked.columns else None
        return tuple(self.of.pairs[place] for place in places if asked is None or place in asked)

    @staticmethod
    def is_number(pair: Pair) -> bool:
        """Whether a column is one of numbers in both versions."""
        return all(is_numeric(stream_type(column)) for column in (pair.before, pair.after))

    @property
    def key(self) -> tuple[str, ...]:
        """The later names of the key's columns, where both have the same key."""
        return tuple(self.of.pairs[place].name for place in self.of.key)

    @property
    def columns(self) -> tuple[Both, ...]:
        """The columns of the rows, those of the key first; with some asked for, only those and the key's."""
        if not self.asked.columns:
            return self.of.columns
        wanted = {*self.key, *(pair.name for pair in self.compared)}
        return tuple(both for both in self.of.columns if both.name in wanted)

    def changed(self) -> Iterator[Changed]:
        """The rows that differ, in the order of the key where there is one; none where the contents are the same."""
        if self.is_same_content:
            return
        for rows in self._rows():
            found = self._kept(rows)
            if found.rows.num_rows:
                yield found

    def _rows(self) -> Iterator[pa.Table]:
        before, after = self.before, self.after
        if before is None or after is None:
            side = after or before
            if side is not None:
                yield from self._alone(side, "added" if before is None else "removed")
            return
        where = self.of.where(self.asked.where) if self.asked.where is not None else None
        if self.is_walked and (self.of.key or not self.asked.columns):
            ends = (before.commit, after.commit)
            is_part = bool(self.asked.columns) or not self.of.is_same
            yield from after.session.differing(after.definition.name, ends, self.columns, where, only_columns=is_part)
            return
        only = [self.of.pairs.index(pair) for pair in self.compared]
        yield from merging(before, after, self.of, where, only)

    def _alone(self, side: Side, diff_type: str) -> Iterator[pa.Table]:
        """All rows of a version that has no other."""
        columns = [column for _, column in self._columns_of(side)]
        for table in side.session.ordered(side.definition.name, side.commit, columns, (), self.asked.where):
            rows = table
            if self.asked.where is not None:
                rows = rows.filter(pc.fill_null(rows.column("matches").cast(pa.bool_()), False))
            found = {DIFF_TYPE: pa.repeat(diff_type, rows.num_rows)}
            for number, (name, _) in enumerate(self._columns_of(side)):
                values = rows.column(f"value_{number}")
                found[f"from_{name}"] = values if diff_type == "removed" else pa.nulls(len(values), values.type)
                found[f"to_{name}"] = values if diff_type == "added" else pa.nulls(len(values), values.type)
            yield pa.table(found)

    def _columns_of(self, side: Side) -> list[tuple[str, Column]]:
        by_name = {column.name: column for column in side.definition.columns}
        return [(both.name, by_name[both.name]) for both in self.of.columns]

    def _kept(self, rows: pa.Table) -> Changed:
        """The rows that differ in what is compared, and in which cells."""
        rows = rows.combine_chunks()
        is_modified = pc.equal(rows.column(DIFF_TYPE), "modified").combine_chunks()
        cells = {}
        kept = pc.invert(is_modified)
        for pair in self.compared if self.of.key else ():
            before, after = rows.column(f"from_{pair.before.name}"), rows.column(f"to_{pair.after.name}")
            changed = differs(before.combine_chunks(), after.combine_chunks(), self.asked.tolerance)
            cells[pair.name] = pc.and_(is_modified, changed)
            kept = pc.or_(kept, cells[pair.name])
        if self.asked.columns:
            rows = rows.select([DIFF_TYPE, *(name for name, _ in named(self.columns))])
        if pc.all(kept).as_py():
            return Changed(rows, self.columns, self.key, cells)
        cells = {name: cell.filter(kept) for name, cell in cells.items()}
        return Changed(rows.filter(kept), self.columns, self.key, cells)


def limited(pieces: Iterator[Changed], limit: int | None) -> Iterator[Changed]:
    """The first rows of pieces, at most so many; all without a limit."""
    left = limit
    for piece in pieces:
        if left is None:
            yield piece
            continue
        if left <= 0:
            return
        cells = {name: cell.slice(0, left) for name, cell in piece.cells.items()}
        yield replace(piece, rows=piece.rows.slice(0, left), cells=cells)
        left -= piece.rows.num_rows
