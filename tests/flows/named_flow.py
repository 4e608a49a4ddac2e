"""A step whose first attempt fails behind its push, and which reads at the name of the branch that it writes."""

import pandas as pd
from metaflow import FlowSpec, Parameter, current, retry, step

from doltflow import DoltConfig, DoltDT


class NamedFlow(FlowSpec):
    db = Parameter("db", default="numbers")

    @retry(times=1, minutes_between_retries=0)
    @step
    def start(self):
        self.seen = {}
        for commit in ("main", "main~1"):
            config = DoltConfig(self.db, commit=commit, dolthub_remote=True)
            with DoltDT(run=self, config=config) as dolt:
                self.seen[commit] = len(dolt.read("counts"))
        config = DoltConfig(self.db, dolthub_remote=True, push_on_commit=True)
        with DoltDT(run=self, config=config) as dolt:
            dolt.write(pd.DataFrame({"v": [1]}), "counts", mode="append")
        if current.retry_count == 0:
            raise RuntimeError("after the push")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    NamedFlow()
