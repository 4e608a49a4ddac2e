"""Commits of eight processes through doltflow, against the same ones in one session of `dolt sql`."""

import subprocess
import sys
import time
from pathlib import Path

PROCESSES, COMMITS = 8, 25
WRITER = """
import sys
import pyarrow as pa
import pyarrow.compute
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.write import Write, prepare
folder, number, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for place in range(count):
    # As a `with DoltDT(...)` of a step does: it opens the database, checks the frame, and commits.
    with Database.at(folder).open() as session:
        frame = prepare(pa.table({"id": [number * count + place], "v": [place]}), ["id"])
        write = Write("t", frame, "append")
        session.check_write(write, "main")
        message = f"Run: Flow/1/step/{number * count + place}"
        session.commit_writes("main", [write], message, "bench <bench@example.com>")
"""


def ours(database: Path) -> float:
    """The seconds from the word go until the last process has ended; what they import is there by then."""
    command = [sys.executable, "-c", WRITER, str(database)]
    writers = [
        subprocess.Popen([*command, str(number), str(COMMITS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for number in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    began = time.perf_counter()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.close()
    codes = [writer.wait() for writer in writers]
    seconds = time.perf_counter() - began
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    _check(database, codes)
    return seconds


def raw(database: Path) -> float:
    """The seconds of one `dolt sql` that makes the same commits."""
    lines = []
    for number in range(PROCESSES * COMMITS):
        lines += [
            "start transaction;",
            f"insert into t values ({number}, {number % COMMITS});",
            "call dolt_add('t');",
            f"call dolt_commit('-m', 'Run: Flow/1/step/{number}', '--author', 'bench <bench@example.com>');",
        ]
    script = "\n".join(lines).encode()
    began = time.perf_counter()
    done = subprocess.run(["dolt", "sql"], cwd=database, input=script, capture_output=True)
    seconds = time.perf_counter() - began
    _check(database, [done.returncode])
    return seconds


def _check(database: Path, codes: list[int]) -> None:
    """Makes sure that every commit is there once, and every row."""
    query = "select (select count(distinct message) from dolt_log where message like 'Run: %'), count(*) from t"
    out = subprocess.run(["dolt", "sql", "-r", "csv", "-q", query], cwd=database, capture_output=True, text=True).stdout
    expected = f"{PROCESSES * COMMITS},{PROCESSES * COMMITS}"
    if any(codes) or out.split()[-1] != expected:
        raise SystemExit(f"commits were lost: {codes}, {out.split()[-1:]} and not {expected}")
