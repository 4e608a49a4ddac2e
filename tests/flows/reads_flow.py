"""Reads in a step: pinned while others commit, at commits that are named, by query, outside a `with`."""

import os
import subprocess
from pathlib import Path

import metaflow
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT
from doltflow.errors import DoltflowError
from doltflow.sources.dolt import configured_database


def folder(database):
    """Where the database is, which a server may have."""
    return Path(os.environ.get("TEST_DATABASES", "")) / database


def elsewhere(database, query):
    """Another process commits, through a server that does not end while it does."""
    with configured_database(database).open():
        subprocess.run(["dolt", "sql", "-q", query], cwd=folder(database), check=True, capture_output=True)


def error_of(call):
    try:
        call()
    except DoltflowError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


at_the_top = DoltDT(config=DoltConfig(database="numbers"))


class ReadsFlow(FlowSpec):
    db = Parameter("db", default="numbers")
    past = Parameter("past", default="")

    @step
    def start(self):
        metaflow.namespace("user:someone")
        self.seen = seen = {}
        config = DoltConfig(database=self.db)
        with DoltDT(run=self, config=config):
            pass
        seen["recorded by an empty context"] = hasattr(self, "dolt")

        with DoltDT(run=self, config=config) as dolt:
            before = len(dolt.read("source", as_key="first"))
            elsewhere(
                self.db,
                "insert into source values (9, 9); call dolt_add('source'); call dolt_commit('-m', 'elsewhere')",
            )
            again = len(dolt.read("source", as_key="second"))
            counted = int(dolt.sql("select count(*) as n from source", as_key="third")["n"][0])
            self.arrow = dolt.read("source", as_key="arrow", as_="arrow", where="id < 3")
            seen["pinned"] = [before, again, counted, self.arrow.num_rows]
            dolt.write(self.arrow, "result", pks=["id"])

        with DoltDT(run=self, config=DoltConfig(database=self.db, branch="main", commit="v1")) as dolt:
            seen["at a tag"] = len(dolt.read("source", as_key="tag"))
            dolt.write(dolt.read("source", as_key="old"), "old")
        seen["at a hash"] = len(
            DoltDT(run=self, config=DoltConfig(database=self.db, commit=self.past)).read("source", as_key="hash")
        )

        with DoltDT(run=self, config=config) as dolt:
            query = f"select s.id from source s join source as of '{self.past}' o on o.id = s.id join other on true"
            seen["joined with the past"] = len(dolt.sql(query, as_key="past"))
            dolt.sql(f"select * from source as of '{self.past}'", as_key="only past")
            dolt.sql("with v as (select id from big) select count(*) from v union select 1", as_key="view")
            seen["differences"] = len(dolt.diff("v1", "main", "source")["source"])
            dolt.diff("v1", "work", "result")
            seen["refused"] = [
                error_of(lambda: dolt.sql("select * from source as of 'main'", as_key="refused")),
                error_of(lambda: dolt.sql("delete from source", as_key="refused")),
                error_of(lambda: dolt.sql("select * from numbers.source", as_key="refused")),
                error_of(lambda: dolt.read("sauce", as_key="refused")),
            ]

        # Without `run` the step that runs is found all the same; without `with` a read is recorded at once.
        loose = DoltDT(config=config)
        self.loose = loose.read("other", as_key="loose")
        at_the_top.read("other", as_key="made before the task")
        seen["keys"] = list(self.dolt["actions"])
        seen["written outside"] = error_of(lambda: loose.write(self.loose, "x"))
        seen["namespace"] = metaflow.get_namespace()
        self.config = config
        self.next(self.end)

    @step
    def end(self):
        with DoltDT(run=self, config=self.config) as dolt:
            dolt.read("other", as_key="config as an artifact")


if __name__ == "__main__":
    ReadsFlow()
