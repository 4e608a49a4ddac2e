"""Which databases a backtest begins with, and at which commits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from doltflow.errors import AmbiguousDatabaseError, NotReplayableError, RefNotFoundError, UsageError
from doltflow.model.moment import looks_like_moment
from doltflow.sources.dolt import Session
from doltflow.workspace import Workspace
from doltflow.workspace.at import databases_asked, nowhere
from doltflow.workspace.fetching import fetch_all, tell_fetched


@dataclass(frozen=True, slots=True)
class Input:
    """An input database and the commit of it that a backtest begins with."""

    database: str
    commit: str


def find_inputs(
    workspace: Workspace,
    commit: str | None,
    moment: datetime | None,
    as_of: str | None,
    read: Mapping[str, str | None],
    written: set[str],
) -> tuple[Input, ...]:
    """The input databases of a backtest.

    Args:
        workspace: Where to look.
        commit: The commit that was asked for.
        moment: The moment that was asked for.
        as_of: The same, as it was given.
        read: The databases that production reads, each with the branch.
        written: The databases that production writes.

    Raises:
        UsageError, RefNotFoundError, AmbiguousDatabaseError, NotReplayableError: As they say.
    """
    if commit is not None:
        found = _holder(workspace, commit)
        check_input(workspace, found.database, read, written)
        return (found,)
    if moment is None:
        raise UsageError("A backtest needs `--commit`, or `--as-of`.", "`doltflow log DATABASE` lists commits.")
    names = [workspace.asked] if workspace.asked is not None else sorted(set(read) - written)
    if not names:
        raise NotReplayableError(
            f"No database here is only read by runs, so nothing is the input as of {as_of}.",
            "Name the input with `--database`.",
        )
    inputs = []
    for name in names:
        check_input(workspace, name, read, written)
        inputs.append(Input(name, commit_then(workspace.session(name), read.get(name), moment)))
    return tuple(inputs)


def commit_then(session: Session, branch: str | None, moment: datetime) -> str:
    """The commit that a branch was at at a moment; the default branch where that one is gone."""
    known = session.branches()
    head = known[branch] if branch in known else session.branch_head(session.default_branch())
    return session.commit_at(head, moment)


def _holder(workspace: Workspace, commit: str) -> Input:
    """The database that has a commit."""
    found, missing = _holders(workspace, commit)
    if not found and not looks_like_moment(commit) and fetch_all(workspace, databases_asked(workspace)):
        found, missing = _holders(workspace, commit)
        for item in found:
            tell_fetched(workspace, item.database, commit)
    if len(found) > 1:
        names = ", ".join(f"`{item.database}`" for item in found)
        raise AmbiguousDatabaseError(f"Several databases have `{commit}`: {names}.", "Say which with `--database`.")
    if not found:
        nothing = nowhere(missing)
        hint = "A date is given with `--as-of`." if looks_like_moment(commit) else nothing.hint
        raise RefNotFoundError(nothing.message, hint)
    return found[0]


def _holders(workspace: Workspace, commit: str) -> tuple[list[Input], list[RefNotFoundError]]:
    """The databases that have a commit, and of the others that they have none."""
    found: list[Input] = []
    missing: list[RefNotFoundError] = []
    for name in databases_asked(workspace):
        try:
            found.append(Input(name, workspace.session(name).resolve(commit)))
        except RefNotFoundError as error:
            missing.append(error)
    return found, missing


def check_input(workspace: Workspace, name: str, read: Mapping[str, str | None], written: set[str]) -> None:
    """Makes sure that a database is not one that runs only write.

    Raises:
        NotReplayableError: It is.
    """
    if name in written and name not in read:
        others = ", ".join(f"`{other}`" for other in sorted(set(read) & set(workspace.names)))
        raise NotReplayableError(
            f"`{name}` is no input: runs write it, and none reads it.",
            f"Runs read {others}." if others else "Runs read no database here.",
        )
