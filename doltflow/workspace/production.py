"""Production: of a table, the newest successful run that wrote it and is no rerun, and the branch it wrote to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from doltflow.model.access import Access
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.workspace.records import RunRecords, read_run
from doltflow.workspace.workspace import Workspace

_MOST_RUNS = 20
_Began = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Production:
    """The run that a table's data is from.

    Attributes:
        database, table: The table.
        branch: The branch that the run wrote to; None where nobody can tell any more.
        commit: The last commit by which the run wrote the table.
        records: What both records say of the run.
    """

    database: str
    table: str
    branch: str | None
    commit: Commit
    records: RunRecords


@dataclass(frozen=True, slots=True)
class Lost:
    """A run that would be production of a table if a branch still reached the commit by which it wrote it."""

    database: str
    table: str
    commit: str
    run: str

    @property
    def message(self) -> str:
        """The same as a sentence."""
        return (
            f"{self.run} was the last to write `{self.table}` of `{self.database}`, but its commit {self.commit} is on "
            "no branch, so that the run does not count."
        )


class Productions:
    """The productions of the tables here. Runs are read only as far back as one is found that counts."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._found: dict[tuple[str, str], Production | None] = {}
        self._records: dict[str, RunRecords] = {}

    def tables(self) -> list[tuple[str, str]]:
        """The tables that runs wrote, by database and name."""
        return sorted((database, table) for (database, _), (table, _) in self._writers.items())

    def of(self, database: str, table: str) -> Production | None:
        """The production of a table; None where no run that wrote it counts."""
        key = (database, table.casefold())
        if key not in self._found:
            name, commits = self._writers.get(key, (table, []))
            counting = (self._production(database, name, commit) for commit in commits)
            self._found[key] = next((made for made in counting if made is not None), None)
        return self._found[key]

    @cached_property
    def lost(self) -> tuple[Lost, ...]:
        """For every table the newest run that no branch has a commit of, where it is newer than production.

        Looked at are of each flow the newest runs, back to one that branches have commits of.
        """
        found: dict[tuple[str, str], tuple[_Began, Lost]] = {}
        for records in self._without_branches():
            for access in records.run.accesses:
                for one in self._lost(records, access):
                    key, began = (one.database, one.table.casefold()), _began(records)
                    production = self.of(*key)
                    is_newest = key not in found or found[key][0] < began
                    if is_newest and (production is None or _began(production.records) < began):
                        found[key] = began, one
        return tuple(lost for _, lost in found.values())

    def _without_branches(self) -> Iterator[RunRecords]:
        """The newest successful run of each flow that is no rerun and wrote, unless branches have commits of one."""
        on_branches = self._workspace.made_by_runs()
        by_flow: dict[str, list[Pathspec]] = {}
        for run in self._workspace.ask_store(lambda store: store.started()) or {}:
            by_flow.setdefault(run.flow, []).append(run)
        for runs in by_flow.values():
            for run in runs[:_MOST_RUNS]:
                if run in on_branches:
                    break
                records = self._read(run)
                if records.run.status == "successful" and records.run.rerun_of is None:
                    yield records
                    if not records.run.accesses or any(access.kind == "write" for access in records.run.accesses):
                        break

    def _lost(self, records: RunRecords, access: Access) -> Iterator[Lost]:
        name = self._workspace.database_of(access) if access.kind == "write" else None
        if name is not None and access.commit is not None and access.commit not in self._workspace.commits(name):
            for table in access.tables or ():
                yield Lost(name, table, access.commit, records.run.pathspec)

    @cached_property
    def _writers(self) -> dict[tuple[str, str], tuple[str, list[Commit]]]:
        """For every table, in whatever case, its name and the last commit of each run that wrote it, newest first."""
        found: dict[tuple[str, str], dict[str, Commit]] = {}
        names: dict[tuple[str, str], str] = {}
        for name in self._workspace.names:
            made = [commit for commit in self._workspace.commits(name).values() if commit.run is not None]
            untold = {commit.hash for commit in made if not self._tells(commit)}
            touched = self._touched(name, untold)
            for commit in sorted(made, key=lambda commit: commit.date, reverse=True):
                run = commit.run
                if run is not None:
                    for table in {write.table for write in run.writes} | touched.get(commit.hash, set()):
                        key = (name, table.casefold())
                        names.setdefault(key, table)
                        found.setdefault(key, {}).setdefault(run.pathspec.run, commit)
        return {key: (names[key], list(commits.values())) for key, commits in found.items()}

    @staticmethod
    def _tells(commit: Commit) -> bool:
        return commit.run is not None and commit.run.version is not None and not commit.run.broken

    def _touched(self, name: str, untold: set[str]) -> dict[str, set[str]]:
        """The tables that commits changed whose messages do not tell which."""
        found: dict[str, set[str]] = {}
        if not untold:
            return found
        session = self._workspace.session(name)
        tables = {table for head in set(session.branches().values()) for table in self._workspace.tables(name, head)}
        for table in sorted(tables):
            for hash_ in session.touching(table):
                if hash_ in untold:
                    found.setdefault(hash_, set()).add(table)
        return found

    def _production(self, database: str, table: str, commit: Commit) -> Production | None:
        """What a run's commit makes production of a table, where that run counts."""
        run = commit.run
        if run is None or run.rerun_of is not None:
            return None
        records = self._read(run.pathspec)
        if records.run.rerun_of is not None:
            return None
        if records.is_stored:
            if records.run.status != "successful":
                return None
            branch: str | None = self._branch(commit, records)
        else:
            branch = self._default_branch_with(commit)
            if branch is None:
                return None
        return Production(database, table, branch, commit, records)

    def _read(self, pathspec: Pathspec) -> RunRecords:
        if pathspec.run not in self._records:
            self._records[pathspec.run] = read_run(self._workspace, pathspec)
        return self._records[pathspec.run]

    def _default_branch_with(self, commit: Commit) -> str | None:
        """The database's default branch, if it has the commit."""
        session = self._workspace.session(commit.database)
        branch = session.default_branch()
        return branch if session.reaches([session.branch_head(branch)], [commit.hash]) else None

    def _branch(self, commit: Commit, records: RunRecords) -> str | None:
        """The branch that a write went to, as its artifact says; else one that has its commit."""
        for access in records.run.accesses:
            if access.kind == "write" and access.branch is not None and access.commit == commit.hash:
                return access.branch
        default = self._default_branch_with(commit)
        if default is not None:
            return default
        session = self._workspace.session(commit.database)
        return next(
            (branch for branch, head in sorted(session.branches().items()) if session.reaches([head], [commit.hash])),
            None,
        )


def _began(records: RunRecords) -> _Began:
    return records.run.started or datetime.min.replace(tzinfo=UTC), records.run.pathspec
