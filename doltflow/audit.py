"""`audit`: where the two records of the runs and the databases themselves disagree."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path

from doltflow.errors import (
    StoreNotFoundError,
)
from doltflow.model.access import Access
from doltflow.model.artifact import Record
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Status
from doltflow.model.table import TableVersion
from doltflow.sources.metaflow.store import Store
from doltflow.sources.metaflow.stored import StoredRun
from doltflow.workspace import Workspace, load_settings, open_workspace, table_or_run
from doltflow.workspace.disagreements import Disagreement, compare
from doltflow.workspace.heads import Heads
from doltflow.workspace.records import Artifacts, artifacts_of, damages_of

_CHUNK = 200


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What was compared, and where it disagrees.

    Attributes:
        findings: What is about a run, its newest first; then what became of the tables.
        runs: How many runs were looked at.
        commits: How many commits by runs were looked at.
        warnings: What was missing or could not be told, one sentence each.
    """

    findings: tuple[Disagreement, ...]
    runs: int
    commits: int
    warnings: tuple[str, ...]


def audit(
    target: str | None = None,
    *,
    database: str | None = None,
    repair_index: bool = False,
    folder: Path | None = None,
) -> AuditResult:
    """Compares the artifacts of runs with the commits that they made, and both with the databases.

    Args:
        target: A table, by name or as `database/table`: the runs that wrote it, and what became of it. Or a run:
            `Flow/run_id`, `Flow/latest` or a bare run id. All runs and all tables without it.
        database: Only what is about this database, by name or path.
        repair_index: Whether to make doltflow's cache of the histories anew first. No data is touched.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        TableNotFoundError, RunNotFoundError: There is neither a table nor a run of that name.
        DatabaseNotFoundError, AmbiguousDatabaseError: As they say.
        StoreNotFoundError: There is neither a Metaflow store nor a database to look at.
    """
    with open_workspace(load_settings(folder), database, folder) as workspace:
        workspace.prepare()
        if workspace.store is None and not workspace.names:
            raise StoreNotFoundError(
                f"There is neither a Metaflow store nor a Dolt database in {workspace.place}.",
                "Go to the folder where the flows ran.",
            )
        if repair_index:
            workspace.repair_index()
        asked = _named(workspace, target) if target is not None else None
        checked = _Checked(workspace, asked)
        findings = tuple(dict.fromkeys(checked.findings()))
        return AuditResult(findings, len(checked.records), checked.count, workspace.warnings)


def _named(workspace: Workspace, target: str) -> TableVersion | Pathspec:
    """What the target names; of a step or task its run."""
    named = table_or_run(workspace, target)
    return named.zoomed("run") if isinstance(named, Pathspec) else named


@dataclass(slots=True)
class _Records:
    """Both records of a run, as they were found."""

    run: Pathspec
    artifacts: Artifacts = field(default_factory=lambda: Artifacts(Record(), [], []))
    commits: list[Commit] = field(default_factory=list)

    def written(self) -> set[tuple[str, str]]:
        """The tables that one of the records says that it wrote."""
        told = {
            (commit.database, write.table)
            for commit in self.commits
            if commit.run is not None
            for write in commit.run.writes
        }
        by_artifact = (access for access in self.artifacts.accesses if access.kind == "write")
        return told | {(access.database, table) for access in by_artifact for table in access.tables or ()}

    def databases(self) -> set[str]:
        """The databases that one of the records names."""
        read = {read.database for commit in self.commits if commit.run is not None for read in commit.run.reads}
        return read | {commit.database for commit in self.commits} | {a.database for a in self.artifacts.accesses}


