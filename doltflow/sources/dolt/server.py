"""A `dolt sql-server` on demand: one per database folder, shared by all who use the folder, gone when the last leaves.

A server answers in a millisecond what the `dolt` program answers in seventy, and merges concurrent commits where the
program refuses them. Who opens a folder holds `users.lock` *shared* for as long; the kernel frees it when a process
dies. The last one to leave ends the server before it returns, so that afterwards the user's own `dolt checkout` works.
Where the last one was killed, the supervisor (`supervisor.py`) gets the lock and ends the server in its place.
A server that somebody else runs on the folder is used as it is, as the `dolt` program does, and never ended.
"""

import fcntl
import hashlib
import os
import random
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from doltflow.errors import FREE_SPACE, DatabaseLockedError, DiskFullError, DoltError, SettingsError
from doltflow.sources.dolt.endpoint import Endpoint
from doltflow.sources.dolt.program import check_version, dolt_version, find_dolt
from doltflow.sources.dolt.supervisor import LOAD_FOLDER, is_gone, is_server_of, remove_temporary_branches
from doltflow.sources.dolt.turns import turn

_LOCAL_USER = "__dolt_local_user__"
_LEAST_ROOM = 1 << 20
_STOP_SECONDS = 30.0
_READY_SECONDS = 10.0
_STARTS = 5
_KILLED = "somebody has killed its server again and again, or the system has, for want of memory"
_CONFIG = """\
log_level: error
behavior:
  event_scheduler: "OFF"
  auto_gc_behavior:
    enable: false
listener:
  host: 127.0.0.1
  port: {port}
data_dir: {folder}
cfg_dir: {runtime}
privilege_file: {privileges}
branch_control_file: {branch_control}
system_variables:
  dolt_stats_enabled: 0
  secure_file_priv: {load_folder}
"""

_children: set[int] = set()
_killed: set[int] = set()


@dataclass(frozen=True, slots=True)
class _Info:
    """Dolt's own note of the server that runs on a folder."""

    pid: int
    port: int
    secret: str


def lock_timeout() -> float:
    """The longest wait for another process, in seconds: `DOLTFLOW_LOCK_TIMEOUT`, else 600."""
    text = os.environ.get("DOLTFLOW_LOCK_TIMEOUT", "600")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise SettingsError(f"DOLTFLOW_LOCK_TIMEOUT is `{text}`, not a number of seconds.", "Set it to 600, say.")
    return seconds


