"""From a table version or a run upwards, everything that the lineage graph is built from."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from doltflow.errors import DoltError, RunNotFoundError
from doltflow.lineage import Facts, Resolved
from doltflow.model.access import Access
from doltflow.model.commit import Commit, RunCommit
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.model.table import TableVersion
from doltflow.workspace.disagreements import disagreements
from doltflow.workspace.records import RunRecords, read_run
from doltflow.workspace.workspace import Workspace

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True)
class Gathered:
    """The facts, and the runs among them by `Flow/run_id`."""

    facts: Facts
    runs: dict[str, Run]

    def runs_in(self, graph: "networkx.DiGraph[str]") -> dict[str, Run]:
        """The runs that a part of the graph shows, or shows steps or tasks of."""
        shown = {f"{of['flow']}/{of['run_id']}" for _, of in graph.nodes(data=True) if "flow" in of}
        return {name: run for name, run in self.runs.items() if name in shown}


def gather(
    workspace: Workspace, versions: Iterable[TableVersion] = (), runs: Iterable[Pathspec] = (), *, edges: bool = False
) -> Gathered:
    """Everything upstream of table versions and runs.

    Args:
        workspace: Where to look. What is wrong or missing on the way becomes a warning there.
        versions: Table versions to begin with.
        runs: Runs to begin with.
        edges: Whether to tell which task came after which.
    """
    walk = _Walk(workspace, edges)
    walk.versions.extend(versions)
    walk.waiting.extend(runs)
    walk.go()
    return walk.gathered()


def join(first: Gathered, second: Gathered) -> Gathered:
    """What was gathered in two directions."""
    a, b = first.facts, second.facts
    facts = Facts(
        [*a.resolved, *b.resolved],
        {**a.commits, **b.commits},
        {**a.merges, **b.merges},
        {**a.runs, **b.runs},
        list(dict.fromkeys([*a.steps, *b.steps])),
        [*a.versions, *b.versions],
    )
    return Gathered(facts, {**first.runs, **second.runs})


class Collection:
    """The facts that a walk collects, whichever way it goes."""

    def __init__(self, workspace: Workspace, edges: bool) -> None:
        self.workspace = workspace
        self.edges = edges
        self.runs: dict[str, Run] = {}
        self.resolved: list[Resolved] = []
        self.commits: dict[tuple[str, str], Commit] = {}
        self.merges: dict[TableVersion, list[TableVersion]] = {}

    def gathered(self, versions: Iterable[TableVersion] = ()) -> Gathered:
        """What was collected, and versions that belong to it even where no access tells of them."""
        steps = [pair for run in self.runs.values() for pair in run.edges]
        facts = Facts(self.resolved, self.commits, self.merges, self.runs, steps, list(versions))
        return Gathered(facts, self.runs)

    def commit(self, version: TableVersion) -> Commit | None:
        """The commit that made a version, where it is here."""
        key = (version.database, version.commit)
        if key not in self.commits and version.database in self.workspace.names:
            commit = self.workspace.find_commit(*key)
            if commit is not None:
                self.commits[key] = commit
        return self.commits.get(key)

    def _kept(self, item: Resolved) -> Resolved | None:
        """What an update or append left in the table: the version that it began with, as a read without rows."""
        access, commit = item.access, self.commit(item.version)
        if access.kind != "write" or access.mode not in ("update", "append"):
            return None
        if commit is None or commit.run is None or commit.hash != access.commit:
            return None
        before = self._before(item.version, commit)
        while before is not None and self._is_by_task(before, commit.run):
            # What it put there itself is nothing that it found, least of all what a failed attempt of it put there.
            before = self._before(before, self.commits[before.database, before.commit])
        if before is None:
            return None
        kept = replace(access, kind="read", commit=before.commit, query=None, rows=None, changed=None)
        return replace(item, access=kept, version=before)

    def _before(self, version: TableVersion, commit: Commit) -> TableVersion | None:
        """The version of a table that a commit found, where it was there."""
        return self.workspace.version(version.database, version.table, commit.parents[0]) if commit.parents else None

    def _is_by_task(self, version: TableVersion, run: RunCommit) -> bool:
        commit = self.commit(version)
        return commit is not None and commit.run is not None and commit.run.pathspec == run.pathspec

    def read(self, pathspec: Pathspec) -> list[Resolved] | None:
        """Collects a run and gives its accesses, what its writes kept among them; None where nobody knows it."""
        try:
            records = read_run(self.workspace, pathspec, edges=self.edges)
        except RunNotFoundError as error:
            self.workspace.warn(error.message)
            return None
        self.runs[pathspec.run] = records.run
        for found in disagreements(self.workspace, records):
            self.workspace.warn(found.message)
        items = resolved(self.workspace, records)
        items += [kept for kept in map(self._kept, items) if kept is not None]
        for item in items:
            self.commit(item.version)
        self.resolved += items
        return items


class _Walk(Collection):
    """The walk upwards: versions lead to the runs that made them, runs to the versions that they read."""

    def __init__(self, workspace: Workspace, edges: bool) -> None:
        super().__init__(workspace, edges)
        self.versions: deque[TableVersion] = deque()
        self.waiting: deque[Pathspec] = deque()
        self.seen: set[TableVersion] = set()

    def go(self) -> None:
        while self.versions or self.waiting:
            if self.waiting:
                self._run(self.waiting.popleft())
            else:
                self._version(self.versions.popleft())

    def _version(self, version: TableVersion) -> None:
        if version in self.seen:
            return
        self.seen.add(version)
        commit = self.commit(version)
        if commit is None:
            return
        if commit.run is not None:
            self.waiting.append(commit.run.pathspec)
        elif len(commit.parents) > 1:
            self._merge(version, commit)
        else:
            self._made_before(version, commit)

    def _merge(self, version: TableVersion, commit: Commit) -> None:
        found = [self.workspace.version(version.database, version.table, parent) for parent in commit.parents]
        sources = [source for source in found if source is not None]
        self.merges[version] = sources
        self.versions.extend(sources)

    def _made_before(self, version: TableVersion, commit: Commit) -> None:
        """A commit by hand on a table that runs made changed what they had made: the newest of them leads on."""
        source = self.workspace.newest_by_run(version, commit)
        if source is not None:
            self.merges[version] = [source]
            self.versions.append(source)

    def _run(self, pathspec: Pathspec) -> None:
        if pathspec.run not in self.runs:
            self.versions.extend(item.version for item in self.read(pathspec) or () if item.access.kind == "read")


def resolved(workspace: Workspace, records: RunRecords) -> list[Resolved]:
    """The accesses of a run, each with the table versions that it concerns."""
    accesses = records.run.accesses
    for access in accesses:
        if access.tables is None:
            workspace.warn(f"{access.pathspec}: it cannot be told which tables this query reads: {access.query}")
    own = [Resolved(access, version) for access in accesses for version in versions_of(workspace, access)]
    return own + [
        Resolved(access, version, task)
        for access, task in records.inherited
        for version in versions_of(workspace, access)
    ]


def versions_of(workspace: Workspace, access: Access) -> list[TableVersion]:
    """The table versions that an access concerns; what cannot be looked up stays at the commit as recorded."""
    if access.commit is None:
        return []
    name = workspace.database_of(access)
    if name is None:
        workspace.warn(f"The database `{access.database}`, which {access.pathspec} names, is not here.")
    elif workspace.find_commit(name, access.commit) is None:
        workspace.warn(f"{access.pathspec} names the commit {access.commit}, which `{name}` does not have.")
        name = None
    if name is None:
        return [TableVersion(access.database, table, access.commit) for table in access.tables or ()]
    versions = []
    for table in access.tables or ():
        try:
            version = workspace.version(name, table, access.commit)
        except DoltError as error:
            workspace.warn(f"{access.pathspec}: {error.message}")
            version = TableVersion(name, table, access.commit)
        if version is not None:
            versions.append(version)
        else:
            workspace.warn(
                f"{access.pathspec} names the table `{table}`, which `{name}` does not have at {access.commit}."
            )
    return versions
