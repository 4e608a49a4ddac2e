"""A flow that reads one database and writes another twice; what it does in between, `WATCHED` says."""

import os
import time
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class WatchedFlow(FlowSpec):
    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            frame = dolt.read("a")
        with DoltDT(run=self, config=DoltConfig(database="results")) as dolt:
            dolt.write(frame, "first", pks=["id"])
        self.next(self.work)

    @step
    def work(self):
        asked = os.environ.get("WATCHED", "")
        if asked == "fails":
            raise RuntimeError("as it was asked to")
        size = 500_000 if asked == "writes" else 10
        frame = pd.DataFrame({"id": range(size), "v": [f"value {number}" for number in range(size)]})
        Path("pid").write_text(str(os.getpid()))
        while asked == "waits":
            time.sleep(1)
        with DoltDT(run=self, config=DoltConfig(database="results")) as dolt:
            dolt.write(frame, "second", pks=["id"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    WatchedFlow()
