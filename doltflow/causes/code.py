"""The code that differs between two runs, file by file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path

from doltflow.causes.cause import Cause, CodeFile, Found
from doltflow.errors import DoltflowError, FlowFileError
from doltflow.model.run import Run
from doltflow.sources.git import changed_lines, repository_of
from doltflow.sources.metaflow.package import CodePackage
from doltflow.workspace import Workspace
from doltflow.workspace.recorded_code import RecordedCode, content_key, contents_of, package_of

_MANY = 5_000  # lines, from which on the comparison may pass over frequent ones, as it would take minutes
_Lines = dict[str, tuple[int | None, int | None]]


def code_causes(workspace: Workspace, before: Run, after: Run) -> Found:
    """Whether two runs ran the same code: one cause where not, with the files that differ.

    What DoltDT recorded of the flow's file and its modules decides: where all of it is the same, another git commit
    changes nothing. Without such a record two clean git commits do, then two code packages.
    """
    a, b = _Side(workspace, before), _Side(workspace, after)
    if a.code.sources and b.code.sources:
        return _by_sources(a, b)
    if a.commit is not None and b.commit is not None:
        found = _by_commits(a, b, a.commit, b.commit)
        if found is not None:
            return found
    old, new = a.package, b.package
    if old is not None and new is not None:
        return _by_packages(old, new)
    return _untold(a, b)


class _Side:
    """The code of one run, as far as it is recorded.

    Attributes:
        run: The run.
        code: What its tasks recorded.
        commit: The git commit that it ran; None where that is not all that it ran.
    """

    def __init__(self, workspace: Workspace, run: Run) -> None:
        self.run = run
        self.code = RecordedCode.of(run)
        self.commit = self.code.commit if self.code.is_clean else None
        self._workspace = workspace

    @cached_property
    def package(self) -> CodePackage | None:
        """The code package, where it can be had."""
        try:
            return package_of(self._workspace, self.run)
        except FlowFileError as error:
            self._workspace.warn(error.message)
            return None

    def contents(self, sources: Mapping[str, str]) -> dict[str, bytes]:
        """The contents of some of the sources: as they were kept, else as the code package has them."""
        try:
            found = contents_of(self._workspace, self.run, sources)
        except DoltflowError as error:
            self._workspace.warn(error.message)
            found = {}
        missing = sources.keys() - found.keys()
        package = self.package if missing else None
        there = package.files if package is not None else {}
        return found | {
            name: there[name] for name in missing if name in there and content_key(there[name]) == sources[name]
        }


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a flow's file is: the git repository, and the path in it."""

    repository: Path
    path: str


# What the tasks recorded


def _by_sources(a: _Side, b: _Side) -> Found:
    edited = [
        f"`{name}` was edited while `{side.run.pathspec}` ran: no version of it is what all its steps had."
        for side in (a, b)
        for name in side.code.edited
    ]
    # A flow's file may have been renamed.
    before, after = _renamed(a, b), dict(b.code.sources)
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if not names:
        return Found((), tuple(dict.fromkeys(edited)))
    lines = _lines_by_git(a, b, names)
    rest = [name for name in names if name not in lines]
    old = a.contents({name: before[name] for name in rest if name in before})
    new = b.contents({name: after[name] for name in rest if name in after})
    for name in rest:
        has_both = (name in old or name not in before) and (name in new or name not in after)
        lines[name] = _lines(old.get(name, b""), new.get(name, b"")) if has_both else (None, None)
    files = tuple(CodeFile(name, *lines[name]) for name in names)
    commits = a.commit, b.commit
    if None not in commits and commits[0] != commits[1]:
        cause = Cause("code", "git commit", *commits, files=files)
    else:
        cause = Cause("code", "sources", _list_key(a.code.sources), _list_key(b.code.sources), files=files)
    return Found((cause,), tuple(dict.fromkeys(edited)))


