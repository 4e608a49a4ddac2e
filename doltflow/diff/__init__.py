"""`diff`: what changed between the outputs of two runs, and why."""

from doltflow.diff.operation import LIMIT, diff, diff_runs
from doltflow.diff.result import DiffResult, DiffTable, Explained

__all__ = ["LIMIT", "DiffResult", "DiffTable", "Explained", "diff", "diff_runs"]
