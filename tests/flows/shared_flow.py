"""Two tasks that add to one table while somebody else does too (`others`, a script, once), and a random number."""

import os
import random
import subprocess
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class SharedFlow(FlowSpec):
    @step
    def start(self):
        self.add(1)
        others = Path("others")
        if others.exists():
            script = others.read_text()
            others.unlink()
            folder = Path(os.environ.get("TEST_DATABASES", "")) / "shared"
            subprocess.run(["dolt", "sql"], cwd=folder, input=script, text=True, check=True)
        self.next(self.end)

    @step
    def end(self):
        self.add(2)
        with DoltDT(run=self, config=DoltConfig(database="shared")) as dolt:
            dolt.write(pd.DataFrame({"id": [1], "v": [random.random()]}), "drawn", pks=["id"])

    def add(self, number):
        with DoltDT(run=self, config=DoltConfig(database="shared")) as dolt:
            dolt.write(pd.DataFrame({"id": [number], "v": [number]}), "t", pks=["id"], mode="append")


if __name__ == "__main__":
    SharedFlow()
