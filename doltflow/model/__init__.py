"""Frozen records and their versioned codecs; knows no outside program."""

from doltflow.model.access import Access, Columns, Derived, TaskRecord
from doltflow.model.artifact import DatabaseConfig, Record, decode_artifact, encode_artifact, merge_records
from doltflow.model.commit import Commit, ReadTrailer, RunCommit, WriteTrailer, encode_message, parse_message
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.model.table import TableVersion

__all__ = [
    "Access",
    "Columns",
    "Commit",
    "DatabaseConfig",
    "Derived",
    "Pathspec",
    "ReadTrailer",
    "Record",
    "Run",
    "RunCommit",
    "TableVersion",
    "TaskRecord",
    "WriteTrailer",
    "decode_artifact",
    "encode_artifact",
    "encode_message",
    "merge_records",
    "parse_message",
]
