"""Tasks that commit and then fail, once or twice, while a sibling commits to the same tables in between."""

import time
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, catch, current, retry, step

from doltflow import DoltConfig, DoltDT

FAILURES = {"append": 1, "keyless": 1, "replace": 1, "update": 1, "create": 1, "count": 1, "twice": 2, "other": 1}


def wait_for(*files):
    deadline = time.monotonic() + 60
    while not all(Path(file).exists() for file in files):
        if time.monotonic() > deadline:
            raise TimeoutError(f"none of {files}")
        time.sleep(0.01)


def fail():
    raise RuntimeError("after the commit")


class RetryFlow(FlowSpec):
    db = Parameter("db", default="numbers")

    def open(self):
        return DoltDT(run=self, config=DoltConfig(database=self.db))

    @step
    def start(self):
        self.kinds = [*FAILURES, "sibling"]
        self.next(self.work, foreach="kinds")

    @retry(times=2, minutes_between_retries=0)
    @step
    def work(self):
        self.kind = self.input
        getattr(self, f"do_{self.kind}")()
        if self.kind == "sibling":
            Path("sibling-done").touch()
        elif current.retry_count < FAILURES[self.kind]:
            Path(f"{self.kind}-failed").touch()
            wait_for("sibling-done")
            fail()
        self.next(self.join)

    def do_append(self):
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"id": [1, 2], "v": [10, 20]}), "t_append", mode="append")

    def do_keyless(self):
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"v": [1, 1]}), "t_keyless", mode="append")

    def do_replace(self):
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"id": [current.retry_count], "v": [5]}), "t_replace")

    def do_update(self):
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"id": [1, 7], "v": [11, 77]}), "t_update", mode="update")

    def do_create(self):
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"id": [1], "v": ["text"]}), "t_create", pks=["id"], mode="append")

    def do_count(self):
        with self.open() as dolt:
            count = dolt.read("t_count", where="name = 'mine'")
            dolt.write(count.assign(v=count["v"] + 1), "t_count", mode="update")

    def do_twice(self):
        with self.open() as dolt:
            count = dolt.read("t_twice")
            dolt.write(count.assign(v=count["v"] + 1), "t_twice")
        with self.open() as dolt:
            count = dolt.read("t_twice", as_key="after")
            dolt.write(count.assign(v=count["v"] * 10), "t_derived", pks=["name"])

    def do_other(self):
        """The attempts write different tables."""
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"v": [1]}), f"t_other_{current.retry_count}")

    def do_sibling(self):
        wait_for(*[f"{kind}-failed" for kind in FAILURES])
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"id": [100], "v": [1]}), "t_append", mode="append")
            dolt.write(pd.DataFrame({"v": [2, 3]}), "t_keyless", mode="append")
            dolt.write(pd.DataFrame({"id": [2], "v": [22]}), "t_update", mode="update")
            dolt.write(pd.DataFrame({"name": ["sibling's"], "v": [1]}), "t_count", mode="update")

    @step
    def join(self, inputs):
        self.merge_artifacts(inputs, exclude=["kind"])
        self.next(self.caught)

    @catch(var="failure", print_exception=False)
    @step
    def caught(self):
        with self.open() as dolt:
            dolt.read("t_count", as_key="before the failure")
            dolt.write(pd.DataFrame({"v": [1]}), "t_caught")
        fail()
        self.next(self.end)

    @step
    def end(self):
        self.was_caught = self.failure is not None
        with self.open() as dolt:
            dolt.write(dolt.read("t_caught"), "t_end")


if __name__ == "__main__":
    RetryFlow()
