"""One run as Metaflow's datastore has it: its tasks are read once, all together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from doltflow.errors import RecordError
from doltflow.model.pathspec import Pathspec

PARAMETERS = "_parameters"


class StoredTask:
    """A task as the datastore has it, with the artifacts of the latest attempt that began.

    Attributes:
        pathspec: The task.
        attempt: Metaflow's retry count of that attempt.
        done: Whether that attempt got as far as to store its artifacts.
        is_local: Whether it is stored on this machine.
    """

    def __init__(self, flow: str, store: Any) -> None:
        self.pathspec = Pathspec(flow, str(store.run_id), str(store.step_name), str(store.task_id))
        self.attempt = int(store.attempt or 0)
        self.done = bool(store.has_metadata(store.METADATA_DONE_SUFFIX))
        self.is_local = store.TYPE == "local"
        self._store = store

    @property
    def step(self) -> str:
        """The step's name."""
        return str(self.pathspec.step)

    def names(self) -> list[str]:
        """The names of its artifacts."""
        return [str(name) for name, _ in self._store.items()] if self.done else []

    def has(self, name: str) -> bool:
        """Whether it has an artifact of that name."""
        return self.done and name in self._store

    def key(self, name: str) -> str:
        """What is the same for artifacts of the same content."""
        return str(self._store.keys_for_artifacts([name])[0])

    def value(self, name: str) -> Any:
        """The value of an artifact.

        Raises:
            RecordError: It is broken, or made of what is not here.
        """
        try:
            return self._store[name]
        except Exception as error:  # Unpickling runs foreign code, which raises what it likes.
            raise RecordError(
                f"The artifact `{name}` of {self.pathspec} cannot be read: {type(error).__name__}: {error}.",
                "It may have been cut off, or need a module that is not here.",
            ) from error

    def get(self, name: str) -> Any:
        """The value of an artifact, or None where it is not there or cannot be read."""
        try:
            return self.value(name) if self.has(name) else None
        except RecordError:
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
        return tuple((str(frame.step), int(frame.index)) for frame in self.get("_foreach_stack") or ())

    def began(self) -> datetime | None:
        """When the attempt began, where it is known."""
        moment = self.note("attempt.json").get("time")
        return datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The tasks of a run.

    Attributes:
        tasks: In the order of their ids, without the one of the parameters.
        constants: The task of the parameters, where it is there.
        graph: The flow's structure as Metaflow noted it; empty where it did not.
    """

    tasks: Sequence[StoredTask]
    constants: StoredTask | None
    graph: Mapping[str, Any]

    @classmethod
    def of(cls, tasks: Iterable[StoredTask]) -> "StoredRun":
        """The run that these tasks make up."""
        ordered = sorted(tasks, key=lambda task: (len(str(task.pathspec.task_id)), str(task.pathspec.task_id)))
        graphs = (task.get("_graph_info") for task in ordered)
        return cls(
            [task for task in ordered if task.step != PARAMETERS],
            next((task for task in ordered if task.step == PARAMETERS), None),
            next((graph for graph in graphs if isinstance(graph, Mapping)), {}),
        )

    def parameters(self) -> dict[str, Any]:
        """The evaluated parameters by variable name; one that cannot be read is left out."""
        if self.constants is None:
            return {}
        # Metaflow did not always note which artifacts are parameters.
        known = {str(parameter["name"]) for parameter in self.graph.get("parameters", ())}
        found = {}
        for name in sorted(self.constants.names()):
            if name in known or (not known and name != "name" and not name.startswith("_")):
                try:
                    found[name] = _content(name, self.constants.value(name))
                except RecordError:
                    continue
        return found

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
            branch = tuple((f.step, f.index) for f in task.get("_foreach_stack") or ()) if forked else ()
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


def _content(name: str, value: Any) -> Any:
    """A parameter's value; for a file that it included what the file held, or its description where that is gone."""
    from metaflow.includefile import IncludedFile

    if not isinstance(value, IncludedFile):
        return value
    try:
        return value.decode(name)
    except Exception:  # Whatever the storage that held it raises.
        return value.descriptor


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
    return task.attempt >= int(names.get("retry", {}).get("times", 0))
