"""One run as Metaflow's datastore has it: its tasks are read once, all together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from doltflow.errors import NotPlainError, RecordError
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import NotRead
from doltflow.sources.metaflow.contents import Contents, TooLarge
from doltflow.sources.metaflow.graph import checked
from doltflow.sources.metaflow.included import content_of
from doltflow.sources.metaflow.plain import Frame, NotPlain

PARAMETERS, GRAPH, FOREACH = "_parameters", "_graph_info", "_foreach_stack"
ENDED = ("_success", "_task_ok")
_PLAIN = "doltflow reads plain data alone, and runs nobody's code for it: what the commits say is not touched by that."
_OLDEST = "gzip+pickle-v2"
"""How artifacts are kept of which Metaflow did not note it."""


class StoredTask:
    """A task as the datastore has it, with the artifacts of the latest attempt that began.

    Attributes:
        pathspec: The task.
        attempt: Metaflow's retry count of that attempt.
        done: Whether that attempt got as far as to store its artifacts.
        contents: What the artifacts hold.
        is_local: Whether it is stored on this machine.
        troubles: What was found wrong with the artifacts that Metaflow itself keeps of a task.
    """

    def __init__(self, flow: str, store: Any, contents: Contents, *, done: bool | None = None) -> None:
        self.pathspec = Pathspec(flow, str(store.run_id), str(store.step_name), str(store.task_id))
        self.attempt = int(store.attempt or 0)
        self.done = bool(store.has_metadata(store.METADATA_DONE_SUFFIX)) if done is None else done
        self.contents = contents
        self.is_local = contents.is_local
        self.troubles: list[RecordError] = []
        self._store = store
        kept = store.ds_metadata if self.done else {}
        self._keys: Mapping[str, str] = kept.get("objects", {})
        self._about: Mapping[str, Any] = kept.get("info", {})

    @property
    def step(self) -> str:
        """The step's name."""
        return str(self.pathspec.step)

    def names(self) -> list[str]:
        """The names of its artifacts."""
        return [str(name) for name in self._keys]

    def has(self, name: str) -> bool:
        """Whether it has an artifact of that name."""
        return name in self._keys

    def key(self, name: str) -> str:
        """What is the same for artifacts of the same content."""
        return str(self._keys[name])

    def value(self, name: str) -> Any:
        """The value of an artifact, which is plain data.

        Raises:
            NotPlainError: It is something else, and what that is is not looked at.
            RecordError: It is broken.
        """
        what = f"The artifact `{name}` of {self.pathspec}"
        about = self._about.get(name)
        encoding = about.get("encoding", _OLDEST) if isinstance(about, Mapping) else _OLDEST
        if "pickle-v" not in str(encoding):
            raise NotPlainError(f"{what} is not read: it is kept as `{encoding}`.", _PLAIN)
        try:
            return self.contents.plain(self.key(name))
        except NotPlain as error:
            raise NotPlainError(f"{what} is not read: it holds {error}, and no plain data alone.", _PLAIN) from error
        except TooLarge as error:
            raise NotPlainError(
                f"{what} is not read: {error}.", "What the commits say is not touched by that."
            ) from error
        except Exception as error:  # What is cut off raises what it likes.
            raise RecordError(
                f"{what} cannot be read: {type(error).__name__}: {error}.",
                "It may have been cut off, or be gone from the store.",
            ) from error

    def get(self, name: str) -> Any:
        """The value of an artifact of Metaflow's own, or None where it is not there or cannot be read."""
        try:
            return self.value(name) if self.has(name) else None
        except RecordError as error:
            self.troubles.append(error)
            return None

    def note(self, name: str) -> Mapping[str, Any]:
        """What Metaflow noted of the attempt under a name, beside the artifacts; empty where it did not."""
        try:
            found = self._store.load_metadata([name])[name] if self._store.has_metadata(name) else None
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, Mapping) else {}

    @property
    def foreach(self) -> tuple[tuple[str, int], ...]:
        """In which foreaches it stands, the outermost first: the step that is done for each, and the index."""
        stack = self.get(FOREACH)
        frames = stack if isinstance(stack, list | tuple) else ()
        return tuple(frame.place for frame in frames if isinstance(frame, Frame))

    def began(self) -> datetime | None:
        """When the attempt began, where it is known."""
        moment = self.note("attempt.json").get("time")
        return datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else None


