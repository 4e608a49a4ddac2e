"""Writes to two databases: one that has an author of its own, and one that has none."""

import pandas as pd
from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class AuthorFlow(FlowSpec):
    @step
    def start(self):
        for database in ("own", "nobodys"):
            with DoltDT(run=self, config=DoltConfig(database=database)) as dolt:
                dolt.write(pd.DataFrame({"id": [1]}), "t")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    AuthorFlow()
