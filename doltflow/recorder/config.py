"""Which database, and which branch or commit of it."""

import os
import uuid
from dataclasses import dataclass, field

from doltflow.errors import UsageError
from doltflow.model.artifact import DatabaseConfig
from doltflow.recorder.asked import text
from doltflow.sources.dolt import check_place


@dataclass(frozen=True)
class DoltConfig:
    """A database that a step reads or writes.

    Attributes:
        database: Path of the database's folder, or its address on a server, `mysql://user@host:port/name`. A name of
            which no folder is here is looked for in `DOLTFLOW_DATABASES`.
        branch: The branch that reads are pinned from and writes go to; without it the one that the folder has checked
            out, else the server's default. Nothing is ever checked out.
        commit: A commit, tag or branch that the reads are pinned to, in place of the branch's head.
        dolthub_remote, push_on_commit: Not supported yet; true is an error.
        id: Names the configuration in the run's record.

    Raises:
        UsageError: A field cannot be used; an address has a password in it.
    """

    database: str = "."
    branch: str | None = None
    commit: str | None = None
    dolthub_remote: bool = False
    push_on_commit: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        if not isinstance(self.database, str | os.PathLike):
            raise UsageError(
                f"The database is {self.database!r}, neither a path nor an address.",
                "Give the path of the database's folder, or its address.",
            )
        object.__setattr__(self, "database", os.fspath(self.database))
        for name in ("branch", "commit"):
            if getattr(self, name) is not None:
                text(getattr(self, name), name)
        if self.dolthub_remote or self.push_on_commit:
            raise UsageError(
                "`dolthub_remote` and `push_on_commit` are not supported yet.",
                "Clone before the flow (`dolt clone`) and push after it (`dolt push`).",
            )
        check_place(self.database)

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
