"""Why the outputs of two runs differ: which data, code, parameters and environment are not the same.

A layer above the workspace. `causes_between` finds out, `summary` says it in one sentence.
"""

from doltflow.causes.between import causes_between
from doltflow.causes.cause import KINDS, WORDS, Cause, Causes, CodeFile, Direction, Kind
from doltflow.causes.environment import environment_changes
from doltflow.causes.sentence import summary
from doltflow.causes.tables import changes_of_tables

__all__ = [
    "KINDS",
    "WORDS",
    "Cause",
    "Causes",
    "CodeFile",
    "Direction",
    "Kind",
    "causes_between",
    "changes_of_tables",
    "environment_changes",
    "summary",
]
