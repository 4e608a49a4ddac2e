"""Whether a run that has not ended is still worked on here."""

import subprocess
from pathlib import Path


def has_process(run_id: str) -> bool:
    """Whether a process on this machine works on a task of a run; True where that cannot be told."""
    try:
        return any(f"--run-id {run_id} " in f"{line} " for line in _command_lines())
    except (OSError, subprocess.SubprocessError):
        return True


def _command_lines() -> list[str]:
    if Path("/proc/self/cmdline").exists():
        return [_command_line(folder) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    listing = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True, check=True)
    return listing.stdout.splitlines()


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:  # It has ended meanwhile.
        return ""
