"""A step that waits in its body to be killed, or writes so much that there is time to kill it."""

import os
import time
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class KilledFlow(FlowSpec):
    db = Parameter("db", default="numbers")
    killed = Parameter("killed", default="not at all")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database=self.db)) as dolt:
            dolt.read("source")
            size = 500_000 if self.killed == "in the write" else 10
            dolt.write(pd.DataFrame({"id": range(size), "v": [f"value {n}" for n in range(size)]}), "big", pks=["id"])
            Path("pid").write_text(str(os.getpid()))
            while self.killed == "in the body":
                time.sleep(1)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    KilledFlow()
