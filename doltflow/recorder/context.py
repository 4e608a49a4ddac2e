"""`DoltDT`: the context in which a step reads and writes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

from doltflow.errors import NotMadeByRunError, UsageError
from doltflow.model.access import Access, Mode
from doltflow.recorder.again import Again
from doltflow.recorder.asked import column_names, text
from doltflow.recorder.audit import Audit
from doltflow.recorder.config import DoltConfig
from doltflow.recorder.frames import As, DTypes, FrameKind
from doltflow.recorder.journal import Journal
from doltflow.recorder.place import Place
from doltflow.recorder.reading import Reader, Request, Source
from doltflow.recorder.writing import Writer
from doltflow.sources.dolt import Database, Session
from doltflow.sources.metaflow.running import is_flow, running_task


class DoltDT:
    """Reads and writes of one step, recorded.

    In a step, `with DoltDT(run=self, config=DoltConfig(...)) as dolt:` pins every read to the commit at which the
    branch stands when the context begins, and makes one commit of all writes when it ends without an error. Outside a
    flow it reads and records nothing.

    Args:
        run: The flow (`self`), or a run (`metaflow.Run` or its pathspec) to read from again.
        audit: The artifact `dolt` of an earlier run, `Run(path).data.dolt`: reads give what that run read.
        config: The database to read and to write. With `audit`, reads come from the audit and writes go here.

    Raises:
        UsageError: None of the three says where to read from.
        RunNotFoundError: There is no such run.
        RecordError: The artifact is none of doltflow's nor of the original integration's.
        DatabaseNotFoundError, RefNotFoundError: On entering, where the configuration names what is not there.
        RemoteError, DivergedError: On entering, where its remote cannot be pulled from; on leaving, where the commit,
            which stays, cannot be pushed.
    """

    def __init__(
        self, run: Any = None, audit: Mapping[str, Any] | None = None, config: DoltConfig | None = None
    ) -> None:
        if config is not None and not isinstance(config, DoltConfig):
            raise UsageError(f"The config is a {type(config).__name__}.", "Give a `DoltConfig(database=...)`.")
        flow = run if is_flow(run) else None
        find_task = partial(running_task, flow)
        earlier: Audit | None = None
        if audit is not None:
            earlier = Audit.of_artifact(audit)
        elif run is not None and flow is None:
            earlier = Audit.of_run(run)
        if earlier is None and config is None:
            raise UsageError(
                "DoltDT was given neither a `config`, an `audit` nor a run to read from.",
                "Give `config=DoltConfig(database=...)`.",
            )
        self._journal = Journal(find_task)
        self._place = Place(config, find_task)
        self._reader = Reader(self._journal)
        self._writer = Writer(self._place, self._journal)
        self._again: Again | None = None
        if earlier is not None:
            self._again = Again(earlier, self._place, self._reader, find_task)

    def __enter__(self) -> Self:
        """Opens the database and pins it."""
        if self._place.is_open:
            raise UsageError("This DoltDT is already open.", "Make one DoltDT for each `with`.")
        self._place.open()
        try:
            self._journal.begin()
            if self._place.config is not None:
                self._place.ask(self._place.database(), self._place.pin)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commits the writes, if the body raised nothing, and pushes and records them."""
        written: list[Access] = []
        try:
            self._reader.close()
            if kind is None:
                written = self._writer.commit()
                self._writer.push()
        finally:
            try:
                self._journal.save([*self._journal.reads, *written])
            finally:
                self._close()

    def _close(self) -> None:
        self._reader.close()
        self._journal.end()
        self._writer.clear()
        self._place.close()

    # Reading

    def read(
        self,
        table: str,
        as_key: str | None = None,
        *,
        columns: Sequence[str] | str | None = None,
        where: str | None = None,
        as_: As = "pandas",
        dtypes: DTypes = "arrow",
        batches: bool = False,
    ) -> Any:
        """A table at the pinned commit; from an audit, what the earlier run read or wrote under that key or table.

        Args:
            table: The table's name; from an audit, a key or a table.
            as_key: The name to record the read under, in place of the table's.
            columns: The columns to take, in order; all without it.
            where: A predicate in SQL that the rows must fulfil.
            as_: `pandas`, `arrow` (a `pyarrow.Table`) or `polars`.
            dtypes: For pandas: `arrow` for Arrow-backed columns, exact and aware of NULL, or `numpy`.
            batches: With `as_="arrow"`, inside of the `with`: a `pyarrow.RecordBatchReader` that reads on as it is
                asked, and of which only few rows are held at a time. It ends with the `with`.

        Returns:
            A DataFrame, or what `as_` says; the rows in Dolt's order, the key's where no other index serves.

        Raises:
            TableNotFoundError, ColumnNotFoundError: It is not there at that commit.
            AccessNotFoundError: The earlier run has no such key or table.
            QueryError: `where` is not a predicate.
            UsageError: What is asked for makes no sense, as `batches` of a DataFrame or outside of a `with`.
        """
        text(table, "table's name")
        taken = None if columns is None else column_names(columns)
        key = table if as_key is None else as_key
        request = self._request(Request(key, FrameKind(as_, dtypes), taken, where, batches))
        with self._recording():
            if self._again is not None:
                return self._again.read(table, request)
            return self._place.ask(
                self._place.database(),
                lambda session: self._reader.table(session, table, self._pinned(session, request.key), request),
            )

    def sql(
        self, query: str, as_key: str, *, as_: As = "pandas", dtypes: DTypes = "arrow", batches: bool = False
    ) -> Any:
        """The result of a query at the pinned commit; its text reaches Dolt as it is.

        Args:
            query: One SELECT, with joins, unions and CTEs as one likes. A table may be read `AS OF` a commit's full
                hash; a name that moves, such as a branch, is refused.
            as_key: The name to record the read under.
            as_: As for `read`.
            dtypes: As for `read`.
            batches: As for `read`; a TIME is a span then, whatever the values.

        Returns:
            A DataFrame, or what `as_` says.

        Raises:
            QueryError: It is not a read, or it would see more than the pinned commit.
            AccessNotFoundError: The earlier run that is read from does not tell which commit to see.
        """
        text(query, "query")
        request = self._request(Request(as_key, FrameKind(as_, dtypes), batches=batches))
        with self._recording():
            if self._again is not None:
                return self._again.sql(query, request)
            return self._place.ask(
                self._place.database(),
                lambda session: self._reader.query(session, query, self._pinned(session, as_key), request),
            )

    def diff(self, from_commit: str, to_commit: str, table: str | Sequence[str]) -> dict[str, Any]:
        """The rows of tables that differ between two commits.

        Args:
            from_commit: A commit, tag or branch.
            to_commit: Another one.
            table: A table's name, or several.

        Returns:
            For each table a DataFrame as Dolt's `dolt_diff` gives it: `to_` and `from_` of every column, `diff_type`.

        Raises:
            RefNotFoundError, TableNotFoundError: There is no such commit or table.
        """
        names = [table] if isinstance(table, str) or not isinstance(table, Iterable) else list(table)
        for name in (from_commit, to_commit, *names):
            text(name, "name of a commit or table")
        database, _ = self._database(names[0] if names else None)
        with self._recording():
            return {
                name: self._place.ask(database, partial(self._differing, from_commit, to_commit, name))
                for name in names
            }

    def _differing(self, from_commit: str, to_commit: str, table: str, session: Session) -> Any:
        # In a replay a name that moves stands for what it stood for.
        ends = self._place.recorded_ends(session, table)
        ends = ends or (self._place.resolved(session, from_commit), self._place.resolved(session, to_commit))
        return self._reader.diff(session, self._place.pinned_config(session), ends, table)

    def get_run(
        self, table: str, ref: str | None = None, *, branch: str | None = None, commit: str | None = None
    ) -> str:
        """The task that last changed a table.

        Args:
            table: The table's name.
            ref: A commit, tag or branch; without it where the configuration's branch stands, or, without a
                configuration, what the earlier run saw.
            branch: The same, of a branch.
            commit: The same, of a commit.

        Returns:
            The pathspec, `Flow/run_id/step/task_id`.

        Raises:
            TableNotFoundError, RefNotFoundError: It is not there.
            NotMadeByRunError: The commit that last changed it was made by hand.
        """
        given = [text(name, "ref") for name in (ref, branch, commit) if name is not None]
        text(table, "table's name")
        if len(given) > 1:
            raise UsageError("get_run takes one of `ref`, `branch` and `commit`.")
        database, seen = self._database(table)
        with self._place.session(database) as session:
            if branch is not None:
                at = self._place.moved(session, branch)
            elif given:
                at = self._place.resolved(session, given[0])
            else:
                at = seen or self._place.pin(session).commit
            name = session.find_table(table, at)
            maker = session.commit(session.last_change(name, at))
        if maker.run is None:
            raise NotMadeByRunError(
                f"No run made `{name}` as it is at {at}: the commit {maker.hash} that last changed it, "
                f"“{maker.subject}” by {maker.author} on {maker.date:%Y-%m-%d}, was made by hand."
            )
        return str(maker.run.pathspec)

    # Writing

    def write(
        self,
        df: Any,
        table: str,
        pks: Sequence[str] | str | None = None,
        as_key: str | None = None,
        *,
        mode: Mode = "replace",
        types: Mapping[str, str] | None = None,
    ) -> None:
        """Writes a frame to a table when the context ends; all writes of a context are one commit.

        Args:
            df: A pandas or polars DataFrame or an Arrow table. NaN becomes NULL.
            table: The table's name; it is made where there is none.
            pks: The key's columns. Without them the named levels of the index are the key of a new table; with neither
                it has none. A table that is there keeps its key.
            as_key: The name to record the write under, in place of the table's.
            mode: `replace`: afterwards the table holds exactly the frame. `update`: rows are inserted, or overwritten
                by key. `append`: rows are added.
            types: SQL types for columns, in place of those that the frame's types give.

        Raises:
            NotInFlowError: No step is running.
            SchemaMismatchError, BadValueError: The frame does not fit the table.
            DirtyTableError: The table has uncommitted changes on the branch.
        """
        self._writer.add(df, table, pks, as_key, mode, types)

    def _request(self, request: Request) -> Request:
        if request.batches and not self._place.is_open:
            raise UsageError(
                "`batches` was asked for outside of a `with`, whose end is the end of the reading.",
                "Read inside of `with DoltDT(...) as dolt:`.",
            )
        return request

    def _pinned(self, session: Session, key: str) -> Source:
        pin, recorded = self._place.pin(session), self._place.recorded(session, key)
        config = self._place.pinned_config(session)
        return Source(pin.branch, pin.commit, config) if recorded is None else Source(None, recorded, config)

    def _database(self, table: str | None) -> tuple[Database, str | None]:
        """The configuration's database, else the one that the earlier run used and the commit that it saw there."""
        if self._place.config is not None or self._again is None:
            return self._place.database(), None
        return self._again.database(table)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Outside a `with`, records at once what is read."""
        yield
        if not self._place.is_open:
            self._journal.save(self._journal.reads)
            self._journal.clear()
