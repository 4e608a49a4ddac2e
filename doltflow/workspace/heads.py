"""What became of the tables that runs wrote, at the heads of the branches and in their working sets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from doltflow.errors import DoltError
from doltflow.model.commit import Commit
from doltflow.model.table import TableVersion
from doltflow.workspace.disagreements import Disagreement
from doltflow.workspace.workspace import Workspace

_MOST_BRANCHES = 3


@dataclass(frozen=True, slots=True)
class _Change:
    """A commit by hand, the commit by a run before it, and what the later one did to the table of the earlier one."""

    commit: Commit
    writer: Commit
    verb: str


class Heads:
    """The branches of one database, as they stand.

    Args:
        workspace: Where to look. What cannot be told becomes a warning there.
        database: The database's name.
        written: The tables that records of runs name as written.
        only: The tables to look at; all without it.
    """

    def __init__(self, workspace: Workspace, database: str, written: Iterable[str], only: Iterable[str] | None) -> None:
        self._workspace = workspace
        self._database = database
        self._session = workspace.session(database)
        self._commits = workspace.commits_of(database)
        self._branches = sorted(self._session.branches().items())
        self._only = None if only is None else {table.casefold() for table in only}
        self._written = sorted(filter(self._wanted, written))

    def _wanted(self, table: str) -> bool:
        return self._only is None or table.casefold() in self._only

    def found(self) -> Iterator[Disagreement]:
        """What was changed after a run had written it: by commits by hand, and without a commit."""
        if self._commits.has_runs():
            yield from self._by_hand()
            for branch, head in self._branches:
                yield from self._uncommitted(branch, head)

    def _by_hand(self) -> Iterator[Disagreement]:
        """Each such change once, however many branches have it."""
        by_head: dict[str, list[str]] = {}
        for branch, head in self._branches:
            by_head.setdefault(head, []).append(branch)
        changes: dict[tuple[str, str, str], _Change] = {}
        where: dict[tuple[str, str, str], list[str]] = {}
        for head, branches in by_head.items():
            for table in self._tables(head):
                try:
                    change = self._change(table, head)
                except DoltError as error:
                    self._warn(table, head, error)
                    continue
                if change is not None:
                    key = (table, change.commit.hash, change.verb)
                    changes[key] = change
                    where.setdefault(key, []).extend(branches)
        for key, change in changes.items():
            yield self._changed(key[0], change, sorted(where[key]))

    def _tables(self, head: str) -> list[str]:
        """The tables at a commit, and those that runs once wrote there or elsewhere."""
        there = self._workspace.tables(self._database, head)
        known = {table.casefold() for table in there}
        gone = (table for table in self._written if table.casefold() not in known)
        return sorted({*filter(self._wanted, there), *gone})

    def _change(self, table: str, head: str) -> _Change | None:
        """What a commit by hand did to a table after a run had written it, if that is what it is now."""
        version = self._workspace.version(self._database, table, head)
        if version is None:
            return self._drop(table, head)
        commit = self._commits.find(version.commit)
        if commit is None or commit.run is not None:
            return None
        writer = self._writer(table, commit.parents)
        if writer is None:  # Was it made anew, by hand, after what a run had made was dropped?
            drop = self._drop(table, head)
            return replace(drop, verb="dropped, and made again by hand,") if drop is not None else None
        return _Change(commit, writer, "merged with other changes" if len(commit.parents) > 1 else "changed by hand")

    def _drop(self, table: str, head: str) -> _Change | None:
        """The newest drop of a table, at a commit and before, if it was by hand, and of what a run had written."""
        hash_ = self._commits.newest_drop(table, head)
        commit = self._commits.find(hash_) if hash_ is not None else None
        if commit is None or commit.run is not None:
            return None
        writer = self._writer(table, commit.parents)
        return _Change(commit, writer, "dropped") if writer is not None else None

    def _writer(self, table: str, before: Iterable[str]) -> Commit | None:
        """The newest commit by a run, at one of some commits and before, that changed a table."""
        hash_ = self._commits.newest_by_run(table, before)
        return self._commits.find(hash_) if hash_ is not None else None

    def _changed(self, table: str, change: _Change, branches: list[str]) -> Disagreement:
        commit, writer = change.commit, change.writer
        text = (
            f"{self._was_written(table, writer)}, and then {change.verb} on {_named(branches)}: commit {commit.hash} "
            f"“{commit.subject}” by {commit.author}."
        )
        return Disagreement("changed-by-hand", text, _run_of(writer), self._database, commit.hash, table)

    def _was_written(self, table: str, writer: Commit) -> str:
        task = writer.run.pathspec if writer.run is not None else "a run"
        return f"`{table}` of `{self._database}` was written by {task}"

    def _uncommitted(self, branch: str, head: str) -> Iterator[Disagreement]:
        for table in filter(self._wanted, self._session.uncommitted(branch)):
            try:
                writer = self._writer(table, [head])
            except DoltError as error:
                self._warn(table, head, error)
                continue
            if writer is not None:
                text = f"{self._was_written(table, writer)}, and has uncommitted changes on the branch `{branch}`."
                yield Disagreement("uncommitted", text, _run_of(writer), self._database, None, table)

    def _warn(self, table: str, head: str, error: DoltError) -> None:
        version = TableVersion(self._database, table, head)
        self._workspace.warn(f"What became of {version.id} cannot be told: {error.message}")


def _run_of(commit: Commit) -> str | None:
    return commit.run.pathspec.run if commit.run is not None else None


def _named(branches: list[str]) -> str:
    shown = ", ".join(f"`{branch}`" for branch in branches[:_MOST_BRANCHES])
    more = f" and {len(branches) - _MOST_BRANCHES} more" if len(branches) > _MOST_BRANCHES else ""
    return f"the branch{'' if len(branches) == 1 else 'es'} {shown}{more}"
