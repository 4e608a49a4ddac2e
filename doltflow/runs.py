"""`runs`: the runs that read or wrote tables in Dolt."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from doltflow.errors import StoreNotFoundError
from doltflow.model.run import Run
from doltflow.workspace import load_settings, open_workspace
from doltflow.workspace.records import read_run
from doltflow.workspace.runs import runs_of_commits


@dataclass(frozen=True, slots=True)
class RunsResult:
    """The runs that read or wrote.

    Attributes:
        runs: Newest first.
        warnings: What was missing or could not be read, one sentence each.
    """

    runs: tuple[Run, ...]
    warnings: tuple[str, ...]


def runs(*, flow: str | None = None, limit: int | None = None, folder: Path | None = None) -> RunsResult:
    """The runs that read or wrote tables in Dolt, newest first.

    Args:
        flow: Only runs of this flow.
        limit: At most so many.
        folder: Where to look for databases; the current folder without it.

    Raises:
        StoreNotFoundError: There is neither a Metaflow store nor a database to look at.
    """
    with open_workspace(load_settings(folder), None, folder) as workspace:
        store = workspace.store
        if store is None and not workspace.names:
            raise StoreNotFoundError(
                "There is neither a Metaflow store nor a Dolt database in the current folder.",
                "Go to the folder where the flows ran.",
            )
        started = runs_of_commits(workspace)
        in_store = store.pathspecs() if store is not None else []
        order = {pathspec: number for number, pathspec in enumerate(in_store)}
        known = [*in_store, *(run for run in started if run not in order)]
        found: list[Run] = []
        for pathspec in known:
            if flow is not None and pathspec.flow != flow:
                continue
            run = read_run(workspace, pathspec).run
            if run.accesses:
                found.append(run)
        found.sort(key=lambda run: run.started or datetime.min.replace(tzinfo=UTC), reverse=True)
        return RunsResult(tuple(found if limit is None else found[:limit]), tuple(workspace.warnings))
