"""Temporary folders are gone, also those of a program that was killed."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from doltflow.sources.temporary import temporary_folder

KILLED = """
import os, sys
from doltflow.sources.temporary import temporary_folder
with temporary_folder("pins") as folder:
    (folder / "secret").write_text("x")
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_program_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "temporary"
    here.mkdir()
    monkeypatch.setenv("TMPDIR", str(here))
    monkeypatch.setattr(tempfile, "tempdir", None)
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    left = Path(done.stdout.strip())
    assert (done.returncode, left.parent, (left / "secret").exists()) == (-signal.SIGKILL, here, True)
    with temporary_folder("run"):
        assert left.exists(), "it is of another kind"
    with temporary_folder("pins") as first, temporary_folder("pins") as second:
        assert sorted(here.iterdir()) == sorted([first, second])
        assert first.stat().st_mode & 0o077 == 0
    assert list(here.iterdir()) == []
