"""A step that reads, and makes two commits, and may be killed at any moment of it."""

import os
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class TorturedFlow(FlowSpec):
    db = Parameter("db", default="numbers")
    value = Parameter("value", default=1)

    @step
    def start(self):
        Path("pid.new").write_text(str(os.getpid()))
        Path("pid.new").rename("pid")
        with DoltDT(run=self, config=DoltConfig(database=self.db)) as dolt:
            ids = dolt.read("source")["id"]
            dolt.write(pd.DataFrame({"id": range(3_000), "v": self.value}), "made", pks=["id"])
        with DoltDT(run=self, config=DoltConfig(database=self.db)) as dolt:
            dolt.write(pd.DataFrame({"id": ids, "v": self.value}), "few", pks=["id"], mode="update")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TorturedFlow()
