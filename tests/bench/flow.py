"""What is timed inside a step: contexts of DoltDT against the raw program, in turn. Run by `__main__.py`."""

import json
import resource
import subprocess
import time
from pathlib import Path

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class BenchFlow(FlowSpec):
    """Times one scenario and writes its seconds to a file."""

    scenario = Parameter("scenario", default="small")
    db = Parameter("db", default="")
    data = Parameter("data", default="")
    rounds = Parameter("rounds", default=1)
    result = Parameter("result", default="")

    @step
    def start(self):
        """Runs the scenario."""
        figures = getattr(self, f"time_{self.scenario}")()
        # Linux counts in kibibytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        Path(self.result).write_text(json.dumps({**figures, "peak_mb": peak}))
        self.next(self.end)

    def time_small(self):
        """One read and one write of 10 rows, from cold, against `select 1`."""
        import pandas as pd
        import pyarrow.compute  # noqa: F401  Both are there in any step that has frames.

        frame = pd.DataFrame({"id": range(10), "v": [0.5] * 10})
        ours, raw = [], []
        for number in range(self.rounds):
            frame["v"] += 1
            began = time.perf_counter()
            with DoltDT(run=self, config=DoltConfig(database=self.db)) as dolt:
                dolt.read("small")
                dolt.write(frame, "small", pks=["id"])
            middle = time.perf_counter()
            subprocess.run(["dolt", "sql", "-q", "select 1"], cwd=self.db, capture_output=True, check=True)
            if number:  # The first round warms the caches up.
                ours.append(middle - began)
                raw.append(time.perf_counter() - middle)
        return {"ours": ours, "raw": raw}

    def time_write(self):
        """A million unsorted rows to a branch that is not checked out."""
        import pandas as pd

        frame = pd.read_parquet(self.data)
        began = time.perf_counter()
        with DoltDT(run=self, config=DoltConfig(database=self.db, branch="side")) as dolt:
            dolt.write(frame, "big", pks=["id"])
        return {"ours": [time.perf_counter() - began]}

    def time_read(self):
        """A million rows into pandas, from cold; the import of pandas is not counted, as README says."""
        import pandas as pd  # noqa: F401
        import pyarrow.compute  # noqa: F401

        began = time.perf_counter()
        with DoltDT(run=self, config=DoltConfig(database=self.db)) as dolt:
            frame = dolt.read("big")
        assert len(frame) == 1_000_000
        return {"ours": [time.perf_counter() - began]}

    @step
    def end(self):
        """Nothing more."""


if __name__ == "__main__":
    BenchFlow()
