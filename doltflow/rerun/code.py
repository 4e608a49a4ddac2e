"""Which code a rerun runs: what is there now, or what the recorded run ran."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from doltflow.errors import FlowFileError
from doltflow.model.run import Run
from doltflow.sources.git import differing, has_file, repository_of, worktree
from doltflow.sources.metaflow.imports import followed
from doltflow.sources.temporary import temporary_folder
from doltflow.workspace import Workspace
from doltflow.workspace.recorded_code import RecordedCode, content_key, contents_of, package_of

CodeChoice = Literal["current", "recorded"]
CodeOrigin = Literal["current", "package", "git", "kept"]


@dataclass(frozen=True, slots=True)
class CodeFound:
    """The code that a rerun runs.

    Attributes:
        script: The flow's file.
        choice: `current` or `recorded`.
        changed: The files that are not what the recorded run ran, or not what all of its steps ran, relative to the
            flow's file; None where the run has not recorded its source.
        origin: Where it comes from: the folder as it is now, the run's code package, its git commit, or the sources
            that DoltDT kept with the run.
    """

    script: Path
    choice: CodeChoice
    changed: tuple[str, ...] | None
    origin: CodeOrigin = "current"


class _NeverRecorded(FlowFileError):
    """A run's code was not recorded in one of the ways."""


@contextmanager
def find_code(workspace: Workspace, run: Run, choice: CodeChoice, flow_file: Path | None = None) -> Iterator[CodeFound]:
    """The code for a rerun, for as long as the context lasts.

    What was recorded is the run's code package, else its git commit where nothing differed from it, else the sources
    that DoltDT kept. What cannot be had becomes a warning.

    Args:
        workspace: Where Metaflow's store is.
        run: The recorded run.
        choice: Which code.
        flow_file: The flow's file, where it is not where the run had it.

    Raises:
        FlowFileError: It is not there, or was not recorded.
    """
    told = RecordedCode.of(run)
    if choice == "current":
        script = _current(run, told, flow_file)
        for name in told.edited:
            workspace.warn(f"`{name}` was edited while {run.pathspec} ran: no version of it is what all its steps had.")
        yield CodeFound(script, choice, _changed(workspace, run, told, script))
        return
    with ExitStack() as stack:
        found = _recorded(workspace, run, told, flow_file, stack)
        for name in told.edited:
            workspace.warn(f"`{name}` was edited while {run.pathspec} ran; it is taken as its last step had it.")
        yield replace(found, changed=told.edited)


# The current code


def _current(run: Run, told: RecordedCode, flow_file: Path | None) -> Path:
    named = flow_file if flow_file is not None else told.script
    if named is None:
        raise FlowFileError(
            f"`{run.pathspec}` has not recorded which file its flow is in.", "Name it with `--flow-file`."
        )
    if not named.is_file():
        hint = "Name the flow's file with `--flow-file`, or run the recorded code with `--code recorded`."
        raise FlowFileError(f"The file {named} of the flow `{run.flow}` is not there.", hint)
    return named.absolute()


def _changed(workspace: Workspace, run: Run, told: RecordedCode, script: Path) -> tuple[str, ...] | None:
    """The files that are not what they were, as far as the run has recorded them."""
    if told.sources:
        # The flow's own file may have another name by now.
        own = told.script.name if told.script is not None else None
        here = {name: script if name == own else script.parent / name for name in told.sources}
        changed = {name for name, key in told.sources.items() if name in told.edited or _key(here[name]) != key}
        return tuple(sorted(changed | _unrecorded(told, script)))
    try:
        package = package_of(workspace, run)
    except FlowFileError:
        package = None
    if package is not None:
        keys = {name: content_key(content) for name, content in package.files.items()}
        listed = (name for name in sorted(keys) if name.endswith(".py"))
        return tuple(
            name for name in listed if _key(script if name == package.script else script.parent / name) != keys[name]
        )
    return _differing(told, script)


def _unrecorded(told: RecordedCode, script: Path) -> set[str]:
    """The modules that the flow imports now and the record does not have, where they differ from a clean commit."""
    own = script.resolve()
    imported = {path.relative_to(own.parent).as_posix() for path in followed(own)}
    missing = imported - told.sources.keys() - {script.name}
    return missing.intersection(_differing(told, script) or ()) if missing else set()


def _differing(told: RecordedCode, script: Path) -> tuple[str, ...] | None:
    repository = repository_of(script)
    if repository is None or told.commit is None or not told.is_clean:
        return None
    return differing(repository, told.commit, script.resolve().parent.relative_to(repository).as_posix())


def _key(file: Path) -> str | None:
    """The key that Metaflow's store has for a file's content; None where it cannot be read."""
    try:
        return content_key(file.read_bytes())
    except OSError:
        return None


# The recorded code


