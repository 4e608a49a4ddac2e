"""`show`: one run, with its parameters, its code and every read and write."""

from dataclasses import dataclass
from pathlib import Path

from doltflow.lineage import Resolved
from doltflow.model.commit import Commit
from doltflow.model.run import Run
from doltflow.workspace import load_settings, open_workspace
from doltflow.workspace.gather import resolve
from doltflow.workspace.records import commits_of_run, read_run
from doltflow.workspace.runs import find_run


@dataclass(frozen=True, slots=True)
class ShowResult:
    """One run.

    Attributes:
        run: The run, with its accesses.
        resolved: Its accesses, table by table, with the version of the table that each concerns.
        commits: The commits that it made, oldest first.
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
        folder: Where to look for databases; the current folder without it.

    Raises:
        RunNotFoundError: There is none; the nearest names are listed.
        AmbiguousRunError: A bare run id belongs to several flows.
    """
    with open_workspace(load_settings(folder), None, folder) as workspace:
        pathspec = find_run(workspace, run)
        records = read_run(workspace, pathspec)
        for text in records.disagreements:
            workspace.warn(text)
        resolved = [
            Resolved(access, version)
            for access in records.run.accesses
            if access.pathspec == str(pathspec) or access.pathspec.startswith(f"{pathspec}/")
            for version in resolve(workspace, access)
        ]
        commits = tuple(commits_of_run(workspace, pathspec))
        return ShowResult(records.run, tuple(resolved), commits, tuple(workspace.warnings))
