"""`runs`: the runs that read or wrote tables in Dolt."""

from dataclasses import dataclass
from pathlib import Path

from doltflow.errors import StoreNotFoundError, UsageError
from doltflow.model.moment import parse_span
from doltflow.model.run import Run
from doltflow.workspace import all_runs, load_settings, open_workspace, read_run
from doltflow.workspace.runs import MANY, read_ahead


@dataclass(frozen=True, slots=True)
class RunsResult:
    """The runs that read or wrote.

    Attributes:
        runs: Newest first.
        warnings: What was missing or could not be read, one sentence each.
    """

    runs: tuple[Run, ...]
    warnings: tuple[str, ...]


def runs(
    *,
    flow: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    folder: Path | None = None,
) -> RunsResult:
    """The runs that read or wrote tables in Dolt, newest first.

    Args:
        flow: Only runs of this flow.
        since: Only runs that began at this date or later; of a date alone its beginning is meant.
        until: Only runs that began at this date or earlier; of a date alone its end is meant.
        limit: At most so many.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        UsageError: A date is none, the dates are the wrong way round, or the limit is negative.
        RunNotFoundError: There is no such flow.
        StoreNotFoundError: There is neither a Metaflow store nor a database to look at.
    """
    if limit is not None and limit < 0:
        raise UsageError(f"The limit is {limit}.", "It is 0 or more.")
    first, last = parse_span(since, until)
    with open_workspace(load_settings(folder), None, folder) as workspace:
        if workspace.store is None and not workspace.names:
            raise StoreNotFoundError(
                f"There is neither a Metaflow store nor a Dolt database in {workspace.place}.",
                "Go to the folder where the flows ran.",
            )
        found: list[Run] = []
        dated = all_runs(workspace, flow).items()
        wanted = [run for run, began in dated if not ((first and began < first) or (last and began > last))]
        for pathspec in read_ahead(workspace, wanted, min(MANY, limit or MANY)):
            if len(found) == limit:
                break
            run = read_run(workspace, pathspec).run
            if run.accesses:
                found.append(run)
        return RunsResult(tuple(found), workspace.warnings)
