"""Joins: the branches of a foreach each have their own `dolt`, which Metaflow's `merge_artifacts` would refuse."""

import functools
from collections.abc import Iterable
from typing import Any

from doltflow.errors import RecordError
from doltflow.model.artifact import Record, decode_artifact, encode_artifact, merge_records
from doltflow.sources.metaflow.running import ARTIFACT
from doltflow.sql import tables_of

_MARK = "__doltflow__"


def install() -> None:
    """Makes `FlowSpec.merge_artifacts` merge the records of the branches; safe to call again.

    A step that is set beforehand is left alone by Metaflow, so the union is set and the rest is Metaflow's own.
    """
    from metaflow import FlowSpec

    original = FlowSpec.merge_artifacts
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def merge_artifacts(
        self: Any, inputs: Any, exclude: list[str] | None = None, include: list[str] | None = None
    ) -> Any:
        if iter(inputs) is inputs:  # What can be gone through but once would be empty for Metaflow.
            inputs = list(inputs)
        artifacts = [getattr(holder, ARTIFACT, None) for holder in (*inputs, self)]
        recorded = [artifact for artifact in artifacts if artifact is not None]
        if recorded and ARTIFACT not in (exclude or []):
            try:
                setattr(self, ARTIFACT, merged_artifact(recorded))
            except RecordError:  # A flow's own artifact that happens to have the name is Metaflow's to merge.
                return original(self, inputs, exclude=exclude, include=include)
            if include:
                include = [name for name in include if name != ARTIFACT]
                if not include:
                    return None
        return original(self, inputs, exclude=exclude, include=include)

    setattr(merge_artifacts, _MARK, True)
    FlowSpec.merge_artifacts = merge_artifacts


def merged_artifact(artifacts: Iterable[object]) -> dict[str, Any]:
    """The union of several artifacts `dolt`."""
    return encode_artifact(merged_record(artifacts))


def merged_record(artifacts: Iterable[object]) -> Record:
    """The union of the records that several artifacts hold."""
    return merge_records(decode_artifact(artifact, tables_of=tables_of) for artifact in artifacts)
