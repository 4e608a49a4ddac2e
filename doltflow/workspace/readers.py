"""Which runs read a version of a table, told by the artifacts of all runs and by the messages of all commits."""

from collections.abc import Iterator, Sequence
from functools import partial

from doltflow.errors import DoltError
from doltflow.model.access import Access
from doltflow.model.artifact import Record
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.sources.metaflow.store import Store
from doltflow.workspace.records import read_artifacts
from doltflow.workspace.runindex import RunIndex
from doltflow.workspace.runs import read_ahead
from doltflow.workspace.workspace import Workspace

_Place = tuple[str, str]
"""A database, as it was recorded, and a commit of it."""


class Readers:
    """The runs that read, by what they read. A commit that was read is looked up only where its table is asked for."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._placed: dict[_Place, str | None] = {}
        self._reads: dict[str, dict[_Place, dict[Pathspec, None]]] = {}
        self._runs: dict[_Place, dict[TableVersion, dict[Pathspec, None]]] = {}
        for run, access in (*self._told_by_artifacts(), *self._told_by_commits()):
            if access.kind == "read" and access.commit is not None:
                for table in access.tables or ():
                    place = (access.database, access.commit)
                    self._reads.setdefault(table.casefold(), {}).setdefault(place, {})[run] = None

    def of(self, version: TableVersion) -> list[Pathspec]:
        """The runs that one of the records says read a version of a table."""
        key = (version.database, version.table)
        if key not in self._runs:
            found = self._runs[key] = {}
            for place, runs in self._reads.get(version.table.casefold(), {}).items():
                seen = self._version(version, place)
                if seen is not None:
                    found.setdefault(seen, {}).update(runs)
        return list(self._runs[key].get(version, ()))

    def _version(self, version: TableVersion, place: _Place) -> TableVersion | None:
        """The version of its table that was seen at a place; None where that is in another database."""
        if self._database(place) != version.database:
            return None
        try:
            return self._workspace.version(version.database, version.table, place[1])
        except DoltError:  # Whoever reads the run says what is wrong.
            return TableVersion(version.database, version.table, place[1])

    def _database(self, place: _Place) -> str | None:
        if place not in self._placed:
            access = Access("read", "", place[0], None, place[1], (), "")
            self._placed[place] = self._workspace.database_of(access)
        return self._placed[place]

    def _told_by_artifacts(self) -> Iterator[tuple[Pathspec, Access]]:
        workspace = self._workspace
        for name in workspace.names:
            workspace.commits(name)  # They are needed anyway, and looked up one by one they would take longer.
        started = workspace.ask_store(lambda store: store.started()) or {}
        index = RunIndex.of_store(workspace.store) if workspace.store is not None else None
        known = dict(index.records()) if index is not None else {}
        fresh: list[tuple[str, Sequence[Access], Record]] = []
        new = read_ahead(workspace, [run for run in started if run.run not in known])
        for run in started:
            record, accesses = known.get(run.run), None
            if record is None:
                next(new)
                stored = workspace.ask_store(partial(Store.read, pathspec=run))
                if stored is None:
                    continue
                record, accesses = read_artifacts(workspace, run, stored)
                if stored.succeeded():
                    fresh.append((run.run, accesses, record))
            for access in record.accesses:
                workspace.learn(access, record.config(access.config_id))
            yield from ((run, access) for access in (record.accesses if accesses is None else accesses))
        if index is not None:
            if fresh:
                index.keep(fresh)
            index.close()

    def _told_by_commits(self) -> Iterator[tuple[Pathspec, Access]]:
        for name in self._workspace.names:
            for commit in self._workspace.commits(name).values():
                if commit.run is None:
                    continue
                run, task = commit.run.pathspec.zoomed("run"), str(commit.run.pathspec)
                for read in commit.run.reads:
                    yield run, Access("read", "", read.database, read.branch, read.commit, read.tables, task)
