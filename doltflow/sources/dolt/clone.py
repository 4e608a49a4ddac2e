"""Clones of databases, for which SQL has no way that keeps a folder of one's own."""

import fcntl
import re
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

from doltflow.errors import DoltError, RemoteError
from doltflow.passwords import without_password
from doltflow.sources.dolt.program import run_dolt
from doltflow.sources.dolt.remote_url import check_no_password, user_of
from doltflow.sources.dolt.server import lock_file, lock_timeout, runtime_folder

_PROGRESS = re.compile(r"chunks complete|^Retrieving remote|^cloning ")


def check_there(url: str) -> None:
    """Makes sure that the folder of a remote on this machine is there: Dolt would make an empty one.

    Raises:
        RemoteError: It is not.
    """
    if url.startswith("file://") and not Path(unquote(url.removeprefix("file://"))).is_dir():
        raise RemoteError(
            f"There is no folder for the remote {url}.", "Is its disk mounted? `mkdir` makes it for a new remote."
        )


def clone(address: str, folder: Path) -> None:
    """Clones a database into a folder that is not there yet; it is there whole, or not at all.

    Several tasks may do so at once: the first one clones, the others find it.

    Args:
        address: A URL, or DoltHub's `owner/name`.
        folder: Where it is to be.

    Raises:
        RemoteError: It cannot be cloned.
        DatabaseLockedError: Another task has been cloning it for longer than the limit.
    """
    check_no_password(address)
    check_there(address)
    folder = folder.absolute()
    with (runtime_folder(folder) / "clone.lock").open("a+") as lock:
        lock_file(lock.fileno(), fcntl.LOCK_EX, folder, time.monotonic() + lock_timeout())
        if (folder / ".dolt").exists():
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        # One level deeper than where databases are looked for.
        with tempfile.TemporaryDirectory(prefix=".doltflow-clone-", dir=folder.parent) as beside:
            made = Path(beside) / folder.name
            _clone(address, made)
            try:
                made.rename(folder)
            except OSError as error:
                if not (folder / ".dolt").exists():  # On a disk that machines share, another one may have been first.
                    raise RemoteError(f"What was cloned cannot be put into {folder}: {error}.") from error


def _clone(address: str, folder: Path) -> None:
    user = user_of(address)
    as_user = ["--user", user] if user else []
    try:
        run_dolt(["clone", *as_user, "--", address, str(folder)], Path.cwd())
    except DoltError as error:
        told = error.message.removeprefix(f"`dolt clone` failed in {Path.cwd()}: ")
        said = [line.strip() for line in told.splitlines() if line.strip() and not _PROGRESS.search(line)]
        raise RemoteError(
            f"{without_password(address)} cannot be cloned. Dolt says: {' '.join(said).rstrip('.')}.",
            "Is the address right, and may you read it (`dolt login` for DoltHub; DOLT_REMOTE_PASSWORD, and the user "
            "in the URL, for a server)?",
        ) from error
