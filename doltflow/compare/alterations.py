"""The statements that make one declaration of a table of another one.

Dolt's own, in `dolt_patch`, fail where names are exchanged, a key is new or values do not fit, and leave out what is
unique, checks, defaults, comments and the order of columns.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from doltflow.compare.schema import Matched, Pair, other_lines
from doltflow.model.quoting import quote
from doltflow.sources.dolt.definition import QUOTED, Definition

_TAGGED_ANEW = re.compile(rf"DROP (?:COLUMN )?{QUOTED};?$", re.IGNORECASE)
_COUNTED = re.compile(r" AUTO_INCREMENT\b")
_OPTION = re.compile(r"\b(COLLATE|COMMENT)=('(?:[^']|'')*'|\w+)")
_BINARY = "utf8mb4_0900_bin"


@dataclass(frozen=True, slots=True)
class Alterations:
    """Statements before the rows are changed, and those after, for what the earlier rows may not fulfil."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def alterations(before: Definition, after: Definition, of: Matched, hints: Sequence[str]) -> Alterations:
    """What makes one declaration of a table of another one; a table that is to be filled anew is empty then.

    Args:
        before: The earlier declaration.
        after: The later one, under the same name.
        of: Their columns.
        hints: Dolt's own statements, which tell of a column that was removed and added again under its name.
    """
    made = _Made(before, after, of, hints)
    return Alterations(tuple(made.first()), tuple(made.last()))


class _Made:
    def __init__(self, before: Definition, after: Definition, of: Matched, hints: Sequence[str]) -> None:
        self._before, self._after = before, after
        self._alter = f"ALTER TABLE {quote(after.name)}"
        dropped = {match[1] for hint in hints if (match := _TAGGED_ANEW.search(hint))}
        computed = [
            Pair(old, new)
            for old in before.columns
            for new in after.columns
            if old.name == new.name and old.virtual and new.virtual
        ]
        self._pairs = [
            pair
            for pair in (*of.pairs, *computed)
            if quote(pair.before.name) not in dropped or pair.name != pair.before.name
        ]
        kept = {pair.before.name for pair in self._pairs}
        self._gone = [column for column in before.columns if column.name not in kept]
        self._names = {pair.before.name: pair.name for pair in self._pairs}
        self._is_key_kept = tuple(self._names.get(name) for name in before.key) == after.key
        old, new = other_lines(before), other_lines(after)
        touched = {quote(name) for names in self._names.items() for name in names if names[0] != names[1]}
        touched |= {quote(column.name) for column in self._gone}
        same = {
            name
            for name, line in old.items()
            if new.get(name) == line and not touched & {*re.findall(QUOTED, line)[1:]}
        }
        # They stand in the order in which they were made.
        is_ordered = [name for name in old if name in same] + [name for name in new if name not in same] == [*new]
        self._same = same if is_ordered else set()
        self._old, self._new = old, new
        self._counted: list[str] = []

    def first(self) -> Iterator[str]:
        """What may be done before the rows are changed."""
        old, new = (_options(of).get("COLLATE", _BINARY) for of in (self._before, self._after))
        if old != new:
            yield f"{self._alter} COLLATE = {new};"
        for name, line in sorted(self._old.items(), key=lambda item: not item[1].startswith("CONSTRAINT")):
            if name not in self._same:
                yield f"{self._alter} {_dropped(name, line)};"
        if self._before.key and not self._is_key_kept:
            for line in self._before.lines.values():
                if _COUNTED.search(line):
                    yield f"{self._alter} MODIFY COLUMN {_COUNTED.sub('', line)};"
            yield f"{self._alter} DROP PRIMARY KEY;"
        yield from (f"{self._alter} DROP COLUMN {quote(column.name)};" for column in self._gone)
        yield from self._renamed()
        yield from self._columns()
        if self._after.key and not self._is_key_kept:
            yield f"{self._alter} ADD PRIMARY KEY ({', '.join(map(quote, self._after.key))});"
        yield from self._counted

    def last(self) -> Iterator[str]:
        """What the earlier rows may not fulfil."""
        yield from (f"{self._alter} ADD {line};" for name, line in self._new.items() if name not in self._same)
        # Dolt forgets it with a change of a column.
        old, new = (_options(of).get("COMMENT", "''") for of in (self._before, self._after))
        if old != new or (new != "''" and self._before.create != self._after.create):
            yield f"{self._alter} COMMENT = {new};"

    def _renamed(self) -> Iterator[str]:
        """Names one by one; one that is still in use is given by way of another name."""
        names = dict(self._names)
        taken = {name.casefold() for name in names}
        waiting = {old: new for old, new in names.items() if old != new}
        last = []
        while waiting:
            free = next((old for old, new in waiting.items() if new.casefold() not in taken), None)
            old, new = (free, waiting.pop(free)) if free is not None else waiting.popitem()
            taken.discard(old.casefold())
            between = new
            if free is None:
                between = next(name for number in range(len(taken) + 1) if (name := f"doltflow_{number}") not in taken)
                last.append((between, new))
            taken.add(between.casefold())
            yield f"{self._alter} RENAME COLUMN {quote(old)} TO {quote(between)};"
        for old, new in last:
            yield f"{self._alter} RENAME COLUMN {quote(old)} TO {quote(new)};"

    def _columns(self) -> Iterator[str]:
        earlier, lines = self._before.lines, self._after.lines
        old = {
            pair.name: quote(pair.name) + earlier[pair.before.name].removeprefix(quote(pair.before.name))
            for pair in self._pairs
        }
        order = [self._names[column.name] for column in self._before.columns if column.name in self._names]
        is_recollated = _options(self._before).get("COLLATE") != _options(self._after).get("COLLATE")
        for place, column in enumerate(self._after.columns):
            where = f" AFTER {quote(order[place - 1])}" if place else " FIRST"
            line = lines[column.name]
            if not self._is_key_kept and _COUNTED.search(line):  # Only a key's column may count.
                self._counted.append(f"{self._alter} MODIFY COLUMN {line};")
                line = _COUNTED.sub("", line)
            if column.name not in old:
                where = "" if place == len(order) else where
                order.insert(place, column.name)
                yield f"{self._alter} ADD COLUMN {line}{where};"
                continue
            is_moved = order[place] != column.name
            if is_moved:
                order.remove(column.name)
                order.insert(place, column.name)
            if is_moved or old[column.name] != lines[column.name] or (is_recollated and column.collation is not None):
                yield f"{self._alter} MODIFY COLUMN {line}{where if is_moved else ''};"


def needs_empty(of: Matched) -> bool:
    """Whether earlier rows may be in the way of a change of the columns."""
    for pair in of.pairs:
        old, new = pair.before, pair.after
        if (old.type, old.collation) != (new.type, new.collation) or (old.nullable and not new.nullable):
            return True
    # Dolt's walk leaves out rows in which a new column is NULL, whatever it has by default.
    return any(not column.nullable or column.default for column in of.after_only)


def _dropped(name: str, line: str) -> str:
    return f"DROP CONSTRAINT {name.removeprefix('CHECK ')}" if name.startswith("CHECK ") else f"DROP {name}"


def _options(of: Definition) -> Mapping[str, str]:
    return {match[1]: match[2] for match in _OPTION.finditer(of.options)}
