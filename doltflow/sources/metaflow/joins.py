"""Joins: the branches of a foreach each have their own `dolt`, which Metaflow's `merge_artifacts` would refuse."""

import functools
from collections.abc import Callable
from typing import Any

from doltflow.errors import RecordError
from doltflow.sources.metaflow.running import ARTIFACT

_MARK = "__doltflow__"


def merge_in_joins(merged: Callable[[list[object]], object]) -> None:
    """Makes `FlowSpec.merge_artifacts` merge the records of the branches; safe to call again.

    What is set beforehand is left alone by Metaflow, so the union is set and the rest is Metaflow's own.

    Args:
        merged: Gives the union of several artifacts `dolt`, or raises RecordError where one is none of doltflow's.
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
                setattr(self, ARTIFACT, merged(recorded))
            except RecordError:  # A flow's own artifact that happens to have the name is Metaflow's to merge.
                return original(self, inputs, exclude=exclude, include=include)
            if include:
                include = [name for name in include if name != ARTIFACT]
                if not include:
                    return None
        return original(self, inputs, exclude=exclude, include=include)

    setattr(merge_artifacts, _MARK, True)
    FlowSpec.merge_artifacts = merge_artifacts
