"""A flow with an artifact of its own that is called `dolt`."""

from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT
from doltflow.errors import DoltflowError


def error_of(call):
    try:
        call()
    except DoltflowError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


class OwnFlow(FlowSpec):
    @step
    def start(self):
        self.dolt = {"my": "own"}
        self.names = ["a", "b"]
        self.next(self.work, foreach="names")

    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        def read():
            with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
                dolt.read("source")

        self.refused = [error_of(read)]
        self.kept = self.dolt
        for mine in (0, {}, "text"):
            self.dolt = mine
            self.refused.append(error_of(read))
            assert self.dolt == mine
        loose = DoltDT(config=DoltConfig(database="numbers"))
        self.refused.append(error_of(lambda: loose.read("source")))


if __name__ == "__main__":
    OwnFlow()
