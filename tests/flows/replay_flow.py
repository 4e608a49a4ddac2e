"""A flow with everything that a replay must repeat: a foreach, a retry, own reads, an old commit, a diff.

While it first runs, somebody else commits to the same branch: `others`, a script, is run once where there is one.
"""

import os
import subprocess
from pathlib import Path

from metaflow import FlowSpec, Parameter, current, retry, step

from doltflow import DoltConfig, DoltDT


class ReplayFlow(FlowSpec):
    factor = Parameter("the-factor", default=2, type=int)
    old = Parameter("old", default="main")
    earlier = Parameter("earlier", default=None)
    fails = Parameter("fails", default=False, type=bool)

    def numbers(self, **more):
        return DoltDT(run=self, config=DoltConfig(database="numbers", **more))

    @step
    def start(self):
        import pandas as pd  # The other steps do without.

        with self.numbers(commit=self.old) as dolt:
            self.old_rows = len(dolt.read("a", as_key="old"))
        with self.numbers() as dolt:
            changes = dolt.diff("main~1", "main", "a")["a"]
        if self.earlier is not None:
            with DoltDT(run=self, audit=self.audit()) as dolt:
                dolt.read("joined", as_key="before")
        with DoltDT(run=self, config=DoltConfig(database="results")) as dolt:
            counts = {"id": [1], "old": [self.old_rows], "changes": [len(changes)]}
            dolt.write(pd.DataFrame(counts), "counts", pks=["id"])
        self.names = ["a", "b"]
        self.next(self.work, foreach="names")

    def audit(self):
        from metaflow import Run, namespace

        namespace(None)
        return Run(self.earlier).data.dolt

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        with self.numbers() as dolt:
            frame = dolt.read(self.input)
            frame["v"] = frame["v"] * self.factor
            dolt.write(frame, f"out_{self.input}", pks=["id"])
        if self.input == "b" and current.retry_count == 0:
            raise RuntimeError("after the commit")
        self.next(self.join)

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs)
        others = Path("others")
        if others.exists():
            script = others.read_text()
            others.unlink()
            subprocess.run(
                ["dolt", "sql"],
                cwd=Path(os.environ.get("TEST_DATABASES", "")) / "numbers",
                input=script,
                text=True,
                check=True,
            )
        with self.numbers() as dolt:
            self.maker = dolt.get_run("out_a", branch="main")
            query = "select a.id, a.v as before_, o.v as after_ from a join out_a o on a.id = o.id order by 1"
            joined = dolt.sql(query, "both")
            grown = dolt.diff(self.old, "main", ["out_b"])["out_b"]
        with DoltDT(run=self, config=DoltConfig(database="results")) as dolt:
            dolt.write(joined, "joined", pks=["id"])
            dolt.write(grown[["to_id", "to_v"]], "grown", pks=["to_id"])
        if self.fails:
            raise RuntimeError("as it was asked to")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ReplayFlow()
