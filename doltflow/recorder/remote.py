"""What `dolthub_remote` and `push_on_commit` of a configuration do. A rerun does none of it."""

import logging

from doltflow.errors import DatabaseNotFoundError, DoltError, RemoteError
from doltflow.recorder.config import DoltConfig
from doltflow.sources.dolt import Session, is_address, name_and_steps


def clone_missing(config: DoltConfig) -> None:
    """Clones a database whose folder is not there.

    Raises:
        RemoteError: It cannot be cloned.
        DatabaseNotFoundError: Nothing says what from.
    """
    if not config.dolthub_remote or is_address(config.place) or config.folder.exists():
        return
    if config.address is None:
        raise DatabaseNotFoundError(
            f"There is no folder `{config.folder}`, and nothing says what to clone into it.",
            "Give DoltHub's `owner/name` or a URL as `database=`, or as `remote=`.",
        )
    from doltflow.sources.dolt.clone import clone

    # It may take long, and Metaflow silences Python's warnings.
    logging.getLogger("doltflow").warning("Cloning %s into `%s`.", config.address, config.folder)
    clone(config.address, config.folder)


def bring_up_to_date(session: Session, config: DoltConfig, branch: str, author: str | None) -> str | None:
    """Pulls a branch before it is read; where a commit is read, it is fetched, and no branch that is here changes.

    Returns:
        The head at the remote of the branch that `commit` of the configuration names; None where that names none there.

    Raises:
        RemoteError, DivergedError, DirtyTableError: As `Session.pull` says.
    """
    if config.push_on_commit or config.dolthub_remote:
        remote = session.remote(config.asked_remote)  # Told before the work is done, not at its end.
    if not config.dolthub_remote:
        return None
    if config.commit is None:
        session.pull(remote, branch, author)
        return None
    if branch not in session.branches():
        session.pull(remote, branch, author)
    name, _ = name_and_steps(config.commit)
    if session.has_commit(name):
        return None  # It never moves, so the remote need not be reached.
    return session.fetch_head(remote, session.default_branch() if name == "HEAD" else name)


def push(session: Session, config: DoltConfig, branch: str, commit: str, author: str | None) -> None:
    """Pushes a branch on which a commit was just made.

    Raises:
        DoltError: It cannot be pushed. The commit stays, and the message says so.
    """
    try:
        session.push(session.remote(config.asked_remote), branch, author)
    except DoltError as error:
        kept = f"The commit {commit} is kept on `{branch}` of {session.database.location}."
        told = error.message if isinstance(error, RemoteError) else f"The push of `{branch}` failed. {error.message}"
        raise type(error)(f"{told} {kept}", error.hint) from error
