"""Contexts that commit, and contexts that must not."""

import os
import subprocess
from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT
from doltflow.errors import DoltflowError
from doltflow.sources.dolt import configured_database


def folder(database):
    """Where the database is, which a server may have."""
    return Path(os.environ.get("TEST_DATABASES", "")) / database


def elsewhere(database, *queries):
    """Another process works on the database, through a server that does not end while it does."""
    with configured_database(database).open():
        subprocess.run(["dolt", "sql", "-q", ";".join(queries)], cwd=folder(database), check=True, capture_output=True)


def error_of(call):
    try:
        call()
    except DoltflowError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


ODD = "ta`ble 'x' \"y\" 100% 表"


class WritesFlow(FlowSpec):
    db = Parameter("db", default="numbers")

    def open(self, branch="main", **settings):
        return DoltDT(run=self, config=DoltConfig(database=self.db, branch=branch, **settings))

    @step
    def start(self):
        self.errors = {}
        self.several_writes()
        self.one_table_twice()
        self.on_another_branch()
        self.body_raises()
        self.commit_fails()
        self.bad_writes()
        self.begun_again()
        self.odd_name()
        self.next(self.end)

    def several_writes(self):
        frame = pd.DataFrame({"id": [1, 2], "v": [1.5, None]})
        for _ in range(2):
            with self.open() as dolt:
                dolt.write(frame, "one", pks=["id"])
                dolt.write(frame.set_index("id"), "two", as_key="second")
                frame_of_ints = pd.DataFrame({"id": [7, 8]})
                dolt.write(frame_of_ints, "three")
                frame_of_ints.loc[0, "id"] = 99

    def one_table_twice(self):
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"id": [1, 2], "v": [1, 2]}), "twice", pks=["id"])
            dolt.write(pd.DataFrame({"id": [2, 3], "v": [20, 30]}), "TWICE", mode="update", as_key="again")
            dolt.write(pd.DataFrame({"id": [4], "v": [40], "w": ["new column"]}), "twice", mode="append")

    def on_another_branch(self):
        with self.open(branch="feature/side") as dolt:
            dolt.write(dolt.read("source").assign(v=0), "source")

    def body_raises(self):
        try:
            with self.open() as dolt:
                dolt.read("source", as_key="before the failure")
                dolt.write(pd.DataFrame({"id": [1]}), "never", pks=["id"])
                raise RuntimeError("in the body")
        except RuntimeError as error:
            self.errors["body"] = str(error)

    def commit_fails(self):
        def dirty():
            with self.open() as dolt:
                dolt.read("source", as_key="before the dirt")
                dolt.write(pd.DataFrame({"id": [5], "v": [5]}), "source", mode="append")
                dolt.write(pd.DataFrame({"id": [1]}), "never", pks=["id"])
                elsewhere(self.db, "insert into source values (100, 100)")

        def deleted():
            with self.open(branch="gone") as dolt:
                dolt.write(pd.DataFrame({"id": [1]}), "never", pks=["id"])
                elsewhere(self.db, "call dolt_branch('-D', 'gone')")

        def taken():
            with self.open(branch="feature/side") as dolt:
                dolt.write(pd.DataFrame({"id": [1], "v": [1]}), "other", mode="append")
                work = [
                    "insert into other values (1, 7)",
                    "call dolt_add('other')",
                    "call dolt_commit('-m', 'the same key')",
                ]
                elsewhere(self.db, "call dolt_checkout('feature/side')", *work)

        self.errors["dirty"] = error_of(dirty)
        elsewhere(self.db, "call dolt_checkout('source')")
        self.errors["deleted"] = error_of(deleted)
        self.errors["taken"] = error_of(taken)

    def bad_writes(self):
        frame = pd.DataFrame({"id": [1], "v": [1]})
        double = pd.DataFrame({"id": [1, 1], "v": [1, 2]})
        with self.open() as dolt:
            writes = [
                lambda: dolt.write(frame, ""),
                lambda: dolt.write(frame, None),
                lambda: dolt.write(frame, "dolt_log"),
                lambda: dolt.write(frame, "x" * 65),
                lambda: dolt.write(frame, "a\nb"),
                lambda: dolt.write(frame, "💊"),
                lambda: dolt.write(frame, "表" * 22),
                lambda: dolt.write(frame, "blank "),
                lambda: dolt.write(frame, "bad", mode="upsert"),
                lambda: dolt.write(frame, "bad", as_key=5),
                lambda: dolt.write("no frame", "bad"),
                lambda: dolt.write(frame, "bad", pks=["nope"]),
                lambda: dolt.write(double, "bad", pks=["id"]),
                lambda: dolt.write(frame.assign(v=float("inf")), "bad"),
                lambda: dolt.write(frame.assign(v="text"), "source", mode="append"),
                lambda: dolt.write(frame, "bad", types={"nope": "int"}),
            ]
            self.errors["bad"] = [error_of(write) for write in writes]
            dolt.write(frame, "good", pks="id", types={"v": "decimal(10,2)"})

    def odd_name(self):
        with self.open() as dolt:
            dolt.write(pd.DataFrame({"id": [1], "a `b`\n%": ["x"]}), ODD, pks=["id"], as_key="odd\nkey")
        with self.open() as dolt:
            dolt.read(ODD, columns=["a `b`\n%"], where="`id` = 1", as_key="odd\nkey")
            dolt.write(dolt.read(ODD), ODD, mode="update")

    def begun_again(self):
        context = self.open()
        for number in (1, 2):
            with context as dolt:
                count = dolt.read("count", as_key=f"count {number}")
                dolt.write(count.assign(n=count["n"] + 1), "count")

    @step
    def end(self):
        pass


if __name__ == "__main__":
    WritesFlow()
