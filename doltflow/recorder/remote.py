"""What `dolthub_remote` and `push_on_commit` of a configuration do. A rerun does none of it."""

import logging
from contextlib import suppress

from doltflow.errors import DatabaseNotFoundError, RefNotFoundError, RemoteError
from doltflow.recorder.config import DoltConfig
from doltflow.sources.dolt import Session, is_address


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


def bring_up_to_date(session: Session, config: DoltConfig, branch: str, author: str | None) -> None:
    """Pulls a branch before it is read; where a commit is read, it is fetched if it is not here.

    Raises:
        RemoteError, DivergedError, DirtyTableError: As `Session.pull` says.
    """
    if config.push_on_commit or config.dolthub_remote:
        remote = session.remote(config.asked_remote)  # Told before the work is done, not at its end.
    if not config.dolthub_remote:
        return
    if config.commit is None:
        session.pull(remote, branch, author)
        return
    with suppress(RefNotFoundError):
        session.resolve(config.commit)
        if branch in session.branches():
            return
    session.fetch(remote)
    if branch not in session.branches():
        session.pull(remote, branch, author)


def push(session: Session, config: DoltConfig, branch: str, commit: str, author: str | None) -> None:
    """Pushes a branch on which a commit was just made.

    Raises:
        RemoteError, DivergedError: It cannot be pushed. The commit stays, and the message says so.
    """
    try:
        session.push(session.remote(config.asked_remote), branch, author)
    except RemoteError as error:
        kept = f"The commit {commit} is kept on `{branch}` of {session.database.location}."
        raise type(error)(f"{error.message} {kept}", error.hint) from error
