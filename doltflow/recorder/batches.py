"""What a context reads batch by batch: each read on a session of its own, ended with the context at the latest."""

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from threading import RLock
from typing import TYPE_CHECKING

from doltflow.errors import UsageError
from doltflow.sources.dolt import Database, Session

if TYPE_CHECKING:
    import pyarrow as pa

    from doltflow.sources.dolt.batches import Batches


class BatchReads:
    """The reads of one context that are not at their end yet."""

    def __init__(self) -> None:
        self._open: set[_Open] = set()

    def begin(
        self, database: Database, ask: Callable[[Session], "Batches"], done: Callable[[int], None]
    ) -> tuple["pa.RecordBatchReader", int | None]:
        """Begins to read.

        Args:
            database: Where.
            ask: Asks for what is to be read, on a session that nobody else uses.
            done: Called at the end with the number of rows, if it is reached.

        Returns:
            The reader, and the number of rows where it is known.
        """
        import pyarrow

        with ExitStack() as stack:
            found = ask(stack.enter_context(database.open()))
            one = _Open(found, stack.pop_all(), self._open, done)
        reading = _Reading(one)
        # Whoever drops the reader, read or not, has ended it.
        weakref.finalize(reading, one.end)
        return pyarrow.RecordBatchReader.from_batches(found.schema, reading), found.rows

    def close(self) -> None:
        """Ends all reads; who reads on is told."""
        for one in list(self._open):
            one.end()


class _Open:
    """A read that is not at its end."""

    def __init__(self, found: "Batches", stack: ExitStack, among: "set[_Open]", done: Callable[[int], None]) -> None:
        self._batches = found.batches
        self._stack = stack
        self._among = among
        self._done = done
        self._rows = 0
        self._lock = RLock()
        self._is_whole = False
        among.add(self)

    def next(self) -> "pa.RecordBatch":
        """The next batch.

        Raises:
            StopIteration: There is none.
            UsageError: It was ended before.
        """
        with self._lock:
            if self not in self._among:
                if self._is_whole:
                    raise StopIteration
                raise UsageError(
                    "The `with` in which these batches were read has ended, and the reading with it.",
                    "Take all batches inside of the `with DoltDT(...) as dolt:`.",
                )
            try:
                batch = next(self._batches, None)
            except BaseException:
                self.end()
                raise
            if batch is not None:
                self._rows += batch.num_rows
                return batch
            self._is_whole = True
            self.end()
            self._done(self._rows)
            raise StopIteration

    def end(self) -> None:
        """Lets go of the database; once is enough."""
        with self._lock:
            if self in self._among:
                self._among.remove(self)
                with self._stack:
                    self._batches.close()


class _Reading:
    """The batches of a read, one after the other."""

    def __init__(self, one: _Open) -> None:
        self._one = one

    def __iter__(self) -> "_Reading":
        return self

    def __next__(self) -> "pa.RecordBatch":
        return self._one.next()
