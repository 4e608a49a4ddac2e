"""Reads that are served as an earlier run saw them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from doltflow.errors import AccessNotFoundError, RefNotFoundError, UsageError
from doltflow.model.access import Access
from doltflow.model.pathspec import Pathspec
from doltflow.recorder.audit import Audit
from doltflow.recorder.place import Place
from doltflow.recorder.reading import Reader, Request, Source
from doltflow.sources.dolt import Database, Session
from doltflow.sources.metaflow.running import FindTask
from doltflow.sql import analyse


class Again:
    """Reads from what an earlier run accessed.

    Args:
        audit: What it accessed.
        place: Where this context reads and writes.
        reader: Notes the reads.
        find_task: Gives the running task, or None outside a flow.
    """

    def __init__(self, audit: Audit, place: Place, reader: Reader, find_task: FindTask) -> None:
        self._audit = audit
        self._place = place
        self._reader = reader
        self._find_task = find_task

    def read(self, name: str, request: Request) -> Any:
        """What the run read or wrote under a key or table; of a database that it saw, any table as it was then."""
        try:
            earlier = self._audit.find(name, self._task)
        except AccessNotFoundError:
            if self._place.config is None:
                raise
            return self._unseen(name, request)
        with self._opened(earlier) as (session, source):
            if earlier.table_name is not None and name in (earlier.key, earlier.table_name):
                if request.columns is None and request.where is None and earlier.kind == "read":
                    request = replace(request, columns=_selected(earlier), where=earlier.where)
                return self._reader.table(session, earlier.table_name, source, request)
            if earlier.key != name:
                return self._reader.table(session, name, source, request)
            if request.columns is not None or request.where is not None:
                raise UsageError(f"`{name}` is a query's result, of which no `columns` or `where` can be taken.")
            return self._reader.query(session, str(earlier.query), source, request)

    def _unseen(self, table: str, request: Request) -> Any:
        with self._place.session(self._place.database()) as session:
            earlier = self._audit.of_database(session.name, f"`{table}`")
            source = Source(earlier.branch, str(earlier.commit), self._place.pinned_config(session))
            return self._reader.table(session, table, source, request)

    def sql(self, query: str, request: Request) -> Any:
        """The result of a query on what the run saw: of its own key, else of the tables that the query reads."""
        config = self._place.config
        name = None if config is None else self._place.database().name
        earlier = self._audit.of_query(request.key, analyse(query).tables, name, self._task)
        with self._opened(earlier) as (session, source):
            return self._reader.query(session, query, source, request)

    def database(self, table: str | None = None) -> tuple[Database, str]:
        """The database that the run accessed a table of, or accessed last, and the commit of that access.

        Raises:
            AccessNotFoundError: It accessed nothing.
        """
        accesses = self._audit.accesses
        earlier = (self._audit.of_table(table) if table is not None else None) or (accesses[-1] if accesses else None)
        if earlier is None:
            raise AccessNotFoundError("The run that is read from has recorded no access.", "Give `config=`.")
        return self._place.database_of(earlier, self._audit.config_of(earlier)), str(earlier.commit)

    @property
    def _task(self) -> Pathspec | None:
        task = self._find_task()
        return task.pathspec if task is not None else None

    @contextmanager
    def _opened(self, earlier: Access) -> Iterator[tuple[Session, Source]]:
        """A session with the database of an access, and the commit that it saw."""
        config = self._audit.config_of(earlier)
        database = self._place.database_of(earlier, config)
        with self._place.session(database) as session:
            if config.dolthub_remote and not session.has_commit(str(earlier.commit)) and session.remotes():
                session.fetch(session.remote())
            try:
                session.tables(str(earlier.commit))
            except RefNotFoundError as error:
                raise RefNotFoundError(
                    f"{earlier.pathspec} saw `{earlier.database}` at {earlier.commit}, a commit that the database in "
                    f"{database.location} does not have.",
                    "Is it another database of that name, or a clone that is not up to date (`dolt fetch`)?",
                ) from error
            yield session, Source(earlier.branch, str(earlier.commit), config)


def _selected(access: Access) -> tuple[str, ...] | None:
    return next((names for table, names in access.columns if table == access.table_name), None)
