"""Which commits changed a row, or one cell of it: from a commit backwards, each row read at both sides of a change.

A merge that took a row over unchanged from one of its parents is passed through, to that parent; one that has another
row than each of them changed it. Columns are followed through their renames, rows through changes of the key.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from doltflow.model.row import RowChange, RowChanges
from doltflow.sources.dolt import rowkeys
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.definition import renamed_columns
from doltflow.sources.dolt.edges import Graph, Listed, listed
from doltflow.sources.dolt.rowkeys import Shape

_ABSENT = object()
Row = dict[str, Any]


def row_changes(
    connection: Connection,
    table: str,
    at: str,
    keys: Sequence[Mapping[str, Any]],
    column: str | None = None,
    *,
    history: bool = False,
) -> list[RowChanges]:
    """What became of rows, at a commit and before.

    Args:
        connection: Where to ask.
        table: The table, as the database spells it.
        at: Full hash of the commit.
        keys: The rows, by values of all columns of the key that the table has there.
        column: Only the changes of this column, as the table spells it.
        history: Whether to tell of all changes, else of the last one.

    Raises:
        TableNotFoundError, NoKeyError: The table is not there, or has no key.
    """
    past = _Past(connection, table, at)
    of = rowkeys.keyed_shape(connection, table, at)
    rows = [past.row(at, key) for key in keys]
    # A row that is there was put there: only of those that are not there, removals need to be known.
    removals = history or any(row is None for row in rows)
    # As the database spells the values: what a collation takes for equal need not be equal here.
    spelled = [{name: row[name] for name in of.key} if row else dict(key) for key, row in zip(keys, rows, strict=True)]
    told = listed(connection, table, past.graph, at, of, spelled, removals=removals)
    found = []
    for number, (key, row) in enumerate(zip(spelled, rows, strict=True)):
        changes = _Walk(past, told.of(number), column, history).go(key)
        if row is not None and (not changes or (history and changes[-1].before is not None and column is None)):
            # It was put there by none of the commits that were looked at: so all are.
            changes = _Walk(past, None, column, history).go(key)
        found.append(RowChanges(key, row is not None, tuple(changes)))
    return found


class _Past:
    """A table at all commits before one; what was read once is not read again."""

    def __init__(self, connection: Connection, table: str, head: str) -> None:
        self.connection = connection
        self.table = table
        self.graph = Graph(connection, table, head)
        self.head = head
        self._shapes: dict[str, Shape | None] = {}
        self._rows: dict[tuple[str, tuple[tuple[str, Any], ...]], Row | None] = {}
        self._renames: dict[tuple[str, str], dict[str, str]] = {}

    def shape(self, commit: str) -> Shape | None:
        if commit not in self._shapes:
            self._shapes[commit] = rowkeys.shape(self.connection, self.table, commit)
        return self._shapes[commit]

    def names(self, commit: str) -> list[str]:
        """The columns' names in order; none where the table is not there."""
        of = self.shape(commit)
        return of.names if of is not None else []

    def row(self, commit: str, key: Mapping[str, Any]) -> Row | None:
        place = (commit, tuple(key.items()))
        if place not in self._rows:
            of = self.shape(commit)
            self._rows[place] = rowkeys.row(self.connection, self.table, commit, of, key) if of else None
        return self._rows[place]

    def renames(self, child: str, parent: str) -> dict[str, str]:
        """The names that columns had in a parent, by the names that a commit gave them."""
        place = (child, parent)
        if place not in self._renames:
            after, before = self.names(child), self.names(parent)
            gone, new = set(before) - set(after), set(after) - set(before)
            # Without a name that is gone and a new one none has become the other, unless two were exchanged.
            ask = bool(gone and new) or (not gone and not new and after != before)
            self._renames[place] = renamed_columns(self.connection, self.table, parent, child) if ask else {}
        return self._renames[place]


