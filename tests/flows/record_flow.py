"""A linear flow over two databases, with a parameter that nobody may see."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class RecordFlow(FlowSpec):
    prices = Parameter("prices", default="prices")
    analysis = Parameter("analysis", default="analysis")
    secret = Parameter("secret", default="hunter2")

    @step
    def start(self):
        with (
            DoltDT(run=self, config=DoltConfig(database=self.analysis, branch="main")) as target,
            DoltDT(run=self, config=DoltConfig(database=self.prices)) as source,
        ):
            self.frame = source.read("prices", columns=["code", "price"], where="price > 1")
            total = source.sql(
                "select sum(p.price) as total from prices p join hospitals h on h.id = p.hospital", "total"
            )
            target.write(self.frame, "copied", pks=["code"], as_key="result")
            target.write(total, "totals")
        self.next(self.middle)

    @step
    def middle(self):
        self.nothing = True
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=DoltConfig(database=self.analysis, branch="main")) as dolt:
            copied = dolt.read("copied", as_key="result")
            self.copied = copied.assign(code=copied["code"] + "!")
            dolt.write(self.copied, "copied", as_key="result", mode="update")


if __name__ == "__main__":
    RecordFlow()
