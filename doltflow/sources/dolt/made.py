"""The branches that doltflow made in a database: a file beside Dolt's own, so that nobody has to guess from a name."""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from doltflow.errors import RecordError

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


def note_made(folder: Path, branch: MadeBranch) -> None:
    """Adds a branch to the list."""
    _change(folder, lambda known: known | {branch.branch: branch})


def forget_made(folder: Path, name: str) -> None:
    """Takes a branch off the list."""
    _change(folder, lambda known: {other: made for other, made in known.items() if other != name})


def _change(folder: Path, change: Callable[[dict[str, MadeBranch]], dict[str, MadeBranch]]) -> None:
    file = folder / ".dolt" / _FILE
    with _locked(folder / ".dolt"):
        known = change(made_in(folder))
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
