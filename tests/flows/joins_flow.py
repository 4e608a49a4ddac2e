"""Every kind of join: each task reads its own table of one database and writes its own table of another."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


def work(flow, name):
    inputs, outputs = DoltConfig(database=flow.inputs), DoltConfig(database=flow.outputs)
    with DoltDT(run=flow, config=inputs) as source, DoltDT(run=flow, config=outputs) as target:
        target.write(source.read(f"r_{name}", as_key="mine"), f"w_{name}", pks=["id"])


class JoinsFlow(FlowSpec):
    inputs = Parameter("inputs", default="inputs")
    outputs = Parameter("outputs", default="outputs")

    @step
    def start(self):
        work(self, "start")
        self.shared = 1
        self.letters = ["a", "b"]
        self.next(self.fan, foreach="letters")

    @step
    def fan(self):
        self.letter = self.input
        work(self, f"fan_{self.letter}")
        self.numbers = [1, 2] if self.letter == "a" else [1]
        self.next(self.each, foreach="numbers")

    @step
    def each(self):
        work(self, f"each_{self.letter}{self.input}")
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        letter = inputs[0].letter
        if letter == "a":
            work(self, f"join_{letter}")
        self.merge_artifacts(inputs)
        if letter == "b":
            work(self, f"join_{letter}")
        self.next(self.outer_join)

    @step
    def outer_join(self, inputs):
        self.merge_artifacts(inputs, include=["shared"])
        self.next(self.split)

    @step
    def split(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        work(self, "left")
        self.next(self.static_join)

    @step
    def right(self):
        self.next(self.static_join)

    @step
    def static_join(self, inputs):
        self.merge_artifacts(inputs, exclude=["dolt"])
        self.next(self.spread)

    @step
    def spread(self):
        self.pair = ["x", "y"]
        self.next(self.last, foreach="pair")

    @step
    def last(self):
        work(self, f"last_{self.input}")
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        work(self, "end")


if __name__ == "__main__":
    JoinsFlow()
