"""The branches that doltflow made in a database: a file beside Dolt's own, so that nobody has to guess from a name."""

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
from doltflow.sources.dolt.server import runtime_folder

_FILE = "doltflow-branches.json"


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


def made_in(folder: Path) -> dict[str, MadeBranch]:
    """The branches that doltflow made in the database of a folder, by name; they may have been removed since.

    Raises:
        RecordError: The file cannot be read.
    """
    file = folder / ".dolt" / _FILE
    try:
        text = file.read_text(encoding="utf-8")
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
def noted(folder: Path, branch: MadeBranch) -> Iterator[None]:
    """A branch is on the list before it is made, so that one of a doltflow that is killed in between is known too.

    Nobody else changes the list meanwhile. Where the branch cannot be made, the list is as it was.
    """
    with _locked(folder / ".dolt"):
        before = made_in(folder)
        _write(folder, before | {branch.branch: branch})
        try:
            yield
        except DoltflowError:
            _write(folder, before)
            raise


def forget_made(folder: Path, name: str) -> None:
    """Takes a branch off the list."""
    with _locked(folder / ".dolt"):
        _write(folder, {other: made for other, made in made_in(folder).items() if other != name})


def forget_gone(folder: Path, branches: Callable[[], Iterable[str]]) -> None:
    """Takes the branches off the list that are not there any more: another one of the name would be somebody else's.

    Args:
        folder: The database's folder.
        branches: Gives the names of the branches that are there.
    """
    if not made_in(folder):
        return
    with _locked(folder / ".dolt"):
        known, there = made_in(folder), set(branches())
        if known.keys() - there:
            _write(folder, {name: made for name, made in known.items() if name in there})


def _write(folder: Path, known: dict[str, MadeBranch]) -> None:
    file = folder / ".dolt" / _FILE
    data = {name: {k: v for k, v in asdict(made).items() if k != "branch"} for name, made in known.items()}
    beside = file.with_name(f"{_FILE}.{secrets.token_hex(8)}")
    try:
        beside.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds a lock on the folder itself, which leaves no file behind."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def alone_on(folder: Path, branch: str) -> Iterator[None]:
    """Keeps every other doltflow off a branch, which need not be there yet; a killed process keeps nobody off.

    Raises:
        BranchExistsError: Another one is on it.
    """
    name = hashlib.sha256(branch.casefold().encode()).hexdigest()[:20]
    file = runtime_folder(folder.resolve()) / f"branch-{name}.lock"
    handle = _taken(file)
    if handle is None:
        raise BranchExistsError(
            f"Another doltflow is at work on the branch `{branch}` of `{folder.name}`.",
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
