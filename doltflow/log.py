"""`log`: the commits of the databases, with the run that made each and the tables that it changed."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from doltflow.errors import RefNotFoundError, TableNotFoundError, UsageError, nearest
from doltflow.model.commit import Commit
from doltflow.model.moment import parse_span
from doltflow.sources.dolt import Part, Session
from doltflow.workspace import Workspace, load_settings, open_workspace
from doltflow.workspace.at import databases_asked, head_of, nowhere


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """A commit, and the tables that it left other than its first parent had them; of the first commit, all."""

    commit: Commit
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogResult:
    """The commits that were asked for.

    Attributes:
        commits: Newest first; a commit always before its parents.
        more: Whether the limit left out older ones.
        warnings: What was missing or could not be read, one sentence each.
    """

    commits: tuple[LoggedCommit, ...]
    more: bool
    warnings: tuple[str, ...]


def log(
    database: str | None = None,
    *,
    table: str | None = None,
    at: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    folder: Path | None = None,
) -> LogResult:
    """Commits, newest first.

    Args:
        database: The database, by name or path; all that are here without it, their commits merged by date.
        table: Only the commits that changed this table.
        at: The commit, tag, branch or date to begin with; without it the head of each database's default branch.
        since: Only the commits of this date and later; of a date alone its beginning is meant.
        until: Only the commits of this date and earlier; of a date alone its end is meant.
        limit: At most so many.
        folder: Where to look for databases; the current folder without it.

    Raises:
        UsageError: A date is none, the dates are the wrong way round, or the limit is negative.
        DatabaseNotFoundError, RefNotFoundError: As they say.
        TableNotFoundError: No commit has ever changed a table of that name.
    """
    if limit is not None and limit < 0:
        raise UsageError(f"The limit is {limit}.", "It is 0 or more.")
    first, last = parse_span(since, until)
    with open_workspace(load_settings(folder), database, folder) as workspace:
        heads = _heads(workspace, at)
        # One more than the limit tells whether there are more.
        size = None if limit is None else limit + 1
        parts = {name: Part(head, since=first, until=last, limit=size) for name, head in heads.items()}
        if table is not None:
            parts = _of_table(workspace, parts, table)
        logs = [_commits(workspace.session(name), part) for name, part in parts.items()]
        found = list(islice(heapq.merge(*logs, key=lambda commit: commit.date, reverse=True), size))
        listed = _with_tables(workspace, heads, found[:limit])
        return LogResult(tuple(listed), limit is not None and len(found) > limit, workspace.warnings)


def _heads(workspace: Workspace, at: str | None) -> dict[str, str]:
    """Where the log of each database begins; a database that lacks the ref is left out with a warning."""
    heads: dict[str, str] = {}
    missing: list[RefNotFoundError] = []
    for name in databases_asked(workspace):
        try:
            heads[name] = head_of(workspace.session(name), at)
        except RefNotFoundError as error:
            missing.append(error)
    if not heads:
        raise nowhere(missing)
    for lacking in missing:
        workspace.warn(f"Left out: {lacking.message}")
    return heads


def _of_table(workspace: Workspace, parts: dict[str, Part], table: str) -> dict[str, Part]:
    """The parts of the databases that have, or had, a table of that name.

    Raises:
        TableNotFoundError: None has.
    """
    found: dict[str, Part] = {}
    for name, part in parts.items():
        spelled = workspace.spelled(name, table, part.head) or table
        if workspace.session(name).part_of_log(Part(part.head, spelled, limit=1)):
            found[name] = replace(part, table=spelled)
    if not found:
        known = {known for name, part in parts.items() for known in workspace.tables(name, part.head)}
        names = ", ".join(f"`{name}`" for name in parts)
        raise TableNotFoundError(
            f"No commit of {names} has changed a table `{table}`.",
            nearest(table, known) or "There are no tables at all.",
        )
    return found


def _commits(session: Session, part: Part) -> Iterator[Commit]:
    """The commits of a part, read piece by piece: of a table, some that Dolt gives are left out."""
    while True:
        page = session.part_of_log(part)
        merges = [commit for commit in page if part.table is not None and len(commit.parents) > 1]
        changed = session.changed_tables(part.head, merges)
        # Dolt also gives the merges that left the table as the first parent had it.
        yield from (commit for commit in page if part.table in changed.get(commit.hash, (part.table,)))
        if part.limit is None or len(page) < part.limit:
            return
        part = replace(part, skip=part.skip + len(page))


def _with_tables(workspace: Workspace, heads: dict[str, str], commits: list[Commit]) -> Iterator[LoggedCommit]:
    changed = {
        name: workspace.session(name).changed_tables(head, [commit for commit in commits if commit.database == name])
        for name, head in heads.items()
    }
    return (LoggedCommit(commit, changed[commit.database][commit.hash]) for commit in commits)
