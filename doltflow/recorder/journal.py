"""What a context has read and written so far, and how it becomes the running task's artifact."""

import logging
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from doltflow.model.access import Access, Columns, Derived, Mode
from doltflow.model.artifact import DatabaseConfig, Record, encode_artifact, merge_records
from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.recorder.merge import merged_record
from doltflow.sources.dolt import Session
from doltflow.sources.metaflow.running import (
    ARTIFACT,
    FindTask,
    RunningTask,
    describe,
    input_artifacts,
    is_in_split,
    own_artifact,
    running_task,
)

_open: list["Journal"] = []
"""The journals of the contexts that this process is in: what one commits rests on what the others have read."""

_imported_in_step = running_task() is not None
"""Then the joins of the flow, each a process of its own, may know nothing of doltflow."""


class Journal:
    """The accesses of one context; outside a flow it forgets them.

    Args:
        find_task: Gives the running task, or None outside a flow. A DoltDT may be made before the task begins.

    Attributes:
        reads: What was read and is not in the artifact yet.
    """

    def __init__(self, find_task: FindTask) -> None:
        self._find_task = find_task
        self.reads: list[Access] = []
        self._configs: dict[str, DatabaseConfig] = {}
        self._frames: dict[tuple[str, float | None], weakref.ref[Any]] = {}
        self._dolt: str | None = None
        self._before: Record | None = None

    @property
    def task(self) -> RunningTask | None:
        """The running task, or None outside a flow."""
        return self._find_task()

    def begin(self) -> None:
        """Begins a context.

        Raises:
            RecordError: The flow uses the artifact's name for something else.
        """
        if (task := self.task) is not None:
            self._record(task)
            _warn_of_join(task)
        _open.append(self)

    def end(self) -> None:
        """Ends the context and forgets what has been saved."""
        with suppress(ValueError):
            _open.remove(self)
        self.clear()

    def access(
        self,
        session: Session,
        config: DatabaseConfig,
        *,
        key: str,
        branch: str | None,
        commit: str | None,
        tables: tuple[str, ...],
        query: str,
        kind: Literal["read", "write"] = "read",
        table_name: str | None = None,
        columns: Columns = (),
        rows: int | None = None,
        mode: Mode | None = None,
        where: str | None = None,
        whole: tuple[str, ...] | None = None,
        derived: Derived | None = None,
    ) -> Access:
        """An access by the running task, now."""
        self._configs[config.id] = config
        self._dolt = session.version
        task = self.task
        return Access(
            kind=kind,
            key=key,
            database=session.name,
            branch=branch,
            commit=commit,
            tables=tables,
            pathspec=str(task.pathspec) if task else "",
            query=query,
            table_name=table_name,
            columns=columns,
            rows=rows,
            mode=mode,
            attempt=task.attempt if task else 0,
            timestamp=time.time(),
            config_id=config.id,
            where=where,
            folder=str(session.database.location),
            whole=whole,
            derived=derived,
        )

    def add(self, access: Access, frame: Any = None) -> None:
        """Notes a read and the frame that it gave."""
        self.reads.append(access)
        self.remember(access, frame)

    def count(self, accesses: Sequence[Access], rows: int) -> None:
        """Puts the number of rows to reads that were noted before it was known."""
        self.reads[:] = [replace(read, rows=rows) if read in accesses else read for read in self.reads]

    def remember(self, access: Access, frame: Any) -> None:
        """Keeps track of a frame, without keeping it alive, to find the artifact that it becomes."""
        with suppress(TypeError):  # Not every frame can be referred to weakly; then the artifact's name stays unknown.
            self._frames[access.key, access.timestamp] = weakref.ref(frame)

    def clear(self) -> None:
        """Forgets what has been saved."""
        self.reads.clear()
        self._frames.clear()

    def message(self, task: RunningTask, writes: Sequence[Access]) -> str:
        """The message of the commit that these writes become."""
        unsaved = merge_records(Record(tuple(journal.reads)) for journal in _open)
        return encode_message(
            task.pathspec,
            attempt=task.attempt,
            writes=[WriteTrailer(str(write.table_name), write.mode, write.rows) for write in writes],
            reads=[
                ReadTrailer(read.database, read.commit, read.tables or (), read.branch)
                for read in (*self._record(task).accesses, *unsaved.accesses)
                if read.kind == "read" and read.commit is not None
            ],
            rerun_of=task.rerun_of,
        )

    def save(self, accesses: Sequence[Access]) -> None:
        """Puts accesses into the running task's artifact."""
        task = self.task
        if task is None or not accesses:
            return
        attributes = {id(value): name for name, value in vars(task.flow).items()}
        named = tuple(replace(access, artifact_name=self._artifact_name(access, attributes)) for access in accesses)
        news = Record(named, tuple(self._configs.values()), (describe(task, self._dolt),))
        setattr(task.flow, ARTIFACT, encode_artifact(merge_records([self._record(task), news])))

    def _artifact_name(self, access: Access, attributes: dict[int, str]) -> str | None:
        """The flow's attribute that holds the access's frame."""
        reference = self._frames.get((access.key, access.timestamp))
        frame = reference() if reference is not None else None
        return None if frame is None else attributes.get(id(frame))

    def _record(self, task: RunningTask) -> Record:
        """What the tasks before this one and this one itself have recorded so far."""
        own = own_artifact(task)
        if self._before is None:
            self._before = merged_record(input_artifacts(task))
        return self._before if own is None else merge_records([self._before, merged_record([own])])


def _warn_of_join(task: RunningTask) -> None:
    if _imported_in_step and is_in_split(task):
        # Metaflow silences Python's warnings.
        logging.getLogger("doltflow").warning(
            "doltflow was imported inside the step `%s`, so the join behind it may not know how to merge the artifact "
            "`%s`. Import doltflow at the top of the flow's file, or in the join before `merge_artifacts`.",
            task.pathspec.step,
            ARTIFACT,
        )
