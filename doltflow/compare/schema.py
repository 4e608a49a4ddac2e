"""Two declarations of a table: which of their columns are the same ones, and what else has changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from doltflow.model.quoting import quote
from doltflow.sources.dolt.column import Column
from doltflow.sources.dolt.definition import Definition
from doltflow.sources.dolt.differing import Both, Where

Change = Literal[
    "table-added",
    "table-removed",
    "column-added",
    "column-removed",
    "column-renamed",
    "column-retyped",
    "key-changed",
    "definition-changed",
]
_NEXT = re.compile(r" AUTO_INCREMENT=\d+")


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change of a declaration.

    Attributes:
        change: What it is. `definition-changed` is what no other word is for: defaults, the order of columns, indexes,
            constraints.
        column: The column's name, the later one where it was renamed; None where it is about the table.
        before, after: The name, the type, the key's columns or the lines of SHOW CREATE TABLE; None on the side that
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
        pairs: The columns that both have, in the later order.
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


def _meant(own: Sequence[str], others: Sequence[tuple[str, str | None]]) -> tuple[tuple[str, str | None], ...]:
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
    earlier = {column.name.casefold(): column for column in before.columns}
    # A name that is still in use there is no longer to be had, unless two columns have exchanged theirs.
    moved = {old.casefold() for old in renames.values()}
    pairs, after_only = [], []
    for column in after.columns:
        old = renames.get(column.name)
        name = old.casefold() if old is not None else column.name.casefold()
        is_taken = old is None and name in moved
        if name in earlier and not is_taken:
            pairs.append(Pair(earlier[name], column))
        else:
            after_only.append(column)
    taken = {pair.before.name for pair in pairs}
    before_only = tuple(column for column in before.columns if column.name not in taken)
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
        and kept == [column.name for column in before.columns]
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
    told = {column.name for column in (*of.before_only, *of.after_only)}
    for pair in of.pairs:
        old, new = _spelled(pair.before), _spelled(pair.after)
        if pair.before.name != pair.name:
            found.append(SchemaChange("column-renamed", pair.name, pair.before.name, pair.name))
        if old != new:
            found.append(SchemaChange("column-retyped", pair.name, old, new))
        if pair.before.name != pair.name or old != new:
            told |= {pair.before.name, pair.name}
    key_before, key_after = _named_key(before), _named_key(after)
    names = {pair.before.name: pair.name for pair in of.pairs}
    if tuple(names.get(name, name) for name in before.key) != after.key:
        found.append(SchemaChange("key-changed", None, key_before or None, key_after or None))
    old_lines, new_lines = _others(before, told), _others(after, told)
    if set(old_lines) != set(new_lines):
        found.append(
            SchemaChange(
                "definition-changed",
                None,
                "\n".join(line for line in old_lines if line not in new_lines) or None,
                "\n".join(line for line in new_lines if line not in old_lines) or None,
            )
        )
    kept = [pair.before.name for pair in of.pairs]
    order = [column.name for column in before.columns if column.name in set(kept)]
    if order != kept:
        listed = [names[name] for name in order]
        new_order = ", ".join(pair.name for pair in of.pairs)
        found.append(SchemaChange("definition-changed", None, f"order: {', '.join(listed)}", f"order: {new_order}"))
    return tuple(found)


def _named_key(of: Definition) -> str:
    return ", ".join(of.key)


def _others(of: Definition, told: Sequence[str] | set[str]) -> list[str]:
    """The lines of a declaration that are about nothing that is told otherwise, without where AUTO_INCREMENT is."""
    own = {line for name, line in of.lines.items() if name in told}
    key = f"PRIMARY KEY ({','.join(quote(name) for name in of.key)})"
    lines = [line.strip().removesuffix(",") for line in of.create.split("\n")[1:]]
    return [_NEXT.sub("", line) for line in lines if line not in own and line != key]
