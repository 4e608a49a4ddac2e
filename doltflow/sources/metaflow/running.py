"""The task that is running in this process, where one is."""

import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import RLock
from typing import Any

from doltflow.errors import RecordError
from doltflow.model.access import TaskRecord
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import rerun_of
from doltflow.sources.git import checked_out
from doltflow.sources.metaflow.code import foreach_path, frame_packages, keep_sources

ARTIFACT = "dolt"
_asking = RLock()  # Metaflow's settings are of the whole process.
_ORIGIN = "origin-run-id"


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that is running.

    Attributes:
        flow: The flow's object, which holds the artifacts; `self` in a step.
        pathspec: `Flow/run_id/step/task_id`.
        attempt: Metaflow's retry count, from 0.
        user: Who runs it.
        rerun_of: `{"pathspec", "kind"}` where the run is a rerun.
    """

    flow: Any
    pathspec: Pathspec
    attempt: int
    user: str
    rerun_of: dict[str, Any] | None = None


FindTask = Callable[[], RunningTask | None]


def running_task(flow: Any = None) -> RunningTask | None:
    """The task that is running, or None outside a flow.

    Args:
        flow: The flow's object where the caller has it.
    """
    if "metaflow" not in sys.modules:
        return None
    from metaflow import current
    from metaflow.system_context import system_context

    if not current.is_running_flow or current.task_id is None:
        return None
    owner = flow if flow is not None else system_context.flow
    pathspec = Pathspec(current.flow_name, str(current.run_id), current.step_name, str(current.task_id))
    return RunningTask(
        owner, pathspec, int(current.retry_count or 0), str(current.username or "unknown"), rerun_of(current.tags or ())
    )


def resumed_rerun(task: RunningTask) -> Pathspec | None:
    """The rerun that the task's run goes on from, by Metaflow's `resume`; None where it goes on from none."""
    from metaflow import current

    return _rerun_behind(task.pathspec.flow, str(current.origin_run_id)) if current.origin_run_id else None


@cache
def _rerun_behind(flow: str, run_id: str) -> Pathspec | None:
    from metaflow import Run
    from metaflow.exception import MetaflowNotFound

    origin: str | None = run_id
    with all_namespaces(), suppress(MetaflowNotFound):
        while origin is not None:
            run = Run(f"{flow}/{origin}")
            if rerun_of(run.user_tags) is not None:
                return Pathspec(flow, origin)
            noted = (step.task.metadata_dict.get(_ORIGIN) for step in run if step.task is not None)
            # A run that goes on from none says `None`.
            origin = next((name for name in noted if name not in (None, "None")), None)
    return None


def is_flow(value: object) -> bool:
    """Whether a value is a flow's object."""
    if "metaflow" not in sys.modules:
        return False
    from metaflow import FlowSpec

    return isinstance(value, FlowSpec)


def is_in_split(task: RunningTask) -> bool:
    """Whether a join is to come for the branch that the task is in."""
    from metaflow.system_context import system_context

    return bool(system_context.graph[task.pathspec.step].split_parents)


def own_artifact(task: RunningTask) -> object | None:
    """What the running task itself has in its artifact `dolt`, inherited or set; None where it has none.

    Raises:
        RecordError: The flow uses the name for a parameter or an attribute of its class.
    """
    if hasattr(type(task.flow), ARTIFACT):
        raise RecordError(
            f"The flow {task.pathspec.flow} has a parameter or attribute of its class called `{ARTIFACT}`, the name "
            "under which doltflow keeps its record.",
            "Rename it.",
        )
    return getattr(task.flow, ARTIFACT, None)


def input_artifacts(task: RunningTask) -> list[object]:
    """The artifacts `dolt` of the tasks before the running one, in a join each branch's.

    Where a task before has none (it joined without merging), those of the tasks before that are taken.
    """
    from metaflow.system_context import system_context

    found: list[object] = []
    for store in system_context.inputs or ():
        if ARTIFACT in store:
            found.append(store[ARTIFACT])
        elif store.step_name != "_parameters":
            found.extend(_artifacts_before(f"{task.pathspec.flow}/{store.run_id}/{store.step_name}/{store.task_id}"))
    return found


def _artifacts_before(pathspec: str) -> list[object]:
    """The nearest artifacts `dolt` of the tasks that led to a task, itself left out."""
    from metaflow import Task

    found: list[object] = []
    waiting, seen = [pathspec], {pathspec}
    with all_namespaces():
        while waiting:
            for parent in Task(waiting.pop()).parent_tasks:
                if parent.pathspec in seen:
                    continue
                seen.add(parent.pathspec)
                try:
                    found.append(parent[ARTIFACT].data)
                except KeyError:
                    waiting.append(parent.pathspec)
    return found


@contextmanager
def all_namespaces() -> Iterator[None]:
    """Lets Metaflow's client see every user's runs, one thread at a time; afterwards the namespace is as it was."""
    from metaflow.client import core

    with _asking:
        # As it is kept: to ask for it would make it the user's, whom Metaflow may not know.
        before, core.current_namespace = core.current_namespace, None
        try:
            yield
        finally:
            core.current_namespace = before


def describe(task: RunningTask, dolt: str | None) -> TaskRecord:
    """What is known of the running task's code and environment."""
    script = _script(task.flow)
    commit, dirty = checked_out(script) if script else (None, None)
    return TaskRecord(
        pathspec=str(task.pathspec),
        attempt=task.attempt,
        script=str(script) if script else None,
        git_commit=commit,
        git_dirty=dirty,
        python=platform.python_version(),
        metaflow=_version("metaflow"),
        doltflow=_version("doltflow"),
        dolt=dolt,
        folder=str(Path.cwd()),
        foreach=foreach_path(task.flow),
        packages=frame_packages(),
        sources=keep_sources(task.flow, script) if script else (),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # A remote step has the code without its installation.
        return None


def _script(flow: Any) -> Path | None:
    import inspect

    try:
        return Path(inspect.getfile(type(flow))).resolve()
    except (OSError, TypeError):
        return None
