"""A foreach whose tasks each write their rows, and a join that adds them up; with a file and a config beside them."""

from metaflow import FlowSpec, IncludeFile, JSONType, Parameter, step

from doltflow import DoltConfig, DoltDT


class FanFlow(FlowSpec):
    numbers = Parameter("numbers", default="numbers")
    sums = Parameter("sums", default="sums")
    factors = Parameter("factors", type=JSONType, default="[1, 2]")
    notes = IncludeFile("notes", default="notes.txt")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database=self.numbers)) as dolt:
            self.total = int(dolt.read("given")["v"].sum())
        self.next(self.fan, foreach="factors")

    @step
    def fan(self):
        with DoltDT(run=self, config=DoltConfig(database=self.numbers)) as dolt:
            rows = dolt.read("given")
        rows["v"] = rows["v"] * self.input
        with DoltDT(run=self, config=DoltConfig(database=self.sums)) as dolt:
            dolt.write(rows, f"times_{self.input}", pks=["id"])
        self.product = int(rows["v"].sum())
        self.next(self.join)

    @step
    def join(self, inputs):
        import pandas as pd  # The other steps do without.

        products = sorted(one.product for one in inputs)
        self.merge_artifacts(inputs, exclude=["product"])
        with DoltDT(run=self, config=DoltConfig(database=self.sums)) as dolt:
            frame = pd.DataFrame({"id": range(len(products)), "v": products})
            dolt.write(frame, "products", pks=["id"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FanFlow()