def _recorded(
    workspace: Workspace, run: Run, told: RecordedCode, flow_file: Path | None, stack: ExitStack
) -> CodeFound:
    reasons = []
    ways = (_from_package, _from_commit, _from_sources)
    for way in ways:
        try:
            found = way(workspace, run, told, flow_file, stack)
        except _NeverRecorded as error:
            reasons.append(error.message)
        except FlowFileError as error:
            reasons.append(error.message)
            workspace.warn(error.message)
        else:
            _warn_of_others(workspace, told, found)
            return found
    raise FlowFileError(
        f"The code of `{run.pathspec}` cannot be had. {' '.join(reasons)}",
        "Check out the code that it ran yourself, and replay with `--flow-file`.",
    )


def _from_package(
    workspace: Workspace, run: Run, told: RecordedCode, flow_file: Path | None, stack: ExitStack
) -> CodeFound:
    package = package_of(workspace, run)
    if package is None:
        raise _NeverRecorded("It has no code package.")
    # A package holds the flow's folder; what lay elsewhere has been kept.
    others = contents_of(workspace, run, {name: key for name, key in told.sources.items() if _is_outside(name)})
    is_known = told.script is not None and told.script.name == package.script
    script = told.script if told.script is not None and is_known else Path(package.script)
    folder = stack.enter_context(temporary_folder("sources"))
    home = _laid_out(folder, script, {**(others if is_known else {}), **package.files})
    _check(f"The code package of {run.pathspec}", home, told)
    return CodeFound(home / package.script, "recorded", (), "package")


def _from_commit(
    workspace: Workspace, run: Run, told: RecordedCode, flow_file: Path | None, stack: ExitStack
) -> CodeFound:
    if told.script is None or told.commit is None:
        raise _NeverRecorded("It did not run from one commit of a git repository.")
    if not told.is_clean:
        raise _NeverRecorded(f"What it ran was not what git's commit {told.commit} has.")
    script = flow_file.resolve() if flow_file is not None else told.script
    repository = repository_of(script)
    if repository is None:
        raise FlowFileError(f"git finds no repository that {script} is in.")
    path = script.relative_to(repository).as_posix()
    there = has_file(repository, told.commit, path)
    if there is None:
        raise FlowFileError(f"The git repository {repository} does not have the commit {told.commit}.")
    if not there:
        raise FlowFileError(f"The commit {told.commit} of {repository} does not have {path}.")
    with ExitStack() as tried:
        tree = tried.enter_context(worktree(repository, told.commit))
        _check(f"The commit {told.commit} of {repository}", (tree / path).parent, told)
        stack.push(tried.pop_all())
    return CodeFound(tree / path, "recorded", (), "git")


def _from_sources(
    workspace: Workspace, run: Run, told: RecordedCode, flow_file: Path | None, stack: ExitStack
) -> CodeFound:
    if not told.sources or told.script is None:
        raise _NeverRecorded("It ran before doltflow kept the source of flows.")
    contents = contents_of(workspace, run, told.sources)
    for name in sorted(told.sources.keys() - contents.keys()):
        raise FlowFileError(f"The source `{name}` of `{run.pathspec}` is no longer in Metaflow's store.")
    folder = stack.enter_context(temporary_folder("sources"))
    home = _laid_out(folder, told.script, contents)
    return CodeFound(home / told.script.name, "recorded", (), "kept")


def _laid_out(folder: Path, script: Path, contents: Mapping[str, bytes]) -> Path:
    """Writes files into a folder, as they lay around a flow's file, and returns the folder for that one.

    Raises:
        FlowFileError: A path leads out of the folder.
    """
    depth = max((Path(name).parts.count("..") for name in contents), default=0)
    parents = script.parent.parts
    home = folder.joinpath(*parents[max(len(parents) - depth, 0) :]) if depth and script.is_absolute() else folder
    for name, content in contents.items():
        target = Path(os.path.normpath(home / name))
        if not target.is_relative_to(folder):
            raise FlowFileError(f"The source `{name}` was recorded with a path that leads nowhere.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return home


def _check(what: str, home: Path, told: RecordedCode) -> None:
    """Raises a FlowFileError where code is not what a run's tasks saw."""
    others = [name for name, key in sorted(told.sources.items()) if not _is_outside(name) and _key(home / name) != key]
    if others and not told.edited:
        named = ", ".join(f"`{name}`" for name in others)
        raise FlowFileError(f"{what} is not what the run ran: {named}.")


def _is_outside(name: str) -> bool:
    return name.startswith("../")


def _warn_of_others(workspace: Workspace, told: RecordedCode, found: CodeFound) -> None:
    """Names the local modules outside of the flow's folder that may run as they are now."""
    for name, key in sorted(told.sources.items()):
        path = Path(os.path.normpath((told.script or Path()).parent / name))
        if not _is_outside(name) or _key(path) == key:
            continue
        had = _key(found.script.parent / name) == key
        how = "Where the flow finds it by that path, it runs" if had else "What it was cannot be had: it runs"
        workspace.warn(f"The module {path} is not what it was. {how} as it is now.")
