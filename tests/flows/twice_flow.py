"""A flow that reads back what it wrote, in a query that also sees another table as of the commit that `seen` holds."""

from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class TwiceFlow(FlowSpec):
    n = Parameter("n", default=1, type=int)

    def twice(self):
        return DoltDT(run=self, config=DoltConfig(database="twice"))

    @step
    def start(self):
        with self.twice() as dolt:
            frame = dolt.read("a")
            frame["v"] = frame["v"] + self.n
            dolt.write(frame, "t", pks=["id"])
        self.next(self.end)

    @step
    def end(self):
        seen = Path("seen").read_text()
        with self.twice() as dolt:
            frame = dolt.sql(f"select t.id, t.v * 10 as v from t join a as of '{seen}' a on a.id = t.id", "both")
            dolt.write(pd.DataFrame(frame), "u", pks=["id"])


if __name__ == "__main__":
    TwiceFlow()
