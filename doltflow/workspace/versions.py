"""The versions of one table, told from its whole history: for many questions at once, without one to Dolt for each."""

from collections.abc import Mapping

from doltflow.model.commit import Commit
from doltflow.sources.dolt import Session


class TableHistory:
    """Which commit made a table what it is, at any commit that a branch reaches."""

    def __init__(self, session: Session, table: str, commits: Mapping[str, Commit]) -> None:
        self._session = session
        self._table = table
        self._commits = commits
        self._touching = frozenset(session.touching(table))
        self._known: dict[str, str] = {}
        self._contents: dict[str, str | None] = {}

    def last_change(self, at: str) -> str | None:
        """As `Session.last_change`; None where it cannot be told from here."""
        passed = []
        while at not in self._known:
            passed.append(at)
            commit = self._commits.get(at)
            if commit is None:
                return None
            before = commit.parents
            if len(before) == 1 and at not in self._touching:
                at = before[0]
                continue
            source = self._same_as(at, before) if len(before) > 1 else None
            if source is None:
                # The table is at all the commits on the way what it is here.
                if self._content(at) is None:
                    return None
                self._known[at] = at
                break
            at = source
        made = self._known[at]
        self._known.update(dict.fromkeys(passed, made))
        return made

    def _same_as(self, merge: str, parents: tuple[str, ...]) -> str | None:
        """The first parent from which a merge took the table as it was."""
        content = self._content(merge)
        return next((parent for parent in parents if self._content(parent) == content), None)

    def _content(self, at: str) -> str | None:
        if at not in self._contents:
            self._contents[at] = self._session.table_hash(self._table, at)
        return self._contents[at]
