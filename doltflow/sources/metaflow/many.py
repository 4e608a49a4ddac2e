"""The tasks of many runs of a flow at once: asked for run by run they take twice as long, and far away much longer."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from json import loads
from pathlib import Path

from doltflow.model.pathspec import Pathspec
from doltflow.sources.metaflow.contents import Contents, in_slices
from doltflow.sources.metaflow.places import Place
from doltflow.sources.metaflow.running import ARTIFACT
from doltflow.sources.metaflow.stored import ENDED, GRAPH, PARAMETERS, StoredRun, StoredTask


def local_runs(flow: str, run_ids: Iterable[str], root: str) -> dict[Pathspec, StoredRun]:
    """Runs of a flow in a local store; one that is not there is left out.

    Args:
        flow: The flow.
        run_ids: The runs.
        root: The store's folder.
    """
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins.datastores.local_storage import LocalStorage

    store = FlowDataStore(flow, storage_impl=LocalStorage, ds_root=root)
    storage = store._storage_impl
    runs = [storage.path_join(flow, run_id) for run_id in run_ids]
    steps = [found.path for found in storage.list_content(runs) if not found.is_file]
    tasks = [found.path for found in storage.list_content(steps) if not found.is_file]
    specs = ["/".join(storage.path_split(task)[-3:]) for task in tasks]
    contents = Contents(store)
    stored = store.get_task_datastores(pathspecs=specs, allow_not_done=True) if specs else ()
    return _by_run(StoredTask(flow, one, contents) for one in stored)


Attempts = Mapping[Pathspec, Sequence[int]]
"""Tasks, each with the attempts at it that may be stored."""

ANY: Sequence[int] = range(6)
"""All that Metaflow ever makes, where the metadata does not tell."""


def noted_tasks(run: Pathspec) -> Iterator[tuple[Pathspec, Sequence[int]]]:
    """The tasks of a run as the metadata knows them, each with the attempts at it."""
    from metaflow import Run as Client

    client = Client(run.run)
    for task in client[PARAMETERS]:  # Metaflow tries that once, and notes no attempt.
        yield Pathspec(run.flow, run.run_id, PARAMETERS, str(task.id)), (0,)
    for step in client:
        for task in step:
            tries = {int(one.value) for one in task.metadata if one.name == "attempt" and str(one.value).isdecimal()}
            yield Pathspec(run.flow, run.run_id, str(step.id), str(task.id)), sorted(tries) or ANY


def far_runs(flow: str, tasks: Attempts, place: Place) -> dict[Pathspec, StoredRun]:
    """Runs of a flow in a store on another machine: all that is needed is asked for together, and nothing listed.

    Args:
        flow: The flow.
        tasks: The tasks, as the metadata names them.
        place: The store.
    """
    from metaflow.datastore import FlowDataStore
    from metaflow.datastore.task_datastore import TaskDataStore

    store = FlowDataStore(flow, storage_impl=place.storage, ds_root=place.root)
    wanted: dict[str, tuple[Pathspec, int]] = {}
    for task, attempts in tasks.items():
        for attempt in attempts:
            # It is written once the artifacts are there, just before the mark that says so, which is not asked for too.
            name = TaskDataStore.metadata_name_for_attempt(TaskDataStore.METADATA_DATA_SUFFIX, attempt)
            wanted[store._storage_impl.path_join(*str(task).split("/"), name)] = (task, attempt)

    def load(paths: Sequence[str]) -> list[tuple[str, bytes]]:
        with store._storage_impl.load_bytes(list(paths)) as loaded:
            return [(str(key), Path(path).read_bytes()) for key, path, _ in loaded if path is not None]

    found: dict[Pathspec, dict[int, bytes]] = {task: {} for task in tasks}
    for path, content in in_slices(list(wanted), load):
        task, attempt = wanted[path]
        found[task][attempt] = content
    contents = Contents(store)

    def stored(task: Pathspec, kept: Mapping[int, bytes]) -> StoredTask:
        noted = tasks[task]
        latest = max(kept, default=0) if noted == ANY else max(noted)
        data = loads(kept[latest]) if latest in kept else {}
        one = store.get_task_datastore(
            task.run_id, task.step, task.task_id, attempt=latest, data_metadata=data, allow_not_done=True
        )
        return StoredTask(flow, one, contents, done=latest in kept)

    return _by_run(stored(task, kept) for task, kept in found.items() if kept or tasks[task] != ANY)


def fetch_common(runs: Collection[StoredRun]) -> None:
    """Loads together what is asked of every run: its record, how it ended, its structure and its parameters."""
    keys: dict[Contents, dict[str, None]] = {}
    for run in runs:
        for task in (*run.tasks, *((run.constants,) if run.constants is not None else ())):
            names = [name for name in (ARTIFACT, *ENDED, GRAPH) if task.has(name)]
            keys.setdefault(task.contents, {}).update(dict.fromkeys(task.key(name) for name in names))
    for contents, wanted in keys.items():
        contents.fetch(wanted)
    for run in runs:
        if run.constants is not None:
            names = run.parameter_names()
            keys[run.constants.contents].update(dict.fromkeys(run.constants.key(name) for name in names))
    for contents, wanted in keys.items():
        contents.fetch(wanted)


def _by_run(tasks: Iterable[StoredTask]) -> dict[Pathspec, StoredRun]:
    found: dict[Pathspec, list[StoredTask]] = {}
    for task in tasks:
        found.setdefault(task.pathspec.zoomed("run"), []).append(task)
    return {run: StoredRun(listed) for run, listed in found.items()}