@contextmanager
def serving(folder: Path) -> Iterator[Endpoint]:
    """A server on a database folder, for as long as the context lasts.

    Raises:
        DoltNotFoundError: There is no `dolt` program.
        DatabaseLockedError: Another Dolt process held the database for longer than the limit.
        DoltError: The server does not start.
    """
    folder = folder.resolve()
    runtime = runtime_folder(folder)
    with (runtime / "users.lock").open("a+") as users:
        deadline = time.monotonic() + lock_timeout()
        with _start_lock(runtime, folder, deadline):
            lock_file(users.fileno(), fcntl.LOCK_SH, folder, deadline)
            endpoint = _attach(folder, runtime) or _start(folder, runtime, deadline)
        try:
            yield endpoint
        finally:
            with _start_lock(runtime, folder, time.monotonic() + lock_timeout()):
                with suppress(BlockingIOError):
                    fcntl.flock(users.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _stop(folder, runtime)
                # By word, as a child that was forked meanwhile has the same open file.
                fcntl.flock(users.fileno(), fcntl.LOCK_UN)
            _reap()


def served_again(folder: Path) -> Endpoint:
    """The server of a folder that this process has open, after the connection to it was lost: another one, if need be.

    Raises:
        DatabaseLockedError, DoltError: As `serving` says.
    """
    folder = folder.resolve()
    runtime, deadline = runtime_folder(folder), time.monotonic() + lock_timeout()
    with _start_lock(runtime, folder, deadline):
        return _attach(folder, runtime) or _start(folder, runtime, deadline)


def runtime_folder(database: str | Path) -> Path:
    """A private folder for the locks and the server's own files, outside the database.

    Args:
        database: Its folder, or what else tells it from others.

    It is the same for all processes of a user, whatever their environment: those that did not share the locks would end
    each other's server.
    """
    base = Path("/tmp")  # noqa: S108  Its owner, kind and mode are checked.
    own = (base if os.access(base, os.W_OK) else Path(tempfile.gettempdir())) / f"doltflow-{os.getuid()}"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = own.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise DoltError(f"{own} can be written by others, so doltflow does not keep its locks there.", "Remove it.")
    runtime = own / hashlib.sha256(os.fsencode(database)).hexdigest()[:20]
    runtime.mkdir(mode=0o700, exist_ok=True)
    return runtime


@contextmanager
def _start_lock(runtime: Path, folder: Path, deadline: float) -> Iterator[None]:
    with (runtime / "start.lock").open("a+") as file, turn(runtime / "starting", deadline):
        lock_file(file.fileno(), fcntl.LOCK_EX, folder, deadline)
        try:
            yield
        finally:
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def lock_file(descriptor: int, kind: int, folder: Path, deadline: float) -> None:
    """Waits for a lock on an open file.

    Args:
        descriptor: The file.
        kind: `fcntl.LOCK_EX` or `fcntl.LOCK_SH`.
        folder: The database whose lock it is.
        deadline: Until when to wait, as `time.monotonic` counts.

    Raises:
        DatabaseLockedError: Another process has had it until then.
    """
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise DatabaseLockedError(
                    f"Another doltflow process has held {folder} for longer than {lock_timeout():g} s.",
                    "Wait for it, or raise DOLTFLOW_LOCK_TIMEOUT.",
                ) from error
        time.sleep(random.uniform(0.001, 0.005))  # noqa: S311  Jitter is no secret.


def _read_info(folder: Path) -> _Info | None:
    try:
        pid, port, secret = (folder / ".dolt" / "sql-server.info").read_text().strip().split(":")
        return _Info(int(pid), int(port), secret)
    except (OSError, ValueError):
        return None


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(1) != b""
    except OSError:
        return False


def _attach(folder: Path, runtime: Path) -> Endpoint | None:
    """The server that runs on the folder, ours or somebody else's; one that is just starting is waited for."""
    deadline = time.monotonic() + _READY_SECONDS
    while (info := _read_info(folder)) is not None and not _ended(info.pid):
        if _answers(info.port):
            is_noted = _our_pid(runtime) == info.pid
            if not is_noted and is_server_of(info.pid, runtime):  # Who had started it was killed before he noted it.
                (runtime / "pid").write_text(str(info.pid))
                is_noted = True
            return _endpoint(info, folder, runtime, ours=is_noted)
        if time.monotonic() > deadline:  # A note that a dead server left, whose process id somebody else has now.
            break
        time.sleep(0.005)
    # A server of several databases has its note in the folder above them.
    above = _read_info(folder.parent) if _is_held(folder) else None
    return _endpoint(above, folder, runtime, ours=False) if above is not None and _answers(above.port) else None


def served_at(folder: Path) -> list[int]:
    """The ports of the servers whose notes are in a database's folder and in the one above."""
    return [note.port for note in map(_read_info, (folder, folder.parent)) if note is not None]


def _is_held(folder: Path) -> bool:
    """Whether a Dolt process has the database open for writing."""
    try:
        with (folder / ".dolt" / "noms" / "LOCK").open("rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _endpoint(info: _Info, folder: Path, runtime: Path, *, ours: bool) -> Endpoint:
    # TLS on the loopback address would cost twenty milliseconds and protect nothing.
    load_folder = _load_folder(folder) if ours else None
    return Endpoint("127.0.0.1", info.port, _LOCAL_USER, info.secret, load_folder, queues=runtime)


def _load_folder(folder: Path) -> Path:
    # In Dolt's own folder for temporary files: on the disk of the data, which a large frame needs.
    return folder / ".dolt" / "temptf" / LOAD_FOLDER


def _our_pid(runtime: Path) -> int | None:
    try:
        return int((runtime / "pid").read_text())
    except (OSError, ValueError):
        return None


def _start(folder: Path, runtime: Path, deadline: float) -> Endpoint:
    program, kills = find_dolt(), 0
    while True:
        try:
            endpoint, log = _try_start(program, folder, runtime)
        except OSError as error:
            _check_room(folder, runtime)
            raise DoltError(f"No server can be started for {folder}: {error}.", f"Look at {runtime}.") from error
        if endpoint is not None:
            return endpoint
        _check_room(folder, runtime)  # Else Dolt may call a database read-only that it cannot write to.
        if log == _KILLED and (kills := kills + 1) < _STARTS:
            time.sleep(random.uniform(0.05, 0.2))  # noqa: S311
            continue
        if "locked" not in log and "read only" not in log and "already in use" not in log:
            check_version(dolt_version())  # An older one may not know what it was told.
            raise DoltError(f"Dolt cannot serve {folder}: {log.rstrip('.')}.", "`dolt fsck` in that folder tells more.")
        if time.monotonic() > deadline:
            raise DatabaseLockedError(
                f"Another Dolt process has held {folder} for longer than {lock_timeout():g} s.",
                "Wait until it ends (a `dolt table import`, a `dolt sql-server`?), or raise DOLTFLOW_LOCK_TIMEOUT.",
            )
        time.sleep(random.uniform(0.05, 0.2))  # noqa: S311
        if (other := _attach(folder, runtime)) is not None:
            return other


def _check_room(*folders: Path) -> None:
    for folder in folders:
        if shutil.disk_usage(folder).free < _LEAST_ROOM:
            raise DiskFullError(f"The disk of {folder} is full, so Dolt cannot serve the database.", FREE_SPACE)


def _try_start(program: str, folder: Path, runtime: Path) -> tuple[Endpoint | None, str]:
    """A running server's endpoint, or None and what the server that died said."""
    config, log = runtime / "config.yaml", runtime / "server.log"
    load_folder, temporary = _load_folder(folder), runtime / "tmp"
    for each in (load_folder.parent, temporary):
        each.mkdir(exist_ok=True)
    config.write_text(
        _CONFIG.format(
            port=_free_port(),
            folder=_yaml(folder),
            runtime=_yaml(runtime),
            privileges=_yaml(runtime / "privileges.db"),
            branch_control=_yaml(runtime / "branch_control.db"),
            load_folder=_yaml(load_folder),
        )
    )
    log.write_bytes(b"")
    for name in ("privileges.db", "branch_control.db"):  # With the secrets of an earlier server.
        (runtime / name).unlink(missing_ok=True)
    command = [program, "sql-server", "--config", str(config), "--skip-root-user-initialization"]
    script = str(Path(__file__).with_name("supervisor.py"))
    with _killed_unless_ready() as processes:
        # First who watches: whenever we are killed, there is somebody to end the server.
        processes.append(_spawn([sys.executable, "-I", "-S", script, str(runtime), str(folder), program], {}))
        # Each server leaves empty files behind where it looks for a place for temporary ones.
        pid = _spawn(command, {"TMPDIR": os.environ.get("TMPDIR") or str(temporary)}, log)
        processes.append(pid)
        (runtime / "pid").write_text(str(pid))
        deadline = time.monotonic() + _READY_SECONDS
        ended = False
        while time.monotonic() < deadline and not ended:
            info = _read_info(folder)
            if info is not None and info.pid == pid and _answers(info.port):
                processes.clear()
                return _endpoint(info, folder, runtime, ours=True), ""
            time.sleep(0.001)
            ended = _ended(pid)
    if pid in _killed:
        return None, _KILLED
    return None, _last_line(log) if ended else f"not ready within {_READY_SECONDS:g} s; the database may be locked."


@contextmanager
def _killed_unless_ready() -> Iterator[list[int]]:
    """Kills the processes in the list at the end, also when a Ctrl-C comes while they start."""
    processes: list[int] = []
    try:
        yield processes
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _yaml(path: Path) -> str:
    """A path as YAML's quoted scalar; `$$` because Dolt interpolates variables before it parses."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text) + '"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _spawn(arguments: list[str], variables: dict[str, str], log: Path | None = None) -> int:
    """Starts a program in a session of its own, so that no Ctrl-C meant for us reaches it."""
    output = str(log or os.devnull)
    pid = os.posix_spawn(
        arguments[0],
        arguments,
        {**os.environ, "TZ": "UTC", **variables},  # Dolt prints dates in its own zone.
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_APPEND, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    _children.add(pid)
    _killed.discard(pid)  # Of an earlier process with that number.
    return pid


def _ended(pid: int) -> bool:
    """Whether a process has ended; reaps it where it is a child of ours."""
    if pid in _children:
        with suppress(ChildProcessError):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == 0:
                return False
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGTERM):
                _killed.add(pid)
        _children.discard(pid)
        return True
    return is_gone(pid)


def _reap() -> None:
    for pid in list(_children):
        _ended(pid)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _stop(folder: Path, runtime: Path) -> None:
    """Ends our own server and waits until it has let go of the database."""
    pid, info = _our_pid(runtime), _read_info(folder)
    if pid is None or info is None or info.pid != pid:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _read_info(folder) is not None or (pid in _children and not _ended(pid)):
        if (late := time.monotonic() > deadline) or _ended(pid):
            if late:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if (note := _read_info(folder)) is not None and note.pid == pid:  # One that was killed leaves its note.
                (folder / ".dolt" / "sql-server.info").unlink(missing_ok=True)
            break
        time.sleep(0.001)
    shutil.rmtree(runtime / "tmp", ignore_errors=True)
    if _load_folder(folder).exists():
        # A writer was killed beside others, so that no supervisor has cleared up after it.
        remove_temporary_branches(find_dolt(), str(folder))
        shutil.rmtree(_load_folder(folder), ignore_errors=True)
    (runtime / "pid").unlink(missing_ok=True)
