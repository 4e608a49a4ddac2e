"""Tasks of a foreach that all write to one database at the same moment."""

import time
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT

KINDS = ["table 1", "table 2", "update 1", "update 2", "append 1", "append 2", "replace 1", "replace 2"]


class ParallelFlow(FlowSpec):
    db = Parameter("db", default="numbers")

    @step
    def start(self):
        self.kinds = KINDS
        self.next(self.work, foreach="kinds")

    @step
    def work(self):
        kind, number = self.input.split()
        n = int(number)
        frame = pd.DataFrame({"id": range(1000 * n, 1000 * n + 100), "v": n})
        with DoltDT(run=self, config=DoltConfig(database=self.db)) as dolt:
            if kind == "table":
                dolt.write(frame, f"table_{n}", pks=["id"])
            else:
                dolt.write(frame, kind, mode=kind)
            self.meet()
        self.next(self.join)

    def meet(self):
        """Waits until all are about to commit."""
        Path(f"met {self.input}").touch()
        deadline = time.monotonic() + 60
        while len(list(Path.cwd().glob("met *"))) < len(KINDS):
            if time.monotonic() > deadline:
                raise TimeoutError("the others did not come")
            time.sleep(0.01)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ParallelFlow()
