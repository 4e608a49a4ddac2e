"""The folder of a database, `.dolt` in it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doltflow.sources.dolt.author import configured_author
from doltflow.sources.dolt.endpoint import Endpoint
from doltflow.sources.dolt.server import served_again, serving


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that holds a database.

    Attributes:
        path: Absolute, links resolved.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def identity(self) -> str:
        """What tells the database from others."""
        return str(self.path)

    @property
    def made_file(self) -> Path:
        """The list of the branches that doltflow made in the database."""
        return self.path / ".dolt" / "doltflow-branches.json"

    def head_branch(self) -> str | None:
        """The branch that is checked out in the folder, as `repo_state.json` says."""
        try:
            head = str(json.loads((self.path / ".dolt" / "repo_state.json").read_text())["head"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else None

    def author(self) -> str | None:
        """`Name <mail>` as Dolt is configured for the folder, or None where nobody configured it."""
        return configured_author(self.path)

    @contextmanager
    def serving(self) -> Iterator[Endpoint]:
        """A server on the folder, for as long as the context lasts.

        Raises:
            DoltError: It cannot be served; see `doltflow.sources.dolt.server.serving`.
        """
        with serving(self.path) as endpoint:
            yield endpoint

    def served_again(self) -> Endpoint:
        """The server of `serving` after the connection to it was lost: another one where that one is gone.

        Raises:
            DoltError: It cannot be served.
        """
        return served_again(self.path)


def is_database(folder: Path) -> bool:
    """Whether a folder holds a Dolt database."""
    try:
        return (folder / ".dolt" / "noms").is_dir()
    except OSError:  # Nobody may look there, or no folder can have such a name.
        return False


def folder_of(text: str | os.PathLike[str]) -> Path:
    """The folder that somebody names, `~` spelled out where it is somebody's."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def databases_in(folder: Path) -> list[Path]:
    """The databases in a folder and just below it."""
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and is_database(path))
    except OSError:
        below = []
    return ([folder] if is_database(folder) else []) + below