class StoredRun:
    """The tasks of a run.

    Attributes:
        tasks: In the order of their ids, without the one of the parameters.
        constants: The task of the parameters, where it is there.
    """

    def __init__(self, tasks: Iterable[StoredTask]) -> None:
        ordered = sorted(tasks, key=lambda task: (len(str(task.pathspec.task_id)), str(task.pathspec.task_id)))
        self.tasks: Sequence[StoredTask] = [task for task in ordered if task.step != PARAMETERS]
        self.constants = next((task for task in ordered if task.step == PARAMETERS), None)

    @cached_property
    def graph(self) -> Mapping[str, Any]:
        """The flow's structure as Metaflow noted it; empty where it did not."""
        constants = [self.constants] if self.constants is not None else []
        graphs = (task.get(GRAPH) for task in (*constants, *self.tasks))
        return next((checked(graph) for graph in graphs if isinstance(graph, Mapping)), {})

    @property
    def troubles(self) -> list[RecordError]:
        """What was found wrong with the artifacts that Metaflow itself keeps of its tasks."""
        tasks = [self.constants, *self.tasks]
        return [error for task in tasks if task is not None for error in task.troubles]

    def parameters(self) -> dict[str, Any]:
        """The evaluated parameters by variable name; of one that cannot be read, or is no plain data, why."""
        task = self.constants
        if task is None:
            return {}
        names = self.parameter_names()
        task.contents.fetch(task.key(name) for name in names)
        found = {}
        for name in names:
            try:
                found[name] = content_of(name, task.value(name), task.contents.root, task.contents.included)
            except RecordError as error:
                found[name] = NotRead(error.message, task.key(name), is_damaged=not isinstance(error, NotPlainError))
        return found

    def parameter_names(self) -> list[str]:
        """The names of the artifacts that are parameters."""
        # Metaflow did not always note which are.
        known = {str(parameter["name"]) for parameter in self.graph.get("parameters", ())}
        names = sorted(self.constants.names()) if self.constants is not None else []
        return [name for name in names if name in known or (not known and name != "name" and not name.startswith("_"))]

    def keys(self, name: str) -> list[str]:
        """The keys of the artifacts of a name that its tasks have."""
        return [task.key(name) for task in self.tasks if task.has(name)]

    def ends(self) -> list[StoredTask]:
        """The tasks of the flow's last step."""
        return [task for task in self.tasks if task.step == self.graph.get("end_step", "end")]

    def succeeded(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.ends()) and all(task.get("_success") is True for task in self.ends())

    def failures(self) -> list[StoredTask]:
        """The tasks that ended without success and that Metaflow does not try again."""
        steps = self.graph.get("steps", {})
        return [task for task in self.tasks if _failed(task, steps.get(task.step, {}).get("decorators", ()))]

    def edges(self) -> tuple[tuple[str, str], ...]:
        """Pairs of tasks, a task and one that came next."""
        if self.tasks:
            self.tasks[0].contents.fetch(self.keys(FOREACH))
        by_step: dict[str, list[StoredTask]] = {}
        for task in self.tasks:
            by_step.setdefault(task.step, []).append(task)
        forked = any(len(tasks) > 1 for tasks in by_step.values())
        steps = {name: _Step(tasks, forked) for name, tasks in by_step.items()}
        pairs = {
            (first, second)
            for name, attributes in self.graph.get("steps", {}).items()
            for following in attributes.get("next", ())
            if name in steps and following in steps
            for first, second in steps[name].pairs(steps[following])
        }
        return tuple(sorted(pairs))


class _Step:
    """The tasks of a step, by where in the foreaches around it each stands, the outermost first."""

    def __init__(self, tasks: Sequence[StoredTask], forked: bool) -> None:
        self._at: dict[tuple[Any, ...], list[str]] = {}
        self._below: dict[tuple[Any, ...], list[str]] = {}
        for task in tasks:
            branch = task.foreach if forked else ()
            self._at.setdefault(branch, []).append(str(task.pathspec))
            if branch:
                self._below.setdefault(branch[:-1], []).append(str(task.pathspec))

    def pairs(self, following: "_Step") -> Iterator[tuple[str, str]]:
        """The tasks of this step, each with those of the following step that stand on one path with it."""
        for branch, tasks in self._at.items():
            # On the same branch, on one that a foreach opens here, or after the join of this one.
            after = [*following._at.get(branch, ()), *following._below.get(branch, ())]
            after += following._at.get(branch[:-1], ()) if branch else ()
            yield from ((first, second) for first in tasks for second in after if first != second)


def _failed(task: StoredTask, decorators: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a task ended without success and is not tried again."""
    outcome = task.note("runtime")
    if outcome.get("killed"):
        return True  # Metaflow kills the tasks that are left when it gives up.
    if task.get("_task_ok") is True or (not task.done and outcome.get("success") is not False):
        return False
    names = {decorator.get("name"): decorator.get("attributes", {}) for decorator in decorators}
    if "catch" in names and not task.done:
        return False  # After a process that died `@catch` has attempts of its own.
    times = names.get("retry", {}).get("times", 0)
    return task.attempt >= (int(times) if isinstance(times, int) or str(times).isdecimal() else 0)
