"""A flow with a parameter of every type."""

import json

import pandas as pd
from metaflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, step

from doltflow import DoltConfig, DoltDT


class TypedFlow(FlowSpec):
    number = Parameter("the-number", default=2, type=int)
    ratio = Parameter("ratio", default=0.1)
    lines = Parameter("lines", default="a\nb 'c'")
    nothing = Parameter("nothing", default=None)
    tree = Parameter("tree", type=JSONType, default='{"a": [1, null]}')
    names = Parameter("names", separator=",", default="x,y")
    held = IncludeFile("held", default="held.txt")
    parsed = IncludeFile("parsed", default="parsed.json", parser=json.loads)
    config = Config("config", default_value={"k": {"d": 1}})
    flag = Parameter("flag", default=True, type=bool)

    @step
    def start(self):
        values = [self.ratio, self.lines, self.nothing, self.tree, self.names, self.held, self.parsed, self.flag]
        told = json.dumps([*values, self.config.k.d])
        with DoltDT(run=self, config=DoltConfig(database="typed")) as dolt:
            dolt.write(pd.DataFrame({"id": [1], "told": [told], "number": [self.number]}), "told", pks=["id"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TypedFlow()
