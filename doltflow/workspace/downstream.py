"""From a table version or a run downwards, everything that the lineage graph is built from."""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from doltflow.errors import DoltError
from doltflow.lineage import Resolved
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.workspace.followers import Followers
from doltflow.workspace.gather import Collection, Gathered
from doltflow.workspace.readers import Readers
from doltflow.workspace.workspace import Workspace

Counts = Callable[[TableVersion], bool]


def gather_downstream(
    workspace: Workspace,
    versions: Iterable[TableVersion] = (),
    runs: Iterable[Pathspec] = (),
    *,
    edges: bool = False,
    counts: Counts | None = None,
) -> Gathered:
    """Everything that was made from table versions and runs, over all databases.

    Args:
        workspace: Where to look. What is wrong or missing on the way becomes a warning there.
        versions: Table versions to begin with.
        runs: Runs to begin with.
        edges: Whether to tell which task came after which.
        counts: Where it is given, what a commit by hand changed counts as made from the version right before it, and
            what was made on top of a version in its own table only where this says so. Without it, what was changed by
            hand counts as made from what the newest run had made, as it does for `gather`.
    """
    walk = _Walk(workspace, edges, counts)
    walk.versions.extend(versions)
    for run in runs:
        walk.take(run)
    walk.go()
    return walk.gathered(walk.seen)


class _Walk(Collection):
    """The walk downwards: versions lead to the runs that read them, runs to the versions that they wrote."""

    def __init__(self, workspace: Workspace, edges: bool, counts: Counts | None) -> None:
        super().__init__(workspace, edges)
        self.versions: deque[TableVersion] = deque()
        self.seen: dict[TableVersion, None] = {}
        self._items: dict[str, list[Resolved]] = {}
        self._taken: set[str] = set()
        self._counts = counts
        self._readers = Readers(workspace)
        self._followers = Followers(workspace, every_hand=counts is not None)

    def go(self) -> None:
        while self.versions:
            version = self.versions.popleft()
            if version not in self.seen:
                self.seen[version] = None
                self._follow(version)

    def _follow(self, version: TableVersion) -> None:
        commit = self.commit(version)
        own = commit.run.pathspec.run if commit is not None and commit.run is not None else None
        following = self._followers.of(version)
        for run in dict.fromkeys([*self._readers.of(version), *following.runs]):
            # What a run read back is between its tasks.
            if (run.run != own or self.edges) and self._has_read(run, version):
                self.take(run)
        for later, sources in following.by_hand.items():
            if self._counts is None or self._counts(later):
                self.merges[later] = sources
                self.commit(later)
                self.versions.append(later)

    def _has_read(self, run: Pathspec, version: TableVersion) -> bool:
        return any(item.access.kind == "read" and item.version == version for item in self._of(run))

    def _of(self, run: Pathspec) -> list[Resolved]:
        if run.run not in self._items:
            self._items[run.run] = self.read(run) or []
        return self._items[run.run]

    def take(self, run: Pathspec) -> None:
        """Goes on to what a run made."""
        if run.run in self._taken:
            return
        self._taken.add(run.run)
        items = self._of(run)
        made = {item.version for item in items if item.access.kind == "write"} | self._taken_back(run)
        looked_at = {(item.version.database, item.version.table) for item in items if item.access.kind == "read"}
        for version in sorted(made):
            commit = self.commit(version)
            if commit is None or commit.run is None or commit.run.pathspec.run != run.run:
                continue
            on_top = (version.database, version.table) in looked_at
            if self._counts is None or not on_top or self._counts(version):
                self.versions.append(version)

    def _taken_back(self, run: Pathspec) -> set[TableVersion]:
        """What failed attempts of a run's tasks made: it is no write of the run, but its commits are there."""
        told = {item.access.commit for item in self._of(run) if item.access.kind == "write"}
        made = set()
        for commit in self.workspace.commits_of_run(run.run):
            for write in commit.run.writes if commit.run is not None and commit.hash not in told else ():
                with suppress(DoltError):  # In a shallow clone it cannot be told.
                    version = self.workspace.version(commit.database, write.table, commit.hash)
                    if version is not None and version.commit == commit.hash:
                        made.add(version)
        return made
