"""Commits, and then ends as it is told, or asks doltflow how it does."""

import os
import signal
from datetime import timedelta

import pandas as pd
from metaflow import FlowSpec, Parameter, current, step

from doltflow import DoltConfig, DoltDT
from doltflow.runs import runs
from doltflow.sources.metaflow import store


class TraceStates(FlowSpec):
    how = Parameter("how")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="states", branch="main")) as dolt:
            dolt.write(pd.DataFrame({"how": [self.how]}), f"by_{self.how}")
        if self.how == "alone":
            os.kill(os.getppid(), signal.SIGKILL)
        if self.how in ("alone", "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "asking":
            store.QUIET = timedelta(0)
            print("status:", *(run.status for run in runs().runs if run.run_id == current.run_id))
        self.next(self.end)

    @step
    def end(self):
        if self.how == "late":
            raise RuntimeError("at the very end")


if __name__ == "__main__":
    TraceStates()
