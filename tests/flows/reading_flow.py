"""A flow that only reads."""

from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class ReadingFlow(FlowSpec):
    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            dolt.read("a")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ReadingFlow()
