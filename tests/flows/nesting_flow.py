"""A flow that starts another run, as a step may, here one of itself."""

import subprocess
import sys

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class NestingFlow(FlowSpec):
    inner = Parameter("inner", default=False)

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="nested")) as dolt:
            dolt.write(pd.DataFrame({"id": [1]}), "inner_one" if self.inner else "outer_one", pks=["id"])
        if not self.inner:
            subprocess.run([sys.executable, __file__, "--no-pylint", "run", "--inner", "True"], check=True)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    NestingFlow()
