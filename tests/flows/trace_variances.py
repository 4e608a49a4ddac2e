"""The second flow of a pipeline: reads what the first one wrote, and its own result once more."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class TraceVariances(FlowSpec):
    fail = Parameter("fail", default=False)

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="analysis", branch="main")) as dolt:
            medians = dolt.read("medians", as_key="input")
            if self.fail:
                raise RuntimeError("after the read")
            dolt.write(medians.assign(price=medians["price"] * 2), "variances", pks="code")
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=DoltConfig(database="analysis", branch="main")) as dolt:
            self.rows = len(dolt.read("variances"))


if __name__ == "__main__":
    TraceVariances()
