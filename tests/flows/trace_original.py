"""A step as the original integration recorded it: reads a table of one database, writes one of another."""

import sys
from pathlib import Path

from metaflow import FlowSpec, Parameter, current, step

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from original_integration import OriginalDT


class TraceOriginal(FlowSpec):
    source = Parameter("source")
    table = Parameter("table")
    into = Parameter("into")

    @step
    def start(self):
        prices = OriginalDT(self, current.pathspec, self.source, "main")
        rows = prices.read(self.table)
        prices.sql(f"select count(*) from {self.table} a join {self.table} b on a.code = b.code", "joined")
        OriginalDT(self, current.pathspec, str(Path("analysis").resolve()), "main").write(rows, self.into, "code")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TraceOriginal()
