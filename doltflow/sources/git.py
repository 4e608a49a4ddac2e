"""git, for the code of flows: at which commit it is, and a commit of it in a folder of its own."""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from doltflow.errors import FlowFileError

_PREFIX = "doltflow-code"
# Of git's own variables, those that say how to work and not in which repository: the others may be those of a hook.
_KEPT = re.compile(r"GIT_(EXEC_PATH|SSH|SSH_COMMAND|SSL_\w+|CONFIG_(COUNT|KEY_\d+|VALUE_\d+|GLOBAL|SYSTEM|NOSYSTEM))")
_HASH = re.compile(r"[0-9a-f]{40,64}")
_PATIENCE = 10.0  # seconds, for what takes milliseconds


@cache
def checked_out(file: Path) -> tuple[str | None, bool | None]:
    """The commit of the repository that a file is in, and whether what is checked out differs from it.

    As for `git describe --dirty` files that git does not follow do not count, the file itself apart: databases and
    Metaflow's store often lie in the same folder. Both are None where there is no repository, no commit or no git.
    """
    try:
        status = _git(file.parent, "status", "--porcelain=v2", "--branch", "--untracked-files=no").splitlines()
        commit = next(line.split()[2] for line in status if line.startswith("# branch.oid"))
        if commit == "(initial)":
            return None, None
        changed = any(not line.startswith("#") for line in status)
        return commit, changed or not _git(file.parent, "ls-files", "--", file.name)
    except (OSError, subprocess.SubprocessError, StopIteration, IndexError):
        return None, None


def repository_of(file: Path) -> Path | None:
    """The top folder of the repository that a file is, or was, in; None where there is none."""
    folder = next((parent for parent in file.parents if parent.is_dir()), None)
    try:
        top = _git(folder, "rev-parse", "--show-toplevel") if folder is not None else ""
    except (OSError, subprocess.SubprocessError):
        return None
    found = Path(top.removesuffix("\n"))
    return found if top and file.is_relative_to(found) else None


def has_file(repository: Path, commit: str, path: str) -> bool | None:
    """Whether a file is in a commit; None where the repository does not have the commit.

    Args:
        repository: Its top folder.
        commit: Full hash.
        path: The file, relative to that folder.
    """
    try:
        if not _exists(repository, f"{commit}^{{commit}}"):
            return None
        return _exists(repository, f"{commit}:{path}")
    except (OSError, subprocess.SubprocessError):
        return None


def differing(repository: Path, commit: str, folder: str) -> tuple[str, ...] | None:
    """The Python files below a folder that are not as they were in a commit, as they are in the working tree.

    Args:
        repository: Its top folder.
        commit: Full hash.
        folder: Relative to that folder.

    Returns:
        Paths relative to `folder`; None where the commit is not there.
    """
    try:
        told = _git(repository, "diff", "--name-only", "--no-ext-diff", "--no-renames", "-z", commit, "--", folder)
    except (OSError, subprocess.SubprocessError):
        return None
    names = (Path(name) for name in told.split("\0") if name.endswith(".py"))
    return tuple(sorted(name.relative_to(folder).as_posix() for name in names))


def changed_lines(
    repository: Path, before: str, after: str, paths: Sequence[str]
) -> dict[str, tuple[int | None, int | None]] | None:
    """By how many lines files differ between two commits.

    Args:
        repository: Its top folder.
        before: Full hash.
        after: Full hash.
        paths: Files, or folders with all that is in them, relative to that folder.

    Returns:
        For each file that differs the lines that were added and removed, by its path relative to the repository's top
        folder; None in place of lines for a file that has none. None where one of the commits is not there.
    """
    if not (_HASH.fullmatch(before) and _HASH.fullmatch(after)):
        return None
    if not paths:
        return {}
    quiet = ("--no-ext-diff", "--no-textconv", "--no-renames")
    try:
        told = _git(repository, "diff", "--numstat", *quiet, "-z", before, after, "--", *paths)
    except (OSError, subprocess.SubprocessError):
        return None
    found: dict[str, tuple[int | None, int | None]] = {}
    for line in told.split("\0"):
        if line:
            added, removed, path = line.split("\t", 2)
            found[path] = (None, None) if added == "-" else (int(added), int(removed))
    return found


@contextmanager
def worktree(repository: Path, commit: str) -> Iterator[Path]:
    """A commit in a temporary worktree, which is gone from the repository afterwards.

    What a program that was killed left behind is removed too.

    Args:
        repository: The top folder of the repository; what is checked out there stays as it is.
        commit: Full hash.

    Raises:
        FlowFileError: git cannot make it.
    """
    _remove_left(repository)
    folder = Path(tempfile.mkdtemp(prefix=f"{_owner()}-{os.getpid()}-")).resolve()
    try:
        try:
            # A hook of the user's is for the user's own checkouts.
            quiet = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
            _git(repository, *quiet, "worktree", "add", "--detach", "--", str(folder / "tree"), commit, patience=None)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise FlowFileError(f"git cannot check out {commit} of {repository}: {said[-1]}.") from error
        yield folder / "tree"
    finally:
        _remove(repository, folder / "tree")


def _remove(repository: Path, tree: Path) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        _git(repository, "worktree", "remove", "--force", "--force", "--", str(tree), patience=None)
    shutil.rmtree(tree.parent, ignore_errors=True)


def _remove_left(repository: Path) -> None:
    """Removes the worktrees of programs that were killed on this machine."""
    ours = re.compile(rf"{re.escape(_owner())}-(\d+)-\w+")
    try:
        listed = _git(repository, "worktree", "list", "--porcelain").splitlines()
    except (OSError, subprocess.SubprocessError):
        return
    for tree in (Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")):
        found = ours.fullmatch(tree.parent.name)
        if found and not _runs(int(found[1])):
            _remove(repository, tree)


def _owner() -> str:
    # A repository may be shared by machines, each with processes of its own.
    return f"{_PREFIX}-{re.sub(r'[^0-9A-Za-z.]+', '.', platform.node())}"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _exists(repository: Path, name: str) -> bool:
    command = [*_command(repository), "cat-file", "-e", name]
    done = subprocess.run(command, capture_output=True, env=_environment(), timeout=_PATIENCE, check=False)
    return done.returncode == 0


def _git(folder: Path, *arguments: str, patience: float | None = _PATIENCE) -> str:
    done = subprocess.run(
        [*_command(folder), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=True,
        timeout=patience,
        env=_environment(),
    )
    return done.stdout


def _command(folder: Path) -> list[str]:
    # Without optional locks git leaves the repository's index as it is.
    return ["git", "--no-optional-locks", "--literal-pathspecs", "-C", str(folder)]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or _KEPT.fullmatch(name)}
    return kept | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
