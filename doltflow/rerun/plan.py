"""What a replay is going to do: the pins of its reads, the branches of its writes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from doltflow.errors import BranchExistsError, NotReplayableError, UsageError, nearest
from doltflow.model.access import Access
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.pins import DatabasePin, Pins, ReadPin
from doltflow.model.run import Run
from doltflow.rerun.own import foreach_paths, own_tables, taken_over
from doltflow.sources.dolt import LONGEST_BRANCH
from doltflow.workspace import Workspace, read_run
from doltflow.workspace.fetching import fetch_commit
from doltflow.workspace.records import RunRecords
from doltflow.workspace.workspace import ELSEWHERE, GONE

# Git's rules for the name of a branch, which are Dolt's, who takes ASCII alone and nothing that looks like a commit.
# Below `doltflow-tmp/` are the temporary ones.
_BAD_NAME = re.compile(
    r"[^\x21-\x7e]|[~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|/\.|\.lock(/|$)|^@$|^$|^[0-9a-v]{32}$|^doltflow-tmp/",
    re.IGNORECASE,
)
_ENDS = re.compile(r"FROM dolt_diff\('(?P<before>\w+)', '(?P<after>\w+)'")


@dataclass(frozen=True, slots=True)
class PlannedBranch:
    """A branch that a rerun is to have.

    Attributes:
        database: The database's name.
        branch: The branch's name.
        commit: Full hash of the commit that it starts at.
        original: The branch that the recorded run wrote to, where it is known.
        made: The tables that the recorded run wrote there, each with the commit that left it as the run left it.
    """

    database: str
    branch: str
    commit: str
    original: str | None
    made: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A replay that is to be.

    Attributes:
        run: The recorded run.
        branches: The branches to make.
        pins: Where everything is sent.
        steps: The steps that run again; None for all.
        first: The step to begin with; None for the flow's first one.
        order: The steps that run again, in the order of the flow; empty where the store does not tell.
    """

    run: Run
    branches: tuple[PlannedBranch, ...]
    pins: Pins
    steps: frozenset[str] | None = None
    first: str | None = None
    order: tuple[str, ...] = ()


def plan_replay(
    workspace: Workspace,
    pathspec: Pathspec,
    name: str | None = None,
    step: str | None = None,
    *,
    is_whole: bool = False,
    like: str | None = None,
) -> Plan:
    """The plan of a replay. Nothing is made.

    Args:
        workspace: Where to look.
        pathspec: The run.
        name: The name for the branches; `replay/Flow/run_id` without it, numbered where that is taken.
        step: The step to begin with; what those before it wrote stays as it is. Without it the first one that the run
            ran itself: a resumed run has taken over those before it.
        is_whole: Whether every step runs again, whatever the run itself ran.
        like: What takes the place of `replay/Flow/run_id` where no name is given.

    Raises:
        RunNotFoundError: There is no such run.
        NotReplayableError: It still runs, wrote nothing, or what it read is gone.
        BranchExistsError, UsageError: The name is taken, or is none.
    """
    if name is not None:
        check_name(name)
    records = read_run(workspace, pathspec)
    run = records.run
    if run.status == "running":
        if workspace.store is not None:
            # Where it only seems so, as its datastore does not answer, this says it.
            workspace.store.read(pathspec.zoomed("run"))
        raise NotReplayableError(f"`{run.pathspec}` is still running.", "Replay it when it has ended.")
    own = [access for access in run.accesses if access.pathspec.startswith(f"{run.pathspec}/")]
    _check_commits(workspace, own)
    records = replace(records, commits=_with_fetched(workspace, records, own))
    if step is None and not is_whole:
        step = _resumed_step(workspace, pathspec)
    again = None if step is None else _from(workspace, pathspec, step)
    _check_taken_over(workspace, records, again)
    commits = _commits_by_database(records, again)
    if not commits and again is not None:
        raise NotReplayableError(
            f"`{run.pathspec}` wrote no table in the step `{step}` or after it.", "Begin with an earlier step."
        )
    if not commits:
        raise NotReplayableError(
            f"`{run.pathspec}` wrote no table, so there is nothing that a replay could be compared with.",
            "`doltflow show` tells what it read.",
        )
    writes = [access for access in own if access.kind == "write" and (again is None or _step(access) in again)]
    like = like or f"replay/{run.flow}/{run.run_id}"
    branches = tuple(_branch(workspace, run, database, made, writes, name, like) for database, made in commits.items())
    reads = tuple(_read_pins(workspace, records, own, writes))
    pins = Pins("replay", run.pathspec, tuple(_database_pins(workspace, branches, own)), reads)
    order = _order(workspace, pathspec, step)
    return Plan(run, branches, pins, None if again is None else frozenset(again), step, order)


