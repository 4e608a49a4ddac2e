"""The branches of a backtest: made, gone on with, listed, and removed; never one that doltflow did not make."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from doltflow.errors import BranchExistsError, NotReplayableError, RefNotFoundError, nearest
from doltflow.rerun.backtest import BacktestPlan
from doltflow.rerun.plan import PlannedBranch
from doltflow.sources.dolt.made import MadeBranch, alone_on, forget_gone, forget_made, made_in, noted
from doltflow.workspace import Workspace, read_run
from doltflow.workspace.at import databases_asked

KIND = "backtest"


@dataclass(frozen=True, slots=True)
class ListedBranch:
    """A branch that doltflow made and that is still there.

    Attributes:
        database: The database's name.
        made: What is known of it.
        head: Full hash of its head now.
    """

    database: str
    made: MadeBranch
    head: str


def listed_branches(workspace: Workspace) -> list[ListedBranch]:
    """The branches that doltflow made in the databases here, of the one that is asked for if there is one."""
    return [item for name in databases_asked(workspace) for item in _listed(workspace, name)]


def _listed(workspace: Workspace, database: str) -> Iterator[ListedBranch]:
    session = workspace.session(database)
    forget_gone(session.database.location, session.branches)
    heads = session.branches()
    for branch, made in sorted(made_in(session.database.location).items()):
        # Somebody may have removed it and made another of that name, or committed to it.
        if branch in heads and _is_own(workspace, database, heads[branch], made):
            yield ListedBranch(database, made, heads[branch])


def _is_own(workspace: Workspace, database: str, head: str, made: MadeBranch) -> bool:
    """Whether there are only commits of reruns from where a branch began to its head."""
    hash_ = head
    while hash_ != made.commit:
        commit = workspace.find_commit(database, hash_)
        again = commit.run.rerun_of if commit is not None and commit.run is not None else None
        if commit is None or again is None or again["kind"] != made.kind or len(commit.parents) != 1:
            return False
        if made.kind == "replay" and again["pathspec"] != made.of:
            return False
        hash_ = commit.parents[0]
    return True


def _whose(workspace: Workspace, database: str, branch: str) -> str:
    """What is said of a branch that is not doltflow's."""
    if branch in made_in(workspace.session(database).database.location):
        return "which somebody else made anew or committed to"
    return "which doltflow did not make"


def existing(workspace: Workspace, plan: BacktestPlan, base: str | None) -> list[ListedBranch]:
    """Those of a plan's branches that an earlier call made for the same backtest.

    Raises:
        BranchExistsError: There is one of that name that is another.
    """
    # The database that is asked for is the input; the branches are in others too.
    listed = (item for branch in plan.branches for item in _listed(workspace, branch.database))
    known = {item.database: item for item in listed if item.made.branch == plan.branch}
    found = []
    for branch in plan.branches:
        heads = workspace.session(branch.database).branches()
        taken = next((name for name in heads if name.casefold() == branch.branch.casefold()), None)
        if taken is None:
            continue
        item = known.get(branch.database)
        if item is None:
            raise BranchExistsError(
                f"`{branch.database}` has a branch `{taken}` already, {_whose(workspace, branch.database, taken)}.",
                "Give another name with `--branch`.",
            )
        is_input = branch.database in {one.database for one in plan.inputs}
        is_elsewhere = (base is not None or is_input) and item.made.commit != branch.commit
        if (item.made.kind, item.made.of) != (KIND, plan.of) or is_elsewhere:
            raise BranchExistsError(
                f"`{branch.database}` has a branch `{taken}` already, of another {item.made.kind}: {item.made.of} from "
                f"{item.made.commit}.",
                f"Give another name with `--branch`, or remove it with `doltflow backtest --remove {taken}`.",
            )
        found.append(item)
    return found


