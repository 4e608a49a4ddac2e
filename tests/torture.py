"""Kills at random moments, and what has to be so after each: shared by the few of `make test` and the many."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import dolt, head, make_database, sql
from flows.harness import World, is_served, wait_for
from writing import steady

from doltflow.audit import audit
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.server import runtime_folder

VICTIMS = ("step", "server", "supervisor", "all")
DIRT = ("none", "staged", "dropped")
ROWS = 3_000
"""More than are sent as statements: they go by a file."""

WRITER = (
    f"ROWS = {ROWS}"
    + """
import sys
import pyarrow as pa
import pyarrow.compute
from writing import AUTHOR
from doltflow import DoltConfig
from doltflow.recorder.place import Place
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.write import Write, prepare
folder, value, task = sys.argv[1], int(sys.argv[2]), sys.argv[3]
print("began", flush=True)
database, place = Database.at(folder), Place(DoltConfig(folder), lambda: None)

def write(table, name, mode, message):
    one = Write(name, prepare(table, ["id"]), mode)
    place.ask(database, lambda session: session.check_write(one, "main"))
    with place.session(database) as session:
        session.commit_writes("main", [one], message, AUTHOR)

# As a context of the recorder does, which a task of a flow opens.
place.open()
source = place.ask(database, lambda session: session.read("source", session.branch_head("main")))
write(pa.table({"id": range(ROWS), "v": [value] * ROWS}), "made", "replace", f"Run: Torture/1/first/{task}")
write(pa.table({"id": source["id"], "v": [value] * len(source)}), "few", "update", f"Run: Torture/1/second/{task}")
place.close()
print("done", flush=True)
"""
)


RESULTS = Path(__file__).parents[1] / "build" / "torture"


def tell(number: int, what: str, outcome: str, began: float) -> None:
    """Keeps what was tried and came out, for README's table.

    Args:
        number: The row's place in it.
        what: What was done, and how often.
        outcome: What was found.
        began: When it began, as `time.monotonic` counts.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    row = {"what": what, "outcome": outcome, "seconds": round(time.monotonic() - began)}
    (RESULTS / f"{number}.json").write_text(json.dumps(row) + "\n")


def build(folder: Path, dirt: str) -> Path:
    """A database with a table that is read, two that are written, and what its user has not committed."""
    zeros = ", ".join(f"({number}, 0)" for number in range(ROWS))
    database = make_database(
        folder,
        "create table source (id int primary key)",
        "insert into source values (1), (2), (3)",
        "create table made (id bigint primary key, v bigint)",
        f"insert into made values {zeros}",
        "create table few (id int primary key, v bigint)",
        "insert into few values (1, 0), (2, 0), (3, 0)",
        "create table mine (id int primary key, v int)",
        "create table parent (id int primary key)",
        "insert into mine values (1, 1)",
    )
    if dirt == "staged":
        dolt(database, "sql", "-q", "insert into mine values (2, 2); call dolt_add('mine')")
        dolt(database, "sql", "-q", "create table new (id int primary key)")
    if dirt == "dropped":
        dolt(database, "sql", "-q", "drop table parent; update mine set v = 9")
    return database


