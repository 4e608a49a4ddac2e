"""Reads at a commit, each noted in the context's journal."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from doltflow.errors import TableNotFoundError, UsageError
from doltflow.model.access import Access
from doltflow.model.artifact import DatabaseConfig
from doltflow.model.quoting import literal, quote
from doltflow.recorder.asked import text
from doltflow.recorder.batches import BatchReads
from doltflow.recorder.frames import FrameKind, to_frame
from doltflow.recorder.journal import Journal
from doltflow.recorder.scope import derived_of, scope_of
from doltflow.sources.dolt import Session
from doltflow.sql import check_predicate

if TYPE_CHECKING:
    import pyarrow as pa

    from doltflow.sources.dolt.batches import Batches


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
    batches: bool = False

    def __post_init__(self) -> None:
        text(self.key, "key that a read is recorded under")
        if self.batches and self.frame.as_ != "arrow":
            raise UsageError("`batches` was asked for, and they are Arrow's.", "Give `as_='arrow'` with it.")
        if self.where is not None:
            check_predicate(text(self.where, "predicate"))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a read is served from."""

    branch: str | None
    commit: str
    config: DatabaseConfig


@dataclass(frozen=True, slots=True)
class _Result:
    """What a read gives to the user, and its accesses, once they are noted."""

    frame: Any
    rows: int | None
    names: Sequence[str]
    accesses: list[Access]


class Reader:
    """Reads tables and queries, and notes them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reads = BatchReads()

    def close(self) -> None:
        """Ends what is read in batches."""
        self._reads.close()

    def table(self, session: Session, table: str, source: Source, request: Request) -> Any:
        """The rows of a table, as a frame, or in batches."""
        name = session.find_table(table, source.commit)
        asked = name, source.commit, request.columns, request.where
        result = self._result(session, request, lambda own: own.read_batches(*asked), lambda: session.read(*asked))
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
            rows=result.rows,
            where=request.where,
        )
        self._add(result, access)
        return result.frame

    def query(self, session: Session, query: str, source: Source, request: Request) -> Any:
        """The result of a query, as a frame, or in batches.

        What it reads `AS OF` another commit is an access of its own.
        """
        scope = scope_of(session, query, source.commit)
        asked = query, source.commit
        result = self._result(session, request, lambda own: own.query_batches(*asked), lambda: session.query(*asked))
        access = self._journal.access(
            session,
            source.config,
            key=request.key,
            branch=source.branch,
            commit=source.commit,
            tables=scope.tables,
            query=query,
            columns=scope.columns,
            rows=result.rows,
            whole=scope.whole,
            derived=derived_of(scope.outputs, result.names),
        )
        past = (
            replace(access, branch=None, commit=commit, tables=tables, columns=(), whole=())
            for commit, tables in scope.past
        )
        self._add(result, *past, access)
        return result.frame

    def _result(
        self,
        session: Session,
        request: Request,
        in_batches: Callable[[Session], "Batches"],
        whole: Callable[[], "pa.Table"],
    ) -> "_Result":
        """What was asked for; in batches on a session of its own."""
        if not request.batches:
            table = whole()
            return _Result(to_frame(table, request.frame), table.num_rows, table.column_names, [])
        # The reading knows of them alone: it ends as soon as nobody has the reader any more.
        accesses = list[Access]()
        reader, rows = self._reads.begin(
            session.database, in_batches, lambda count: self._journal.count(accesses, count)
        )
        return _Result(reader, rows, reader.schema.names, accesses)

    def _add(self, result: "_Result", *accesses: Access) -> None:
        result.accesses.extend(accesses)
        for access in accesses:
            self._journal.add(access, result.frame)

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
