"""Ends a server whose last user was killed: a script of its own, started by `server.py`, that needs no doltflow.

It waits until it alone holds `users.lock`. Where the last user left in order, the server is gone by then and there is
nothing to do; else it ends the server and removes the temporary branches of the writes that were cut off.
"""

import csv
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TEMPORARY = "doltflow-tmp/"
LOAD_FOLDER = "doltflow-load"
_PATIENCE = 10.0


def main(runtime: str, folder: str, program: str) -> None:
    """Waits for the last user to leave, and ends the server if it is still there."""
    with (Path(runtime) / "users.lock").open("a+") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        note = Path(runtime) / "pid"
        # Where it is there, nobody has ended the server in order; who was killed very early has not noted it yet.
        pids = {int(note.read_text())} if note.exists() and note.read_text().isdigit() else set()
        pids |= servers_of(Path(runtime))
        if not pids:
            return
        for pid in pids:
            stop(pid, Path(folder) / ".dolt" / "sql-server.info")
        remove_temporary_branches(program, folder)
        shutil.rmtree(Path(folder) / ".dolt" / "temptf" / LOAD_FOLDER, ignore_errors=True)
        shutil.rmtree(Path(runtime) / "tmp", ignore_errors=True)
        note.unlink(missing_ok=True)


def servers_of(runtime: Path) -> set[int]:
    """The servers that were started with the settings in a runtime folder, where the system tells."""
    found = (int(process.name) for process in Path("/proc").glob("[0-9]*"))
    return {pid for pid in found if is_server_of(pid, runtime)}


def is_server_of(pid: int, runtime: Path) -> bool:
    """Whether a process is a server that was started with the settings in a runtime folder, where the system tells."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"sql-server" in words and os.fsencode(runtime / "config.yaml") in words


def stop(pid: int, info: Path) -> None:
    """Ends a server and waits until it is gone; one that does not go is killed, and its note removed for it."""
    deadline = time.monotonic() + 30
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < deadline and not is_gone(pid):
            time.sleep(0.005)
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        if info.read_text().startswith(f"{pid}:"):  # One that was killed leaves its note.
            info.unlink(missing_ok=True)
    except OSError:
        pass


def is_gone(pid: int) -> bool:
    """Whether a process has ended, also where its parent has not noticed yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except ProcessLookupError:
        return True
    except OSError:  # It is another user's, or the system has no such files.
        return False


def remove_temporary_branches(program: str, folder: str) -> None:
    """Removes the branches of writes that were cut off."""
    query = f"select name from dolt_branches where name like '{TEMPORARY}%'"
    for (name,) in list(csv.reader(run([program, "sql", "-r", "csv", "-q", query], folder).splitlines()))[1:]:
        run([program, "branch", "-D", name], folder)


def run(command: list[str], folder: str) -> str:
    """What a command prints. It is tried again for a while, as another program may hold the database."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode == 0 or time.monotonic() > deadline:
            return done.stdout
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
