"""A flow that reads `t` and does what it is told: only look, write `u`, write and fail, or read on after its write."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class DownFlow(FlowSpec):
    kind = Parameter("kind", default="look")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="db", branch="main")) as dolt:
            table = dolt.read("t")
            if self.kind != "look":
                dolt.write(table.assign(v=len(self.kind)), "u", pks="id")
        self.next(self.end)

    @step
    def end(self):
        if self.kind == "late":
            with DoltDT(run=self, config=DoltConfig(database="db", branch="main")) as dolt:
                self.more = len(dolt.read("late"))
        if self.kind == "fails":
            raise RuntimeError("after the write")


if __name__ == "__main__":
    DownFlow()
