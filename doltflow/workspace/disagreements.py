"""Where the two records of a run say different things. Either record alone disagrees with nothing.

Only what cannot be explained otherwise is named: a failed attempt's commits, a task that was killed before its artifact
was stored and an artifact that cannot be read leave one record with less than the other, and that is no contradiction.
So a commit is compared where its very task and attempt has an artifact: that one knows all that was read before it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from doltflow.model.access import Access
from doltflow.model.artifact import Record
from doltflow.model.commit import Commit, RunCommit
from doltflow.workspace.records import RunRecords, facts_of
from doltflow.workspace.workspace import Workspace

DisagreementKind = Literal[
    "commit-missing",
    "commit-differs",
    "run-missing",
    "read-not-in-commit",
    "read-not-in-artifact",
    "write-not-in-commit",
    "write-not-in-artifact",
    "trailer-broken",
    "artifact-broken",
    "artifact-missing",
    "changed-by-hand",
    "rewritten",
    "uncommitted",
]
_Fact = tuple[str, str, str, str | None]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Something that one record says and another one, or the database, does not.

    Attributes:
        kind: What it is, by name.
        message: The same as a sentence.
        run: `Flow/run_id`.
        database: The database's name.
        commit: Full hash of the commit that it is about; None where it is about none.
        table: The table that it is about; None where it is about none.
    """

    kind: DisagreementKind
    message: str
    run: str | None = None
    database: str | None = None
    commit: str | None = None
    table: str | None = None


def disagreements(workspace: Workspace, records: RunRecords) -> Iterator[Disagreement]:
    """What the artifacts and the commits of a run say differently."""
    return compare(workspace, records.run.pathspec, records.artifacts, records.commits)


def compare(workspace: Workspace, run: str, artifacts: Record, commits: Iterable[Commit]) -> Iterator[Disagreement]:
    """What the artifacts and the commits of a run, `Flow/run_id`, say differently."""
    comparison = _Comparison(run, artifacts)
    for commit in commits:
        if commit.run is not None:
            yield from comparison.of_commit(commit, commit.run)
    for access in artifacts.accesses:
        if access.kind == "write" and access.pathspec.startswith(f"{run}/"):
            yield from _not_its_commit(workspace, run, access)


class _Comparison:
    """The artifacts of a run, to be compared with one commit after the other."""

    def __init__(self, run: str, artifacts: Record) -> None:
        self._run = run
        self._attempts = {task.pathspec: task.attempt for task in artifacts.tasks}
        self._reads: set[_Fact] = set()
        self._reads_of: dict[tuple[str, int], list[Access]] = {}
        self._writes_of: dict[str, list[Access]] = {}
        for access in artifacts.accesses:
            if access.kind == "read":
                self._reads |= facts_of(access)
                self._reads_of.setdefault((access.pathspec, access.attempt), []).append(access)
            elif access.commit is not None:
                self._writes_of.setdefault(access.commit, []).append(access)

    def of_commit(self, commit: Commit, run: RunCommit) -> Iterator[Disagreement]:
        """What a commit and the artifacts say differently."""
        for line in run.broken:
            text = f"The commit {commit.hash} of `{commit.database}` has a trailer that cannot be read: {line}"
            yield Disagreement("trailer-broken", text, self._run, commit.database, commit.hash)
        if run.version is None or run.broken or self._attempts.get(str(run.pathspec)) != run.attempt:
            return
        this = f"the commit {commit.hash} of `{commit.database}`"
        listed: set[_Fact] = {("read", r.database, table, r.commit) for r in run.reads for table in r.tables}
        yield from self._of_reads(commit, run, listed, this)
        yield from self._of_writes(commit, run, this)

    def _of_reads(self, commit: Commit, run: RunCommit, listed: set[_Fact], this: str) -> Iterator[Disagreement]:
        for fact in sorted(listed - self._reads, key=str):
            yield self._of_read("read-not-in-artifact", fact, f", says {this}; no artifact says so.")
        written = self._writes_of.get(commit.hash, ())
        # What was read after the last write may have been read after the commit, too.
        last = max((access.timestamp or 0.0 for access in written), default=0.0)
        for access in self._reads_of.get((str(run.pathspec), run.attempt), ()):
            if access.timestamp is not None and access.timestamp < last:
                for fact in sorted(facts_of(access) - listed, key=str):
                    yield self._of_read("read-not-in-commit", fact, f", says its artifact; {this} does not say so.")

    def _of_read(self, kind: DisagreementKind, fact: _Fact, said: str) -> Disagreement:
        _, database, table, commit = fact
        text = f"{self._run} read `{table}` of `{database}` at {commit}{said}"
        return Disagreement(kind, text, self._run, database, commit, table)

    def _of_writes(self, commit: Commit, run: RunCommit, this: str) -> Iterator[Disagreement]:
        told = {table: access for access in self._writes_of.get(commit.hash, ()) for table in access.tables or ()}
        listed = {write.table for write in run.writes}
        place = (self._run, commit.database, commit.hash)
        for table in sorted(listed - set(told)):
            text = f"{run.pathspec} wrote `{table}`, says {this}; no artifact says so."
            yield Disagreement("write-not-in-artifact", text, *place, table)
        for table in sorted(set(told) - listed):
            text = f"{told[table].pathspec} wrote `{table}`, says its artifact; {this} does not say so."
            yield Disagreement("write-not-in-commit", text, *place, table)


def _not_its_commit(workspace: Workspace, run: str, access: Access) -> Iterator[Disagreement]:
    name = workspace.database_of(access)
    commit = workspace.find_commit(name, access.commit) if name is not None and access.commit is not None else None
    if commit is None or name is None:
        return
    if commit.run is None:
        whose = f"“{commit.subject}” by {commit.author}"
    elif str(commit.run.pathspec) != access.pathspec:
        whose = f"of {commit.run.pathspec}"
    else:
        return
    text = f"{access.pathspec} says that it made the commit {commit.hash} of `{name}`, which is {whose}."
    yield Disagreement("commit-differs", text, run, name, commit.hash, next(iter(access.tables or ()), None))
