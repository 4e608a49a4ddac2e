"""A flow whose result depends on a table, a parameter and a module beside it, and that reads back what it wrote."""

import rates
from metaflow import FlowSpec, Parameter, step


class CausesFlow(FlowSpec):
    factor = Parameter("the-factor", default=2, type=int)

    @step
    def start(self):
        # It runs often: the other step need not wait for these.
        import pandas as pd

        from doltflow import DoltConfig, DoltDT

        with DoltDT(run=self, config=DoltConfig(database="prices")) as dolt:
            prices = dolt.read("prices")
        sums = pd.DataFrame({"id": prices["id"], "v": prices["v"] * self.factor * rates.RATE})
        with DoltDT(run=self, config=DoltConfig(database="results")) as dolt:
            dolt.write(sums, "sums", pks=["id"])
        with DoltDT(run=self, config=DoltConfig(database="results")) as dolt:
            named = dolt.sql("select s.id, l.label, s.v from sums s join labels l on s.id = l.id", "joined")
            dolt.write(named, "named", pks=["id"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    CausesFlow()
