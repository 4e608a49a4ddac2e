"""A flow that fails until somebody has repaired it, after some of its tasks and one of its contexts have committed."""

from pathlib import Path

from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class ResumeFlow(FlowSpec):
    def open(self):
        return DoltDT(run=self, config=DoltConfig(database="numbers"))

    @step
    def start(self):
        with self.open() as dolt:
            dolt.write(dolt.read("source"), "copied", pks=["name"])
        self.names = ["a", "b"]
        self.next(self.work, foreach="names")

    @step
    def work(self):
        with self.open() as dolt:
            dolt.read("copied", where=f"name = '{self.input}'")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.finish)

    @step
    def finish(self):
        with self.open() as dolt:
            dolt.write(dolt.read("source", as_key="last"), "first_half", pks=["name"])
        with self.open() as dolt:
            dolt.write(dolt.read("copied", as_key="last"), "second_half", pks=["name"])
            if not Path("repaired").exists():
                raise RuntimeError("in the body")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ResumeFlow()
