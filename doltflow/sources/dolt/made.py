"""The branches that doltflow made in a database, so that nobody has to guess from a name.

The list is a file beside Dolt's own, and for a database on a server one of the user's here.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from doltflow.errors import BranchExistsError, DoltflowError, RecordError
from doltflow.sources.dolt.database import Location
from doltflow.sources.dolt.server import runtime_folder


@dataclass(frozen=True, slots=True)
class MadeBranch:
    """A branch that doltflow made.

    Attributes:
        branch: Its name.
        kind: What for: `backtest` or `replay`.
        commit: Full hash of the commit that it began at.
        made: When, in ISO's form, in UTC.
        of: What it is a backtest of: `database@commit`, once for each input. For a replay the run: `Flow/run_id`.
    """

    branch: str
    kind: str
    commit: str
    made: str
    of: str


def made_in(location: Location) -> dict[str, MadeBranch]:
    """The branches that doltflow made in a database, by name; they may have been removed since.

    Raises:
        RecordError: The file cannot be read.
    """
    return _read(location.made_file)


def _read(file: Path) -> dict[str, MadeBranch]:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return {str(name): _branch(str(name), fields) for name, fields in json.loads(text).items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordError(
            f"{file}, which lists the branches that doltflow made, cannot be read: {error}.",
            "Move it away: the branches stay, and `dolt branch -D` removes them.",
        ) from error


def _branch(name: str, fields: dict[str, object]) -> MadeBranch:
    kind, commit, made, of = (str(fields[key]) for key in ("kind", "commit", "made", "of"))
    datetime.fromisoformat(made)
    return MadeBranch(name, kind, commit, made, of)


@contextmanager
def noted(location: Location, branch: MadeBranch) -> Iterator[None]:
    """A branch is on the list before it is made, so that one of a doltflow that is killed in between is known too.

    Nobody else changes the list meanwhile. Where the branch cannot be made, the list is as it was.
    """
    file = location.made_file
    with _locked(file):
        before = _read(file)
        _write(file, before | {branch.branch: branch})
        try:
            yield
        except DoltflowError:
            _write(file, before)
            raise


def forget_made(location: Location, name: str) -> None:
    """Takes a branch off the list."""
    file = location.made_file
    with _locked(file):
        _write(file, {other: made for other, made in _read(file).items() if other != name})


def forget_gone(location: Location, branches: Callable[[], Iterable[str]]) -> None:
    """Takes the branches off the list that are not there any more: another one of the name would be somebody else's.

    Args:
        location: Where the database is.
        branches: Gives the names of the branches that are there.
    """
    file = location.made_file
    if not _read(file):
        return
    with _locked(file):
        known, there = _read(file), set(branches())
        if known.keys() - there:
            _write(file, {name: made for name, made in known.items() if name in there})


def _write(file: Path, known: dict[str, MadeBranch]) -> None:
    data = {name: {k: v for k, v in asdict(made).items() if k != "branch"} for name, made in known.items()}
    beside = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        beside.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Holds a lock on the folder of a list itself, which leaves no file behind."""
    folder = file.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def alone_on(location: Location, branch: str) -> Iterator[None]:
    """Keeps every other doltflow of this user off a branch, there yet or not; a killed process keeps nobody off.

    Raises:
        BranchExistsError: Another one is on it.
    """
    name = hashlib.sha256(branch.casefold().encode()).hexdigest()[:20]
    file = runtime_folder(location.identity) / f"branch-{name}.lock"
    handle = _taken(file)
    if handle is None:
        raise BranchExistsError(
            f"Another doltflow is at work on the branch `{branch}` of `{location.name}`.",
            "Wait until it has ended, or give another name with `--branch`.",
        )
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        # By word, as a child that was forked meanwhile has the same open file.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _taken(file: Path) -> int | None:
    """A lock on a file; None where another process has it."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.exists() and os.path.samestat(os.fstat(handle), file.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            pass
        os.close(handle)  # Who had it has removed it.
