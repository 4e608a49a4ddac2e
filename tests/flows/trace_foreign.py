"""A step that changes its record afterwards, so that it says something else than the commit."""

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class TraceForeign(FlowSpec):
    inputs = Parameter("inputs", help="A commit made by hand")
    other = Parameter("other", help="A commit of another run")

    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="foreign", branch="main")) as dolt:
            for name in ("shown", "hidden", "moved"):
                dolt.read(name)
            for name in ("out", "out_hidden"):
                dolt.write(pd.DataFrame({"id": [1]}), name, mode="append")
        accesses = self.dolt["accesses"]
        by_table = {access["tables"][0]: access for access in accesses}
        accesses.remove(by_table["hidden"])
        accesses.remove(by_table["out_hidden"])
        by_table["moved"]["commit"] = "0" * 32
        accesses += [
            by_table["shown"] | {"key": "invented read", "tables": ["invented"]},
            by_table["out"] | {"key": "invented write", "tables": ["invented"]},
            by_table["out"] | {"key": "of another run", "tables": ["shown"], "commit": self.other},
            by_table["out"] | {"key": "by hand", "tables": ["shown"], "commit": self.inputs},
        ]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TraceForeign()
