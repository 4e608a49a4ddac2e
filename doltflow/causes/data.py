"""The tables that differ between what two runs were made from: by how many rows, and who made the difference."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from doltflow.causes.cause import Cause, Direction, Found, Side
from doltflow.causes.inputs import Inputs, Key, Seen
from doltflow.compare.counts import changed_rows
from doltflow.errors import DoltError
from doltflow.model.commit import Commit
from doltflow.sources.dolt import Session
from doltflow.sources.dolt.stats import ChangedRows
from doltflow.workspace import RunRecords, Workspace

MOST = 20
"""So many commits of a cause are listed."""


def data_causes(workspace: Workspace, before: RunRecords, after: RunRecords) -> Found:
    """The tables whose contents differ, of those that two runs read and had not written themselves.

    What an update or append left in the table that it wrote counts as read. Tables are matched by database and name;
    one that only the one run read, and that the other one read under this name from another database, is compared with
    that one.
    """
    a, b = Inputs(workspace, before), Inputs(workspace, after)
    comparison = TableCauses(workspace)
    for one, other in _matched(a, b):
        comparison.compare(a.tables.get(one, []) if one else [], b.tables.get(other, []) if other else [])
    return Found(tuple(comparison.causes), tuple(dict.fromkeys([*a.unknown, *b.unknown, *comparison.unknown])))


def _matched(a: Inputs, b: Inputs) -> Iterator[tuple[Key | None, Key | None]]:
    """The tables of two runs that are to be compared with each other, in the order read."""
    waiting = [key for key in b.tables if key not in a.tables]
    for key in a.tables:
        found = key if key in b.tables else next((other for other in waiting if other[1] == key[1]), None)
        if found in waiting:
            waiting.remove(found)
        yield key, found
    yield from ((None, key) for key in waiting)


class TableCauses:
    """What differs between tables."""

    def __init__(self, workspace: Workspace) -> None:
        self.causes: list[Cause] = []
        self.unknown: list[str] = []
        self._workspace = workspace

    def compare(self, before: Sequence[Seen], after: Sequence[Seen], rows: ChangedRows | None = None) -> None:
        """Compares the versions of a table that two runs saw; those of a content that both saw are the same.

        Args:
            before: What the one run saw.
            after: What the other run saw.
            rows: By how many rows they differ, where that is known.
        """
        contents = [{seen.content for seen in side} for side in (before, after)]
        left = [seen for seen in before if seen.content not in contents[1]]
        right = [seen for seen in after if seen.content not in contents[0]]
        missing = [seen for seen in [*left, *right] if seen.missing]
        if before and after and missing:
            for seen in missing:
                self.unknown.append(f"Whether `{seen.version.table}` is the same cannot be told: {seen.missing}.")
            return
        for one, other in zip_longest(left, right):
            if one is None or other is None:
                self.causes.append(_alone(one, "before") if one is not None else _alone(other, "after"))
            else:
                self._differ(one, other, rows)

    def _differ(self, before: Seen, after: Seen, rows: ChangedRows | None) -> None:
        home = self._home(before, after)
        if home is None and rows is not None:
            self.causes.append(_unrelated(before, after, rows))
            names = f"`{before.version.database}` and `{after.version.database}`"
            self.unknown.append(f"{names} share no history: who changed what cannot be told.")
        elif home is None:
            self.causes += [_alone(before, "before"), _alone(after, "after")]
            names = f"`{before.version.database}` and `{after.version.database}`"
            self.unknown.append(
                f"By how many rows `{after.version.table}` differs between {names} cannot be told: neither has the "
                "commits of both."
            )
        else:
            self.causes.append(self._cause(self._workspace.session(home), before, after, rows))

    def _home(self, before: Seen, after: Seen) -> str | None:
        """The database that has both versions: two clones may share one."""
        places = dict.fromkeys([after.version.database, before.version.database])
        needed = (before.version.commit, after.version.commit)
        return next(
            (name for name in places if all(self._workspace.find_commit(name, hash_) is not None for hash_ in needed)),
            None,
        )

    def _cause(self, session: Session, before: Seen, after: Seen, rows: ChangedRows | None) -> Cause:
        table, span = after.version.table, (before.version.commit, after.version.commit)
        try:
            is_reshaped = session.is_reshaped(table, *span)
            if rows is None:
                rows = changed_rows(session, table, *span)
        except DoltError as error:
            is_reshaped = False
            self.unknown.append(f"By how many rows `{table}` differs cannot be told: {error.message}")
        direction, commits, more = self._made_by(session, table, *span)
        return Cause(
            "data",
            f"{session.name}/{table}",
            *span,
            database=session.name,
            table=table,
            added=rows.added if rows is not None else None,
            removed=rows.removed if rows is not None else None,
            modified=rows.modified if rows is not None else None,
            schema_changed=is_reshaped,
            direction=direction,
            kept=before.kept and after.kept,
            commits=commits,
            more=more,
        )

    def _made_by(
        self, session: Session, table: str, before: str, after: str
    ) -> tuple[Direction | None, tuple[Commit, ...], int]:
        """How two versions follow each other, the commits that made the difference, and how many more there are."""
        try:
            hashes = session.changes_between(table, before, after)
            is_on, is_back = session.reaches([after], [before]), session.reaches([before], [after])
        except DoltError as error:  # In a shallow clone.
            self.unknown.append(f"Who changed `{table}` cannot be told: {error.message}")
            return None, (), 0
        found = [self._workspace.find_commit(session.name, hash_) for hash_ in hashes[:MOST]]
        commits = tuple(commit for commit in found if commit is not None)
        return "forward" if is_on else "backward" if is_back else "apart", commits, len(hashes) - len(commits)


def _unrelated(before: Seen, after: Seen, rows: ChangedRows) -> Cause:
    """Versions of two databases, of which none has both."""
    version = after.version
    return Cause(
        "data",
        f"{version.database}/{version.table}",
        before.version.commit,
        version.commit,
        database=version.database,
        table=version.table,
        added=rows.added,
        removed=rows.removed,
        modified=rows.modified,
    )


def _alone(seen: Seen, side: Side) -> Cause:
    """A version that only one side saw."""
    version = seen.version
    before, after = (version.commit, None) if side == "before" else (None, version.commit)
    return Cause(
        "data",
        f"{version.database}/{version.table}",
        before,
        after,
        side,
        database=version.database,
        table=version.table,
        kept=seen.kept,
    )
