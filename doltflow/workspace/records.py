"""The two records of a run, read and joined: the artifacts of its tasks and the messages of its commits."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import get_args

from doltflow.errors import RecordError, RunNotFoundError, StoreNotFoundError
from doltflow.model.access import Access, Mode
from doltflow.model.artifact import Record, decode_artifact, merge_records
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import NotRead, Run
from doltflow.sources.metaflow.another import OtherRun, OtherTask
from doltflow.sources.metaflow.running import ARTIFACT
from doltflow.sources.metaflow.store import Store
from doltflow.sources.metaflow.stored import StoredRun, StoredTask
from doltflow.sql import tables_of
from doltflow.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RunRecords:
    """What both records say of a run.

    Attributes:
        run: The run; its accesses are the union of both records.
        artifacts: What the artifacts say, as they say it.
        commits: The commits that the run made, oldest first.
        inherited: Reads that a commit lists beside those of its own task, with the pathspec of its task, where no
            artifact tells which task made them.
        is_stored: Whether Metaflow's store knows the run.
    """

    run: Run
    artifacts: Record
    commits: tuple[Commit, ...]
    inherited: tuple[tuple[Access, str], ...]
    is_stored: bool = False


@dataclass(slots=True)
class _Told:
    """What the store tells of a run."""

    run: Run | None = None
    record: Record = field(default_factory=Record)
    accesses: list[Access] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)


def read_run(workspace: Workspace, pathspec: Pathspec, *, edges: bool = False) -> RunRecords:
    """Both records of a run; what cannot be read becomes a warning.

    Args:
        workspace: Where to look.
        pathspec: The run, or a step or task of it.
        edges: Whether to tell which task came after which.

    Raises:
        RunNotFoundError: Neither record knows it.
    """
    told = _from_store(workspace, pathspec.zoomed("run"), edges)
    for access in told.record.accesses:
        workspace.learn(access, told.record.config(access.config_id))
    commits = workspace.commits_of_run(pathspec.run)
    if told.run is None and not commits:
        raise RunNotFoundError(f"Neither Metaflow's store nor any commit knows a run `{pathspec.run}`.")
    accesses, inherited = _joined(workspace, told, _counting(commits, told.attempts))
    run = told.run or _run_of_commits(pathspec, commits)
    run = replace(run, accesses=accesses, tasks=told.record.tasks)
    return RunRecords(run, told.record, tuple(commits), inherited, told.run is not None)


def _run_of_commits(pathspec: Pathspec, commits: list[Commit]) -> Run:
    reruns = (commit.run.rerun_of for commit in commits if commit.run is not None)
    started = min(commit.date for commit in commits)
    return Run(pathspec.flow, pathspec.run_id, started=started, rerun_of=next((r for r in reruns if r), None))


# What the artifacts say


def _from_store(workspace: Workspace, run: Pathspec, edges: bool) -> _Told:
    def ask(store: Store) -> tuple[StoredRun, Run]:
        try:
            stored = store.read(run)
        except StoreNotFoundError as error:  # Of the data: what is known without it tells who ran it, and when.
            with suppress(StoreNotFoundError):
                known = StoredRun(()), store.run(run, StoredRun(()), edges=False)
                workspace.go_on_without(error)
                return known
            raise
        return stored, store.run(run, stored, edges=edges)

    other = workspace.others.get(run.run)
    answer: tuple[StoredRun | OtherRun, Run] | None
    try:
        answer = (other, other.run) if other is not None else workspace.ask_store(ask)
    except RunNotFoundError:
        return _Told()
    if answer is None:
        return _Told()
    told = _Told(answer[1])
    told.record, told.accesses = read_artifacts(workspace, run, answer[0])
    for trouble in answer[0].troubles:
        workspace.warn(trouble.message)
    for value in answer[1].parameters.values():
        if isinstance(value, NotRead):
            workspace.warn(value.why)
    told.attempts = {task.pathspec: task.attempt for task in told.record.tasks}
    return told


def read_artifacts(workspace: Workspace, run: Pathspec, stored: StoredRun | OtherRun) -> tuple[Record, list[Access]]:
    """What the artifacts of a run say, and the accesses among it that are the run's own, oldest first."""
    found = artifacts_of(run, stored.tasks)
    for task, error in found.broken:
        workspace.warn(f"{task}: {error.message}")
    return found.record, found.accesses


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The artifacts `dolt` of a run.

    Attributes:
        record: What they say, as they say it.
        accesses: The accesses among it that are the run's own, oldest first.
        broken: The tasks whose artifact cannot be read, and why not.
    """

    record: Record
    accesses: list[Access]
    broken: list[tuple[Pathspec, RecordError]]


def damages_of(run: Pathspec, stored: StoredRun) -> list[tuple[Pathspec, RecordError]]:
    """What else of a run's artifacts is damaged: its parameters, and what Metaflow keeps of its structure."""
    task = stored.constants.pathspec if stored.constants is not None else run
    damaged = [value for value in stored.parameters().values() if isinstance(value, NotRead) and value.is_damaged]
    return [(task, RecordError(value.why)) for value in damaged] + [(task, error) for error in stored.troubles]


