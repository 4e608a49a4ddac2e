"""A step in a rerun: what it reads and writes is sent where the pins say, without a change to the flow's code."""

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from doltflow.errors import DatabaseNotFoundError, RecordError, UnpinnedError
from doltflow.model.pins import DatabasePin, Pins, ReadPin
from doltflow.sources.dolt import Database, Session
from doltflow.sources.metaflow.carried import pins_text
from doltflow.sources.metaflow.code import foreach_path
from doltflow.sources.metaflow.running import FindTask, RunningTask, resumed_rerun

_T = TypeVar("_T")
_served: dict[tuple[str, str], int] = {}
"""How often this task has read a database under a key: the same key may be read again later, at another commit."""


def current_pins(task: RunningTask) -> Pins | None:
    """The pins of the rerun that a task is part of; None where it is part of none.

    Raises:
        RecordError: They cannot be read. The step must not go on as if there were none.
        UnpinnedError: The run is tagged as a rerun, or goes on from one, and there are none; or they are of a rerun
            that it is no part of.
    """
    try:
        text = pins_text()
    except OSError as error:
        raise RecordError(f"The pins of this rerun cannot be read: {error}.") from error
    if text is not None:
        return _own(_decoded(text), task)
    if task.rerun_of is not None:
        kind, of = task.rerun_of["kind"], task.rerun_of["pathspec"]
        raise UnpinnedError(
            f"{task.pathspec} is tagged as a {kind} of {of}, and has no pins that say what to read and where to write.",
            f"`doltflow {kind}` gives them. A run of its own must not have the tag `doltflow:{kind}-of=`.",
        )
    if (rerun := resumed_rerun(task)) is not None:
        raise UnpinnedError(
            f"{task.pathspec.run} goes on from the rerun {rerun}, on whose data it would write to the branches of its "
            "configuration.",
            "Repeat the rerun, or begin with `resume --origin-run-id` of a run that is none.",
        )
    return None


def _own(pins: Pins, task: RunningTask) -> Pins:
    """The pins, where they are those of the task's run: what a step starts inherits its environment."""
    if task.rerun_of == {"pathspec": pins.of, "kind": pins.kind}:
        return pins
    raise UnpinnedError(
        f"{task.pathspec} was started within the {pins.kind} of {pins.of} and is no part of it. A run that is started "
        "within a rerun has no pins of its own that say what to read and where to write.",
        f"Rerun its flow by itself. A step finds the tag `doltflow:{pins.kind}-of={pins.of}` in `current.tags` where "
        "it is to start no other flow.",
    )


@cache
def _decoded(text: str) -> Pins:
    return Pins.decode(text)


class Rerun:
    """The pins as one context obeys them."""

    def __init__(self, pins: Pins, find_task: FindTask) -> None:
        self._pins = pins
        self._find_task = find_task
        self._composed: dict[tuple[str, tuple[str, ...]], str] = {}

    def database(self, name: str, configured: str) -> Database | None:
        """A database as the rerun has it; None where the pins do not know it.

        Args:
            name: Its name.
            configured: The place that the step's configuration names. A step on another machine has the database there,
                as a shared folder or a clone, and not where the machine has it that began the rerun.

        Raises:
            DatabaseNotFoundError: It is in neither place.
        """
        pin = self._pins.database(name)
        if pin is None:
            return None
        for place in (pin.folder, configured):
            if (found := Database.find(place)) is not None:
                return found
        raise DatabaseNotFoundError(
            f"The database `{name}` of this {self._pins.kind} of {self._pins.of} is neither in {pin.folder} nor in "
            f"{configured}.",
            "A step on another machine needs it there too, where its configuration says.",
        )

    def branch(self, session: Session) -> str:
        """The branch that the database's writes go to.

        Raises:
            UnpinnedError: The rerun may not write it.
        """
        pin = self._pins.database(session.name)
        if pin is None or pin.branch is None:
            raise UnpinnedError(
                f"This {self._pins.kind} of {self._pins.of} would write to `{session.name}`, which that run did not.",
                "A rerun writes only to branches that were made for it. Is the flow another one by now?",
            )
        return pin.branch

    def pin(self, session: Session) -> DatabasePin | None:
        """Where a database is sent; None where the pins do not know it."""
        return self._pins.database(session.name)

    def read(self, session: Session, key: str, head: str | None) -> str | None:
        """The commit at which a read is served; None where nothing was recorded that it could be.

        Args:
            session: With the database.
            key: What the read is recorded under.
            head: The head of the rerun's own branch of that database when the context began.
        """
        mine = self._recorded(session.name, key)
        return self._served(session, _next(session.name, key, mine), head) if mine else None

    def ends(self, session: Session, table: str, head: str | None) -> tuple[str, str] | None:
        """The commits between which a `diff` of a table is served; None where none was recorded that it could be.

        Args:
            session: With the database.
            table: The table's name.
            head: As for `read`.
        """
        key = f"diff({table})".casefold()
        calls: list[dict[str, ReadPin]] = []
        for pin in self._recorded(session.name, key):
            if pin.ends is None:
                continue
            # A diff was noted once for each end that had the table.
            if not calls or pin.commit in calls[-1] or next(iter(calls[-1].values())).ends != pin.ends:
                calls.append({})
            calls[-1][pin.commit] = pin
        if not calls:
            return None
        call = _next(session.name, key, calls)
        ends = next(iter(call.values())).ends
        if ends is None:
            return None
        before, after = (self._served(session, call[end], head) if end in call else end for end in ends)
        return before, after

    def _served(self, session: Session, recorded: ReadPin, head: str | None) -> str:
        """The commit that a recorded read saw, with what the run itself had written as the rerun has written it."""
        own = tuple(table for table in recorded.own if head is not None and _differs(session, table, recorded, head))
        if not own or head is None:
            return recorded.commit
        at = (recorded.commit, own)
        if at not in self._composed:
            self._composed[at] = session.compose(recorded.commit, head, own)
        return self._composed[at]

    def _recorded(self, database: str, key: str) -> list[ReadPin]:
        """The recorded reads of a key, or of a table of that name, by the task in whose place this one is."""
        task = self._find_task()
        if task is None:
            return []
        step, path = str(task.pathspec.step), foreach_path(task.flow)
        same = [pin for pin in self._pins.reads if (pin.step, pin.foreach, pin.database) == (step, path, database)]
        if key.startswith("diff("):
            return [pin for pin in same if pin.key.casefold() == key]
        return [pin for pin in same if pin.key == key] or [pin for pin in same if key in pin.tables]


def _next(database: str, key: str, recorded: Sequence[_T]) -> _T:
    """The recorded read whose turn it is; the last one again where there are no more."""
    number = _served.get((database, key), 0)
    _served[database, key] = number + 1
    return recorded[min(number, len(recorded) - 1)]


def _differs(session: Session, table: str, recorded: ReadPin, head: str) -> bool:
    """Whether the rerun has written another content into a table than the run that it repeats had."""
    mine = session.table_hash(table, head)
    return mine is not None and mine != session.table_hash(table, recorded.commit)
