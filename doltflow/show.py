"""`show`: one run, with its parameters, its code and every read and write."""

from dataclasses import dataclass
from pathlib import Path

from doltflow.lineage import Resolved
from doltflow.model.commit import Commit
from doltflow.model.run import Run
from doltflow.workspace import disagreements, find_run, load_settings, open_workspace, read_run, resolved


@dataclass(frozen=True, slots=True)
class ShowResult:
    """One run.

    Attributes:
        run: The run, with its accesses.
        resolved: Its accesses, or those of the step or task that was asked for, table by table, with the version of
            the table that each concerns.
        commits: The commits that it, or that step or task, made, oldest first.
        warnings: What was missing, or where the two records disagree, one sentence each.
    """

    run: Run
    resolved: tuple[Resolved, ...]
    commits: tuple[Commit, ...]
    warnings: tuple[str, ...]


def show(run: str, *, folder: Path | None = None) -> ShowResult:
    """One run.

    Args:
        run: `Flow/run_id`, `Flow/latest`, a bare run id, or a step or task of it.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        RunNotFoundError: There is none; the nearest names are listed.
        AmbiguousRunError: A bare run id belongs to several flows.
    """
    with open_workspace(load_settings(folder), None, folder) as workspace:
        pathspec = find_run(workspace, run)
        records = read_run(workspace, pathspec)
        for found in disagreements(workspace, records):
            workspace.warn(found.message)
        inside = f"{pathspec}/"
        items = [
            item
            for item in resolved(workspace, records)
            if item.task is None and f"{item.access.pathspec}/".startswith(inside)
        ]
        commits = [
            commit
            for commit in records.commits
            if commit.run is not None and f"{commit.run.pathspec}/".startswith(inside)
        ]
        return ShowResult(records.run, tuple(items), tuple(commits), workspace.warnings)