def _renamed(a: _Side, b: _Side) -> dict[str, str]:
    """The earlier run's sources, its own file under the name that it has in the later one."""
    sources = dict(a.code.sources)
    if a.run.flow == b.run.flow and a.code.script is not None and b.code.script is not None:
        old, new = a.code.script.name, b.code.script.name
        if old in sources and new not in sources:
            sources[new] = sources.pop(old)
    return sources


def _list_key(sources: Mapping[str, str]) -> str:
    return content_key("".join(f"{key}  {name}\n" for name, key in sorted(sources.items())).encode())


def _lines(before: bytes, after: bytes) -> tuple[int, int]:
    """The lines that were added and removed."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = SequenceMatcher(None, old, new, autojunk=max(len(old), len(new)) > _MANY)
    changes = [change for change in matcher.get_opcodes() if change[0] != "equal"]
    return sum(end - start for *_, start, end in changes), sum(end - start for _, start, end, *_ in changes)


# git


def _lines_by_git(a: _Side, b: _Side, names: list[str]) -> _Lines:
    """By how many lines files differ, of those of which git can tell."""
    place = _place(a, b)
    if place is None or a.commit is None or b.commit is None:
        return {}
    folder = Path(place.path).parent
    paths = {os.path.normpath(folder / name): name for name in names}
    found = changed_lines(place.repository, a.commit, b.commit, [path for path in paths if not path.startswith("../")])
    return {paths[path]: lines for path, lines in (found or {}).items() if path in paths}


def _place(a: _Side, b: _Side) -> _Place | None:
    """Where in a git repository the flow's file is; None where it is not at one place of it for both runs."""
    places = [_place_of(side.code.script) for side in (b, a)]
    there = [place for place in places if place is not None]
    return there[0] if there and all(place.path == there[0].path for place in there) else None


def _place_of(script: Path | None) -> _Place | None:
    file = script.resolve() if script is not None else None
    repository = repository_of(file) if file is not None else None
    if file is None or repository is None:
        return None
    return _Place(repository, file.relative_to(repository).as_posix())


def _by_commits(a: _Side, b: _Side, before: str, after: str) -> Found | None:
    """Whether the Python files of the flow's folder differ between two commits; None where git cannot tell."""
    if before == after:
        return Found() if a.code.script == b.code.script or _place(a, b) is not None else None
    place = _place(a, b)
    if place is None:
        return None
    folder = Path(place.path).parent.as_posix()
    found = changed_lines(place.repository, before, after, [folder])
    if found is None:
        return None
    lines = {
        Path(path).relative_to(folder).as_posix(): counts for path, counts in found.items() if path.endswith(".py")
    }
    files = tuple(CodeFile(name, *lines[name]) for name in sorted(lines))
    return Found((Cause("code", "git commit", before, after, files=files),) if files else ())


# Code packages


def _by_packages(before: CodePackage, after: CodePackage) -> Found:
    # What Metaflow noted of the package itself is in it too.
    names = sorted(name for name in before.files.keys() | after.files.keys() if not name.startswith(".mf_"))
    files = tuple(
        CodeFile(name, *_lines(before.files.get(name, b""), after.files.get(name, b"")))
        for name in names
        if before.files.get(name) != after.files.get(name)
    )
    return Found((Cause("code", "code package", before.key, after.key, files=files),) if files else ())


def _untold(a: _Side, b: _Side) -> Found:
    """What can be said where no contents can be compared."""
    commits = a.code.commit, b.code.commit
    if None not in commits and commits[0] != commits[1]:
        edited = [
            f"`{side.run.pathspec}` ran with changes that were not committed" for side in (a, b) if not side.commit
        ]
        why = " and ".join(dict.fromkeys(edited)) or "the repository does not have them"
        sentence = f"Which of the flow's files differ between the git commits cannot be told: {why}."
        return Found((Cause("code", "git commit", *commits),), (sentence,))
    missing = [f"`{side.run.pathspec}` has not recorded its source." for side in (a, b) if not side.code.sources]
    return Found((), tuple(dict.fromkeys(missing)))
