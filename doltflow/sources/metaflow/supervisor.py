"""Runs a flow for as long as doltflow wants it: a script of its own, started by `launch.py`, that needs no doltflow.

Doltflow holds the other end of its standard input. When that closes before the flow has ended, the flow is ended with
all of its steps: doltflow was interrupted, or killed, in which case nobody else is left to do so.
"""

import os
import signal
import sys
import threading
import time

_PATIENCE = 10.0


def main(*command: str) -> int:
    """Runs a program in a process group of its own, and gives its exit code."""
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    # Python ignores these signals, and what it starts would too.
    usual = [signal.SIGPIPE, signal.SIGXFSZ]
    try:
        flow = os.posix_spawnp(command[0], command, os.environ, file_actions=[nothing], setpgroup=0, setsigdef=usual)
    except OSError as error:
        sys.stdout.write(f"{command[0]} cannot be started: {error.strerror}.\n")
        return 127
    is_unwanted = threading.Event()
    watch = threading.Thread(target=_watch, args=(flow, is_unwanted), daemon=True)
    watch.start()
    exit_code = os.waitstatus_to_exitcode(os.waitpid(flow, 0)[1])
    if is_unwanted.is_set():
        watch.join()
    elif exit_code < 0:  # Somebody killed it, and its steps go on.
        end(flow)
    return exit_code if exit_code >= 0 else 128 - exit_code


def _watch(flow: int, is_unwanted: threading.Event) -> None:
    os.read(0, 1)
    is_unwanted.set()
    end(flow)


def end(group: int) -> None:
    """Ends all processes of a group, with force those that do not go."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE
        try:
            os.killpg(group, kind)
            while time.monotonic() < deadline:
                time.sleep(0.01)
                os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):  # macOS says this of processes that have ended.
            return


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
