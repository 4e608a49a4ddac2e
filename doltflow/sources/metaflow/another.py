"""A run of another profile's store, read by a process of its own: Metaflow's settings hold for a whole process.

The process writes plain data alone, and it is read as such. Started as a program, this module is that process.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from doltflow.errors import AmbiguousRunError, DoltflowError, RecordError, RunNotFoundError, StoreNotFoundError
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import NotRead, Run
from doltflow.sources.metaflow.plain import plain
from doltflow.sources.metaflow.profile import VARIABLE, find_profile
from doltflow.sources.metaflow.running import ARTIFACT
from doltflow.sources.metaflow.store import Store

_ERRORS: Mapping[str, type[DoltflowError]] = {kind.code: kind for kind in (RunNotFoundError, AmbiguousRunError)}
_PATIENCE = 600.0
"""Seconds for one run, which takes a few: nobody waits for ever for a store that hangs."""


@dataclass(frozen=True, slots=True)
class OtherTask:
    """A task of a run in another store, with its artifact `dolt`.

    Attributes:
        pathspec: The task.
        artifact_key: What is the same for artifacts of the same content; None where it has none.
        artifact: The artifact's value.
        error: What is wrong with it, where something is.
    """

    pathspec: Pathspec
    artifact_key: str | None
    artifact: Any
    error: str | None

    @property
    def step(self) -> str:
        """The step's name."""
        return str(self.pathspec.step)

    def has(self, name: str) -> bool:
        """Whether it has an artifact of that name."""
        return name == ARTIFACT and self.artifact_key is not None

    def key(self, name: str) -> str:
        """What is the same for artifacts of the same content."""
        return f"{self.artifact_key}"

    def value(self, name: str) -> Any:
        """The value of the artifact.

        Raises:
            RecordError: It is broken, or no plain data.
        """
        if self.error is not None:
            raise RecordError(self.error)
        return self.artifact


@dataclass(frozen=True, slots=True)
class OtherRun:
    """A run in another store.

    Attributes:
        pathspec: The run, or the step or task of it that was asked for.
        run: What Metaflow knows of it.
        tasks: Its tasks.
        troubles: What was found wrong with what Metaflow keeps of it.
        contents: The sources that were kept with it, by key.
    """

    pathspec: Pathspec
    run: Run
    tasks: Sequence[OtherTask]
    troubles: Sequence[RecordError]
    contents: Mapping[str, bytes]


def other_run(profile: str, text: str, folder: Path) -> OtherRun:
    """A run of another profile's store.

    Args:
        profile: The profile.
        text: The run, as one names it in its own store.
        folder: The folder to look from.

    Raises:
        ProfileNotFoundError: There is no such profile.
        RunNotFoundError, AmbiguousRunError: There is no such run, or several.
        StoreNotFoundError: The store cannot be read.
    """
    find_profile(profile)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, text],
            cwd=folder, env={**os.environ, VARIABLE: profile}, stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=_PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise StoreNotFoundError(
            f"The store of the profile `{profile}` did not give `{text}` in {_PATIENCE:g} seconds.",
            f"Does `doltflow show {text} --profile {profile}` answer? Its datastore or metadata service may hang.",
        ) from error
    try:
        told = plain(done.stdout)
        if "error" in told:
            code, message, hint = told["error"]
            raise _ERRORS.get(code, StoreNotFoundError)(f"In the profile `{profile}`: {message}", hint)
        return _decoded(told)
    except DoltflowError:
        raise
    except Exception as error:
        said = done.stderr.decode(errors="replace").strip().splitlines() if done.returncode else [f"{error}"]
        last = (said or ["it said nothing"])[-1]
        raise StoreNotFoundError(f"The store of the profile `{profile}` cannot be read: {last}.") from error


def _decoded(told: Mapping[str, Any]) -> OtherRun:
    fields = dict(told["run"])
    for name in ("started", "finished"):
        fields[name] = datetime.fromisoformat(fields[name]) if fields[name] else None
    fields["parameters"] |= {name: NotRead(*parts) for name, parts in told["not_read"].items()}
    tasks = [OtherTask(_pathspec(task), key, value, error) for task, key, value, error in told["tasks"]]
    troubles = [RecordError(text) for text in told["troubles"]]
    return OtherRun(_pathspec(told["pathspec"]), Run(**fields), tasks, troubles, told["contents"])


def _pathspec(text: str) -> Pathspec:
    return Pathspec(*text.split("/"))


# The process


def _told(text: str) -> dict[str, Any]:
    store = Store()
    pathspec = store.find(text)
    stored = store.read(pathspec)
    run = store.run(pathspec, stored)
    tasks: list[tuple[str, str | None, Any, str | None]] = []
    for task in stored.tasks:
        key = task.key(ARTIFACT) if task.has(ARTIFACT) else None
        try:
            value = _bare(task.value(ARTIFACT)) if key is not None else None
            tasks.append((str(task.pathspec), key, value, None))
        except RecordError as error:
            tasks.append((str(task.pathspec), key, None, error.message))
    not_read = {name: value for name, value in run.parameters.items() if isinstance(value, NotRead)}
    known = {name: _bare(value) for name, value in run.parameters.items() if name not in not_read}
    run = replace(run, parameters=known)
    fields = {name: getattr(run, name) for name in run.__dataclass_fields__}
    moments = {name: fields[name].isoformat() if fields[name] else None for name in ("started", "finished")}
    return {
        "pathspec": str(pathspec),
        "run": fields | moments,
        "not_read": {name: (value.why, value.key, value.is_damaged) for name, value in not_read.items()},
        "tasks": tasks,
        "troubles": [error.message for error in stored.troubles],
        "contents": store.blobs(pathspec, sorted(_sources(value for _, _, value, _ in tasks))),
    }


def _bare(value: Any) -> Any:
    """Plain data without what stands in it for classes, which nobody can read out of a pickle again."""
    if isinstance(value, dict):
        return {_bare(name): _bare(item) for name, item in value.items()}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(_bare(item) for item in value)
    return value if isinstance(value, str | bytes | int | float) else None


def _sources(artifacts: Any) -> set[str]:
    """The keys of the sources that the tasks of a run recorded."""
    found = set()
    for artifact in artifacts:
        tasks = artifact.get("tasks") if isinstance(artifact, dict) else None
        for task in tasks.values() if isinstance(tasks, dict) else ():
            listed = task.get("sources") if isinstance(task, dict) else None
            for pair in listed if isinstance(listed, list | tuple) else ():
                if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[1], str):
                    found.add(pair[1])
    return found


def _main(text: str) -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # Metaflow may print.
    try:
        told = _told(text)
    except DoltflowError as error:
        told = {"error": (error.code, error.message, error.hint)}
    out.buffer.write(pickle.dumps(told, 4))


if __name__ == "__main__":
    _main(sys.argv[1])
