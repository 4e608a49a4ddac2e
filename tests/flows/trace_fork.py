"""A foreach whose tasks read and write tables of their own, and a join that fails as long as a file says so."""

from pathlib import Path

from metaflow import FlowSpec, retry, step

from doltflow import DoltConfig, DoltDT


class TraceFork(FlowSpec):
    def open(self):
        return DoltDT(run=self, config=DoltConfig(database="forks", branch="main"))

    @step
    def start(self):
        with self.open() as dolt:
            self.rate = dolt.read("rate")["v"][0]
        self.parts = ["x", "y"]
        self.next(self.work, foreach="parts")

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        with self.open() as dolt:
            part = dolt.read(f"in_{self.input}")
            dolt.write(part.assign(v=part["v"] * self.rate), f"out_{self.input}", pks="id")
        if self.input == "y" and not Path("tried").exists():
            Path("tried").touch()
            raise RuntimeError("after the commit")
        self.next(self.join)

    @step
    def join(self, inputs):
        if Path("fail").exists():
            raise RuntimeError("told to")
        with self.open() as dolt:
            frame = dolt.read("out_x")
            dolt.write(frame.assign(v=frame["v"] + dolt.read("out_y")["v"]), "total", pks="id")
        with self.open() as dolt:
            self.total = int(dolt.read("total", as_key="after the commit")["v"][0])
        self.next(self.end)

    @step
    def end(self):
        with self.open() as dolt:
            dolt.write(dolt.read("total"), "copy", pks="id")


if __name__ == "__main__":
    TraceFork()
