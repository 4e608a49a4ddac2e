"""Ends a server whose last user was killed: a script of its own, started by `server.py`, that needs no doltflow.

It waits until it alone holds `users.lock`. Where the last user left in order, the server is gone by then and there is
nothing to do; else it ends the server and removes the temporary branches of the writes that were cut off.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TEMPORARY = "doltflow-tmp/"


def main(runtime: str, folder: str, program: str, pid: str) -> None:
    """Waits for the last user to leave, and ends the server with that process id if it is still there."""
    with (Path(runtime) / "users.lock").open("a+") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        note = Path(runtime) / "pid"
        if not note.exists() or note.read_text() != pid:
            return
        info = Path(folder) / ".dolt" / "sql-server.info"
        if info.exists() and info.read_text().split(":")[0] == pid:
            stop(int(pid), info)
            remove_temporary_branches(program, folder)
        note.unlink(missing_ok=True)


def stop(pid: int, info: Path) -> None:
    """Ends a server and waits until it has let go of the database."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 10
    while info.exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def remove_temporary_branches(program: str, folder: str) -> None:
    """Removes the branches of writes that were cut off."""
    query = f"select name from dolt_branches where name like '{TEMPORARY}%'"
    listed = subprocess.run(
        [program, "sql", "-r", "csv", "-q", query], cwd=folder, capture_output=True, text=True, check=False
    )
    for name in listed.stdout.splitlines()[1:]:
        subprocess.run([program, "branch", "-D", name.strip('"')], cwd=folder, capture_output=True, check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
