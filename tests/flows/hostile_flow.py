"""A flow that copies tables of any name from one database to another, by pairs of names."""

import json

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class HostileFlow(FlowSpec):
    source = Parameter("source", default="source")
    target = Parameter("target", default="target")
    branch = Parameter("branch", default="main")
    tables = Parameter("tables", default="[]")
    note = Parameter("note", default="")

    @step
    def start(self):
        print(self.note)
        self.names = json.loads(self.tables)
        with DoltDT(run=self, config=DoltConfig(database=self.source)) as dolt:
            self.frames = {new: dolt.read(name) for name, new in self.names}
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=DoltConfig(database=self.target, branch=self.branch)) as dolt:
            for name, frame in self.frames.items():
                dolt.write(pd.DataFrame(frame), name, pks=[str(frame.columns[0])])


if __name__ == "__main__":
    HostileFlow()
