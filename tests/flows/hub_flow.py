"""Parallel tasks that pull, write and push, in a clone that the first of them makes."""

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class HubFlow(FlowSpec):
    db = Parameter("db")

    def open(self):
        return DoltDT(run=self, config=DoltConfig(database=self.db, dolthub_remote=True, push_on_commit=True))

    @step
    def start(self):
        self.tables = ["t_one", "t_two", "t_three"]
        self.next(self.work, foreach="tables")

    @step
    def work(self):
        with self.open() as dolt:
            prices = dolt.read("prices")
            dolt.write(prices.assign(v=prices["v"] * 10), self.input, pks=["id"])
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        with self.open() as dolt:
            dolt.write(pd.concat([dolt.read(t) for t in ("t_one", "t_two", "t_three")]), "total")


if __name__ == "__main__":
    HubFlow()
