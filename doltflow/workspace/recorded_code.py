"""What is recorded of the code that a run ran: by its tasks, in its code package, and in the sources kept with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.sources.metaflow.package import CodePackage, code_package
from doltflow.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RecordedCode:
    """What the tasks of a run recorded of their code.

    Attributes:
        script: The flow's file, where it was; of several places one where it still is.
        sources: It and its local modules: paths relative to it, and the keys of their contents.
        edited: Those of which several contents were seen: somebody worked on them meanwhile.
        commit: The commit of the git repository that it is in, of all tasks; None where there is none, or several.
        is_clean: Whether nothing differed from that commit.
    """

    script: Path | None
    sources: Mapping[str, str]
    edited: tuple[str, ...]
    commit: str | None
    is_clean: bool

    @classmethod
    def of(cls, run: Run) -> "RecordedCode":
        """What the tasks of a run recorded."""
        told = [task for task in run.tasks if task.script is not None]
        # A run that went on from another one has records of that one too.
        told = [task for task in told if task.pathspec.startswith(f"{run.pathspec}/")] or told
        sources: dict[str, str] = {}
        edited = set()
        for task in told:
            edited |= {name for name, key in task.sources if sources.get(name, key) != key}
            sources |= dict(task.sources)
        commits = {task.git_commit for task in told}
        # A step on another machine had it in another folder.
        scripts = [Path(task.script or "") for task in reversed(told)]
        return cls(
            next((script for script in scripts if script.is_file()), scripts[0] if scripts else None),
            sources,
            tuple(sorted(edited)),
            commits.pop() if len(commits) == 1 else None,
            bool(told) and all(task.git_dirty is False for task in told),
        )


def content_key(content: bytes) -> str:
    """The key that Metaflow's store has for a content."""
    return sha1(content, usedforsecurity=False).hexdigest()


def package_of(workspace: Workspace, run: Run) -> CodePackage | None:
    """The code package of a run; None where it has none.

    Raises:
        FlowFileError: It is no longer in the store, or cannot be read.
    """
    store = workspace.store if run.pathspec not in workspace.others else None
    return code_package(store, Pathspec(run.flow, run.run_id)) if store is not None else None


def contents_of(workspace: Workspace, run: Run, sources: Mapping[str, str]) -> dict[str, bytes]:
    """The contents of kept sources, without those that are gone."""
    other = workspace.others.get(run.pathspec)
    if other is not None:
        return {name: other.contents[key] for name, key in sources.items() if key in other.contents}
    if workspace.store is None or not sources:
        return {}
    found = workspace.store.blobs(Pathspec(run.flow, run.run_id), list(sources.values()))
    return {name: found[key] for name, key in sources.items() if key in found}
