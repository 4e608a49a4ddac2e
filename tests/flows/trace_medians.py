"""The first flow of a pipeline: reads in one step what a later step makes a table of."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class TraceMedians(FlowSpec):
    branch = Parameter("branch", default="main")
    secret = Parameter("secret", default="hunter2")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="prices", branch="main")) as dolt:
            prices = dolt.read("prices", columns=["code", "price"])
            self.states = int(dolt.sql("select count(*) as n from hospitals", as_key="states")["n"][0])
        self.medians = prices.groupby("code", as_index=False)["price"].median()
        self.next(self.think)

    @step
    def think(self):
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=DoltConfig(database="analysis", branch=self.branch)) as dolt:
            dolt.write(self.medians, "medians", pks="code")


if __name__ == "__main__":
    TraceMedians()