def check_name(name: str) -> None:
    """Makes sure that a name can be that of a branch.

    Raises:
        UsageError: It cannot.
    """
    if _BAD_NAME.search(name) or len(name) > LONGEST_BRANCH:
        raise UsageError(
            f"`{name}` cannot be the name of a branch.",
            f"Take at most {LONGEST_BRANCH} letters, digits, `-`, `_`, `.` and `/`, such as `metaflow-backtest`.",
        )


def _commits_by_database(records: RunRecords, steps: set[str] | None) -> dict[str, list[Commit]]:
    """The commits of the run, or of some of its steps, oldest first."""
    found: dict[str, list[Commit]] = {}
    for commit in records.commits:
        if steps is None or (commit.run is not None and commit.run.pathspec.step in steps):
            found.setdefault(commit.database, []).append(commit)
    return found


def _from(workspace: Workspace, run: Pathspec, step: str) -> set[str]:
    """A step and those that come after it.

    Raises:
        NotReplayableError: The run has no such step.
    """
    steps = workspace.store.read(run).graph.get("steps", {}) if workspace.store is not None else {}
    if step not in steps:
        raise NotReplayableError(f"`{run.run}` has no step `{step}`.", nearest(step, steps))
    found, left = set[str](), [step]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [str(after) for after in steps.get(name, {}).get("next") or ()]
    return found


def _order(workspace: Workspace, run: Pathspec, step: str | None) -> tuple[str, ...]:
    """A step, or the first one, and those that come after it, each after those before it."""
    graph = workspace.store.read(run).graph if workspace.store is not None else {}
    steps = graph.get("steps", {})
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in steps and name not in found:
            for after in reversed(steps[name].get("next") or ()):
                visit(str(after))
            found[name] = None

    visit(step or str(graph.get("start_step") or "start"))
    return tuple(reversed(found))


def _resumed_step(workspace: Workspace, run: Pathspec) -> str | None:
    """The last step after which a resumed run has run all that it ran itself; None for a run that is none."""
    repeated = workspace.store.repeated_steps(run) if workspace.store is not None else None
    if not repeated or workspace.store is None:
        return None
    after = {step: _from(workspace, run, step) for step in workspace.store.read(run).graph.get("steps", {})}
    holding = [step for step, steps in after.items() if repeated <= steps]
    return min(holding, key=lambda step: len(after[step]), default=None)


def _check_taken_over(workspace: Workspace, records: RunRecords, again: set[str] | None) -> None:
    """Makes sure that no task runs again that a resumed run took over with what it had written.

    Raises:
        NotReplayableError: One would.
    """
    run = Pathspec(records.run.flow, records.run.run_id)
    steps = again if again is not None or workspace.store is None else workspace.store.read(run).graph.get("steps", {})
    for access in taken_over(records, steps or ()):
        task = Pathspec.parse(access.pathspec)
        origin = task.run if task is not None else access.pathspec
        raise NotReplayableError(
            f"`{run.run}` goes on from {origin} and took over {access.pathspec}, which wrote "
            f"{', '.join(f'`{table}`' for table in access.tables or ())}: what it wrote before is not this run's.",
            f"Begin with a later step (`--from`), or replay {origin}.",
        )


def _step(access: Access) -> str:
    task = Pathspec.parse(access.pathspec)
    return str(task.step) if task is not None else ""


def _check_commits(workspace: Workspace, accesses: Iterable[Access]) -> None:
    for access in accesses:
        name = workspace.database_of(access)
        if name is None:
            raise NotReplayableError(
                f"The database `{access.database}`, which {access.pathspec} used, is not here.",
                ELSEWHERE,
            )
        if access.commit is None or fetch_commit(workspace, name, access.commit) is None:
            raise NotReplayableError(
                f"`{name}` does not have the commit {access.commit}, which {access.pathspec} used.",
                GONE,
            )


