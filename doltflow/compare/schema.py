"""Two declarations of a table: which of their columns are the same ones, and what else has changed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.definition import QUOTED, Definition
from doltflow.sources.dolt.differing import Both, Names, Where

Change = Literal[
    "table-added",
    "table-removed",
    "table-renamed",
    "column-added",
    "column-removed",
    "column-renamed",
    "column-retyped",
    "key-changed",
    "definition-changed",
]
_NEXT = re.compile(r" AUTO_INCREMENT=\d+")
_OF_VALUES = re.compile(r"^(?: CHARACTER SET \w+)?(?: COLLATE \w+)?(?: NOT NULL)?")
_INDEX = re.compile(rf"(?:\w+ )?KEY {QUOTED} ")
_CONSTRAINT = re.compile(rf"CONSTRAINT {QUOTED} (CHECK|FOREIGN KEY) ")


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change of a declaration.

    Attributes:
        change: What it is. `definition-changed` is what no other word is for: of a column its default and the like, of
            the table the order of columns, an index, a constraint.
        column: The column's name, the later one where it was renamed; None where it is about the table.
        before, after: The name, the type, the key's columns or what stands in SHOW CREATE TABLE; None on the side that
            has none.
    """

    change: Change
    column: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A column that both declarations have."""

    before: Column
    after: Column

    @property
    def name(self) -> str:
        """The later one of its names."""
        return self.after.name


@dataclass(frozen=True, slots=True)
class Matched:
    """The columns of two declarations of a table.

    Attributes:
        pairs: The columns that both have, in the later order, without those whose values are computed when they are
            read: these follow from the others.
        before_only, after_only: The others.
        key: The places in `pairs` of the primary key's columns, in the later key's order, where both have the same;
            else none: then rows can be told apart only by all that is in them.
        is_same_key: Whether the key is declared in the same way too, down to its order and types.
        is_same: Whether both have just the same columns in the same order, with the same types.
    """

    pairs: tuple[Pair, ...]
    before_only: tuple[Column, ...]
    after_only: tuple[Column, ...]
    key: tuple[int, ...]
    is_same_key: bool
    is_same: bool

    @property
    def names(self) -> list[str]:
        """The names of all columns, the later one where both have it, those that only the earlier one has last."""
        return [*(pair.name for pair in self.pairs), *(c.name for c in (*self.after_only, *self.before_only))]

    @property
    def columns(self) -> tuple[Both, ...]:
        """All columns: those of the key first, then those that both have, then the others."""
        places = sorted(range(len(self.pairs)), key=lambda place: (place not in self.key, place))
        pairs = [Both(self.pairs[place].before, self.pairs[place].after) for place in places]
        alone = [*(Both(None, column) for column in self.after_only), *(Both(c, None) for c in self.before_only)]
        return (*pairs, *alone)

    def place(self, name: str) -> int | None:
        """Where in `pairs` the column of a name is, of the later or of the earlier one, in whatever case."""
        folded = name.casefold()
        for names in ([pair.name for pair in self.pairs], [pair.before.name for pair in self.pairs]):
            for place, known in enumerate(names):
                if known.casefold() == folded:
                    return place
        return None

    def where(self, text: str) -> Where:
        """A predicate in which a column may have the name that it has at either side."""
        before = [*(pair.before.name for pair in self.pairs), *(column.name for column in self.before_only)]
        after = [*(pair.name for pair in self.pairs), *(column.name for column in self.after_only)]
        in_before = [(pair.name, pair.before.name) for pair in self.pairs] + [(c.name, None) for c in self.after_only]
        in_after = [(pair.before.name, pair.name) for pair in self.pairs] + [(c.name, None) for c in self.before_only]
        return Where(text, _meant(before, in_before), _meant(after, in_after))


def _meant(own: Sequence[str], others: Sequence[tuple[str, str | None]]) -> Names:
    """The names of columns, and those of the other side that are still free, each with what it means."""
    found: dict[str, tuple[str, str | None]] = {name.casefold(): (name, name) for name in own}
    for name, meant in others:
        found.setdefault(name.casefold(), (name, meant))
    return tuple(found.values())


def matched(before: Definition, after: Definition, renames: Mapping[str, str]) -> Matched:
    """The columns of two declarations of a table, matched by name.

    Args:
        before: The earlier declaration.
        after: The later one.
        renames: The earlier names of columns by the later ones, where they differ.
    """
    old_columns, new_columns = ([column for column in of.columns if not column.virtual] for of in (before, after))
    earlier = {column.name.casefold(): column for column in old_columns}
    # A name that is still in use there is no longer to be had, unless two columns have exchanged theirs.
    moved = {old.casefold() for old in renames.values()}
    pairs, after_only = [], []
    for column in new_columns:
        old = renames.get(column.name)
        name = old.casefold() if old is not None else column.name.casefold()
        is_taken = old is None and name in moved
        if name in earlier and not is_taken:
            pairs.append(Pair(earlier[name], column))
        else:
            after_only.append(column)
    taken = {pair.before.name for pair in pairs}
    before_only = tuple(column for column in old_columns if column.name not in taken)
    before_key, after_key = (
        [names.index(name) for name in of.key if name in names]
        for of, names in ((before, [pair.before.name for pair in pairs]), (after, [pair.name for pair in pairs]))
    )
    is_whole = (len(before_key), len(after_key)) == (len(before.key), len(after.key))
    key = tuple(after_key) if is_whole and set(before_key) == set(after_key) else ()
    kept = [pair.before.name for pair in pairs]
    is_same = (
        not before_only
        and not after_only
        and kept == [column.name for column in old_columns]
        and all(_spelled(pair.before) == _spelled(pair.after) for pair in pairs)
    )
    # Of another order of the key Dolt makes nothing that is right, nor of other types in it; rows without a key it
    # keeps by their content, which a column more or another type changes.
    is_same_key = (
        before_key == after_key and all(_stored(pairs[place].before) == _stored(pairs[place].after) for place in key)
        if key
        else not before.key and not after.key and is_same
    )
    return Matched(tuple(pairs), before_only, tuple(after_only), key, is_same_key, is_same)


def _stored(column: Column) -> tuple[str, str | None]:
    """What the order and the bytes of a key's column depend on."""
    return column.type.lower(), column.collation


