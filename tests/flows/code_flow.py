"""A flow whose code is in several files: beside its own, in folders of others, and imported late, also without Dolt."""

import sys
from pathlib import Path

from metaflow import FlowSpec, Parameter, step

sys.path.insert(1, str(Path(__file__).parent.parent / "lib"))

import beside
import outside

from doltflow import DoltConfig, DoltDT


class CodeFlow(FlowSpec):
    database = Parameter("database", default="results")

    @step
    def start(self):
        import early

        self.write("first", beside.VALUE * outside.FACTOR + early.MORE)
        self.next(self.middle)

    @step
    def middle(self):
        import unseen

        self.more = unseen.more()
        self.next(self.end)

    @step
    def end(self):
        import late

        self.write("second", late.VALUE + self.more)

    def write(self, table, value):
        import pandas as pd  # The other steps do without.

        with DoltDT(run=self, config=DoltConfig(database=self.database)) as dolt:
            dolt.write(pd.DataFrame({"id": [1], "v": [value]}), table, pks=["id"])


if __name__ == "__main__":
    CodeFlow()
