"""Where the data of a run is: the kind of Metaflow's datastore and its root, and whether it answers."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doltflow.errors import StoreNotFoundError
from doltflow.model.pathspec import Pathspec

_SECONDS, _FORBIDDEN = 10, 403
_LOCALROOT = "ARTIFACT_LOCALROOT"


@dataclass(frozen=True, slots=True)
class Place:
    """A datastore.

    Attributes:
        storage: Metaflow's class for its kind.
        root: Its root.
    """

    storage: Any
    root: str

    @property
    def kind(self) -> str:
        """`local`, `s3` or what else Metaflow has."""
        return str(self.storage.TYPE)

    @property
    def variables(self) -> dict[str, str]:
        """What makes a flow use it, in the environment; the folder of a local one is told elsewhere."""
        root = {} if self.kind == "local" else {f"METAFLOW_DATASTORE_SYSROOT_{self.kind.upper()}": self.root}
        return {"METAFLOW_DEFAULT_DATASTORE": self.kind, **root}

    def check(self) -> None:
        """Asks it for anything at all: Metaflow itself would try for minutes.

        Raises:
            StoreNotFoundError: It does not answer, or refuses.
        """
        if self.kind != "s3":
            return
        from metaflow.metaflow_config import DATATOOLS_CLIENT_PARAMS
        from metaflow.plugins.aws.aws_client import get_aws_client

        bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        config = DATATOOLS_CLIENT_PARAMS.get("config") or {}
        if isinstance(config, dict):
            config = {**config, "connect_timeout": _SECONDS, "read_timeout": _SECONDS}
            config["retries"] = {"total_max_attempts": 1}
        try:
            client = get_aws_client("s3", client_params={**DATATOOLS_CLIENT_PARAMS, "config": config})
            client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except Exception as error:  # Whatever Metaflow and its library raise.
            answer = getattr(error, "response", None) or {}
            if answer.get("ResponseMetadata", {}).get("HTTPStatusCode") != _FORBIDDEN:  # To read may be allowed.
                raise self.refusal(error) from error

    def refusal(self, error: Exception) -> StoreNotFoundError:
        """That it does not answer, and what to do."""
        return StoreNotFoundError(
            f"Metaflow's datastore {self.root} does not answer: {type(error).__name__}: {str(error).rstrip('.')}. "
            "Are the network, the credentials and METAFLOW_S3_ENDPOINT_URL right, and is it the right profile "
            "(`--profile`)?"
        )


def noted_place(run: Pathspec) -> Place | None:
    """The datastore that a run noted as its own; None where it noted none that Metaflow has."""
    from metaflow import Run as Client
    from metaflow.plugins import DATASTORES

    tasks = (step.task for step in Client(run.run))
    noted: dict[str, str] = next((task.metadata_dict for task in tasks if task is not None), {})
    known = (storage for storage in DATASTORES if noted.get("ds-type") == storage.TYPE and noted.get("ds-root"))
    return next((Place(storage, noted["ds-root"]) for storage in known), None)


class Places:
    """Where the runs of a store may have their data, each asked once whether it answers.

    Attributes:
        root: Of the local store, where it is now; None where there is none.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._refusals: dict[Place, StoreNotFoundError | None] = {}

    def check(self, place: Place) -> None:
        """Makes sure that a datastore answers.

        Raises:
            StoreNotFoundError: It does not.
        """
        if place not in self._refusals:
            self._refusals[place] = None
            try:
                place.check()
            except StoreNotFoundError as error:
                self._refusals[place] = error
        refusal = self._refusals[place]
        if refusal is not None:
            raise refusal

    @contextmanager
    def asking(self, place: Place) -> Iterator[None]:
        """Asks a datastore; where it no longer answers, it is not asked again: Metaflow tries for minutes each time.

        Raises:
            StoreNotFoundError: It does not answer.
        """
        from metaflow.datastore.exceptions import DataException
        from metaflow.exception import MetaflowException, MetaflowNotFound

        self.check(place)
        try:
            yield
        except (DataException, MetaflowNotFound):
            raise
        except MetaflowException as error:
            refusal = self._refusals[place] = place.refusal(error)
            raise refusal from error

    def of(self, run: Pathspec) -> Iterator[Place]:
        """Where the data of a run may be, the local store's folder first: the run notes where that was.

        Raises:
            StoreNotFoundError: Another one than that does not answer.
        """
        from metaflow.plugins.datastores.local_storage import LocalStorage

        if self.root is not None:
            yield Place(LocalStorage, str(self.root))
        place = noted_place(run)
        if place is not None:
            self.check(place)
            yield place

    def own(self, run: Pathspec) -> Place:
        """Where a run has its data: it may be known here and have that elsewhere; a local store may have been moved."""
        places = list(self.of(run))
        return places[0] if places[-1].kind == places[0].kind else places[-1]


@contextmanager
def loading() -> Iterator[None]:
    """Has Metaflow put what it loads into the machine's folder for temporary files, not into the current one."""
    names = ("s3_storage", "azure_storage", "gs_storage")
    modules = [sys.modules.get(f"metaflow.plugins.datastores.{name}") for name in names]
    before = [(module, getattr(module, _LOCALROOT)) for module in modules if hasattr(module, _LOCALROOT)]
    for module, _ in before:
        setattr(module, _LOCALROOT, tempfile.gettempdir())
    try:
        yield
    finally:
        for module, root in before:
            setattr(module, _LOCALROOT, root)
