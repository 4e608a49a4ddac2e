"""Where the two records of a run say different things. Either record alone disagrees with nothing.

Only what cannot be explained otherwise is named: a failed attempt's commits, a task that was killed before its artifact
was stored and an artifact that cannot be read leave one record with less than the other, and that is no contradiction.
So a commit is compared where its very task and attempt has an artifact: that one knows all that was read before it.
"""

from collections.abc import Iterator

from doltflow.model.access import Access
from doltflow.model.commit import Commit, RunCommit
from doltflow.workspace.records import RunRecords, facts_of
from doltflow.workspace.workspace import Workspace

_Fact = tuple[str, str, str, str | None]


def disagreements(workspace: Workspace, records: RunRecords) -> Iterator[str]:
    """What the artifacts and the commits of a run say differently, one sentence each."""
    comparison = _Comparison(records)
    for commit in records.commits:
        if commit.run is not None:
            yield from comparison.of_commit(commit, commit.run)
    for access in records.artifacts.accesses:
        if access.kind == "write" and access.pathspec.startswith(f"{records.run.pathspec}/"):
            yield from _not_its_commit(workspace, access)


class _Comparison:
    """The artifacts of a run, to be compared with one commit after the other."""

    def __init__(self, records: RunRecords) -> None:
        self._run = records.run.pathspec
        self._attempts = {task.pathspec: task.attempt for task in records.artifacts.tasks}
        self._reads: set[_Fact] = set()
        self._reads_of: dict[tuple[str, int], list[Access]] = {}
        self._writes_of: dict[str, list[Access]] = {}
        for access in records.artifacts.accesses:
            if access.kind == "read":
                self._reads |= facts_of(access)
                self._reads_of.setdefault((access.pathspec, access.attempt), []).append(access)
            elif access.commit is not None:
                self._writes_of.setdefault(access.commit, []).append(access)

    def of_commit(self, commit: Commit, run: RunCommit) -> Iterator[str]:
        """What a commit and the artifacts say differently."""
        for line in run.broken:
            yield f"The commit {commit.hash} of `{commit.database}` has a trailer that cannot be read: {line}"
        if run.version is None or run.broken or self._attempts.get(str(run.pathspec)) != run.attempt:
            return
        this = f"the commit {commit.hash} of `{commit.database}`"
        listed: set[_Fact] = {("read", r.database, table, r.commit) for r in run.reads for table in r.tables}
        yield from self._of_reads(commit, run, listed, this)
        yield from self._of_writes(commit, run, this)

    def _of_reads(self, commit: Commit, run: RunCommit, listed: set[_Fact], this: str) -> Iterator[str]:
        for fact in sorted(listed - self._reads, key=str):
            yield f"{self._said(fact)}, says {this}; no artifact says so."
        written = self._writes_of.get(commit.hash, ())
        # What was read after the last write may have been read after the commit, too.
        last = max((access.timestamp or 0.0 for access in written), default=0.0)
        for access in self._reads_of.get((str(run.pathspec), run.attempt), ()):
            if access.timestamp is not None and access.timestamp < last:
                for fact in sorted(facts_of(access) - listed, key=str):
                    yield f"{self._said(fact)}, says its artifact; {this} does not say so."

    def _of_writes(self, commit: Commit, run: RunCommit, this: str) -> Iterator[str]:
        told = {table: access for access in self._writes_of.get(commit.hash, ()) for table in access.tables or ()}
        listed = {write.table for write in run.writes}
        for table in sorted(listed - set(told)):
            yield f"{run.pathspec} wrote `{table}`, says {this}; no artifact says so."
        for table in sorted(set(told) - listed):
            yield f"{told[table].pathspec} wrote `{table}`, says its artifact; {this} does not say so."

    def _said(self, fact: _Fact) -> str:
        _, database, table, commit = fact
        return f"{self._run} read `{table}` of `{database}` at {commit}"


def _not_its_commit(workspace: Workspace, access: Access) -> Iterator[str]:
    name = workspace.database_of(access)
    commit = workspace.find_commit(name, access.commit) if name is not None and access.commit is not None else None
    if commit is None:
        return
    said = f"{access.pathspec} says that it made the commit {commit.hash} of `{name}`, which is"
    if commit.run is None:
        yield f"{said} “{commit.subject}” by {commit.author}."
    elif str(commit.run.pathspec) != access.pathspec:
        yield f"{said} of {commit.run.pathspec}."
