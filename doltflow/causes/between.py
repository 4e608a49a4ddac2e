"""All that differs between two runs."""

from collections.abc import Iterator

from doltflow.causes.cause import KINDS, Causes, Found, Kind
from doltflow.causes.code import code_causes
from doltflow.causes.data import data_causes
from doltflow.causes.environment import environment_causes
from doltflow.causes.parameters import parameter_causes
from doltflow.workspace import RunRecords, Workspace

_NOT_IN_COMMITS: dict[Kind, str] = {
    "code": "the code",
    "parameter": "parameters",
    "environment": "the environment",
}


def causes_between(workspace: Workspace, before: RunRecords, after: RunRecords) -> Causes:
    """What differs between two runs, of what their outputs depend on.

    Args:
        workspace: Where the databases and Metaflow's store are. What is wrong or missing becomes a warning there.
        before: The one run.
        after: The other one, seen from which things were added, removed or modified.
    """
    found = {kind: _found(workspace, kind, before, after) for kind in KINDS}
    return Causes(
        before.run.pathspec,
        after.run.pathspec,
        tuple(cause for kind in KINDS for cause in found[kind].causes),
        tuple(kind for kind in KINDS if not found[kind].causes and not found[kind].unknown),
        tuple((kind, sentence) for kind in KINDS for sentence in found[kind].unknown),
    )


def _found(workspace: Workspace, kind: Kind, before: RunRecords, after: RunRecords) -> Found:
    if kind == "data":
        return data_causes(workspace, before, after)
    names = " and ".join(_known_by_commits(before, after))
    if names:
        return Found((), (f"Only commits tell of {names}, and they do not hold {_NOT_IN_COMMITS[kind]}.",))
    if kind == "code":
        return code_causes(workspace, before.run, after.run)
    if kind == "parameter":
        return parameter_causes(before.run, after.run)
    return environment_causes(before.run, after.run)


def _known_by_commits(*runs: RunRecords) -> Iterator[str]:
    yield from dict.fromkeys(f"`{records.run.pathspec}`" for records in runs if not records.is_stored)
