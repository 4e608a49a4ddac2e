"""Which runs there are, in the store and in the commits, and which one, or which table, a user means."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from doltflow.errors import (
    AmbiguousRunError,
    DatabaseNotFoundError,
    DoltflowError,
    RunNotFoundError,
    StoreNotFoundError,
    TableNotFoundError,
    UsageError,
    nearest,
)
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.sources.metaflow.another import other_run
from doltflow.sources.metaflow.profile import profiles
from doltflow.sources.metaflow.store import Store, too_few
from doltflow.workspace.at import named_table
from doltflow.workspace.index import Made
from doltflow.workspace.workspace import Workspace

_PROFILE = re.compile(r"[^/@\s]+")
MANY = 100
"""So many runs are read from the store together."""


def all_runs(workspace: Workspace, flow: str | None = None) -> dict[Pathspec, datetime]:
    """The runs that the store or the commits know, newest first, each with when it began as far as that is known.

    Args:
        workspace: Where to look.
        flow: Only runs of this flow.

    Raises:
        RunNotFoundError: There is no such flow.
    """
    made = workspace.made_by_runs()
    found = {run: datetime.fromtimestamp(min(one.date for one in commits), UTC) for run, commits in made.items()}
    in_store = _flows_of_store(workspace)
    if flow is None or flow in in_store:
        found |= workspace.ask_store(lambda store: store.started(flow)) or {}
    flows = {run.flow for run in found} | in_store
    if flow is not None and flow not in flows:
        raise RunNotFoundError(f"There is no flow `{flow}`.", nearest(flow, flows) or "No flow has run here.")
    wanted = [run for run in found if flow in (None, run.flow)]
    return {run: found[run] for run in sorted(wanted, key=lambda run: (found[run], run), reverse=True)}


def read_ahead(workspace: Workspace, runs: Iterable[Pathspec], many: int = MANY) -> Iterator[Pathspec]:
    """The runs, for who reads each as it comes: the store is asked for many of them at a time.

    Args:
        workspace: With the store.
        runs: The runs.
        many: So many at a time.
    """
    waiting = iter(runs)
    while chunk := list(islice(waiting, many)):
        if workspace.store is not None:
            with suppress(StoreNotFoundError):  # Whoever reads one says what is wrong.
                workspace.store.read_ahead(chunk)
        yield from chunk


def _flows_of_store(workspace: Workspace) -> set[str]:
    return set(workspace.ask_store(Store.flows) or ())


def find_run(workspace: Workspace, text: str) -> Pathspec:
    """The run, step or task that a user means, looked up in the store and, failing that, in the commits.

    Raises:
        RunNotFoundError: There is none; the nearest names are listed.
        AmbiguousRunError: A bare run id belongs to several flows.
    """
    missing: RunNotFoundError | None = None
    try:
        found = workspace.ask_store(lambda store: store.find(text))
        if found is not None:
            return found
    except RunNotFoundError as error:
        missing = error
    in_store = _flows_of_store(workspace) if missing is not None else set()
    try:
        return _find_in_commits(workspace, text, in_store)
    except RunNotFoundError as error:
        raise (missing or error) from None


def find_other_run(workspace: Workspace, text: str) -> Pathspec | None:
    """The run, step or task of another profile's store that a user means by `profile:Flow/run_id`; else None.

    Raises:
        ProfileNotFoundError, RunNotFoundError, AmbiguousRunError, StoreNotFoundError: As they say.
        UsageError: Another run is called the same here.
    """
    profile, colon, run = text.partition(":")
    if not colon or not (profile in profiles() or (_PROFILE.fullmatch(profile) and Pathspec.parse(run) is not None)):
        return None
    found = other_run(profile, run, workspace.place)
    name = found.pathspec.run
    here = workspace.ask_store(lambda store: store.started().get(found.pathspec.zoomed("run")))
    if here not in (None, found.run.started):
        raise UsageError(
            f"The run `{name}` of the profile `{profile}` and another one here are both called so, and so are their "
            "commits.",
            "Ask about each by itself, with `--profile`.",
        )
    workspace.others[name] = found
    return found.pathspec


def table_or_run(workspace: Workspace, target: str) -> TableVersion | Pathspec:
    """What a user names: a table, on its default branch, where there is one of that name, else a run.

    Raises:
        TableNotFoundError, DatabaseNotFoundError, RunNotFoundError: There is neither.
        AmbiguousDatabaseError, AmbiguousRunError: There are several.
    """
    try:
        return named_table(workspace, target, None)
    except (TableNotFoundError, DatabaseNotFoundError) as error:
        no_table: DoltflowError = error
    try:
        return find_run(workspace, target)
    except RunNotFoundError as no_run:
        # The error that is nearer to what was meant: a run's name has a slash or is a number.
        first, slash, _ = target.partition("/")
        meant_run = first not in workspace.names if slash else target.isdigit()
        raise (no_run if meant_run else no_table) from None


def _find_in_commits(workspace: Workspace, text: str, in_store: set[str]) -> Pathspec:
    made = workspace.made_by_runs()
    pathspec = Pathspec.parse(text)
    if pathspec is None:
        found = [run for run in made if run.run_id == text]
    elif pathspec.back is not None:
        # The store alone tells of the flows that it knows, where it tells at all.
        found = _latest(workspace, made, pathspec.flow, pathspec.back) if pathspec.flow not in in_store else []
    else:
        found = [run for run in made if run.run == pathspec.run]
    if len(found) > 1:
        raise AmbiguousRunError(
            f"Several flows have a run `{text}`: {', '.join(str(run) for run in found)}.", "Name one of them."
        )
    if not found:
        names = [name for run in made for name in (run.run, run.run_id)]
        raise RunNotFoundError(
            f"There is no run `{text}`.", nearest(text, names) or "No commit here was made by a run."
        )
    if pathspec is None or pathspec.step is None:
        return found[0]
    below = Pathspec(found[0].flow, found[0].run_id, pathspec.step, pathspec.task_id)
    tasks = [str(task) for task in _tasks(made[found[0]])]
    if not any(task == str(below) or task.startswith(f"{below}/") for task in tasks):
        raise RunNotFoundError(f"No commit here is of `{below}`.", nearest(str(below), tasks))
    return below


def _tasks(commits: list[Made]) -> Iterator[Pathspec]:
    return (task for task in (Pathspec.parse(one.task) for one in commits) if task is not None)


def _latest(workspace: Workspace, made: dict[Pathspec, list[Made]], flow: str, back: int) -> list[Pathspec]:
    """The newest run of a flow that is no rerun, or one before it."""
    dated = sorted(((max(one.date for one in commits), run) for run, commits in made.items() if run.flow == flow))
    seen = 0
    for _, run in reversed(dated):
        commits = workspace.commits_of_run(run.run)
        if all(commit.run is None or commit.run.rerun_of is None for commit in commits):
            if seen == back:
                return [run]
            seen += 1
    if seen:
        raise too_few(flow, seen)
    return []
