"""A `dolt sql-server` as the remote, over HTTP, and clones of it. It prints, as JSON, what came of it.

A script for a network of its own, as the server's port for remotes listens on every address.
"""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from doltflow.errors import DoltflowError
from doltflow.sources.dolt import Database
from doltflow.sources.dolt.clone import clone
from doltflow.sources.dolt.write import Write, prepare

SQL, HTTP = 3306, 50051
URL = f"http://ann@127.0.0.1:{HTTP}/numbers"


def loopback_up():
    """As `ip link set lo up` does."""
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(any_socket, 0x8913, request))
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


def wait_for_server(process):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            for port in (SQL, HTTP):
                socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError("the server did not start")


def told(do, *arguments):
    try:
        do(*arguments)
    except DoltflowError as error:
        return [error.code, str(error)]
    return "done"


def put(session, table, value):
    write = Write(table, prepare(pd.DataFrame({"id": [1], "v": [value]}), None), "replace")
    return session.commit_writes("main", [write], f"{table} is {value}", "Ann <ann@example.com>")[0]


def pull(session):
    session.pull(session.remote(), "main", "Ann <ann@example.com>")


def push(session):
    session.push(session.remote(), "main", "Ann <ann@example.com>")


def rows(session, table):
    return session.read(table, session.branch_head("main")).to_pylist()


def main(folder):
    loopback_up()
    served = folder / "served" / "numbers"
    served.mkdir(parents=True)
    for arguments in (["init", "-b", "main", "--name", "Ann", "--email", "ann@example.com"], ["sql"]):
        statements = [f"create table {table} (id int primary key, v int)" for table in "ab"]
        statements += ["call dolt_commit('-Am', 'setup')", "create user ann@'%' identified by 'secret'"]
        statements += ["grant all on *.* to ann@'%' with grant option"]
        subprocess.run(["dolt", *arguments], cwd=served, input=";\n".join(statements), text=True, check=True,
                       capture_output=True)  # fmt: skip
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        ["dolt", "sql-server", "--host", "127.0.0.1", "--port", str(SQL), "--remotesapi-port", str(HTTP)],
        cwd=served, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        wait_for_server(server)
        print(json.dumps(answers(folder)))
    finally:
        server.terminate()
        server.wait()


def answers(folder):
    found = {"no password": told(clone, URL, folder / "none" / "numbers")}
    os.environ["DOLT_REMOTE_PASSWORD"] = "wrong"
    found["wrong password"] = told(clone, URL, folder / "none" / "numbers")
    os.environ["DOLT_REMOTE_PASSWORD"] = "secret"
    for name in ("one", "two"):
        clone(URL, folder / name / "numbers")
    with Database.at(folder / "one" / "numbers").open() as one, Database.at(folder / "two" / "numbers").open() as two:
        put(one, "a", 1)
        put(two, "b", 2)
        found["push"], found["rejected, then merged"] = told(push, one), told(push, two)
        found["pull"] = told(pull, one)
        found["rows"] = [[rows(session, table) for table in "ab"] for session in (one, two)]
        found["same"] = one.branch_head("main") == two.branch_head("main")
        put(one, "a", 3)
        put(two, "a", 4)
        found["push again"], found["diverged"] = told(push, one), told(push, two)
        client = [
            "dolt",
            "--host",
            "127.0.0.1",
            "--port",
            str(SQL),
            "--user",
            "ann",
            "--password",
            "secret",
            "--no-tls",
        ]
        dirty = ["--use-db", "numbers", "sql", "-q", "insert into b values (7, 7)"]
        subprocess.run([*client, *dirty], check=True, capture_output=True)
        put(one, "a", 5)
        found["dirty"] = told(push, one)
        found["remotes"] = [str(remote) for remote in one.remotes()]
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
