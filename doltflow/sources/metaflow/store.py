"""Metaflow's store: the runs that were, their parameters and their record of Dolt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from doltflow.errors import AmbiguousRunError, RunNotFoundError, StoreNotFoundError, nearest
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run, Status, rerun_of
from doltflow.sources.metaflow.contents import Contents
from doltflow.sources.metaflow.many import far_runs, fetch_common, local_runs, noted_tasks
from doltflow.sources.metaflow.places import Place, Places, loading, noted_place
from doltflow.sources.metaflow.processes import has_process
from doltflow.sources.metaflow.running import ARTIFACT, all_namespaces
from doltflow.sources.metaflow.stored import StoredRun, StoredTask

QUIET = timedelta(minutes=1)
"""How long after its last sign of life a run counts as running though no process of it is seen."""


def _local_root(folder: Path | None) -> Path:
    """The local store's folder: that of the running flow, else the one that is set or found upwards.

    Raises:
        StoreNotFoundError: There is none.
    """
    from metaflow import current
    from metaflow.plugins.datastores.local_storage import LocalStorage

    if folder is None and current.is_running_flow and LocalStorage.datastore_root:
        return Path(LocalStorage.datastore_root)
    start = (folder or Path.cwd()).absolute()
    above = (start, *start.parents)
    candidates = above if LocalStorage.SYSROOT_VAR is None else (Path(LocalStorage.SYSROOT_VAR).absolute(),)
    for candidate in candidates:
        if (candidate / LocalStorage.DATASTORE_DIR).is_dir():
            return Path(candidate, LocalStorage.DATASTORE_DIR)
    raise StoreNotFoundError(
        f"There is no Metaflow store (`{LocalStorage.DATASTORE_DIR}`) in {candidates[0]}"
        f"{' or above it' if candidates is above else ''}.",
        "Go to the folder where the flows ran, or set METAFLOW_DATASTORE_SYSROOT_LOCAL.",
    )


class Store:
    """The runs of Metaflow's store, every user's. Metaflow's own settings in this process stay as they are."""

    def __init__(self, folder: Path | None = None) -> None:
        """Opens the store.

        Args:
            folder: Where to look for a local store, and above; the current folder without it.

        Raises:
            StoreNotFoundError: There is none.
        """
        try:
            from metaflow import get_metadata
        except Exception as error:  # Metaflow reads its configuration while it is imported, and raises what it likes.
            raise StoreNotFoundError(f"Metaflow cannot be started: {error}.", "Check METAFLOW_PROFILE.") from error
        self._root: Path | None = None
        self._far: dict[Pathspec, StoredRun] = {}
        self._ahead: dict[Pathspec, StoredRun] = {}
        self.name = str(get_metadata())
        try:
            if self.name.startswith("local@"):
                self._root = _local_root(folder)
                next(self._root.iterdir(), None)
        except OSError as error:
            raise StoreNotFoundError(f"Metaflow's store cannot be read: {error}.") from error
        self._places = Places(self._root)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Asks Metaflow for every user's runs of this store, one thread at a time, and translates what it raises."""
        from metaflow.exception import MetaflowException, MetaflowNotFound
        from metaflow.plugins.datastores.local_storage import LocalStorage

        with all_namespaces():
            before = LocalStorage.datastore_root
            if self._root is not None:
                LocalStorage.datastore_root = str(self._root)
            try:
                with loading():
                    yield
            except MetaflowNotFound as error:
                raise RunNotFoundError(f"Metaflow's store has no {what}.") from error
            except (MetaflowException, OSError, ValueError) as error:
                raise StoreNotFoundError(
                    f"Metaflow's store cannot be read for {what}: {type(error).__name__}: {error}."
                ) from error
            finally:
                LocalStorage.datastore_root = before

    def flows(self) -> list[str]:
        """The names of the flows that ran."""
        from metaflow import Metaflow

        with self._reading("flows"):
            return sorted(flow.id for flow in Metaflow().flows)

    def started(self, flow: str | None = None) -> dict[Pathspec, datetime]:
        """The runs of one flow or of all, newest first, each with when it began."""
        from metaflow import Flow

        found: list[tuple[Pathspec, datetime]] = []
        for name in [flow] if flow is not None else self.flows():
            with self._reading(f"flow `{name}`"):
                found += [(Pathspec(name, str(run.id)), _utc(run.created_at)) for run in Flow(name).runs()]
        return dict(sorted(found, key=lambda item: item[1], reverse=True))

    def find(self, text: str) -> Pathspec:
        """The run, step or task that a user means: `Flow/run_id[/step[/task]]`, `Flow/latest[~N]` or a bare run id.

        Raises:
            RunNotFoundError: There is none; the nearest names are listed.
            AmbiguousRunError: The run id belongs to several flows.
        """
        pathspec = Pathspec.parse(text)
        if pathspec is None:
            return self._find_bare(text)
        flows = self.flows()
        if pathspec.flow not in flows:
            raise RunNotFoundError(f"There is no flow `{pathspec.flow}`.", nearest(pathspec.flow, flows))
        if pathspec.back is not None:
            pathspec = self._latest(pathspec, pathspec.back)
        known = [run.run_id for run in self.started(pathspec.flow)]
        if pathspec.run_id not in known:
            raise RunNotFoundError(
                f"The flow `{pathspec.flow}` has no run `{pathspec.run_id}`.", nearest(pathspec.run_id, known)
            )
        if pathspec.step is not None:
            self._check_below(pathspec)
        return pathspec

    def _find_bare(self, text: str) -> Pathspec:
        known = list(self.started())
        found = [run for run in known if run.run_id == text]
        if len(found) > 1:
            raise AmbiguousRunError(
                f"Several flows have a run `{text}`: {', '.join(run.run for run in found)}.", "Name one of them."
            )
        if not found:
            names = [name for run in known for name in (run.run, run.run_id)]
            raise RunNotFoundError(f"There is no run `{text}`.", nearest(text, names))
        return found[0]

    def rerun_of(self, pathspec: Pathspec) -> dict[str, Any] | None:
        """What a run is a rerun of, by its tags; None where it is none."""
        from metaflow import Run as Client

        with self._reading(f"run `{pathspec}`"):
            return rerun_of(Client(pathspec.run).user_tags)

    def _latest(self, pathspec: Pathspec, back: int) -> Pathspec:
        """The newest successful run that is no rerun, or one that is so many such runs before it."""
        found = 0
        for candidate in self.started(pathspec.flow):
            if self.rerun_of(candidate) is None and self.read(candidate).succeeded():
                if found == back:
                    return Pathspec(candidate.flow, candidate.run_id, pathspec.step, pathspec.task_id)
                found += 1
        raise too_few(pathspec.flow, found)

    def _check_below(self, pathspec: Pathspec) -> None:
        tasks = self.read(pathspec).tasks
        steps = {task.step for task in tasks}
        if pathspec.step not in steps:
            raise RunNotFoundError(
                f"The run `{pathspec.run}` has no step `{pathspec.step}`.", nearest(str(pathspec.step), steps)
            )
        ids = [str(task.pathspec.task_id) for task in tasks if task.step == pathspec.step]
        if pathspec.task_id is not None and pathspec.task_id not in ids:
            raise RunNotFoundError(
                f"The step `{pathspec.run}/{pathspec.step}` has no task `{pathspec.task_id}`.",
                nearest(pathspec.task_id, ids),
            )

    def read(self, pathspec: Pathspec) -> StoredRun:
        """The tasks of a run.

        Raises:
            RunNotFoundError: It is not there.
            StoreNotFoundError: The datastore that it is in does not answer.
        """
        from metaflow import Run as Client

        run = pathspec.zoomed("run")
        stored = self._ahead.pop(run, None) or self.read_many([run])[run]
        if not stored.tasks:
            with self._reading(f"run `{run}`"):
                Client(run.run)
        return stored

    def read_ahead(self, runs: Sequence[Pathspec]) -> None:
        """Reads the tasks of many runs together, for who will read them one by one now.

        Raises:
            StoreNotFoundError: The datastore of one does not answer.
        """
        self._ahead = self.read_many(runs)

    def read_many(self, runs: Sequence[Pathspec]) -> dict[Pathspec, StoredRun]:
        """The tasks of many runs, read all together. One that is not there has no tasks.

        Raises:
            StoreNotFoundError: The datastore of one does not answer.
        """
        wanted = list(dict.fromkeys(run.zoomed("run") for run in runs))
        found = {run: self._far[run] for run in wanted if run in self._far}
        for flow in dict.fromkeys(run.flow for run in wanted):
            of_flow = [run for run in wanted if run.flow == flow and run not in found]
            with self._reading(f"run `{of_flow[0]}`" if len(of_flow) == 1 else f"flow `{flow}`"):
                if self._root is not None:
                    # Where the store is now; the client would look where it was when the flow ran.
                    found |= local_runs(flow, [run.run_id for run in of_flow], str(self._root))
                found |= self._read_elsewhere(flow, [run for run in of_flow if run not in found])
        return {run: found.get(run) or StoredRun(()) for run in wanted}

    def _read_elsewhere(self, flow: str, runs: Sequence[Pathspec]) -> dict[Pathspec, StoredRun]:
        """The runs that are not in the local store's folder, from where each says that its data is."""
        from metaflow.exception import MetaflowNotFound

        places: dict[Place, list[Pathspec]] = {}
        for run in runs:
            with suppress(MetaflowNotFound):
                if (place := noted_place(run)) is not None:
                    places.setdefault(place, []).append(run)
        found: dict[Pathspec, StoredRun] = {}
        for place, there in places.items():
            if place.kind == "local":
                found |= local_runs(flow, [run.run_id for run in there], place.root)
                continue
            with self._places.asking(place):
                far = far_runs(flow, {task: tries for run in there for task, tries in noted_tasks(run)}, place)
                fetch_common(far.values())
            found |= far
            # What has come to its end does not change any more, and is asked for again and again.
            self._far |= {run: stored for run, stored in far.items() if len(there) == 1 and stored.succeeded()}
        return found

    def run(self, pathspec: Pathspec, stored: StoredRun, *, edges: bool = True) -> Run:
        """What Metaflow knows of a run, without its accesses.

        Args:
            pathspec: The run.
            stored: Its tasks.
            edges: Whether to tell which task came after which.

        Raises:
            RunNotFoundError: There is none.
        """
        from metaflow import Run as Client

        with self._reading(f"run `{pathspec.run}`"):
            client = Client(pathspec.run)
            started, tags = _utc(client.created_at), client.user_tags
            user = next((tag.partition(":")[2] for tag in client.system_tags if tag.startswith("user:")), None)
        return Run(
            flow=pathspec.flow,
            run_id=pathspec.run_id,
            status=self._status(pathspec, started, stored),
            started=started,
            finished=self._last_end(stored.ends() if stored.succeeded() else stored.failures()),
            user=user,
            parameters=stored.parameters(),
            tags=tuple(sorted(tags)),
            rerun_of=rerun_of(tags),
            edges=stored.edges() if edges else (),
        )

    def _status(self, pathspec: Pathspec, started: datetime, stored: StoredRun) -> Status:
        """How a run ended, or that it runs.

        `unknown` where it neither ended nor does anything: it was killed together with what would have said so.
        """
        if stored.succeeded():
            return "successful"
        if stored.failures():
            return "failed"
        signs = [started, self._last_end(stored.tasks), *(task.began() for task in stored.tasks)]
        last = max(sign for sign in signs if sign is not None)
        # Between two tasks there is for a moment no process that bears the run's id, and never one of a remote task.
        lives = datetime.now(UTC) - last < QUIET or not all(task.is_local for task in stored.tasks)
        return "running" if lives or has_process(pathspec.run_id) else "unknown"

    def _last_end(self, tasks: Sequence[StoredTask]) -> datetime | None:
        """When the last of these tasks ended, where it is known."""
        from metaflow import Task

        ends = []
        for task in tasks:
            with self._reading(f"task `{task.pathspec}`"):
                ends.append(Task(str(task.pathspec)).finished_at)
        return max((_utc(end) for end in ends if end is not None), default=None)

    def first_step(self, pathspec: Pathspec) -> str:
        """The name of a run's first step."""
        return str(self.read(pathspec).graph.get("start_step") or "start")

    @property
    def folder(self) -> Path | None:
        """The folder that holds the local store; None where the store is not a local one."""
        return self._root.parent if self._root is not None else None

    def blobs(self, pathspec: Pathspec, keys: Sequence[str]) -> dict[str, bytes]:
        """Contents that are kept in a flow's data under keys; without those that are gone."""
        from metaflow.datastore import FlowDataStore

        found: dict[str, bytes] = {}
        with self._reading(f"run `{pathspec.run}`"):
            for place in self._places.of(pathspec):
                contents = Contents(FlowDataStore(pathspec.flow, storage_impl=place.storage, ds_root=place.root))
                contents.fetch(set(keys) - set(found))
                for key in set(keys) - set(found):
                    with suppress(Exception):  # Whatever a storage raises for what is not there.
                        found[key] = contents.get(key)
        return found

    def keep(self, pathspec: Pathspec, content: bytes) -> str:
        """Keeps a content in a flow's data, once however often it is kept, and returns the key that it has there."""
        from metaflow.datastore import FlowDataStore

        with self._reading(f"run `{pathspec.run}`"):
            place = self._places.own(pathspec)
            store = FlowDataStore(pathspec.flow, storage_impl=place.storage, ds_root=place.root).ca_store
            return str(store.save_blobs(iter([content]))[0].key)

    def variables(self, pathspec: Pathspec) -> dict[str, str]:
        """What makes a flow use the datastore of a run, in the environment: a run goes on from none in another one."""
        with self._reading(f"run `{pathspec.run}`"):
            return self._places.own(pathspec).variables

    def notes(self, pathspec: Pathspec, name: str) -> list[str]:
        """What Metaflow noted of a run's tasks under a name: of one task of each step, the last step first."""
        from metaflow import Run as Client

        with self._reading(f"run `{pathspec.run}`"):
            tasks = (step.task for step in Client(pathspec.run))
            noted = (task.metadata_dict.get(name) for task in tasks if task is not None)
            return [str(value) for value in noted if value is not None]

    def repeated_steps(self, pathspec: Pathspec) -> set[str] | None:
        """Of a resumed run the steps of which it ran tasks itself; None where it goes on from no other run."""
        from metaflow import Run as Client

        if all(origin == "None" for origin in self.notes(pathspec, "origin-run-id")):
            return None
        with self._reading(f"run `{pathspec.run}`"):
            steps = list(Client(pathspec.run))
            return {step.id for step in steps if any("origin-task-id" not in task.metadata_dict for task in step)}

    def artifacts(self, pathspec: Pathspec) -> list[tuple[str, object]]:
        """The artifact `dolt` of every task of a run (or step, or task) that has one, with the task's pathspec.

        Raises:
            RecordError: One is broken.
        """
        found = []
        for task in self.read(pathspec).tasks:
            wanted = pathspec.step in (None, task.step) and pathspec.task_id in (None, task.pathspec.task_id)
            if wanted and task.has(ARTIFACT):
                found.append((str(task.pathspec), task.value(ARTIFACT)))
        return found


def _utc(moment: datetime) -> datetime:
    # Metaflow gives the machine's own time, without a zone.
    return moment.astimezone(UTC)


def too_few(flow: str, found: int) -> RunNotFoundError:
    """That a flow has not so many successful runs that are no reruns."""
    amount = f"only {found} successful run{'' if found == 1 else 's'}" if found else "no successful run"
    verb = "is" if found < 2 else "are"
    return RunNotFoundError(f"The flow `{flow}` has {amount} that {verb} no rerun.", "`doltflow runs` lists all.")
