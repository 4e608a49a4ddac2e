"""Where the two records of a run say different things. Either record alone disagrees with nothing.

Only what cannot be explained otherwise is named: a failed attempt's commits, a task that was killed before its artifact
was stored and an artifact that cannot be read leave one record with less than the other, and that is no contradiction.
"""

from collections.abc import Iterator

from doltflow.model.access import Access
from doltflow.model.commit import Commit, RunCommit
from doltflow.workspace.records import RunRecords, facts_of
from doltflow.workspace.workspace import Workspace

_Fact = tuple[str, str, str, str | None]


def disagreements(workspace: Workspace, records: RunRecords) -> Iterator[str]:
    """What the artifacts and the commits of a run say differently, one sentence each."""
    attempts = {task.pathspec: task.attempt for task in records.artifacts.tasks}
    for commit in records.commits:
        run = commit.run
        if run is None:
            continue
        for line in run.broken:
            yield f"The commit {commit.hash} of `{commit.database}` has a trailer that cannot be read: {line}"
        if run.version is not None and not run.broken and attempts.get(str(run.pathspec)) == run.attempt:
            yield from _compared(records, commit, run)
    for access in records.artifacts.accesses:
        if access.kind == "write" and access.pathspec.startswith(f"{records.run.pathspec}/"):
            yield from _not_its_commit(workspace, access)


def _compared(records: RunRecords, commit: Commit, run: RunCommit) -> Iterator[str]:
    """What a commit and the artifacts say of the same attempt of the same task."""
    accesses, this = records.artifacts.accesses, f"the commit {commit.hash} of `{commit.database}`"
    reads: set[_Fact] = {("read", r.database, table, r.commit) for r in run.reads for table in r.tables}
    wrote = [access for access in accesses if access.kind == "write" and access.commit == commit.hash]
    if records.is_whole:
        known = {fact for access in accesses for fact in facts_of(access)}
        for fact in sorted(reads - known, key=str):
            yield f"{_said(records, fact)}, says {this}; no artifact says so."
        tables = {table for access in wrote for table in access.tables or ()}
        for write in run.writes:
            if write.table not in tables:
                yield f"{run.pathspec} wrote `{write.table}`, says {this}; no artifact says so."
    listed = {write.table for write in run.writes}
    for access in wrote:
        for table in sorted(set(access.tables or ()) - listed):
            yield f"{access.pathspec} wrote `{table}`, says its artifact; {this} does not say so."
    last_write = max((access.timestamp or 0.0 for access in wrote), default=0.0)
    for access in accesses:
        if access.kind == "read" and _is_before(access, run, last_write):
            for fact in sorted(facts_of(access) - reads, key=str):
                yield f"{_said(records, fact)}, says its artifact; {this} does not say so."


def _is_before(access: Access, run: RunCommit, moment: float) -> bool:
    """Whether a read is of the very attempt that committed, and certainly before that."""
    same = access.pathspec == str(run.pathspec) and access.attempt == run.attempt
    return same and access.timestamp is not None and access.timestamp < moment


def _not_its_commit(workspace: Workspace, access: Access) -> Iterator[str]:
    name = workspace.database_of(access)
    commit = workspace.find_commit(name, access.commit) if name is not None and access.commit is not None else None
    if commit is None:
        return
    if commit.run is None:
        yield (
            f"{access.pathspec} says that it made the commit {commit.hash} of `{name}`, which is “{commit.subject}” "
            f"by {commit.author}."
        )
    elif str(commit.run.pathspec) != access.pathspec:
        yield (
            f"{access.pathspec} says that it made the commit {commit.hash} of `{name}`, which is of "
            f"{commit.run.pathspec}."
        )


def _said(records: RunRecords, fact: _Fact) -> str:
    _, database, table, commit = fact
    return f"{records.run.pathspec} read `{table}` of `{database}` at {commit}"
