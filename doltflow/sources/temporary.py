"""Temporary folders, which may hold secrets: what a program that was killed has left is removed by the next one."""

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def temporary_folder(kind: str) -> Iterator[Path]:
    """A folder that only this user can read, and that is gone afterwards.

    Args:
        kind: What it is for: a part of its name.
    """
    # Where the folder for such is shared by machines, each has processes of its own.
    owner = f"doltflow-{kind}-{re.sub(r'[^0-9A-Za-z.]+', '.', platform.node())}"
    for folder in Path(tempfile.gettempdir()).glob(f"{owner}-*"):
        found = re.fullmatch(rf"{re.escape(owner)}-(\d+)-\w+", folder.name)
        with suppress(OSError):
            if found and folder.lstat().st_uid == os.getuid() and not _runs(int(found[1])):
                shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{owner}-{os.getpid()}-") as made:
        yield Path(made)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
