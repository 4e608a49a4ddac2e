"""Between which commits a row may have changed, as `dolt_diff_<table>` tells at once for a whole history.

That table alone is not to be trusted: where several commits have one parent it compares it with one of them only; where
the key changed it ends, with a warning, and beside that commit its values are wrong. So it is asked which pairs of
commits are to be looked at, and for which pairs it does not say; the rows themselves are read at both commits.
"""

import re
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from doltflow.errors import DoltError
from doltflow.model.quoting import quote
from doltflow.sources.dolt.connection import Connection
from doltflow.sources.dolt.rowkeys import Shape, bound, condition, marked

_CUT = re.compile(r"between commits (\w+) and (\w+) due")
_CHUNK = 50
Edge = tuple[str, str]
"""A commit and one of its parents."""


class Graph:
    """The commits at and before one, and those among them that changed a table.

    Args:
        connection: Where to ask.
        table: The table.
        head: Full hash of the newest commit.
    """

    def __init__(self, connection: Connection, table: str, head: str) -> None:
        connection.use()
        query = "select commit_hash, parents from dolt_log(%s, '--parents')"
        known = {str(hash_): str(line or "").split(",") for hash_, line in connection.rows(query, [head])}
        self.parents = {
            hash_: tuple(part.strip() for part in parts if part.strip() in known) for hash_, parts in known.items()
        }
        self.order = {hash_: number for number, hash_ in enumerate(self.parents)}
        children: dict[str, int] = {}
        for parents in self.parents.values():
            for parent in parents:
                children[parent] = children.get(parent, 0) + 1
        self._forks = {hash_ for hash_, count in children.items() if count > 1}
        self._touching: set[str] | None = None
        if "," not in table and not table.startswith("-"):  # It takes a list, and would take the name for an option.
            with suppress(DoltError):  # In a shallow clone it cannot be told.
                rows = connection.rows("select commit_hash from dolt_log(%s, '--tables', %s)", [head, table])
                self._touching = {str(row[0]) for row in rows}

    def touches(self, commit: str) -> bool:
        """Whether a commit may have changed the table: it is not as in each of the commit's parents."""
        return self._touching is None or commit in self._touching

    def is_fork(self, commit: str) -> bool:
        """Whether several commits have this parent."""
        return commit in self._forks

    def before(self, start: str) -> set[str]:
        """A commit and all that are before it."""
        found = {start}
        waiting = [start]
        while waiting:
            new = [parent for parent in self.parents[waiting.pop()] if parent not in found]
            found.update(new)
            waiting += new
        return found

    def line(self, start: str) -> list[str] | None:
        """A commit and all that are before it, newest first; None where some were merged."""
        line = [start]
        while parents := self.parents[line[-1]]:
            if len(parents) > 1:
                return None
            line.append(parents[0])
        return line


@dataclass(frozen=True, slots=True)
class Listed:
    """What `dolt_diff_<table>` says at one commit of some rows.

    Attributes:
        edges: Of each row, the pairs of commits between which it differs, or may.
        covered: The commits of which it has been told whether they differ from their parents.
        ends: Where it did not go on: commits from which it is to be asked again.
    """

    edges: tuple[set[Edge], ...]
    covered: Set[str]
    ends: frozenset[str] = frozenset()

    def of(self, number: int) -> "Listed":
        """What it says of one row."""
        return Listed(self.edges[number : number + 1], self.covered, self.ends)


def listed(
    connection: Connection,
    table: str,
    graph: Graph,
    start: str,
    of: Shape,
    keys: Sequence[Mapping[str, Any]],
    *,
    removals: bool,
) -> Listed:
    """Asks `dolt_diff_<table>`.

    Args:
        connection: Where to ask.
        table: The table.
        graph: The commits before `start`, at least.
        start: Full hash of a commit that has the table.
        of: The table's shape there.
        keys: The rows, by values of columns that the table has there, the same of all.
        removals: Whether to tell of the commits that removed them; it takes as long again.
    """
    connection.use(start)
    edges: tuple[set[Edge], ...] = tuple(set() for _ in keys)
    cuts: set[Edge] = set()
    if set(keys[0]) != set(of.key):  # What no longer is the key was, once renamed, nothing before that.
        return Listed(edges, frozenset())
    try:
        for number in range(0, len(keys), _CHUNK):
            _ask(connection, table, of, keys[number : number + _CHUNK], edges[number : number + _CHUNK], removals)
            cuts |= _cuts(connection)
    except DoltError:  # Such as values that it cannot compare.
        return Listed(edges, frozenset())
    if not cuts:
        return Listed(edges, graph.before(start))
    # It stopped at a change of the key. Where commits were merged nobody can tell what came before that.
    line = graph.line(start) or []
    sure = min((line.index(child) for child, _ in cuts if child in line), default=0)
    return Listed(edges, frozenset(line[:sure]), frozenset(parent for _, parent in cuts))


def _ask(
    connection: Connection,
    table: str,
    of: Shape,
    keys: Sequence[Mapping[str, Any]],
    edges: Sequence[set[Edge]],
    removals: bool,
) -> None:
    names = list(keys[0])
    places = {tuple(key.values()): number for number, key in enumerate(keys)}
    # One condition for both sides would compare the whole table at every commit.
    for side in ("to", "from") if removals else ("to",):
        columns = ", ".join(quote(f"{side}_{name}") for name in names)
        wanted = " or ".join([f"({condition(names, f'{side}_')})"] * len(keys))
        source = quote(f"dolt_diff_{table}")
        query = f"select to_commit, from_commit, {marked(columns)} from {marked(source)} where {wanted}"
        for child, parent, *values in connection.rows(query, [value for key in keys for value in bound(of, key)]):
            # Before a column was renamed its values are not given: then it may be any of the rows.
            place = places.get(tuple(values))
            for number in range(len(keys)) if place is None else (place,):
                edges[number].add((str(child), str(parent)))


def _cuts(connection: Connection) -> set[Edge]:
    """The child and the parent between which it stopped."""
    warnings = connection.rows("show warnings")
    return {(cut[2], cut[1]) for warning in warnings if (cut := _CUT.search(str(warning[2])))}
