"""What a command looks at: the databases and the Metaflow store that it finds, and the records in both."""

from doltflow.workspace.columns import follow, with_columns
from doltflow.workspace.disagreements import disagreements
from doltflow.workspace.downstream import gather_downstream
from doltflow.workspace.gather import Gathered, gather, join, resolved
from doltflow.workspace.records import RunRecords, read_run
from doltflow.workspace.runs import all_runs, find_run, table_or_run
from doltflow.workspace.settings import Settings, load_settings
from doltflow.workspace.workspace import Workspace, open_workspace

__all__ = [
    "Gathered",
    "RunRecords",
    "Settings",
    "Workspace",
    "all_runs",
    "disagreements",
    "find_run",
    "follow",
    "gather",
    "gather_downstream",
    "join",
    "load_settings",
    "open_workspace",
    "read_run",
    "resolved",
    "table_or_run",
    "with_columns",
]
