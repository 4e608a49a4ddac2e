"""The tasks of many runs of the local store at once: asked for run by run they take twice as long."""

from collections.abc import Iterable

from doltflow.sources.metaflow.stored import PARAMETERS, StoredTask


def tasks_of(flow: str, run_ids: Iterable[str], root: str) -> dict[str, list[StoredTask]]:
    """The tasks of runs of a flow, by the run's id, in the order of their own; without those of the parameters.

    Args:
        flow: The flow.
        run_ids: The runs; one that is not there has no tasks.
        root: The store's folder.
    """
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins.datastores.local_storage import LocalStorage

    store = FlowDataStore(flow, storage_impl=LocalStorage, ds_root=root)
    storage = store._storage_impl
    runs = [storage.path_join(flow, run_id) for run_id in run_ids]
    steps = [found.path for found in storage.list_content(runs) if not found.is_file]
    tasks = [found.path for found in storage.list_content(steps) if not found.is_file]
    wanted = [storage.path_split(task)[-3:] for task in tasks]
    specs = ["/".join(parts) for parts in wanted if parts[1] != PARAMETERS]
    found: dict[str, list[StoredTask]] = {}
    for one in store.get_task_datastores(pathspecs=specs, allow_not_done=True) if specs else ():
        task = StoredTask(flow, one)
        found.setdefault(task.pathspec.run_id, []).append(task)
    for listed in found.values():
        listed.sort(key=lambda task: (len(str(task.pathspec.task_id)), str(task.pathspec.task_id)))
    return found
