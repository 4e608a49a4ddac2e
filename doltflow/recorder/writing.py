"""Writes that wait for the end of a context, to become one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from doltflow.errors import NotInFlowError, UsageError
from doltflow.model.access import Access, Mode
from doltflow.model.quoting import quote
from doltflow.recorder.asked import text
from doltflow.recorder.journal import Journal
from doltflow.recorder.place import Place
from doltflow.sources.dolt import Session

if TYPE_CHECKING:
    from doltflow.sources.dolt.write import Write

# What Dolt takes; to be told before the work is done, not at its end.
_LONGEST_NAME, _LAST_CHARACTER = 64, "\uffff"


@dataclass(frozen=True, slots=True)
class _Pending:
    """A write that waits, and its access but for the commit."""

    write: "Write"
    access: Access


class Writer:
    """The writes of one context."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self._place = place
        self._journal = journal
        self._pending: list[_Pending] = []
        self._committed: str | None = None

    def add(
        self,
        df: Any,
        table: str,
        pks: Sequence[str] | str | None,
        key: str | None,
        mode: Mode,
        types: Mapping[str, str] | None,
    ) -> None:
        """Takes a frame as it is now, to write it when the context ends."""
        self._check(table, key, mode)
        from doltflow.sources.dolt.write import Write, prepare

        waiting = {pending.write.table.casefold(): pending.write.table for pending in self._pending}

        def take(session: Session) -> _Pending:
            branch = self._place.write_branch(session)
            name = waiting.get(table.casefold()) or _spelled(session, table, branch)
            write = Write(name, prepare(df, pks), mode, tuple((types or {}).items()))
            if table.casefold() not in waiting:  # Else the table is going to be another one than it is now.
                session.check_write(write, branch)
            access = self._journal.access(
                session,
                self._place.pinned_config(session),
                kind="write",
                key=key or table,
                branch=branch,
                commit=None,
                tables=(name,),
                query=f"SELECT * FROM {quote(name)}",
                table_name=name,
                rows=write.frame.table.num_rows,
                mode=mode,
            )
            return _Pending(write, access)

        pending = self._place.ask(self._place.database(), take)
        self._pending.append(pending)
        self._journal.remember(pending.access, df)

    def _check(self, table: object, key: object, mode: object) -> None:
        if self._journal.task is None:
            raise NotInFlowError(
                f"`{table}` was not written: a write is recorded with the step that makes it, and no step is running.",
                "Write in a step of a Metaflow flow, or use `dolt table import`.",
            )
        if self._place.config is None:
            raise UsageError(f"`{table}` was not written: no database to write to was given.", "Give `config=`.")
        if not self._place.is_open:
            raise UsageError(f"`{table}` was not written: this is not inside a `with DoltDT(...) as dolt:`.")
        if mode not in get_args(Mode):
            raise UsageError(f"The mode is {mode!r}.", "It is 'replace', 'update' or 'append'.")
        if key is not None:
            text(key, "key that a write is recorded under")
        _check_name(table)

    def commit(self) -> list[Access]:
        """Stores what waits as one commit and returns its accesses; nothing where nothing waits.

        What a failed attempt of the task committed is taken back also by one that writes nothing.
        """
        task = self._journal.task
        if task is None or self._place.config is None or not (self._pending or self._place.undoes()):
            return []
        database = self._place.database()
        pin, branch = self._place.ask(database, self._place.pin), self._place.ask(database, self._place.write_branch)
        with self._place.session(database) as session:
            message = self._journal.message(task, [pending.access for pending in self._pending])
            author = self._place.author(session) or ""
            writes = [pending.write for pending in self._pending]
            commit, stored = session.commit_writes(branch, writes, message, author, pin.undo)
        self._committed = commit
        return [
            replace(pending.access, commit=commit, changed=done.changed)
            for pending, done in zip(self._pending, stored, strict=True)
        ]

    def push(self) -> None:
        """Pushes what `commit` made, where the configuration says so.

        Raises:
            DoltError: It cannot be pushed. The commit stays.
        """
        if self._committed is not None:
            with self._place.session(self._place.database()) as session:
                self._place.push(session, self._committed)

    def clear(self) -> None:
        """Forgets what waits."""
        self._pending.clear()
        self._committed = None


def _spelled(session: Session, table: str, branch: str) -> str:
    known = {name.casefold(): name for name in session.tables(session.branch_head(branch))}
    return known.get(table.casefold(), table)


def _check_name(asked: object) -> None:
    table = text(asked, "table's name")
    if (
        table.rstrip() != table
        or len(table.encode()) > _LONGEST_NAME
        or table.casefold().startswith("dolt_")
        or any(not " " <= c <= _LAST_CHARACTER for c in table)
    ):
        raise UsageError(
            f"{table!r} cannot be a table's name.",
            f"A name has up to {_LONGEST_NAME} bytes, no control characters and no emoji, does not end with a blank "
            "and does not begin with `dolt_`.",
        )
