"""What an earlier run read and wrote, found by key or table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from doltflow.errors import AccessNotFoundError, RunNotFoundError, UsageError, nearest
from doltflow.model.access import Access
from doltflow.model.artifact import DatabaseConfig, Record
from doltflow.model.pathspec import Pathspec
from doltflow.recorder.merge import merged_record
from doltflow.sources.metaflow.running import ARTIFACT, all_namespaces


class Audit:
    """The accesses of an earlier run that tell at which commit they were.

    Attributes:
        accesses: In order of time.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self.accesses = tuple(access for access in record.accesses if access.commit is not None)

    @classmethod
    def of_artifact(cls, artifact: Mapping[str, Any]) -> "Audit":
        """The audit of an artifact `dolt`.

        Raises:
            RecordError: It is none of doltflow's nor of the original integration's.
        """
        return cls(merged_record([artifact]))

    @classmethod
    def of_run(cls, run: object) -> "Audit":
        """The audit of a run that is given as Metaflow's object or as a pathspec.

        Raises:
            UsageError: It is neither.
            RunNotFoundError: There is no such run, or it recorded nothing.
            RecordError: One of its artifacts is not such a record.
        """
        from doltflow.sources.metaflow.store import Store

        text = getattr(run, "pathspec", run)
        if not isinstance(text, str):
            raise UsageError(f"The run is a {type(run).__name__}.", "Give the flow, a `metaflow.Run` or a pathspec.")
        with all_namespaces():
            store = Store()
            pathspec = store.find(text)
            artifacts = [artifact for _, artifact in store.artifacts(pathspec)]
        if not artifacts:
            raise RunNotFoundError(
                f"The run `{pathspec}` has recorded no access to Dolt: none of its tasks has an artifact `{ARTIFACT}`.",
                "`doltflow runs` lists the runs that have.",
            )
        return cls(merged_record(artifacts))

    def find(self, name: str, task: Pathspec | None = None) -> Access:
        """The access that the run recorded under a key or, failing that, of a table; the last one where there are more.

        Args:
            name: A key or a table.
            task: The running task, whose code does the run's work again: what the run read goes before what it wrote,
                and what it did in the same step before the rest.

        Raises:
            AccessNotFoundError: It recorded none.
        """
        by_key = self._last(lambda access: access.key == name, task)
        if found := by_key or self.of_table(name, task):
            return found
        known = {a.key for a in self.accesses} | {table for a in self.accesses for table in a.tables or ()}
        raise AccessNotFoundError(
            f"The run that is read from has neither read nor written `{name}`.",
            nearest(name, known) or "It recorded no access at all.",
        )

    def of_table(self, table: str, task: Pathspec | None = None) -> Access | None:
        """The last access of a table, of it alone before one of a query that took more; None where there is none."""
        folded = table.casefold()
        alone = self._last(lambda access: (access.table_name or "").casefold() == folded, task)
        return alone or self._last(lambda access: folded in {name.casefold() for name in access.tables or ()}, task)

    def _last(self, wanted: Callable[[Access], bool], task: Pathspec | None) -> Access | None:
        found = [access for access in self.accesses if wanted(access)]
        if task is not None:
            found = [access for access in found if access.kind == "read"] or found
            found = [access for access in found if _same_step(access, task)] or found
        return found[-1] if found else None

    def of_query(
        self, key: str, tables: Sequence[str], database: str | None = None, task: Pathspec | None = None
    ) -> Access:
        """The access that tells which database, at which commit, a query is to see.

        Args:
            key: What the query is to be recorded under; where the run has an access of that key, it is that one.
            tables: The tables that the query reads.
            database: A database that was given beside the run; where the run saw none of the tables, but this database
                at one commit, it is that commit.
            task: As for `find`.

        Raises:
            AccessNotFoundError: There is none, or there are several.
        """
        if by_key := self._last(lambda access: access.key == key, task):
            return by_key
        found = [access for access in (self.of_table(table, task) for table in tables) if access is not None]
        if found:
            return _only(found, f"the tables of the query `{key}`")
        if database is not None:
            return self.of_database(database, f"the query `{key}`")
        keys = {access.key for access in self.accesses}
        raise AccessNotFoundError(
            f"The run that is read from has no key `{key}` and has not touched the tables that the query reads.",
            nearest(key, keys) or "It recorded no access at all.",
        )

    def of_database(self, database: str, what: str) -> Access:
        """An access of the one commit at which the run read a database.

        Raises:
            AccessNotFoundError: It did not read there, or at several commits.
        """
        reads = [access for access in self.accesses if access.kind == "read" and access.database == database]
        if reads:
            return _only(reads, f"`{database}`")
        raise AccessNotFoundError(
            f"The run that is read from has read nothing of `{database}`, so it does not tell at which commit to read "
            f"{what}.",
            nearest(database, {access.database for access in self.accesses}),
        )

    def config_of(self, access: Access) -> DatabaseConfig:
        """The configuration that an access used."""
        config = self._record.config(access.config_id)
        return config or DatabaseConfig(str(access.config_id), access.database, access.branch, access.commit)


def _same_step(access: Access, task: Pathspec) -> bool:
    pathspec = Pathspec.parse(access.pathspec)
    return pathspec is not None and (pathspec.flow, pathspec.step) == (task.flow, task.step)


def _only(found: Sequence[Access], what: str) -> Access:
    """The last access, where all are of one database and commit."""
    places = sorted({f"`{access.database}` at {access.commit}" for access in found})
    if len(places) > 1:
        raise AccessNotFoundError(
            f"The run that is read from has seen {what} at several commits: {', '.join(places)}.",
            "Ask by a key that the run recorded, or leave the run out and set `commit=` in the configuration.",
        )
    return found[-1]