def _spelled(column: Column) -> str:
    """A column's type, with what else of its declaration is about its values."""
    collated = f" collate {column.collation}" if column.folds else ""
    return f"{column.type}{collated}{'' if column.nullable else ' not null'}"


def schema_changes(before: Definition, after: Definition, of: Matched) -> tuple[SchemaChange, ...]:
    """What has changed between two declarations of a table."""
    found = [SchemaChange("column-removed", column.name, before=_spelled(column)) for column in of.before_only]
    found += [SchemaChange("column-added", column.name, after=_spelled(column)) for column in of.after_only]
    for pair in of.pairs:
        old, new = _spelled(pair.before), _spelled(pair.after)
        if pair.before.name != pair.name:
            found.append(SchemaChange("column-renamed", pair.name, pair.before.name, pair.name))
        if old != new:
            found.append(SchemaChange("column-retyped", pair.name, old, new))
        old, new = (_OF_VALUES.sub("", column.rest).strip() for column in (pair.before, pair.after))
        if old != new:
            found.append(SchemaChange("definition-changed", pair.name, old or None, new or None))
    names = {pair.before.name: pair.name for pair in of.pairs}
    if tuple(names.get(name, name) for name in before.key) != after.key:
        found.append(SchemaChange("key-changed", None, ", ".join(before.key) or None, ", ".join(after.key) or None))
    kept = [pair.before.name for pair in of.pairs]
    order = [column.name for column in before.columns if column.name in set(kept)]
    if order != kept:
        listed, new_order = ", ".join(names[name] for name in order), ", ".join(pair.name for pair in of.pairs)
        found.append(SchemaChange("definition-changed", None, f"order: {listed}", f"order: {new_order}"))
    return (*found, *_others_changed(before, after))


def _others_changed(before: Definition, after: Definition) -> Iterator[SchemaChange]:
    """What has changed beside the columns and the key: indexes, constraints, what is computed, the table's options."""
    old, new = (
        other_lines(one) | {column.name: one.lines[column.name] for column in one.columns if column.virtual}
        for one in (before, after)
    )
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield SchemaChange("definition-changed", None, old.get(name), new.get(name))
    last = [_NEXT.sub("", one.options) for one in (before, after)]
    words = table_options(*last)
    if words != (None, None):
        yield SchemaChange("definition-changed", None, *words)


def table_options(old: str, new: str) -> tuple[str | None, str | None]:
    """What of the last line of a declaration only the one has, and what only the other one."""
    parts = [re.findall(r"(?:'(?:[^']|'')*'|\S)+", line) for line in (old, new)]
    one, other = ([part for part in parts[a] if part not in parts[1 - a]] for a in (0, 1))
    return " ".join(one) or None, " ".join(other) or None


def other_lines(of: Definition) -> dict[str, str]:
    """The lines of indexes and constraints, by their kinds and quoted names, without those of columns and the key."""
    found = {}
    for line in of.create.split("\n")[1:-1]:
        text = line.strip().removesuffix(",")
        if match := _INDEX.match(text):
            found[f"INDEX {match[1]}"] = text
        elif match := _CONSTRAINT.match(text):
            found[f"{match[2]} {match[1]}"] = text
    return found