class _Checked:
    """The runs that were looked at, and what they disagree in."""

    def __init__(self, workspace: Workspace, asked: TableVersion | Pathspec | None) -> None:
        self._workspace = workspace
        self._asked = asked
        self._reached: dict[str, set[str]] = {}
        self._in_store: set[Pathspec] | None = None
        self._flows: set[str] = set()
        self.records = self._chosen(self._read())
        self.count = sum(len(records.commits) for records in self.records)

    # The records

    def _read(self) -> list[_Records]:
        """Both records of the runs; of all of them unless one is asked for."""
        workspace, asked = self._workspace, self._asked
        started = workspace.ask_store(partial(_started, asked=asked))
        self._in_store = None if started is None else set(started)
        self._flows = set(workspace.ask_store(Store.flows) or ())
        if isinstance(asked, Pathspec):
            runs = [asked]
        else:
            for name in workspace.names:
                workspace.commits(name)  # All at once, before they are asked for one by one.
            made = workspace.made_by_runs()
            first = {run: min(one.date for one in commits) for run, commits in made.items()}
            first |= {run: began.timestamp() for run, began in (started or {}).items()}
            runs = sorted(first, key=lambda run: (first[run], run), reverse=True)
        found = {run: _Records(run) for run in runs}
        for run, stored in self._stored([run for run in runs if started and run in started]):
            artifacts = artifacts_of(run, stored.tasks)
            found[run].artifacts = replace(artifacts, broken=[*artifacts.broken, *damages_of(run, stored)])
            for access in found[run].artifacts.record.accesses:
                workspace.learn(access, found[run].artifacts.record.config(access.config_id))
        if isinstance(asked, Pathspec):
            found[asked].commits = workspace.commits_of_run(asked.run)
        else:
            for run, listed in workspace.runs_of_commits().items():
                found.setdefault(run, _Records(run)).commits = sorted(listed, key=lambda commit: commit.date)
        return list(found.values())

    def _stored(self, runs: list[Pathspec]) -> Iterator[tuple[Pathspec, StoredRun]]:
        workspace, waiting = self._workspace, iter(runs)
        while (chunk := list(islice(waiting, _CHUNK))) and workspace.store is not None:
            try:
                yield from workspace.store.read_many(chunk).items()
            except StoreNotFoundError:  # Because of one of them.
                for run in chunk:
                    stored = workspace.ask_store(partial(Store.read, pathspec=run))
                    if stored is not None:
                        yield run, stored

    def _chosen(self, records: list[_Records]) -> list[_Records]:
        """Those that have something to say of what was asked for."""
        asked = self._asked
        telling = [one for one in records if one.commits or one.artifacts.accesses or one.artifacts.broken]
        if isinstance(asked, TableVersion):
            workspace = self._workspace
            touching = set(workspace.session(asked.database).touching(asked.table))
            key = (asked.database, asked.table.casefold())
            return [
                one
                for one in telling
                if key in {(database, table.casefold()) for database, table in one.written()}
                or any(commit.database == asked.database and commit.hash in touching for commit in one.commits)
            ]
        if asked is None and self._workspace.asked is not None:
            return [one for one in telling if self._workspace.asked in one.databases()]
        return telling

    # What they disagree in

    def findings(self) -> Iterator[Disagreement]:
        """All of it; only what is about the database, if one was asked for."""
        only = self._workspace.asked
        for found in (*self._of_runs(), *self._of_tables()):
            if only is None or found.database in (None, only):
                yield found

    def _of_runs(self) -> Iterator[Disagreement]:
        for records in self.records:
            run = str(records.run)
            for task, error in records.artifacts.broken:
                yield Disagreement("artifact-broken", f"{task}: {error.message}", run)
            yield from self._gone(records)
            yield from self._unfinished(records)
            yield from compare(self._workspace, run, records.artifacts.record, records.commits)
            yield from self._named_commits(records)

    def _gone(self, records: _Records) -> Iterator[Disagreement]:
        """The commits of a run that the store does not have, if it has any."""
        if self._in_store is None or records.run in self._in_store:
            return
        if not self._in_store and records.run.flow not in self._flows:
            self._workspace.warn("Metaflow's store has no runs: whether those of the commits are gone cannot be told.")
            return
        for commit in records.commits:
            task = commit.run.pathspec if commit.run is not None else records.run
            text = f"The commit {commit.hash} of `{commit.database}` is of {task}, which is gone from Metaflow's store."
            yield Disagreement("run-missing", text, str(records.run), commit.database, commit.hash)

    def _unfinished(self, records: _Records) -> Iterator[Disagreement]:
        """The commits of tasks that ended, as by a kill, before they stored an artifact; of no run that still runs."""
        if self._in_store is None or records.run not in self._in_store:
            return
        stored = {task.pathspec for task in records.artifacts.record.tasks}
        stored |= {str(task) for task, _ in records.artifacts.broken}
        lacking = [
            (commit, str(commit.run.pathspec))
            for commit in records.commits
            if commit.run is not None and commit.run.version is not None and str(commit.run.pathspec) not in stored
        ]
        if not lacking or self._workspace.ask_store(partial(_status, run=records.run)) == "running":
            return
        for commit, task in lacking:
            text = (
                f"The commit {commit.hash} of `{commit.database}` is of {task}, which stored no artifact: it was ended "
                "after it had committed."
            )
            yield Disagreement("artifact-missing", text, str(records.run), commit.database, commit.hash)

    def _named_commits(self, records: _Records) -> Iterator[Disagreement]:
        """The commits that the records name and that are gone, or that nothing leads to any more."""
        named: dict[tuple[str, str], dict[str, None]] = {}
        says: dict[tuple[str, str], str] = {}
        for access, source in self._namings(records):
            name = self._workspace.database_of(access)
            if name is None:
                self._workspace.warn(f"The database `{access.database}`, which {records.run} names, is not here.")
            elif access.commit is not None:
                key = (name, access.commit)
                verb = "wrote" if access.kind == "write" else "read"
                named.setdefault(key, {}).update(dict.fromkeys(access.tables or ()))
                says.setdefault(key, f"{source} says that {access.pathspec} {verb}")
        for (name, hash_), tables in named.items():
            listed = ", ".join(f"`{table}`" for table in tables) or "data"
            said = f"{says[name, hash_]} {listed} of `{name}` at {hash_}, which"
            table = next(iter(tables)) if len(tables) == 1 else None
            place = (str(records.run), name, hash_, table)
            is_there = self._workspace.find_commit(name, hash_) is not None
            if (is_there and hash_ in self._all_reached(name)) or self._is_rerun(records):
                continue  # The branches of reruns are there to be removed.
            if not is_there:
                yield Disagreement("commit-missing", f"{said} that database does not have.", *place)
            else:
                yield Disagreement("rewritten", f"{said} no branch or tag leads to any more.", *place)

    def _is_rerun(self, records: _Records) -> bool:
        if any(commit.run is not None and commit.run.rerun_of is not None for commit in records.commits):
            return True
        if self._in_store is None or records.run not in self._in_store:
            return False
        return self._workspace.ask_store(partial(Store.rerun_of, pathspec=records.run)) is not None

    def _all_reached(self, name: str) -> set[str]:
        if name not in self._reached:
            self._reached[name] = self._workspace.session(name).reached()
        return self._reached[name]

    def _namings(self, records: _Records) -> Iterator[tuple[Access, str]]:
        """What names a commit, and where."""
        yield from ((access, "The artifact") for access in records.artifacts.accesses)
        for commit in records.commits:
            for read in commit.run.reads if commit.run is not None else ():
                source = f"The commit {commit.hash} of `{commit.database}`"
                task = str(commit.run.pathspec) if commit.run is not None else ""
                yield Access("read", "", read.database, read.branch, read.commit, read.tables, task), source

    def _of_tables(self) -> Iterator[Disagreement]:
        """What became of the tables that the runs wrote."""
        asked, workspace = self._asked, self._workspace
        for name in workspace.names if workspace.asked is None else [workspace.asked]:
            if isinstance(asked, TableVersion) and name != asked.database:
                continue
            written = {table for one in self.records for database, table in one.written() if database == name}
            only = {asked.table} if isinstance(asked, TableVersion) else None
            if isinstance(asked, Pathspec):
                only = written or None
            for found in Heads(workspace, name, written, only).found():
                if not isinstance(asked, Pathspec) or found.run == str(asked):
                    yield found


def _status(store: Store, run: Pathspec) -> Status:
    return store.run(run, store.read(run), edges=False).status


def _started(store: Store, asked: TableVersion | Pathspec | None) -> dict[Pathspec, datetime]:
    """The runs of the store; of the flow alone that is asked for, where it has that."""
    flow = asked.flow if isinstance(asked, Pathspec) and asked.flow in store.flows() else None
    return store.started(flow)
