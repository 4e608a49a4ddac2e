"""What became of the tables that runs wrote, at the heads of the branches and in their working sets."""

from collections.abc import Iterable, Iterator

from doltflow.errors import DoltError
from doltflow.model.commit import Commit
from doltflow.model.table import TableVersion
from doltflow.workspace.disagreements import Disagreement
from doltflow.workspace.workspace import Workspace

_MOST_BRANCHES = 3


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
        changes: dict[tuple[str, str], tuple[Commit, Commit, bool]] = {}
        where: dict[tuple[str, str], list[str]] = {}
        for head, branches in by_head.items():
            for table in self._tables(head):
                try:
                    change = self._change(table, head)
                except DoltError as error:
                    self._warn(table, head, error)
                    continue
                if change is not None:
                    key = (table, change[0].hash)
                    changes[key] = change
                    where.setdefault(key, []).extend(branches)
        for key, change in changes.items():
            yield self._changed(key[0], *change, sorted(where[key]))

    def _tables(self, head: str) -> list[str]:
        """The tables at a commit, and those that runs once wrote there or elsewhere."""
        there = self._workspace.tables(self._database, head)
        known = {table.casefold() for table in there}
        gone = (table for table in self._written if table.casefold() not in known)
        return sorted({*filter(self._wanted, there), *gone})

    def _change(self, table: str, head: str) -> tuple[Commit, Commit, bool] | None:
        """The commit by hand after a run's, the run's, and whether it dropped the table."""
        version = self._workspace.version(self._database, table, head)
        hash_ = version.commit if version is not None else next(iter(self._session.changes(table, head)), None)
        commit = self._commits.find(hash_) if hash_ is not None else None
        if commit is None or commit.run is not None:
            return None
        writer = self._writer(table, commit.parents)
        return (commit, writer, version is None) if writer is not None else None

    def _writer(self, table: str, before: Iterable[str]) -> Commit | None:
        """The newest commit by a run, at one of some commits and before, that changed a table."""
        hash_ = self._commits.newest_by_run(table, before)
        return self._commits.find(hash_) if hash_ is not None else None

    def _changed(self, table: str, commit: Commit, writer: Commit, dropped: bool, branches: list[str]) -> Disagreement:
        verb = "dropped" if dropped else "merged with other changes" if len(commit.parents) > 1 else "changed by hand"
        text = (
            f"{self._was_written(table, writer)}, and then {verb} on {_named(branches)}: commit {commit.hash} "
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