@dataclass(frozen=True, slots=True)
class _Names:
    """By what a row is found at a commit, and what of it is followed.

    Attributes:
        key: Values of columns by the names that they have there.
        column: The name that the column in question has there; None where the whole row is in question.
        ended: Whether the column is not there, nor anything that it was before.
    """

    key: Mapping[str, Any]
    column: str | None
    ended: bool = False

    def lacks(self, of: Shape | None) -> bool:
        """Whether a table of that shape lacks a name."""
        wanted = [*self.key, *([self.column] if self.column is not None and not self.ended else [])]
        return of is not None and any(of.column(name) is None for name in wanted)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a walk has come to: a commit, the names there, and the commits since the names were last seen there."""

    commit: str
    names: _Names
    way: tuple[str, ...]


class _Walk:
    """The walk back from one commit, for one row; without being told anything it reads the row at every commit."""

    def __init__(self, past: _Past, told: Listed | None, column: str | None, history: bool) -> None:
        self.past = past
        self.graph = past.graph
        self.told = [told] if told is not None else []
        self.column = column
        self.history = history
        self.seen: set[str] = set()
        self.changes: list[RowChange] = []

    def go(self, key: Mapping[str, Any]) -> list[RowChange]:
        """The changes of a row, newest first; only the last one unless its history is asked for."""
        head = self.past.head
        waiting = [(self.graph.order[head], head)]
        places = {head: _Place(head, _Names(key, self.column), (head,))}
        while waiting:
            commit = heapq.heappop(waiting)[1]
            for place in self._step(places.pop(commit)):
                if place.commit not in places:
                    places[place.commit] = place
                    heapq.heappush(waiting, (self.graph.order[place.commit], place.commit))
            if self.changes and not self.history:
                break
        return sorted(self.changes, key=lambda change: self.graph.order[change.commit])

    def _step(self, place: _Place) -> list[_Place]:
        """Goes along a line of commits that left the row as it was, up to one that changed it and to its parents."""
        way = list(place.way)
        commit, names = place.commit, place.names
        while commit not in self.seen:
            self.seen.add(commit)
            parents = self.graph.parents[commit]
            if not self.graph.touches(commit) and parents:
                commit = parents[0]
                way.append(commit)
                continue
            looked_at = [parent for parent in parents if self._is_looked_at(commit, parent, names)]
            if looked_at or not parents:
                names, changed = self._followed(names, commit, way)
                if changed:
                    return []
                way = [commit]
            before: list[tuple[str, _Names]] = []
            same = None
            for parent in parents:
                there = self._names_in(parent, commit, names) if parent in looked_at else names
                before.append((parent, there))
                if parent not in looked_at or self._is_same(commit, names, parent, there):
                    same = parent, there
                    break
            if same is None:
                self._add(commit, names, *(before[0] if before else (None, names)))
                return [_Place(parent, there, (parent,)) for parent, there in before if not there.ended]
            if same[0] in looked_at:
                way = []
            commit, names = same
            way.append(commit)
            if names.ended:
                break
        return []

    def _is_looked_at(self, commit: str, parent: str, names: _Names) -> bool:
        """Whether the row is to be read on both sides, or is known to be the same."""
        if self.graph.is_fork(parent):
            return True
        if any(commit in told.ends for told in self.told) and not any(commit in told.covered for told in self.told):
            self._tell(commit, names)
        told = next((told for told in self.told if commit in told.covered), None)
        return told is None or any((commit, parent) in edges for edges in told.edges)

    def _tell(self, start: str, names: _Names) -> None:
        """Asks `dolt_diff_<table>` from a commit on, since from a later one it does not reach further."""
        of = self.past.shape(start)
        if of is not None and not names.lacks(of):
            graph, table = self.graph, self.past.table
            self.told.append(listed(self.past.connection, table, graph, start, of, [names.key], removals=True))

    # Names

    def _followed(self, names: _Names, commit: str, way: Sequence[str]) -> tuple[_Names, bool]:
        """The names at a commit, where renames on the way that left the row alone are told by nothing else.

        The other answer is whether the column in question came to be on the way, which then is the change.
        """
        first = 0
        while (here := self.past.names(way[first])) != self.past.names(commit):
            low, high = first, len(way) - 1
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self.past.names(way[middle]) == here else (low, middle)
            earlier = self._names_in(way[high], way[low], names)
            if earlier.ended:
                self._add(way[low], names, way[high], earlier)
                return names, True
            names, first = earlier, high
        return names, False

    def _names_in(self, parent: str, child: str, names: _Names) -> _Names:
        """The names in a parent of a commit."""
        before, after = self.past.shape(parent), self.past.shape(child)
        if before is None or after is None:
            return names
        renames = self.past.renames(child, parent)
        if before.key == after.key and not names.lacks(before) and not renames:
            return names
        row = self.past.row(child, names.key)
        new = {renames.get(name, name): name for name in after.names}
        key = {renames.get(name, name): value for name, value in names.key.items()}
        if before.key and row is not None and all(name in new for name in before.key):
            key = {name: row[new[name]] for name in before.key}
        column = names.column
        if column is None or names.ended:
            return replace(names, key=key)
        column = renames.get(column, column)
        return _Names(key, column, before.column(column) is None)

    # Rows

    def _is_same(self, commit: str, names: _Names, parent: str, there: _Names) -> bool:
        after, before = self.past.row(commit, names.key), self.past.row(parent, there.key)
        if after is None or before is None:
            return after is before
        return not self._changed(after, before, self._old_names(commit, parent), names.column)

    def _changed(self, after: Row, before: Row, old: Mapping[str, str], column: str | None) -> tuple[str, ...]:
        """The columns that differ. One that is not there is as one that is NULL, unless it is the one in question."""
        if column is not None:
            there = before.get(old.get(column, column), _ABSENT)
            return () if _is_equal(after.get(column), there) else (column,)
        names = {name: old.get(name, name) for name in after}
        lost = [name for name in before if name not in names.values() and before[name] is not None]
        changed = [name for name, was in names.items() if not _is_equal(after[name], before.get(was))]
        return (*changed, *lost)

    def _old_names(self, commit: str, parent: str) -> dict[str, str]:
        after, before = self.past.shape(commit), self.past.shape(parent)
        return self.past.renames(commit, parent) if after != before else {}

    def _add(self, commit: str, names: _Names, parent: str | None, there: _Names) -> None:
        after = self.past.row(commit, names.key)
        before = self.past.row(parent, there.key) if parent is not None else None
        if after is not None and before is not None and parent is not None:
            old = self._old_names(commit, parent)
            columns = self._changed(after, before, old, names.column)
            new = {old.get(name, name): name for name in after}
            before = {new.get(name, name): value for name, value in before.items()}
        else:
            columns = tuple(after or before or ()) if names.column is None else (names.column,)
        if after is not None or before is not None:
            self.changes.append(RowChange(commit, before, after, columns))


def _is_equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; a column whose type was changed has them in another form."""
    if one is None or other is None or one is _ABSENT or other is _ABSENT:
        return one is other
    return bool(one == other) or (type(one) is not type(other) and str(one) == str(other))