def _with_fetched(workspace: Workspace, records: RunRecords, accesses: Iterable[Access]) -> tuple[Commit, ...]:
    """The commits of the run, with those that are on no branch here, as they were fetched."""
    known = {commit.hash: commit for commit in records.commits}
    for access in accesses:
        if access.kind == "write" and access.commit is not None and access.commit not in known:
            name = workspace.database_of(access)
            commit = workspace.find_commit(name, access.commit) if name is not None else None
            if commit is not None and commit.run is not None and commit.run.pathspec.run == records.run.pathspec:
                known[commit.hash] = commit
    return tuple(sorted(known.values(), key=lambda commit: commit.date))


def _branch(
    workspace: Workspace,
    run: Run,
    database: str,
    commits: list[Commit],
    writes: list[Access],
    name: str | None,
    like: str,
) -> PlannedBranch:
    writes = [access for access in writes if access.database == database]
    originals = {access.branch for access in writes}
    if len(originals - {None}) > 1:
        listed = ", ".join(f"`{branch}`" for branch in sorted(filter(None, originals)))
        raise NotReplayableError(
            f"`{run.pathspec}` wrote to several branches of `{database}`: {listed}.",
            "A replay gives each database one branch.",
        )
    base = next(iter(commits[0].parents), None)
    if base is None or workspace.find_commit(database, base) is None:
        raise NotReplayableError(f"`{database}` no longer has the commit that `{run.pathspec}` began with.")
    last = commits[-1].hash
    written = sorted({table for access in writes for table in access.tables or ()})
    left = {table: _left(commits, writes, table) or last for table in written}
    # An old record may spell a table otherwise than the database does.
    made = tuple({workspace.spelled(database, table, at) or table: at for table, at in left.items()}.items())
    taken = set(workspace.session(database).branches())
    if name is not None and name.casefold() in {branch.casefold() for branch in taken}:
        raise BranchExistsError(f"`{database}` has a branch `{name}` already.", "Give another name with `--branch`.")
    return PlannedBranch(
        database,
        name if name is not None else _free(like, taken),
        base,
        next(iter(originals - {None}), None),
        made,
    )


def _left(commits: list[Commit], writes: list[Access], table: str) -> str | None:
    """The last of the run's commits that wrote a table."""
    hashes = {write.commit for write in writes if table in (write.tables or ())}
    return next((commit.hash for commit in reversed(commits) if commit.hash in hashes), None)


def _free(name: str, taken: set[str]) -> str:
    folded = {branch.casefold() for branch in taken}
    names = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in names if candidate.casefold() not in folded)


def _read_pins(workspace: Workspace, records: RunRecords, own: list[Access], writes: list[Access]) -> Iterable[ReadPin]:
    paths = foreach_paths(workspace, records.run)
    mains: dict[tuple[str, str, float | None], Access] = {}
    for access in own:
        if access.kind == "read" and access.commit is not None:
            # What a query reads `AS OF` another commit is noted before the query itself, and needs no pin.
            place = access.timestamp if not access.key.startswith("diff(") else None
            key = (access.pathspec, access.key, place if place is not None else float(len(mains)))
            mains[key] = access
    for access in sorted(mains.values(), key=lambda access: access.timestamp or 0.0):
        name = workspace.database_of(access) or access.database
        task = Pathspec.parse(access.pathspec)
        tables = access.tables or ()
        mine = own_tables(workspace, access, writes)
        step = str(task.step) if task is not None else ""
        path, ends = paths.get(access.pathspec, ()), _ends(access)
        yield ReadPin(step, path, access.key, name, tables, str(access.commit), mine, ends)


def _ends(access: Access) -> tuple[str, str] | None:
    """Between which commits a `diff` was asked for."""
    found = _ENDS.search(access.query or "") if access.key.startswith("diff(") else None
    return (found["before"], found["after"]) if found is not None else None


def _database_pins(workspace: Workspace, branches: Iterable[PlannedBranch], own: list[Access]) -> Iterable[DatabasePin]:
    written = {branch.database: branch.branch for branch in branches}
    read = {workspace.database_of(a) or a.database: a.commit for a in own if a.kind == "read" and a.commit is not None}
    for name in sorted(written.keys() | read.keys()):
        folder = str(workspace.session(name).database.location)
        yield DatabasePin(name, folder, written.get(name), None if name in written else read[name])
