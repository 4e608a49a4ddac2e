"""The versions of tables that a run was made from, with what is in them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from doltflow.errors import DoltError
from doltflow.model.access import Access
from doltflow.model.commit import Commit
from doltflow.model.table import TableVersion
from doltflow.workspace import RunRecords, Workspace
from doltflow.workspace.gather import versions_of
from doltflow.workspace.inputs import is_own, versions_read

Key = tuple[str, str]
"""A database and a table, folded: old records may spell it otherwise."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A version of a table that a run was made from.

    Attributes:
        version: The version.
        content: The content hash; where the version is not here, what stands for it: the commit.
        missing: Why the version cannot be looked at; empty where it can.
        kept: That it was not read: an update or append left what was in it.
    """

    version: TableVersion
    content: str
    missing: str = ""
    kept: bool = False


class Inputs:
    """What a run was made from.

    Attributes:
        tables: The versions of each table, in the order read, those of one content once.
        unknown: What of it cannot be told, one sentence each.
    """

    def __init__(self, workspace: Workspace, records: RunRecords) -> None:
        self.tables: dict[Key, list[Seen]] = {}
        self.unknown: list[str] = []
        self._workspace = workspace
        self._records = records
        self._contents: dict[TableVersion, str] = {}
        self._collect_reads()
        for version in self._kept():
            self._add(version, kept=True)

    def _collect_reads(self) -> None:
        run = self._records.run
        for access in run.accesses:
            if access.kind == "read" and access.tables is None:
                self._say(f"It cannot be told which tables `{run.pathspec}` read by this query: {access.query}")
            elif access.kind == "read" and access.commit is None:
                self._say(f"`{run.pathspec}` has not recorded at which commit it read `{access.key}`.")
        if not self._records.is_stored and any(_is_silent(commit) for commit in self._records.commits):
            self._say(f"Only commits tell of `{run.pathspec}`, and not all of them say what it had read.")
        for access, version in versions_read(self._workspace, self._records):
            if not self._is_read_back(access, version):
                self._add(version)

    def _say(self, sentence: str) -> None:
        if sentence not in self.unknown:
            self.unknown.append(sentence)

    def _add(self, version: TableVersion, *, kept: bool = False) -> None:
        seen = self._look_at(version, kept)
        known = self.tables.setdefault((version.database, version.table.casefold()), [])
        if seen.content not in [other.content for other in known]:
            known.append(seen)

    def _look_at(self, version: TableVersion, kept: bool) -> Seen:
        content, missing = self._content(version), ""
        if version.database not in self._workspace.names:
            missing = f"the database `{version.database}` is not here"
        elif content == version.commit:
            missing = f"`{version.database}` does not have it at the commit {version.commit}"
        return Seen(version, content, missing, kept)

    def _is_read_back(self, read: Access, version: TableVersion) -> bool:
        """Whether a version that no commit of the run's made is yet what the run had left in the table before.

        So it is after a write that changed nothing, and in a replay: that one makes commits of its own to read, that
        have the run's own tables as it wrote them, and all others as recorded.
        """
        content = self._content(version)
        for write in self._records.run.accesses:
            is_of_table = write.kind == "write" and write.database == version.database and write.commit is not None
            if is_of_table and version.table.casefold() in {table.casefold() for table in write.tables or ()}:
                is_before = (write.timestamp or 0.0) < (read.timestamp or 0.0)
                if is_before and self._content(replace(version, commit=str(write.commit))) == content:
                    return True
        return False

    def _content(self, version: TableVersion) -> str:
        """The content hash of a version; where it is not here, the commit."""
        if version not in self._contents:
            found, database = None, version.database
            if database in self._workspace.names and self._workspace.find_commit(database, version.commit) is not None:
                found = self._workspace.session(database).table_hash(version.table, version.commit)
            self._contents[version] = found or version.commit
        return self._contents[version]

    # What was not read and yet is in what was written

    def _kept(self) -> Iterator[TableVersion]:
        """What the run's updates and appends left in tables: the versions that they began with."""
        modes: dict[tuple[str, str, str], set[str | None]] = {}
        for access in self._records.run.accesses:
            for table in access.tables or () if access.kind == "write" else ():
                modes.setdefault((access.database, table.casefold(), str(access.commit)), set()).add(access.mode)
        for access in self._records.run.accesses:
            if access.kind == "write" and access.mode in ("update", "append"):
                for version in versions_of(self._workspace, access):
                    found = self._found_by(version, modes)
                    if found is not None:
                        yield found

    def _found_by(
        self, version: TableVersion, modes: dict[tuple[str, str, str], set[str | None]]
    ) -> TableVersion | None:
        """The version that the run found when it first wrote a table; None where it kept nothing of it."""
        workspace, run = self._workspace, self._records.run.pathspec
        found: TableVersion | None = version
        if version.database not in workspace.names or workspace.find_commit(version.database, version.commit) is None:
            self._say(f"It cannot be told what `{run}` had found in `{version.table}`, which it did not replace.")
            return None
        while found is not None and is_own(workspace, self._records, found):
            if "replace" in modes.get((found.database, found.table.casefold(), found.commit), ()):
                return None
            found = self._before(found)
        return found

    def _before(self, version: TableVersion) -> TableVersion | None:
        commit = self._workspace.find_commit(version.database, version.commit)
        if commit is None or not commit.parents:
            return None
        try:
            return self._workspace.version(version.database, version.table, commit.parents[0])
        except DoltError as error:  # In a shallow clone.
            self._say(f"It cannot be told what was in `{version.table}` before: {error.message}")
            return None


def _is_silent(commit: Commit) -> bool:
    """Whether a run's commit does not say what the run had read."""
    return commit.run is not None and (commit.run.version is None or bool(commit.run.broken))
