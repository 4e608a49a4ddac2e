"""Reads a view and a table that it writes later on, and writes tables of one name to two databases."""

from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class RunningFlow(FlowSpec):
    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig("raw")) as raw, DoltDT(run=self, config=DoltConfig("made")) as made:
            self.more = raw.sql("select id, v from doubled", "doubled")
            made.write(self.more, "newest", pks="id")
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=DoltConfig("made")) as made, DoltDT(run=self, config=DoltConfig("other")) as other:
            total = made.read("total")
            total["v"] += made.read("newest")["v"].sum()
            made.write(total, "total", pks="id")
            other.write(total, "total", pks="id")


if __name__ == "__main__":
    RunningFlow()
