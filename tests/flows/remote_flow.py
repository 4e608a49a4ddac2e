"""A flow whose steps have a decorator of which nobody knows where it runs them."""

from metaflow import FlowSpec, UserStepDecorator, step

from doltflow import DoltConfig, DoltDT


class elsewhere(UserStepDecorator):
    """Stands for one that sends a step to another machine."""


class RemoteFlow(FlowSpec):
    def copy(self, source, target):
        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            dolt.write(dolt.read(source), target, pks=["id"])

    @elsewhere
    @step
    def start(self):
        self.copy("a", "copied")
        self.next(self.end)

    @elsewhere
    @step
    def end(self):
        self.copy("copied", "again")


if __name__ == "__main__":
    RemoteFlow()