@contextmanager
def working_on(workspace: Workspace, branches: Iterable[PlannedBranch]) -> Iterator[None]:
    """Keeps every other doltflow off branches, be they there yet or not.

    Raises:
        BranchExistsError: Another one is at work on one.
    """
    with ExitStack() as stack:
        for branch in branches:
            stack.enter_context(alone_on(workspace.session(branch.database).database.location, branch.branch))
        yield


def make_branches(workspace: Workspace, plan: BacktestPlan, branches: Sequence[PlannedBranch]) -> None:
    """Makes branches and notes them; where one cannot be made, none is."""
    made: list[PlannedBranch] = []
    try:
        for branch in branches:
            _make(workspace, branch, plan.of)
            made.append(branch)
    except BaseException:
        for branch in made:
            session = workspace.session(branch.database)
            session.remove_branch(branch.branch)
            forget_made(session.database.location, branch.branch)
        raise


def _make(workspace: Workspace, branch: PlannedBranch, of: str) -> None:
    session = workspace.session(branch.database)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with noted(session.database.location, MadeBranch(branch.branch, KIND, branch.commit, when, of)):
        session.create_branch(branch.branch, branch.commit)


def branches_to_remove(workspace: Workspace, name: str) -> list[ListedBranch]:
    """The branches of a name that doltflow made; of all names that fit where it has a `*`, which no branch has.

    Raises:
        RefNotFoundError: There is none.
        NotReplayableError: One is checked out.
    """
    listed = listed_branches(workspace)
    pattern = re.compile(".*".join(map(re.escape, name.split("*"))))
    found = [item for item in listed if pattern.fullmatch(item.made.branch)]
    if not found:
        holders = [d for d in databases_asked(workspace) if name in workspace.session(d).branches()]
        where = f" `{holders[0]}` has one, {_whose(workspace, holders[0], name)}." if holders else ""
        known = nearest(name, {item.made.branch for item in listed})
        raise RefNotFoundError(f"doltflow made no branch `{name}`.{where}", known or "It has made none here.")
    for item in found:
        if workspace.session(item.database).default_branch() == item.made.branch:
            raise NotReplayableError(
                f"The branch `{item.made.branch}` is checked out in `{item.database}`.",
                "`dolt checkout main` there first.",
            )
    return found


def remove_listed(workspace: Workspace, branches: Sequence[ListedBranch]) -> None:
    """Removes branches that doltflow made.

    Raises:
        BranchExistsError: Another doltflow is at work on one; none was removed.
    """
    with ExitStack() as stack:
        for item in branches:
            stack.enter_context(alone_on(workspace.session(item.database).database.location, item.made.branch))
        for item in branches:
            session = workspace.session(item.database)
            session.remove_branch(item.made.branch)
            forget_made(session.database.location, item.made.branch)


def runs_on(workspace: Workspace, branches: Sequence[ListedBranch]) -> dict[str, str]:
    """The successful reruns that committed to branches: of each run that was repeated, the newest.

    Raises:
        NotReplayableError: A rerun that failed left rows behind that another one would double.
    """
    found: dict[str, str] = {}
    broken: dict[str, str] = {}
    for item in branches:
        commits = workspace.commits(item.database)
        hash_ = item.head
        while hash_ != item.made.commit and hash_ in commits:
            commit = commits[hash_]
            hash_ = next(iter(commit.parents), "")
            again = commit.run.rerun_of if commit.run is not None else None
            if commit.run is None or again is None or again["kind"] != KIND:
                continue
            new = read_run(workspace, commit.run.pathspec.zoomed("run")).run
            if new.status == "successful":
                found.setdefault(str(again["pathspec"]), new.pathspec)
            elif any(write.mode != "replace" for write in commit.run.writes):
                broken[str(again["pathspec"])] = new.pathspec
    for origin in broken.keys() - found.keys():
        raise NotReplayableError(
            f"{broken[origin]} failed after it had added rows, which would be there twice if it ran again.",
            f"Begin anew: `doltflow backtest --remove {branches[0].made.branch}`.",
        )
    return found
