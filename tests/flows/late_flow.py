"""doltflow is imported inside the steps, as where each step has an environment of its own."""

from metaflow import FlowSpec, Parameter, step


class LateFlow(FlowSpec):
    merge = Parameter("merge", default="exclude")

    @step
    def start(self):
        self.names = ["a", "b"]
        self.next(self.work, foreach="names")

    @step
    def work(self):
        from doltflow import DoltConfig, DoltDT

        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            dolt.read("source", as_key=self.input, where=f"name = '{self.input}'")
        self.next(self.join)

    @step
    def join(self, inputs):
        if self.merge == "import":
            import doltflow.recorder  # noqa: F401
        self.merge_artifacts(inputs, exclude=["dolt"] if self.merge == "exclude" else [])
        self.next(self.end)

    @step
    def end(self):
        from doltflow import DoltConfig, DoltDT

        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            dolt.write(dolt.read("source", as_key="end"), "copied", pks=["name"])


if __name__ == "__main__":
    LateFlow()
