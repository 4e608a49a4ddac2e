"""Runs a flow of the demo, on this machine and in its own folder, whatever Metaflow is set up for."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from doltflow.demo.build import FLOWS
from doltflow.errors import DoltflowError

_SHOWN_LINES = 15


@dataclass(frozen=True)
class FlowRun:
    """A run that succeeded.

    Attributes:
        pathspec: The run, as Metaflow names it.
        log: The file with everything that it printed.
    """

    pathspec: str
    log: Path


def run_flow(folder: Path, script_name: str, args: Sequence[str] = ()) -> FlowRun:
    """Runs one of the demo's flows with its databases, its log and Metaflow's store in the demo's folder.

    Args:
        folder: The demo's folder.
        script_name: The flow's file in it, one of `FLOWS`.
        args: Options of `run`, such as `--hospital-price-db-branch=...`.

    Raises:
        DoltflowError: The flow failed.
    """
    flow = FLOWS[script_name]
    folder = folder.resolve()
    log = (folder / script_name).with_suffix(".log")
    with tempfile.TemporaryDirectory() as temporary, log.open("wb") as output:
        id_file = Path(temporary) / "run-id"
        done = subprocess.run(
            [sys.executable, script_name, "--no-pylint", "run", "--run-id-file", str(id_file), *args],
            cwd=folder,
            env=_environment(os.environ, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode == 0:
            return FlowRun(f"{flow}/{id_file.read_text().strip()}", log)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    shown = "\n".join(lines[-_SHOWN_LINES:])
    raise DoltflowError(f"The flow {script_name} failed (exit code {done.returncode}). The end of {log}:\n{shown}")


def _environment(inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment without any setting of Metaflow's but the user, and with a store in the folder.

    A profile, a service, a remote datastore or a decorator that the user's work needs must not get hold of the demo.
    """
    environment = {name: value for name, value in inherited.items() if not name.startswith("METAFLOW_")}
    environment |= {
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_HOME": str(folder / ".metaflow"),  # where there is no config.json that changes anything else
    }
    # Metaflow needs a user who is not root; a container often has nobody else.
    names = (inherited.get(name) for name in ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER"))
    environment["METAFLOW_USER"] = next((name for name in names if name and name != "root"), "demo")
    return environment
