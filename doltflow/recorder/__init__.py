"""The recording library: `DoltDT` in a step pins every read to a commit and turns every write into one."""

from doltflow.recorder.config import DoltConfig
from doltflow.recorder.context import DoltDT
from doltflow.recorder.merge import merged_artifact
from doltflow.sources.metaflow.joins import merge_in_joins

merge_in_joins(merged_artifact)

__all__ = ["DoltConfig", "DoltDT"]
