"""doltflow: git blame, git bisect and make for every number that a pipeline on Dolt and Metaflow produced.

In a flow: `from doltflow import DoltConfig, DoltDT`. In a notebook: `doltflow.trace_table`, `doltflow.trace_rows` and
`doltflow.diff_runs`.
What the commands answer, the function of a command's name in the module of that name answers, such as
`from doltflow.status import status`: each returns a frozen result and prints nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doltflow.diff import DiffResult, diff_runs
    from doltflow.impact import ImpactResult
    from doltflow.recorder import DoltConfig, DoltDT
    from doltflow.rows import RowsResult, trace_rows
    from doltflow.status import StatusResult
    from doltflow.trace import TraceResult, trace_table

__all__ = [
    "DiffResult",
    "DoltConfig",
    "DoltDT",
    "ImpactResult",
    "RowsResult",
    "StatusResult",
    "TraceResult",
    "__version__",
    "diff_runs",
    "trace_rows",
    "trace_table",
]

# What is exported is imported when it is first asked for: the command line must not wait for Metaflow and Arrow.
_HOME = {
    "DiffResult": "doltflow.diff",
    "DoltConfig": "doltflow.recorder",
    "DoltDT": "doltflow.recorder",
    "ImpactResult": "doltflow.impact",
    "RowsResult": "doltflow.rows",
    "StatusResult": "doltflow.status",
    "TraceResult": "doltflow.trace",
    "diff_runs": "doltflow.diff",
    "trace_rows": "doltflow.rows",
    "trace_table": "doltflow.trace",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("doltflow")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
