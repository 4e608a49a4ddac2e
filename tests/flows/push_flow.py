"""A step that reads one database and appends to another, with a remote each, and to which things happen meanwhile."""

import os
import subprocess
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, current, retry, step

from doltflow import DoltConfig, DoltDT
from doltflow.errors import DoltflowError


class PushFlow(FlowSpec):
    source = Parameter("source", default="source")
    commit = Parameter("commit", default="")
    db = Parameter("db", default="numbers")
    remote = Parameter("remote", default="")
    meanwhile = Parameter("meanwhile", default="", help="What is done before the commit of the first attempt.")
    is_caught = Parameter("is_caught", default=False, type=bool)
    fails = Parameter("fails", default=False, type=bool, help="Whether the first attempt fails after its push.")

    @retry(times=1, minutes_between_retries=0)
    @step
    def start(self):
        if current.retry_count == 1 and (Path(os.environ["HUB"]).parent / "away").exists():
            (Path(os.environ["HUB"]).parent / "away").rename(os.environ["HUB"])
        source = DoltConfig(self.source, commit=self.commit or None, dolthub_remote=True)
        with DoltDT(run=self, config=source) as dolt:
            prices = dolt.read("prices")
        self.failure = None
        config = DoltConfig(self.db, dolthub_remote=True, push_on_commit=True, remote=self.remote or None)
        try:
            with DoltDT(run=self, config=config) as dolt:
                dolt.write(pd.DataFrame({"v": [len(prices)]}), "counts", mode="append")
                if self.meanwhile and current.retry_count == 0:
                    subprocess.run(self.meanwhile, shell=True, check=True, capture_output=True)
        except DoltflowError as error:
            if not self.is_caught:
                raise
            self.failure = [error.code, str(error)]
        if self.fails and current.retry_count == 0:
            raise RuntimeError("after the push")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PushFlow()
