"""The union of several records, as a join needs it."""

from collections.abc import Iterable
from typing import Any

from doltflow.model.artifact import Record, decode_artifact, encode_artifact, merge_records
from doltflow.sql import tables_of


def merged_artifact(artifacts: Iterable[object]) -> dict[str, Any]:
    """The union of several artifacts `dolt`.

    Raises:
        RecordError: One of them is none of doltflow's nor of the original integration's.
    """
    return encode_artifact(merged_record(artifacts))


def merged_record(artifacts: Iterable[object]) -> Record:
    """The union of the records that several artifacts hold."""
    return merge_records(decode_artifact(artifact, tables_of=tables_of) for artifact in artifacts)