def artifacts_of(run: Pathspec, tasks: Iterable[StoredTask | OtherTask]) -> Artifacts:
    """The artifacts of a run's tasks."""
    records: dict[str, Record] = {}
    own: dict[Access, None] = {}
    broken = []
    for task in tasks:
        if not task.has(ARTIFACT):
            continue
        key = task.key(ARTIFACT)  # Most tasks hand on the very artifact that they got.
        try:
            if key not in records:
                records[key] = decode_artifact(task.value(ARTIFACT), tables_of=tables_of)
        except RecordError as error:
            broken.append((task.pathspec, error))
            continue
        own |= dict.fromkeys(_of_run(records[key].accesses, task, run))
    accesses = sorted(own, key=lambda access: access.timestamp or 0.0)
    return Artifacts(merge_records(records.values()), accesses, broken)


def _of_run(accesses: Iterable[Access], task: StoredTask | OtherTask, run: Pathspec) -> Iterator[Access]:
    """The accesses of a task's artifact that are the run's own.

    A resumed run has copies of the tasks that it did not repeat, with the artifacts of the run that made them: what
    such a task read, the resumed run goes on from; what it wrote, the other run wrote.
    """
    for access in accesses:
        maker = Pathspec.parse(access.pathspec)
        if maker is None:
            yield replace(access, pathspec=str(task.pathspec))
        elif maker.run == run.run:
            yield access
        elif maker.flow == run.flow and maker.step == task.step and access.kind == "read":
            yield replace(access, pathspec=str(task.pathspec))


# What the commits say


def _counting(commits: Iterable[Commit], attempts: dict[str, int]) -> list[Commit]:
    """The commits without those of failed attempts, which a later attempt took back."""
    counting = dict(attempts)
    listed = [(commit, commit.run) for commit in commits if commit.run is not None]
    for _, run in listed:
        task = str(run.pathspec)
        if task not in attempts:
            counting[task] = max(run.attempt, counting.get(task, 0))
    return [commit for commit, run in listed if run.attempt == counting[str(run.pathspec)] or run.version is None]


def _told_by(workspace: Workspace, commit: Commit, known: set[str]) -> Iterator[Access]:
    """The accesses that a commit's message tells of, and the tables that it changed where the message does not."""
    run = commit.run
    if run is None:
        return
    task, when = str(run.pathspec), commit.date.timestamp()
    for read in run.reads:
        for table in read.tables:
            yield Access(
                "read", table, read.database, read.branch, read.commit, (table,), task,
                attempt=run.attempt, timestamp=when,
            )  # fmt: skip
    for write in run.writes:
        mode = next((known for known in get_args(Mode) if known == write.mode), None)
        yield Access(
            "write", write.table, commit.database, None, commit.hash, (write.table,), task,
            rows=write.rows, mode=mode, attempt=run.attempt, timestamp=when,
        )  # fmt: skip
    if (run.version is None or run.broken) and not run.writes and commit.hash not in known:
        for table in workspace.changed_tables(commit):
            yield Access("write", table, commit.database, None, commit.hash, (table,), task, timestamp=when)


def facts_of(access: Access) -> set[tuple[str, str, str, str | None]]:
    """What an access comes down to, whoever tells of it: kind, database, table and commit."""
    return {(access.kind, access.database, table, access.commit) for table in access.tables or ()}


def _joined(
    workspace: Workspace, told: _Told, commits: list[Commit]
) -> tuple[tuple[Access, ...], tuple[tuple[Access, str], ...]]:
    """The artifacts' accesses and those that only the commits tell of; and the reads that commits list once more."""
    accesses = [_placed(workspace, access) for access in told.accesses]
    told_before = {fact for access in accesses for fact in facts_of(access)}
    written = {access.commit for access in accesses if access.kind == "write" and access.commit is not None}
    first: dict[tuple[str, str, str, str | None], Access] = {}
    inherited: list[tuple[Access, str]] = []
    for commit in commits:
        for access in (_placed(workspace, access) for access in _told_by(workspace, commit, written)):
            for fact in facts_of(access) - told_before:
                if access.kind == "write":  # A commit may write a table twice, and both count.
                    accesses.append(access)
                elif fact not in first:
                    first[fact] = access
                elif first[fact].pathspec != access.pathspec:
                    inherited.append((first[fact], access.pathspec))
    accesses += first.values()
    return tuple(sorted(accesses, key=lambda access: access.timestamp or 0.0)), tuple(inherited)


def _placed(workspace: Workspace, access: Access) -> Access:
    """An access under the name that its database has here."""
    name = workspace.database_of(access)
    return access if name in (None, access.database) else replace(access, database=str(name))
