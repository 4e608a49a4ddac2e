"""A flow with a parameter called `dolt`."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class ParameterFlow(FlowSpec):
    dolt = Parameter("dolt", default="mine")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            dolt.read("source")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ParameterFlow()
