"""What is wrong because a commit was: which versions of its tables still have what it did, and which branches."""

from collections.abc import Iterable, Iterator

from doltflow.errors import DoltError
from doltflow.model.commit import Commit
from doltflow.model.table import TableVersion
from doltflow.workspace.workspace import Workspace


class Spoiled:
    """Tells whether a version that was made on top of a spoiled one is spoiled too.

    It is not where the table is again what it was before the commit, or where commits by hand have undone all that the
    commit did to it, as `dolt revert` does.

    Attributes:
        clean: The versions of which it was said that they are not.
    """

    def __init__(self, workspace: Workspace, commit: Commit) -> None:
        self.clean: set[TableVersion] = set()
        self._workspace = workspace
        self._commit = commit
        self._before: set[str] | None = None
        self._contents: dict[tuple[str, str], set[str | None]] = {}

    def has(self, version: TableVersion) -> bool:
        """Whether a version that was made on top of a spoiled one is spoiled."""
        content = self._content(version.database, version.table, version.commit)
        if content not in self._contents_before(version.database, version.table) and not self._is_undone(version):
            return True
        self.clean.add(version)
        return False

    def _is_undone(self, version: TableVersion) -> bool:
        """Whether a commit by hand has left nothing of what the wrong one did to the table."""
        maker = self._workspace.find_commit(version.database, version.commit)
        if version.database != self._commit.database or maker is None or maker.run is not None:
            return False  # What a run made, it may have made of what was wrong.
        session = self._workspace.session(version.database)
        before, wrong = next(iter(self._commit.parents), None), self._commit.hash
        return before is not None and session.remains(version.table, before, wrong, version.commit) is False

    def again(self, version: TableVersion) -> Iterator[TableVersion]:
        """The versions that have what the commit made of a table without being made from it.

        As where it was put back after a revert, or cherry-picked or rebased to another branch.
        """
        content = self._content(version.database, version.table, version.commit)
        for hash_ in self._workspace.session(version.database).touching(version.table):
            if hash_ in self._ancestors():
                continue
            if self._is_copy(version, hash_) or content == self._content(version.database, version.table, hash_):
                same = self._workspace.version(version.database, version.table, hash_)
                if same is not None and same != version:
                    yield same

    def _is_copy(self, version: TableVersion, hash_: str) -> bool:
        """Whether a commit is the wrong one, done once more on top of another: it has all but its hash of it."""
        wrong, other = self._commit, self._workspace.find_commit(version.database, hash_)
        before = next(iter(wrong.parents), None)
        if other is None or other.hash == wrong.hash or before is None:
            return False
        told = [(one.author, one.email, one.date, one.message) for one in (wrong, other)]
        session = self._workspace.session(version.database)
        return told[0] == told[1] and session.remains(version.table, before, wrong.hash, hash_) is not False

    def _content(self, database: str, table: str, at: str) -> str | None:
        return self._workspace.session(database).table_hash(table, at)

    def _contents_before(self, database: str, table: str) -> set[str | None]:
        """What a table was in the history before the commit; in another database, before the commit's date."""
        key = (database, table)
        if key not in self._contents:
            parents = self._commit.parents[:1] if database == self._commit.database else ()
            hashes = {*self._changes(database, table), *parents}
            wrong = {self._content(database, table, self._commit.hash)} if parents else set()
            self._contents[key] = {self._content(database, table, hash_) for hash_ in hashes} - wrong
        return self._contents[key]

    def _changes(self, database: str, table: str) -> Iterator[str]:
        """The commits before the one in question that changed a table."""
        commits = self._workspace.commits(database)
        for hash_ in self._workspace.session(database).touching(table):
            if database == self._commit.database:
                if hash_ in self._ancestors():
                    yield hash_
            elif hash_ in commits and commits[hash_].date < self._commit.date:
                yield hash_

    def _ancestors(self) -> set[str]:
        """The first parent and what it came from: what a merge brought in came with it."""
        if self._before is None:
            commits = self._workspace.commits(self._commit.database)
            self._before, waiting = set(), list(self._commit.parents[:1])
            while waiting:
                hash_ = waiting.pop()
                if hash_ not in self._before:
                    self._before.add(hash_)
                    waiting += commits[hash_].parents if hash_ in commits else ()
        return self._before


def heads_with(workspace: Workspace, versions: Iterable[TableVersion]) -> Iterator[tuple[str, TableVersion]]:
    """The branches, of all databases, whose head has one of some versions of tables, with that version."""
    wanted = set(versions)
    tables = sorted({(version.database, version.table) for version in wanted if version.database in workspace.names})
    for database, table in tables:
        for branch, head in sorted(workspace.session(database).branches().items()):
            try:
                version = workspace.version(database, table, head)
            except DoltError as error:
                workspace.warn(f"What the branch `{branch}` of `{database}` has cannot be told: {error.message}")
                continue
            if version in wanted:
                yield branch, version
