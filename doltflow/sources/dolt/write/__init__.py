"""Writing frames to tables: `prepare` a frame, `plan` its fit to a table, `commit_writes` on a branch."""

from doltflow.sources.dolt.definition import existing_columns
from doltflow.sources.dolt.write.branch import check_before
from doltflow.sources.dolt.write.frame import PreparedFrame, prepare
from doltflow.sources.dolt.write.schema import Plan, plan
from doltflow.sources.dolt.write.store import StoredWrite, Write, commit_writes

__all__ = [
    "Plan",
    "PreparedFrame",
    "StoredWrite",
    "Write",
    "check_before",
    "commit_writes",
    "existing_columns",
    "plan",
    "prepare",
]
