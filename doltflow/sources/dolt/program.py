"""The `dolt` program, for what has no other way: making a database, and telling its version."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from doltflow.errors import DoltError, DoltNotFoundError, DoltVersionError

OLDEST = (1, 83, 0)
INSTALL = "Install Dolt: https://docs.dolthub.com/introduction/installation"


def find_dolt() -> str:
    """The path of the `dolt` program.

    Raises:
        DoltNotFoundError: There is none on PATH.
    """
    program = shutil.which("dolt")
    if program is None:
        raise DoltNotFoundError("There is no `dolt` program on PATH.", INSTALL)
    return program


def run_dolt(
    arguments: Sequence[str], folder: Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> str:
    """What the program prints when it is run in a folder.

    Args:
        arguments: Its arguments.
        folder: Where it runs.
        stdin: What it reads.
        environment: Variables to set beside those of this process.

    Raises:
        DoltNotFoundError: There is no `dolt` program.
        DoltError: It failed.
    """
    done = subprocess.run(
        [find_dolt(), *arguments],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise DoltError(f"`dolt {arguments[0]}` failed in {folder}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def check_version(version: str) -> None:
    """Makes sure that doltflow supports a version of Dolt.

    Raises:
        DoltVersionError: It is too old.
    """
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) < OLDEST:
        raise DoltVersionError(
            f"This is Dolt {version}; doltflow needs {'.'.join(map(str, OLDEST))} or later.",
            "Install a newer Dolt: https://docs.dolthub.com/introduction/installation",
        )


def dolt_version() -> str:
    """The version of the program, such as `1.83.2`.

    Raises:
        DoltNotFoundError: There is no `dolt` program.
    """
    find_dolt()
    try:
        from doltcli import Dolt, DoltException
    except ImportError:  # It cannot be installed from Python 3.13 on.
        return run_dolt(["version"], Path.cwd()).splitlines()[0].removeprefix("dolt version ")
    try:
        return str(Dolt.version()).splitlines()[0]
    except DoltException as error:
        raise DoltError(f"`dolt version` failed: {str(error.stderr).strip()}") from error
