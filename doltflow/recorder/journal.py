"""What a context has read and written so far, and how it becomes the running task's artifact."""

import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from doltflow.model.access import Access, Columns, Mode
from doltflow.model.artifact import DatabaseConfig, Record, encode_artifact, merge_records
from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.recorder.merge import merged_record
from doltflow.sources.dolt import Session
from doltflow.sources.metaflow.running import ARTIFACT, RunningTask, describe, input_artifacts, own_artifact

_open: list["Journal"] = []
"""The journals of the contexts that this process is in: what one commits rests on what the others have read."""


class Journal:
    """The accesses of one context; outside a flow it forgets them.

    Attributes:
        task: The running task, or None outside a flow.
        reads: What was read and is not in the artifact yet.
    """

    def __init__(self, task: RunningTask | None) -> None:
        self.task = task
        self.reads: list[Access] = []
        self._configs: dict[str, DatabaseConfig] = {}
        self._frames: dict[tuple[str, float | None], weakref.ref[Any]] = {}
        self._dolt: str | None = None

    def begin(self) -> None:
        """Begins a context.

        Raises:
            RecordError: The flow uses the artifact's name for something else.
        """
        if self.task is not None:
            self._record(self.task)
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
    ) -> Access:
        """An access by the running task, now."""
        self._configs[config.id] = config
        self._dolt = session.version
        return Access(
            kind=kind,
            key=key,
            database=session.name,
            branch=branch,
            commit=commit,
            tables=tables,
            pathspec=str(self.task.pathspec) if self.task else "",
            query=query,
            table_name=table_name,
            columns=columns,
            rows=rows,
            mode=mode,
            attempt=self.task.attempt if self.task else 0,
            timestamp=time.time(),
            config_id=config.id,
            where=where,
            folder=str(session.database.folder),
        )

    def add(self, access: Access, frame: Any = None) -> None:
        """Notes a read and the frame that it gave."""
        self.reads.append(access)
        self.remember(access, frame)

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
        mine = [journal for journal in _open if journal.task and journal.task.pathspec == task.pathspec]
        unsaved = merge_records(Record(tuple(journal.reads)) for journal in mine)
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
        if self.task is None or not accesses:
            return
        attributes = {id(value): name for name, value in vars(self.task.flow).items()}
        named = tuple(replace(access, artifact_name=self._artifact_name(access, attributes)) for access in accesses)
        news = Record(named, tuple(self._configs.values()), (describe(self.task, self._dolt),))
        setattr(self.task.flow, ARTIFACT, encode_artifact(merge_records([self._record(self.task), news])))

    def _artifact_name(self, access: Access, attributes: dict[int, str]) -> str | None:
        """The flow's attribute that holds the access's frame."""
        reference = self._frames.get((access.key, access.timestamp))
        frame = reference() if reference is not None else None
        return None if frame is None else attributes.get(id(frame))

    def _record(self, task: RunningTask) -> Record:
        """What the tasks before this one and this one itself have recorded so far."""
        own = own_artifact(task)
        return self._before if own is None else merge_records([self._before, merged_record([own])])

    @cached_property
    def _before(self) -> Record:
        return merged_record(input_artifacts(self.task)) if self.task is not None else Record()
