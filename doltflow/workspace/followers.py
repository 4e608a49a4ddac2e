"""What followed on a version of a table in its own history: updates and appends by runs, changes by hand, merges."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from doltflow.errors import DoltError
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.workspace.workspace import Workspace


@dataclass(slots=True)
class Following:
    """What followed on one version.

    Attributes:
        runs: Runs that may have kept what was in the table; the record of the run tells whether it did.
        by_hand: The versions that commits by hand and merges made of it, each with all that it was made of.
    """

    runs: dict[Pathspec, None] = field(default_factory=dict)
    by_hand: dict[TableVersion, list[TableVersion]] = field(default_factory=dict)


class Followers:
    """What followed on each version, table by table; the mirror of what `gather` follows upwards."""

    def __init__(self, workspace: Workspace, *, every_hand: bool = False) -> None:
        """Asks nothing yet.

        Args:
            workspace: Where to look.
            every_hand: Whether what a commit by hand changed counts as made from the version right before it, whoever
                made that; else from the newest version that a run made.
        """
        self._workspace = workspace
        self._every_hand = every_hand
        self._known: dict[tuple[str, str], dict[TableVersion, Following]] = {}

    def of(self, version: TableVersion) -> Following:
        """What followed on a version."""
        key = (version.database, version.table)
        if key not in self._known:
            try:
                self._known[key] = self._find(*key)
            except DoltError as error:
                self._workspace.warn(f"What followed on `{key[1]}` of `{key[0]}` cannot be told: {error.message}")
                self._known[key] = {}
        return self._known[key].get(version) or Following()

    def _find(self, database: str, table: str) -> dict[TableVersion, Following]:
        found: dict[TableVersion, Following] = {}
        commits = self._workspace.commits(database)
        touching = {hash_ for hash_ in self._workspace.session(database).touching(table) if hash_ in commits}
        if self._every_hand:
            newest: Mapping[str, TableVersion | None] = {}
        else:
            newest = _NewestByRun(self._workspace, database, table, touching).all()
        for hash_ in touching:
            commit = commits[hash_]
            if commit.run is not None:
                source = self._kept(commit, table)
                if source is not None:
                    found.setdefault(source, Following()).runs[commit.run.pathspec.zoomed("run")] = None
                continue
            if len(commit.parents) > 1 or self._every_hand:
                sources = [self._workspace.version(database, table, parent) for parent in commit.parents]
            else:
                sources = [newest.get(hash_)]
            made_of = [source for source in sources if source is not None]
            if not made_of:
                continue
            version = self._workspace.version(database, table, hash_)
            if version is not None and version.commit == hash_:  # Else the table was dropped, or taken from one side.
                for source in made_of:
                    found.setdefault(source, Following()).by_hand[version] = made_of
        return found

    def _kept(self, commit: Commit, table: str) -> TableVersion | None:
        """The version that a run's commit found in a table, unless it is known to have replaced it."""
        run = commit.run
        if run is None:
            return None
        modes = {write.mode for write in run.writes if write.table.casefold() == table.casefold()}
        if run.version is not None and not run.broken and modes == {"replace"}:
            return None
        before = commit
        while before.parents:
            version = self._workspace.version(commit.database, table, before.parents[0])
            maker = self._workspace.find_commit(commit.database, version.commit) if version is not None else None
            if maker is None or maker.run is None or maker.run.pathspec != run.pathspec:
                return version
            before = maker
        return None


class _NewestByRun:
    """For each commit by hand the newest version before it that a run made, as `Workspace.newest_by_run` tells it."""

    def __init__(self, workspace: Workspace, database: str, table: str, touching: set[str]) -> None:
        self._workspace = workspace
        self._database = database
        self._table = table
        self._touching = touching
        self._commits = workspace.commits(database)

    def all(self) -> dict[str, TableVersion | None]:
        if not any(self._commits[hash_].run for hash_ in self._touching):
            return {}
        found: dict[str, TableVersion | None] = {}
        for hash_, last in self._last_changes():
            commit = self._commits[hash_]
            before = self._commits.get(last) if last is not None else None
            if len(commit.parents) > 1 or commit.run is not None:
                continue
            if last is None or before is None or len(before.parents) > 1:
                found[hash_] = self._ask(commit) if commit.parents else None
            elif before.run is not None:
                found[hash_] = self._workspace.version(self._database, self._table, last)
            else:
                found[hash_] = found[last] if found[last] is not None and self._is_there(last) else None
        return found

    def _is_there(self, commit: str) -> bool:
        """Whether a commit that changed the table did not drop it."""
        return self._workspace.version(self._database, self._table, commit) is not None

    def _ask(self, commit: Commit) -> TableVersion | None:
        return self._workspace.newest_by_run(TableVersion(self._database, self._table, commit.hash), commit)

    def _last_changes(self) -> Iterator[tuple[str, str | None]]:
        """The commits that changed the table, each after its parents, with the one before it that did.

        None where there is none, or a merge on the way hides which one Dolt lists first.
        """
        last: dict[str, str | None] = {}
        for hash_, commit in reversed(self._commits.items()):
            before = last.get(commit.parents[0]) if len(commit.parents) == 1 else None
            if hash_ in self._touching:
                yield hash_, before
                last[hash_] = hash_
            else:
                last[hash_] = before
