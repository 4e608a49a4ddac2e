"""A plan carried out: the branches are made, the flow is run, and what it became is read."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doltflow.errors import RerunFailedError
from doltflow.model.pathspec import Pathspec
from doltflow.model.pins import Pins
from doltflow.rerun.code import CodeFound
from doltflow.rerun.plan import PlannedBranch
from doltflow.sources.dolt.made import MadeBranch, forget_made, noted
from doltflow.sources.metaflow.carried import VARIABLE, decorator, may_leave
from doltflow.sources.metaflow.launch import Launch, launch, resume_arguments
from doltflow.sources.metaflow.parameters import Declared, run_arguments
from doltflow.sources.temporary import temporary_folder
from doltflow.workspace import Workspace

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Explicit:
    """Parameters that a rerun is given one by one.

    Attributes:
        declared: Those of the flow.
        values: The recorded run's, by variable.
        given: Values as one types them, by variable, in place of those.
    """

    declared: tuple[Declared, ...]
    values: Mapping[str, Any]
    given: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rerun:
    """A run that was repeated.

    Attributes:
        run: The new run.
        log: The file that holds all that it printed.
    """

    run: Pathspec
    log: Path


@contextmanager
def made_branches(
    workspace: Workspace, branches: Sequence[PlannedBranch], run: str, *, keep: bool = True
) -> Iterator[None]:
    """The branches of a replay. They stay, unless something goes wrong before anything was written to one.

    Args:
        workspace: Where the databases are.
        branches: What to make.
        run: `Flow/run_id` of the run that is replayed.
        keep: Whether they stay; else they are there only as long as the context lasts, however it ends.

    Raises:
        BranchExistsError, UsageError: A branch of that name exists, or the name is none that Dolt takes.
    """
    made: list[PlannedBranch] = []
    is_kept = False
    try:
        for branch in branches:
            with _noted(workspace, branch, run):
                workspace.session(branch.database).create_branch(branch.branch, branch.commit)
            made.append(branch)
        yield
        is_kept = keep
    finally:
        with ExitStack() as stack:  # Where one cannot be removed, the others still are.
            for branch in () if is_kept else made:
                stack.callback(_take_back, workspace, branch, keep)


@contextmanager
def _noted(workspace: Workspace, branch: PlannedBranch, run: str) -> Iterator[None]:
    """Notes a branch before it is made, so that one of a replay that was killed is known too."""
    location = workspace.session(branch.database).database.location
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with noted(location, MadeBranch(branch.branch, "replay", branch.commit, when, run)):
        yield


def _take_back(workspace: Workspace, branch: PlannedBranch, only_unwritten: bool) -> None:
    """Removes a branch that was made, where it is still there."""
    database = workspace.session(branch.database).database
    # On a connection of its own: that of the workspace is gone after a Ctrl-C in the midst of an answer.
    with database.open() as session:
        head = session.branches().get(branch.branch)
        if only_unwritten and head != branch.commit:
            return
        if head is not None:
            session.remove_branch(branch.branch)
    forget_made(database.location, branch.branch)


def remove_branches(workspace: Workspace, branches: Sequence[PlannedBranch]) -> None:
    """Removes branches that were made for a replay."""
    for branch in branches:
        session = workspace.session(branch.database)
        session.remove_branch(branch.branch)
        forget_made(session.database.location, branch.branch)


def rerun(
    workspace: Workspace,
    origin: Pathspec,
    pins: Pins,
    code: CodeFound,
    *,
    step: str,
    python: str,
    folder: Path,
    user: str | None,
    tell: Tell,
    explicit: Explicit | None = None,
    log_line: Tell | None = None,
    code_of: Pathspec | None = None,
    tags: Sequence[str] = (),
    started: Callable[[Callable[[], None]], None] = lambda end: None,
) -> Rerun:
    """Runs a flow again, with the parameters of the recorded run and its steps under the pins.

    Args:
        workspace: Where Metaflow's store is.
        origin: The recorded run.
        pins: Where its steps are sent.
        code: What to run.
        step: The step to begin with; those before it are taken over.
        python: The interpreter.
        folder: Where to run it.
        user: Who is to have run it where the environment does not tell; Metaflow runs nothing for nobody.
        tell: Called with a line on code that has changed, and for each step that begins or ends.
        explicit: Parameters to run it with, all of its steps, in place of the recorded ones.
        log_line: Called with each line that the flow prints, as it comes; then `tell` is not, which would say it twice.
        code_of: The run whose code it is, where that is not the recorded run.
        tags: More tags for the new run.
        started: Called once the flow runs, with a function that ends it from any thread.

    Raises:
        RerunFailedError: It failed; the message names the log.
    """
    logs = _log_folder()
    log = logs / f"{pins.kind}-{origin.flow}-{origin.run_id}.log"
    with temporary_folder("pins") as temporary:
        file = temporary / "pins.json"
        file.write_text(pins.encode(), encoding="utf-8")
        store = workspace.store.folder if workspace.store is not None else None
        tags = [f"doltflow:{pins.kind}-of={origin.run}", *tags]
        if explicit is None:
            arguments = resume_arguments(origin, step, tags)
        else:
            tags += [f"doltflow:set={name}" for name in sorted(explicit.given)]
            arguments = run_arguments(explicit.declared, explicit.values, explicit.given, tags, temporary)
        if (key := _kept(workspace, code_of or origin, pins, code)) is not None:
            arguments = (*arguments, "--with", decorator(key))
        _tell_code(origin, code, tell)
        variables = {VARIABLE: str(file), **_user(user), **_place(workspace, origin)}
        asked = Launch(code.script, arguments, python, folder, store, variables)
        if log_line is not None:
            done = launch(asked, log, lambda name, what: None, log_line, started)
        else:
            done = launch(asked, log, lambda name, what: tell(f"{origin.flow}/{name}: {what}"), started=started)
    if done.exit_code != 0 or done.run is None:
        which = f"The {pins.kind} of {origin.run}" + (f", {done.run.run}," if done.run is not None else "")
        raise RerunFailedError(f"{which} failed: {_last_words(log)}", f"Its log is {log}.")
    return Rerun(done.run, log)


def _tell_code(origin: Pathspec, code: CodeFound, tell: Tell) -> None:
    """Says that the code is not the recorded run's, before it runs."""
    if code.changed:
        tell(f"{origin.flow}: the code is not what {origin.run} ran: {', '.join(code.changed)}")
    elif code.changed is None:
        tell(f"{origin.flow}: whether the code is what {origin.run} ran cannot be told")


def _kept(workspace: Workspace, run: Pathspec, pins: Pins, code: CodeFound) -> str | None:
    """The key of the pins in Metaflow's datastore, where a step may run on a machine that sees nothing of this one."""
    if workspace.store is None:
        return None
    if code.changed == () and not may_leave(workspace.store.read(run).graph):
        return None
    return workspace.store.keep(run, pins.encode().encode("utf-8"))


def _place(workspace: Workspace, origin: Pathspec) -> dict[str, str]:
    """What sends the flow to the datastore of the recorded run, whichever is the default by now."""
    return workspace.store.variables(origin) if workspace.store is not None else {}


def _user(recorded: str | None) -> dict[str, str]:
    told = any(os.environ.get(name) for name in ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER"))
    return {} if told or recorded is None else {"METAFLOW_USER": recorded}


def _log_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="doltflow-log-"))


def _last_words(log: Path) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
