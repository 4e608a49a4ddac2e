"""Reads at a commit, each noted in the context's journal."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from doltflow.errors import TableNotFoundError
from doltflow.model.artifact import DatabaseConfig
from doltflow.model.quoting import literal, quote
from doltflow.recorder.asked import text
from doltflow.recorder.frames import FrameKind, to_frame
from doltflow.recorder.journal import Journal
from doltflow.recorder.scope import derived_of, scope_of
from doltflow.sources.dolt import Session
from doltflow.sql import check_predicate


@dataclass(frozen=True, slots=True)
class Request:
    """What a read asks for, beside the table: how it is recorded and which frame it gives.

    Raises:
        UsageError, QueryError: It asks for what makes no sense; told before anything is read.
    """

    key: str
    frame: FrameKind
    columns: tuple[str, ...] | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        text(self.key, "key that a read is recorded under")
        if self.where is not None:
            check_predicate(text(self.where, "predicate"))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a read is served from."""

    branch: str | None
    commit: str
    config: DatabaseConfig


class Reader:
    """Reads tables and queries, and notes them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def table(self, session: Session, table: str, source: Source, request: Request) -> Any:
        """The rows of a table, as a frame."""
        name = session.find_table(table, source.commit)
        rows = session.read(name, source.commit, request.columns, request.where)
        selected = "*" if request.columns is None else ", ".join(map(quote, request.columns))
        taken = None if request.columns is None else tuple(sorted(request.columns))
        access = self._journal.access(
            session,
            source.config,
            key=request.key,
            branch=source.branch,
            commit=source.commit,
            tables=(name,),
            query=f"SELECT {selected} FROM {quote(name)}" + (f" WHERE {request.where}" if request.where else ""),
            table_name=name,
            columns=((name, taken),),
            whole=(name,) if taken is None else (),
            rows=rows.num_rows,
            where=request.where,
        )
        frame = to_frame(rows, request.frame)
        self._journal.add(access, frame)
        return frame

    def query(self, session: Session, query: str, source: Source, request: Request) -> Any:
        """The result of a query, as a frame. What it reads `AS OF` another commit is an access of its own."""
        scope = scope_of(session, query, source.commit)
        rows = session.query(query, source.commit)
        frame = to_frame(rows, request.frame)
        access = self._journal.access(
            session,
            source.config,
            key=request.key,
            branch=source.branch,
            commit=source.commit,
            tables=scope.tables,
            query=query,
            columns=scope.columns,
            rows=rows.num_rows,
            whole=scope.whole,
            derived=derived_of(scope.outputs, rows.column_names),
        )
        for commit, tables in scope.past:
            self._journal.add(replace(access, branch=None, commit=commit, tables=tables, columns=(), whole=()), frame)
        self._journal.add(access, frame)
        return frame

    def diff(self, session: Session, config: DatabaseConfig, ends: Sequence[str], table: str) -> Any:
        """The rows of a table that differ between two commits; a read at each end that has the table."""
        names: dict[str, str] = {}
        for end in reversed(ends):
            with suppress(TableNotFoundError):
                names[end] = session.find_table(table, end)
        found = next(iter(names.values()), None) or session.find_table(table, ends[1])
        rows = session.diff(found, *ends)
        frame = to_frame(rows, FrameKind())
        for end, name in names.items():
            access = self._journal.access(
                session,
                config,
                key=f"diff({found})",
                branch=None,
                commit=end,
                tables=(name,),
                query=f"SELECT * FROM dolt_diff('{ends[0]}', '{ends[1]}', {literal(found)})",
                columns=((name, None),),
                whole=(name,),
                rows=rows.num_rows,
            )
            self._journal.add(access, frame)
        return frame
