"""Which code a rerun runs: what is there now, or what the recorded run ran."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from doltflow.errors import FlowFileError
from doltflow.model.access import TaskRecord
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.workspace import Workspace

CodeChoice = Literal["current", "recorded"]


@dataclass(frozen=True, slots=True)
class CodeFound:
    """The code that a rerun runs.

    Attributes:
        script: The flow's file.
        choice: `current` or `recorded`.
        changed: The files that are not what the recorded run ran, relative to the flow's file; None where the run has
            not recorded its source.
    """

    script: Path
    choice: CodeChoice
    changed: tuple[str, ...] | None


@contextmanager
def find_code(workspace: Workspace, run: Run, choice: CodeChoice, flow_file: Path | None = None) -> Iterator[CodeFound]:
    """The code for a rerun, for as long as the context lasts.

    Args:
        workspace: Where Metaflow's store is.
        run: The recorded run.
        choice: Which code.
        flow_file: The flow's file, where it is not where the run had it.

    Raises:
        FlowFileError: It is not there, or was not recorded.
    """
    record = _record(run)
    if choice == "current":
        script = _current(run, record, flow_file)
        yield CodeFound(script, choice, _changed(record, script))
        return
    with TemporaryDirectory(prefix="doltflow-code-") as temporary:
        yield CodeFound(_recorded(workspace, run, record, Path(temporary)), choice, ())


def _record(run: Run) -> TaskRecord | None:
    """What the run's tasks recorded of their code; the last one had imported the most."""
    told = [task for task in run.tasks if task.script is not None]
    return max(told, key=lambda task: len(task.sources), default=None)


def _current(run: Run, record: TaskRecord | None, flow_file: Path | None) -> Path:
    named = flow_file if flow_file is not None else Path(record.script) if record and record.script else None
    if named is None:
        raise FlowFileError(
            f"`{run.pathspec}` has not recorded which file its flow is in.", "Name it with `--flow-file`."
        )
    if not named.is_file():
        hint = "Name the flow's file with `--flow-file`, or run the recorded code with `--code recorded`."
        raise FlowFileError(f"The file {named} of the flow `{run.flow}` is not there.", hint)
    return named.absolute()


def _changed(record: TaskRecord | None, script: Path) -> tuple[str, ...] | None:
    if record is None or not record.sources:
        return None
    changed = []
    for name, key in record.sources:
        # The flow's own file may have another name by now.
        path = script if record.script and name == Path(record.script).name else script.parent / name
        try:
            if hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest() != key:
                changed.append(name)
        except OSError:
            changed.append(name)
    return tuple(changed)


def _recorded(workspace: Workspace, run: Run, record: TaskRecord | None, folder: Path) -> Path:
    if record is None or not record.sources or record.script is None:
        raise FlowFileError(
            f"The code of `{run.pathspec}` was not recorded: it ran before doltflow kept the source of flows.",
            "Check out the code that it ran yourself, and replay with `--flow-file`.",
        )
    keys = dict(record.sources)
    store = workspace.store
    contents = store.blobs(Pathspec(run.flow, run.run_id), list(keys.values())) if store is not None else {}
    for name, key in keys.items():
        target = folder / name
        if key not in contents or not target.resolve().is_relative_to(folder.resolve()):
            raise FlowFileError(f"The source `{name}` of `{run.pathspec}` is no longer in Metaflow's store.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents[key])
    return folder / Path(record.script).name
