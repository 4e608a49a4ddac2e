"""The environments of two runs: Python, Metaflow, doltflow, Dolt, and the packages that results depend on.

Compared are the steps of which both runs have a record, where there are such: another step may well import other
packages. Where tasks of a run had several versions, all of them count. Recorded is what was imported: a package of only
one run is a difference, as with the same code it is the environment that had it or not.
"""

from collections.abc import Iterable

from doltflow.causes.cause import Cause, Found
from doltflow.model.access import TaskRecord
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run

_PROGRAMS = ("python", "metaflow", "doltflow", "dolt")


def environment_causes(before: Run, after: Run) -> Found:
    """What differs between the environments of two runs, and what one of them has not recorded."""
    a, b = (_versions(tasks) for tasks in _comparable(before, after))
    sides = [(before, a), (after, b)]
    missing = [_unrecorded(run, "its environment") for run, versions in sides if not versions]
    if missing:
        return Found((), tuple(dict.fromkeys(missing)))
    unknown = [
        _unrecorded(run, f"its version of {name}")
        for name in _PROGRAMS
        for run, versions in sides
        if name not in versions
    ]
    packaged = [bool(of.keys() - set(_PROGRAMS)) for of in (a, b)]
    if packaged[0] != packaged[1]:
        unknown.append(_unrecorded(after if packaged[0] else before, "the versions of its packages"))
    return Found(tuple(_differences(a, b, is_packaged=all(packaged))), tuple(dict.fromkeys(unknown)))


def environment_changes(before: Run, after: Run) -> list[tuple[str, str, str]]:
    """The name and both versions of what two runs both had, in another version."""
    changes = environment_causes(before, after).causes
    return [(cause.name, cause.before, cause.after) for cause in changes if cause.only is None]


def _unrecorded(run: Run, what: str) -> str:
    return f"`{run.pathspec}` has not recorded {what}."


def _differences(a: dict[str, str], b: dict[str, str], *, is_packaged: bool) -> Iterable[Cause]:
    for name in dict.fromkeys([*_PROGRAMS, *a, *b]):
        if name in a and name in b:
            if a[name] != b[name]:
                yield Cause("environment", name, a[name], b[name])
        elif is_packaged and name not in _PROGRAMS:
            yield Cause("environment", name, a.get(name), b.get(name), "before" if name in a else "after")


def _comparable(before: Run, after: Run) -> tuple[list[TaskRecord], list[TaskRecord]]:
    """The records of the tasks of both runs' common steps; of all tasks where there is no such step."""
    a, b = _own_tasks(before), _own_tasks(after)
    common = {_step(task) for task in a} & {_step(task) for task in b}
    if common:
        a, b = ([task for task in tasks if _step(task) in common] for tasks in (a, b))
    return a, b


def _own_tasks(run: Run) -> list[TaskRecord]:
    # A run that went on from another one has records of that one too.
    return [task for task in run.tasks if task.pathspec.startswith(f"{run.pathspec}/")] or list(run.tasks)


def _step(task: TaskRecord) -> str | None:
    pathspec = Pathspec.parse(task.pathspec)
    return pathspec.step if pathspec is not None else None


def _versions(tasks: Iterable[TaskRecord]) -> dict[str, str]:
    """The versions by name: of programs, then of packages, by name."""
    found: dict[str, set[str]] = {}
    for task in tasks:
        pairs = [(name, getattr(task, name)) for name in _PROGRAMS]
        for name, version in [*pairs, *task.packages]:
            if version is not None:
                found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}
