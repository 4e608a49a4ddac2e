"""Tasks of a foreach that all write to one database at once, in every mode, on own and on shared tables."""

import time
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT
from doltflow.errors import DoltflowError

MODES = ("update", "append", "replace")
ROWS = 5


class WritersFlow(FlowSpec):
    db = Parameter("db", default="numbers")
    tasks = Parameter("tasks", default=16)
    commits = Parameter("commits", default=0)
    shared = Parameter("shared", default=True)

    @step
    def start(self):
        self.numbers = list(range(self.tasks))
        self.next(self.work, foreach="numbers")

    @step
    def work(self):
        self.meet()
        self.refused = []
        if self.shared:
            for mode in MODES:
                self.write(mode, f"own_{mode}_{self.input}", [self.input] * ROWS)
                self.write(mode, f"rows_{mode}", [self.input] * ROWS, first=self.input * 1000)
                self.write(mode, f"same_{mode}", [self.input] * ROWS)
        for number in range(self.commits):
            self.write("append", "counted", [number], first=self.input * 1000 + number)
        self.next(self.join)

    def write(self, mode, table, values, first=0):
        frame = pd.DataFrame({"id": range(first, first + len(values)), "v": values})
        try:
            with DoltDT(run=self, config=DoltConfig(database=self.db)) as dolt:
                dolt.write(frame, table, pks=["id"], mode=mode)
        except DoltflowError as error:
            if table != "same_append":
                raise
            self.refused.append(error.code)

    def meet(self):
        """Waits until all are about to write."""
        Path(f"met {self.input}").touch()
        deadline = time.monotonic() + 120
        while len(list(Path.cwd().glob("met *"))) < self.tasks:
            if time.monotonic() > deadline:
                raise TimeoutError("the others did not come")
            time.sleep(0.01)

    @step
    def join(self, inputs):
        self.refusals = {task.input: task.refused for task in inputs}
        self.merge_artifacts(inputs, exclude=["refused"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    WritersFlow()
