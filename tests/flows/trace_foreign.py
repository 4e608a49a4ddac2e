"""Artifacts called `dolt` that are none of doltflow's, or that somebody has changed since; a task for each."""

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class TraceForeign(FlowSpec):
    kinds = Parameter("kinds", separator=",")
    other = Parameter("other", help="A commit of another run")

    @step
    def start(self):
        self.next(self.work, foreach="kinds")

    @step
    def work(self):
        with DoltDT(run=self, config=DoltConfig(database="foreign", branch="main")) as dolt:
            for name in ("shown", "hidden", "moved"):
                dolt.read(name)
            for name in ("out", "out_hidden"):
                dolt.write(pd.DataFrame({"id": [1]}), f"{self.input}_{name}", mode="append")
        getattr(self, self.input)(self.dolt["accesses"])
        self.next(self.join)

    def string(self, accesses):
        self.dolt = "a ticket for the dolt museum"

    def empty(self, accesses):
        self.dolt = {}

    def half(self, accesses):
        del accesses[0]["pathspec"]

    def cut(self, accesses):
        """The test cuts the file off afterwards."""

    def untouched(self, accesses):
        """As doltflow left it."""

    def changed(self, accesses):
        by_table = {access["tables"][0]: access for access in accesses}
        shown, out = by_table["shown"], by_table["changed_out"]
        accesses.remove(by_table["hidden"])
        accesses.remove(by_table["changed_out_hidden"])
        by_table["moved"]["commit"] = "0" * 32
        accesses += [
            shown | {"key": "invented read", "tables": ["invented"]},
            out | {"key": "invented write", "tables": ["invented"]},
            out | {"key": "of another run", "commit": self.other},
            out | {"key": "by hand", "commit": shown["commit"]},
        ]

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TraceForeign()
