"""Reads in every way that says which columns, and a write: what `trace --columns` and `show` tell of."""

from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT

JOIN = (
    "select v.`größe`, avg(v.p) as mean, count(*) as n, exists (select 1 from u) as e "
    "from v join u on u.id = v.id group by v.`größe`"
)


class ColumnsFlow(FlowSpec):
    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="db", branch="main")) as dolt:
            frame = dolt.sql(JOIN, as_key="join")
            dolt.sql("select x from u natural join w", as_key="untold")
            dolt.read("w")
            dolt.sql("select count(*) as n from counted", as_key="counted")
            dolt.write(frame[["mean", "n"]], "out", pks=["mean"])
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ColumnsFlow()
