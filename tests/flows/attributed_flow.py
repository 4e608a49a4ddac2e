"""A flow whose outputs depend on its data, its code and a parameter; one table it reads back as it has written it."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class AttributedFlow(FlowSpec):
    factor = Parameter("the-factor", default=2, type=int)
    fails_at = Parameter("fails-at", default=0, type=int)
    into = Parameter("into", default="results")

    def results(self):
        return DoltDT(run=self, config=DoltConfig(database=self.into))

    @step
    def start(self):
        import pandas as pd  # Here, as it takes long, and other steps need it not.

        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            frame = dolt.read("a")
        frame["v"] = frame["v"] * self.factor + 1
        with self.results() as dolt:
            dolt.write(frame, "scaled", pks=["id"])
        with self.results() as dolt:
            made = dolt.read("scaled")
            dolt.write(pd.DataFrame({"id": [1], "v": [int(made["v"].sum())]}), "total", pks=["id"])
        self.ids = list(map(int, frame["id"]))
        self.next(self.end)

    @step
    def end(self):
        if len(self.ids) == self.fails_at:
            raise RuntimeError("as it was asked to")


if __name__ == "__main__":
    AttributedFlow()
