"""Commits that only a remote has, fetched for who needs them. No branch of a database changes."""

from collections.abc import Iterable, Iterator

from doltflow.errors import DoltError
from doltflow.model.commit import Commit
from doltflow.workspace.workspace import Workspace


def fetch_commit(workspace: Workspace, name: str, hash_: str) -> Commit | None:
    """A commit of a database, fetched where it is not here and a remote has it; a warning tells."""
    found = workspace.find_commit(name, hash_)
    for remote in _fetch(workspace, name) if found is None else ():
        found = workspace.find_commit(name, hash_)
        if found is not None:
            tell_fetched(workspace, name, hash_, remote)
            break
    return found


def fetch_all(workspace: Workspace, names: Iterable[str]) -> bool:
    """Fetches from the remotes of databases; whether there was one that could be fetched from."""
    fetched = [remote for name in names for remote in _fetch(workspace, name)]
    return bool(fetched)


def tell_fetched(workspace: Workspace, name: str, ref: str, remote: str | None = None) -> None:
    """Warns that a commit was fetched."""
    where = "its remote" if remote is None else f"the remote `{remote}`"
    workspace.warn(f"`{name}` did not have the commit {ref}: it was fetched from {where}.")


def _fetch(workspace: Workspace, name: str) -> Iterator[str]:
    """Fetches from each remote of a database, once in a workspace; one that fails is warned of."""
    session = workspace.session(name)
    for remote in session.remotes():
        if (name, remote.name) in workspace.fetched:
            continue
        workspace.fetched.add((name, remote.name))
        try:
            session.fetch(remote)
        except DoltError as error:
            workspace.warn(f"`{name}` is looked at as it is here. {error.message}")
            continue
        workspace.commits_of(name).refresh()
        yield remote.name
