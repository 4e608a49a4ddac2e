"""A flow that reads only what changed last, by names that move."""

import pandas as pd
from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class ChangesFlow(FlowSpec):
    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="raw")) as dolt:
            changed = [dolt.diff(since, until, "t")["t"] for since, until in (("main~1", "main"), ("HEAD^", "HEAD"))]
        self.ids = [sorted(int(id_) for id_ in frame["to_id"]) for frame in changed]
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=DoltConfig(database="out")) as dolt:
            rows = [(number, id_) for number, ids in enumerate(self.ids) for id_ in ids]
            dolt.write(pd.DataFrame(rows, columns=["number", "id"]), "changes", pks=["number", "id"])


if __name__ == "__main__":
    ChangesFlow()
