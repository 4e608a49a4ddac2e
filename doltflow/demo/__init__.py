"""`doltflow demo`: two databases, two flows, two runs, ready to be traced."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from doltflow.demo.build import ANALYSIS, FLOWS, PRICES, DemoFolder, make_databases
from doltflow.demo.run import FlowRun, run_flow

__all__ = ["ANALYSIS", "FLOWS", "PRICES", "DemoFolder", "DemoResult", "FlowRun", "demo", "make_databases", "run_flow"]


@dataclass(frozen=True)
class DemoResult:
    """What the demo did.

    Attributes:
        folder: The demo's folder, absolute.
        created: Whether anything had to be made; a second call finds everything in place.
        runs: The new runs' pathspecs, in the order in which they ran.
        next_commands: What to type next, each a line for a shell.
    """

    folder: Path
    created: bool
    runs: tuple[str, ...]
    next_commands: tuple[str, ...]


def demo(folder: Path, progress: Callable[[str], None]) -> DemoResult:
    """Makes the demo's folder, as far as it is not there yet, and runs both flows in it.

    The flows run at every call. They give the same figures again, so that a second call adds two runs to the history
    but no new version of a table.

    Args:
        folder: Where; made if it does not exist.
        progress: Is told what is being done, one line each.

    Raises:
        UsageError: Something that is not the demo's is in the way.
        DoltflowError: Dolt is missing or refused something, or a flow failed.
    """
    progress(f"Making the databases {PRICES} and {ANALYSIS} in {folder}")
    made = make_databases(folder)
    runs = []
    for script in FLOWS:
        progress(f"Running {script}")
        runs.append(run_flow(made.folder, script).pathspec)
    here = made.folder == Path.cwd()
    return DemoResult(
        folder=made.folder,
        created=made.created,
        runs=tuple(runs),
        next_commands=(
            *(() if here else (f"cd {shlex.quote(str(folder))}",)),
            "doltflow trace variance_by_procedure",
            "doltflow trace variance_by_procedure --output mermaid",
            "doltflow runs",
            f"doltflow show {runs[-1]}",
        ),
    )
