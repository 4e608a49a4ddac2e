"""Which database, and which branch or commit of it."""

import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from doltflow.errors import UsageError
from doltflow.model.artifact import DatabaseConfig
from doltflow.recorder.asked import text
from doltflow.sources.dolt import check_place, folder_of, is_address, is_database
from doltflow.sources.dolt.remote_url import check_no_password, is_of_dolthub, is_remote, is_url, name_at


@dataclass(frozen=True)
class DoltConfig:
    """A database that a step reads or writes.

    Attributes:
        database: Path of the database's folder, or its address on a server, `mysql://user@host:port/name`. A name of
            which no folder is here is looked for in `DOLTFLOW_DATABASES`. With `dolthub_remote` also what it is cloned
            from, into a folder of its name in the current one: DoltHub's `owner/name`, or a URL.
        branch: The branch that reads are pinned from and writes go to; without it the one that the folder has checked
            out, else the server's default. Nothing is ever checked out.
        commit: A commit, tag or branch that the reads are pinned to, in place of the branch's head. With
            `dolthub_remote` a branch is the remote's, where that has one of this name.
        dolthub_remote: The database has a remote, on DoltHub or elsewhere: a folder that is not there is cloned, and
            the branch is brought up to date with the remote's before it is read. Uncommitted changes stay.
        push_on_commit: The branch is pushed to the remote after each commit.
        id: Names the configuration in the run's record.
        remote: Where `database` is cloned from, where that is a path; or the name of a remote. Without it a database
            that is here is used with its remote `origin`, else its only one.

    Raises:
        UsageError: A field cannot be used; an address has a password in it.
    """

    database: str = "."
    branch: str | None = None
    commit: str | None = None
    dolthub_remote: bool = False
    push_on_commit: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    remote: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.database, str | os.PathLike):
            raise UsageError(
                f"The database is {self.database!r}, neither a path nor an address.",
                "Give the path of the database's folder, or its address.",
            )
        object.__setattr__(self, "database", os.fspath(self.database))
        for name in ("branch", "commit", "remote"):
            if getattr(self, name) is not None:
                text(getattr(self, name), name)
        check_place(self.database)
        for address in filter(None, (self.database, self.remote)):
            check_no_password(address)
        if is_url(self.database):
            name_at(self.database)
            if not self.dolthub_remote:
                raise UsageError(f"The database is {self.database}, a remote.", "`dolthub_remote=True` clones it.")
        if self.remote is not None and not (self.dolthub_remote or self.push_on_commit):
            raise UsageError(
                f"The remote is `{self.remote}`, and nothing is to be done with it.",
                "Give `dolthub_remote=True` to clone from it and to pull, `push_on_commit=True` to push.",
            )

    @property
    def place(self) -> str:
        """The database's address, or the path of its folder, which need not be there yet."""
        return self.database if is_address(self.database) else str(self.folder)

    @property
    def folder(self) -> Path:
        """The database's folder; it need not be there yet."""
        path = folder_of(self.database)
        return path if self._is_path or is_database(path) else Path(name_at(self.database))

    @property
    def address(self) -> str | None:
        """What the database is cloned from, where that is given."""
        if self.remote is not None:
            return self.remote if is_remote(self.remote) else None
        return None if self._is_path or self.folder == Path(self.database) else self.database

    @property
    def asked_remote(self) -> str | None:
        """The remote that is meant, by its name or address; None for `origin`, else the only one."""
        return self.remote or self.address

    @property
    def _is_path(self) -> bool:
        """Whether the database is given by its folder, whatever there is."""
        if is_url(self.database):
            return False
        return not self.dolthub_remote or self.remote is not None or not is_of_dolthub(self.database)

    def dict(self) -> dict[str, object]:
        """The fields, as the run's artifact keeps them."""
        return {
            "id": self.id,
            "database": self.database,
            "branch": self.branch,
            "commit": self.commit,
            "dolthub_remote": self.dolthub_remote,
            "push_on_commit": self.push_on_commit,
        }

    def pinned(self, branch: str | None, commit: str | None) -> DatabaseConfig:
        """The configuration as the record keeps it, with the branch and the commit that were used."""
        return DatabaseConfig(self.id, self.database, branch, commit, self.dolthub_remote, self.push_on_commit)
