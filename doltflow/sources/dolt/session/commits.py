"""What one can ask of commits, branches and remotes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from doltflow.errors import (
    RefNotFoundError,
    nearest,
)
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.sources.dolt import history, past, refs, standing
from doltflow.sources.dolt.folder import Folder
from doltflow.sources.dolt.past import Part
from doltflow.sources.dolt.session.core import Core

if TYPE_CHECKING:  # Arrow and the writing of frames take half a second to import, and most commands need neither.
    from doltflow.sources.dolt.remotes import Remote


class Commits(Core):
    """Commits, branches and remotes."""

    def default_branch(self) -> str:
        """The branch of the folder's head, else the server's default."""
        head = self.database.location.head_branch()
        if head is not None and head in self.branches():
            return head
        self._connection.use()
        return str(self._connection.value("select active_branch()"))

    def branches(self) -> dict[str, str]:
        """The head commit of every branch, by its name."""
        self._connection.use()
        return refs.branches(self._connection)

    def branch_head(self, branch: str) -> str:
        """The head commit of a branch.

        Raises:
            RefNotFoundError: There is no such branch.
        """
        known = self.branches()
        if branch not in known:
            raise RefNotFoundError(f"`{self.name}` has no branch `{branch}`.", nearest(branch, known))
        return known[branch]

    def resolve(self, ref: str) -> str:
        """The full hash of a branch, tag, commit or prefix of one, with `~n` where wanted.

        Raises:
            RefNotFoundError: There is none.
        """
        return refs.resolve(self._connection, ref, self.name)

    def has_commit(self, hash_: str) -> bool:
        """Whether the database has a commit with that full hash."""
        if not refs.HASH.fullmatch(hash_):
            return False
        self._connection.use()
        query = "select 1 from dolt_commits where commit_hash = %s"
        return bool(self._connection.rows(query, [hash_])) or refs.is_commit(self._connection, hash_)

    def commit(self, hash_: str) -> Commit:
        """The commit with a full hash.

        Raises:
            RefNotFoundError: There is none.
        """
        self._connection.use()
        return self._named(history.commit(self._connection, hash_))

    def log(self) -> list[Commit]:
        """The commits of all branches, newest first."""
        return [self._named(commit) for commit in history.log(self._connection)]

    def part_of_log(self, part: Part) -> list[Commit]:
        """The wanted commits of a log, newest first."""
        return [self._named(commit) for commit in past.log(self._connection, part)]

    def commits_of_task(self, pathspec: Pathspec, branch: str) -> list[Commit]:
        """The commits that a task made on a branch, newest first."""
        return [self._named(c) for c in history.commits_of_task(self._connection, pathspec, branch)]

    def _named(self, commit: Commit) -> Commit:
        return commit if commit.database == self.name else replace(commit, database=self.name)

    def commit_at(self, head: str, moment: datetime) -> str:
        """The hash of the commit that a branch was at at a moment; see `doltflow.sources.dolt.past.commit_at`."""
        return past.commit_at(self._connection, head, moment, self.name)

    def last_change(self, table: str, at: str) -> str:
        """The hash of the commit that made a table what it is at a commit."""
        return history.last_change(self._connection, table, at)

    def changes(self, table: str, at: str) -> list[str]:
        """The hashes of the commits that changed a table, at a commit and before, newest first."""
        return history.changes(self._connection, table, at)

    def changes_between(self, table: str, before: str, after: str) -> list[str]:
        """The hashes of the commits that lead from one version of a table to another; see `history`."""
        return history.changes_between(self._connection, table, before, after)

    def changed_tables(self, head: str, commits: Sequence[Commit]) -> dict[str, tuple[str, ...]]:
        """The tables that each of some ancestors of a commit changed; see `doltflow.sources.dolt.past`."""
        return past.changed_tables(self._connection, head, commits)

    def touching(self, table: str) -> list[str]:
        """The hashes of the commits of all branches that changed a table."""
        return history.touching(self._connection, table)

    def lacking(self, table: str, head: str, commits: Sequence[str]) -> set[str]:
        """Those of some commits that changed a table and left none; see `doltflow.sources.dolt.past.lacking`."""
        return past.lacking(self._connection, table, head, commits)

    def made_by_runs(self, heads: Sequence[str], known: Sequence[str]) -> list[tuple[str, str, float]]:
        """Commits by runs: hash, pathspec of the task and seconds since the epoch, newest first.

        Args:
            heads: The commits to begin with.
            known: Those that they reach are left out, these included.
        """
        return history.made_by_runs(self._connection, heads, known)

    def reaches(self, heads: Sequence[str], others: Sequence[str]) -> bool:
        """Whether each of the other commits is one of the heads or an ancestor of one."""
        return history.reaches(self._connection, heads, others)

    def reached(self) -> set[str]:
        """The hashes of the commits that a branch or a tag leads to; see `doltflow.sources.dolt.standing`."""
        return standing.reached(self._connection)

    def compose(self, base: str, other: str, tables: Sequence[str]) -> str:
        """A commit that has some tables of `other`, and all else of `base`. No branch leads to it."""
        return refs.compose(self._connection, base, other, tables)

    def create_branch(self, name: str, commit: str) -> None:
        """Makes a branch at a commit; see `doltflow.sources.dolt.refs.create_branch`."""
        refs.create_branch(self._connection, name, commit, self.name)

    def remove_branch(self, name: str) -> None:
        """Removes a branch with all that only it leads to."""
        refs.remove_branch(self._connection, name)

    def _check_there(self, remote: "Remote") -> None:
        from doltflow.sources.dolt.clone import check_there

        if isinstance(self.database.location, Folder):  # Else its files are on the server's machine.
            check_there(remote.url)

    def remotes(self) -> "list[Remote]":
        """The remotes of the database, `origin` first."""
        from doltflow.sources.dolt.remotes import remotes

        return remotes(self._connection)

    def remote(self, asked: str | None = None) -> "Remote":
        """The remote that is meant by a name or an address; without one `origin`, else the only one.

        Raises:
            RemoteError: There is none, or it cannot be told which.
        """
        from doltflow.sources.dolt.remotes import choose

        return choose(self.remotes(), asked, self.name)

    def fetch(self, remote: "Remote") -> None:
        """Fetches what a remote has; see `doltflow.sources.dolt.remotes.fetch`."""
        from doltflow.sources.dolt.remotes import fetch

        self._check_there(remote)
        fetch(self._connection, remote)

    def fetch_head(self, remote: "Remote", name: str) -> str | None:
        """Fetches what a remote has; the head of a branch there. See `doltflow.sources.dolt.remotes.fetch_head`."""
        from doltflow.sources.dolt.remotes import fetch_head

        self._check_there(remote)
        return fetch_head(self._connection, remote, name)

    def pull(self, remote: "Remote", branch: str, author: str | None) -> None:
        """Brings a branch up to date with a remote's; see `doltflow.sources.dolt.remotes.pull`."""
        from doltflow.sources.dolt.remotes import pull

        self._check_there(remote)
        pull(self._connection, remote, branch, author)

    def push(self, remote: "Remote", branch: str, author: str | None) -> None:
        """Pushes a branch; see `doltflow.sources.dolt.remotes.push`."""
        from doltflow.sources.dolt.remotes import push

        self._check_there(remote)
        push(self._connection, remote, branch, author)
