"""What a command looks at: the databases and the Metaflow store that it finds, and the records in both."""

from doltflow.workspace.disagreements import disagreements
from doltflow.workspace.gather import Gathered, gather, resolved
from doltflow.workspace.records import RunRecords, read_run
from doltflow.workspace.runs import all_runs, find_run
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
    "gather",
    "load_settings",
    "open_workspace",
    "read_run",
    "resolved",
]
