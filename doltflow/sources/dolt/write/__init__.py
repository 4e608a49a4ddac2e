"""Writing frames to tables: `prepare` a frame, `plan` its fit to a table, `store` it on a branch as a commit."""

from doltflow.sources.dolt.write.frame import PreparedFrame, prepare
from doltflow.sources.dolt.write.schema import Plan, plan
from doltflow.sources.dolt.write.store import StoredWrite, Write, commit_writes

__all__ = ["Plan", "PreparedFrame", "StoredWrite", "Write", "commit_writes", "plan", "prepare"]