@dataclass
class Round:
    """One kill.

    Attributes:
        database: The database's folder, a copy for this round.
        victim: Who is killed.
        delay: Seconds after the writer began.
    """

    database: Path
    victim: str
    delay: float
    before: dict[str, Any] = field(default_factory=dict)

    def start(self, value: int, task: int) -> "subprocess.Popen[str]":
        """Starts a writer; it has all that it imports when this returns."""
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(self.database), str(value), str(task)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        return process

    def kill(self, process: "subprocess.Popen[str]") -> None:
        """Kills those who are meant by now."""
        for pid in victims(self.database, self.victim, process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def check(self) -> list[int]:
        """What has to be so after a kill; gives the values that the two tables have."""
        began = time.monotonic()
        with Database.at(self.database).open() as session:
            assert "made" in session.tables("main")
        assert sql(self.database, "select 1 as one") == [{"one": 1}]
        assert time.monotonic() - began < 60, "it could not be opened for a minute"
        wait_for(lambda: not is_served(self.database), "the end of the server")
        dolt(self.database, "fsck")
        assert steady(self.database) == self.before
        values = []
        for name, count in (("made", ROWS), ("few", 3)):
            for at in ("", " as of 'main'"):
                found = sql(self.database, f"select v, count(*) as n from {name}{at} group by v")
                assert len(found) == 1, f"{name}{at} is half-written: {found}"
                assert found[0]["n"] == count
                values.append(int(found[0]["v"]))
            assert values[-1] == values[-2], f"`{name}` is not on main what main's head has"
        return [values[0], values[2]]


def victims(database: Path, victim: str, step: int) -> list[int]:
    """The processes of a victim: the step, the server, who watches over it, or all of them."""
    server = supervisor = None
    with suppress(OSError, ValueError):
        server = int((database / ".dolt" / "sql-server.info").read_text().split(":")[0])
    runtime = str(runtime_folder(database.resolve())).encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if runtime in (words := (process / "cmdline").read_bytes().split(b"\0")) and b"-S" in words:
                supervisor = int(process.name)
    found = {"step": [step], "server": [server], "supervisor": [supervisor], "all": [step, server, supervisor]}
    return [pid for pid in found[victim] if pid is not None]


def torture(folder: Path, kills: int, seed: int) -> list[str]:
    """Kills writers at random moments and checks what is left; gives a line about each."""
    chance = random.Random(seed)
    wanted = [DIRT[number // len(VICTIMS) % len(DIRT)] for number in range(kills)]
    models = {dirt: build(folder / f"model-{dirt}", dirt) for dirt in dict.fromkeys(wanted)}
    before = {dirt: steady(model) for dirt, model in models.items()}
    length, lines = _length(folder, models["none"]), []
    for number in range(kills):
        victim, dirt, delay = VICTIMS[number % len(VICTIMS)], wanted[number], chance.uniform(0, length)
        line = f"kill {number} of the {victim} after {delay:.3f} s, uncommitted: {dirt}, seed {seed}"
        copy = folder / f"copy{number}"
        shutil.copytree(models[dirt], copy)
        try:
            lines.append(f"{line}: {_one(Round(copy, victim, delay, before[dirt]), number)}")
        except BaseException as error:
            error.add_note(line)
            raise
        print(lines[-1], flush=True)
        shutil.rmtree(copy)
    return lines


def _length(folder: Path, model: Path) -> float:
    """How long a writer takes that nobody kills."""
    copy = folder / "unkilled"
    shutil.copytree(model, copy)
    process = Round(copy, "step", 0).start(1, 1)
    began = time.monotonic()
    output, _ = process.communicate(timeout=120)
    assert output == "done\n"
    return time.monotonic() - began


def _one(one: Round, number: int) -> str:
    start = head(one.database)
    process = one.start(number + 1, 1)
    time.sleep(one.delay)
    one.kill(process)
    output, _ = process.communicate(timeout=120)
    values = one.check()
    assert values in ([0, 0], [number + 1, 0], [number + 1, number + 1])
    if one.victim in ("server", "supervisor"):  # That is nothing to a step.
        assert (process.returncode, output) == (0, "done\n"), output
        assert values == [number + 1] * 2
    process = one.start(number + 1, 2)
    output, _ = process.communicate(timeout=120)
    assert (process.returncode, output) == (0, "done\n"), output
    assert one.check() == [number + 1] * 2
    logged = sql(one.database, f"select message from dolt_log('{start}..main')")
    subjects = sorted(row["message"] for row in logged)
    expected = ["Run: Torture/1/first/2", "Run: Torture/1/second/2"]
    expected += ["Run: Torture/1/first/1"] * (values[0] > 0) + ["Run: Torture/1/second/1"] * (values[1] > 0)
    assert subjects == sorted(expected)
    return f"{sum(value > 0 for value in values)} of its 2 commits landed"


def torture_flow(here: World, kills: int, seed: int) -> list[str]:
    """Kills the step of a real flow at random moments, and asks the audit; gives a line about each."""
    chance = random.Random(seed)
    database = build(here.folder / "numbers", "none")
    one, pid = Round(database, "step", 0, steady(database)), here.folder / "pid"
    lines, values, length = [], [0, 0], 0.0
    for number in range(1, kills + 2):
        pid.unlink(missing_ok=True)
        start, delay = head(database), chance.uniform(0, length)
        process = here.start("tortured_flow.py", "--value", str(number))
        wait_for(pid.exists, "the step")
        began = time.monotonic()
        if number > 1:  # The first one tells how long a step takes.
            time.sleep(delay)
            with suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), signal.SIGKILL)
        output, _ = process.communicate(timeout=300)
        length = length or time.monotonic() - began
        line = f"kill {number - 1} of the step of a flow after {delay:.3f} s, seed {seed}"
        found = one.check()
        assert found in (values, [number, values[1]], [number, number]), line
        landed = sql(database, f"select commit_hash as h from dolt_log('{start}..main')")
        assert len(landed) == (found[0] == number) + (found[1] == number), line
        # The step that was killed stored no artifact, whatever it had committed.
        run = f"TorturedFlow/{(here.folder / 'run_id').read_text()}"
        stored = any((here.folder / ".metaflow" / run / "start").glob("*/0.DONE.lock"))
        named = {(one.kind, one.run, one.commit) for one in audit(run).findings}
        assert named == (set() if stored else {("artifact-missing", run, row["h"]) for row in landed}), line
        assert process.returncode == 0 or number > 1, output
        again = here.run("tortured_flow.py", "--value", str(number))
        assert again.returncode == 0, again.output
        values = one.check()
        assert values == [number, number], line
        assert audit(again.pathspec).findings == (), line
        lines.append(f"{line}: {len(landed)} of its 2 commits landed, artifact {'stored' if stored else 'missing'}")
        print(lines[-1], flush=True)
    return lines
