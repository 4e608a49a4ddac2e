"""Reads a table, writes it and another one."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class CounterFlow(FlowSpec):
    db = Parameter("db", default="numbers")
    branch = Parameter("branch", default=None)
    factor = Parameter("factor", default=2)
    secret = Parameter("secret", default="hunter2")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database=self.db, branch=self.branch)) as dolt:
            self.frame = dolt.read("source")
            self.total = int(dolt.sql("select sum(v) as total from source where v > 0", as_key="total")["total"][0])
            doubled = self.frame.assign(v=self.frame["v"] * self.factor)
            dolt.write(doubled, "derived", pks=["id"])
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=DoltConfig(database=self.db, branch=self.branch)) as dolt:
            dolt.write(dolt.read("derived").rename(columns={"v": "w"}), "final", pks="id")


if __name__ == "__main__":
    CounterFlow()
