"""A long history for the benchmarks: two databases, 20 tables, commits by hand and by runs, and the runs' artifacts.

It is grown step by step, so that one history can be measured at several lengths. Its commits are made by Dolt; its runs
are copies of one that Metaflow made, each with an artifact and a time of its own.
"""

import json
import pickle
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from metaflow.datastore import FlowDataStore
from metaflow.plugins.datastores.local_storage import LocalStorage

from doltflow.model.access import Access
from doltflow.model.artifact import DatabaseConfig, Record, encode_artifact
from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.model.pathspec import Pathspec
from doltflow.sources.dolt import Database, Session

SOURCES, DERIVED = 4, 16
LEVELS = 4
FLOW = "HistoryFlow"
AUTHOR = "bench <bench@example.com>"
_FLOW_FILE = """
from metaflow import FlowSpec, step


class HistoryFlow(FlowSpec):
    @step
    def start(self):
        self.dolt = {"actions": {}, "configs": {}}
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    HistoryFlow()
"""
# What the readers of a run look at; the rest is Metaflow's copies of what the datastore holds.
_KEPT = ("_self.json", "0.data.json", "0.DONE.lock", "0.attempt.json", "0.runtime", "attempt-done", "attempt_ok")


class History:
    """A folder with two databases and a Metaflow store, and the commits that were made there so far."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.commits = 0
        self._heads = {"source": "", "analysis": ""}
        self._runs = 0
        for name, count in (("source", SOURCES), ("analysis", DERIVED)):
            tables = [f"{name[0]}{number}" for number in range(count)]
            create = [f"create table {table} (id int primary key, v int)" for table in tables]
            fill = [f"insert into {table} values (1, 0), (2, 0), (3, 0)" for table in tables]
            (folder / name).mkdir()
            _run(["dolt", "init", "-b", "main", "--name", "bench", "--email", "bench@example.com"], folder / name)
            script = ";\n".join([*create, *fill, "call dolt_commit('-Am', 'setup')"])
            _run(["dolt", "sql", "-q", script], folder / name)
        (folder / "flow.py").write_text(_FLOW_FILE)
        root = folder / ".metaflow"
        root.mkdir()  # Else Metaflow takes one that it finds above.
        _run([sys.executable, "flow.py", "--no-pylint", "run"], folder)
        self._store = FlowDataStore(FLOW, storage_impl=LocalStorage, ds_root=str(root))
        self._template = _Template(root / FLOW)

    def grow(self, commits: int) -> None:
        """Makes commits until there are so many: one by hand in the source, one by a run in the other, in turn."""
        with ExitStack() as stack:
            sessions = {
                name: stack.enter_context(Database.at(self.folder / name).open()) for name in ("source", "analysis")
            }
            for name, session in sessions.items():
                self._heads[name] = session.branch_head("main")
                session._connection.use("main")
            while self.commits < commits:
                number = self.commits
                if number % 2 == 0:
                    self._commit(sessions, "source", f"s{number // 2 % SOURCES}", f"month {number}")
                else:
                    self._run_once(sessions, number // 2 % DERIVED)
                self.commits += 1

    def _commit(self, sessions: dict[str, Session], name: str, table: str, message: str) -> str:
        connection = sessions[name]._connection
        connection.rows(f"update {table} set v = {self.commits + 1} where id = 1")
        hash_ = str(connection.value("call dolt_commit('-am', %s, '--author', %s)", [message, AUTHOR]))
        self._heads[name] = hash_
        return hash_

    def _run_once(self, sessions: dict[str, Session], table: int) -> None:
        """A run that makes a table of two others: of sources on the first level, of the level above on the others."""
        width = DERIVED // LEVELS
        above = [(table + step) % width + (table // width - 1) * width for step in range(2)]
        name = "source" if table < width else "analysis"
        tables = tuple(f"{name[0]}{number}" for number in (above if table >= width else [table, (table + 1) % SOURCES]))
        run_id = str(int(time.time() * 1_000_000))
        task = f"{FLOW}/{run_id}/start/1"
        read = ReadTrailer(name, self._heads[name], tables, "main")
        write = WriteTrailer(f"a{table}", "replace", 3)
        message = encode_message(Pathspec(FLOW, run_id, "start", "1"), attempt=0, writes=[write], reads=[read])
        commit = self._commit(sessions, "analysis", f"a{table}", message)
        self._store_run(run_id, task, name, tables, read.commit, f"a{table}", commit)

    def _store_run(
        self, run_id: str, task: str, database: str, tables: tuple[str, ...], at: str, written: str, commit: str
    ) -> None:
        now = time.time()
        accesses = [
            Access(
                "read", table, database, "main", at, (table,), task, query=f"SELECT * FROM `{table}`", rows=3,
                timestamp=now, config_id=database, folder=str(self.folder / database),
            )
            for table in tables
        ]  # fmt: skip
        accesses.append(
            Access(
                "write", written, "analysis", "main", commit, (written,), task, rows=3, mode="replace", changed=True,
                timestamp=now + 0.1, config_id="analysis", folder=str(self.folder / "analysis"),
            )
        )  # fmt: skip
        configs = tuple(DatabaseConfig(name, str(self.folder / name), "main") for name in ("source", "analysis"))
        artifact = encode_artifact(Record(tuple(accesses), configs, ()))
        blob = pickle.dumps(artifact, protocol=4)
        key = str(self._store.ca_store.save_blobs(iter([blob]))[0].key)
        self._template.store(run_id, key)


class _Template:
    """The files of one run, to be stored again under other ids."""

    def __init__(self, flow: Path) -> None:
        self._flow = flow
        run = next(path for path in flow.iterdir() if path.name.isdigit())
        self._run_id = run.name
        self._files = [
            (path.relative_to(run), path.read_text())
            for path in sorted(run.rglob("*"))
            if path.is_file() and any(kept in path.name for kept in _KEPT)
        ]
        data = json.loads((run / "start" / "1" / "0.data.json").read_text())
        self._key = str(data["objects"]["dolt"])

    def store(self, run_id: str, key: str) -> None:
        """Stores the run once more, with another artifact `dolt`."""
        made: set[Path] = set()
        for path, text in self._files:
            target = self._flow / run_id / path
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            stamped = text.replace(self._run_id, run_id).replace(self._key, key)
            target.write_text(stamped)


def _run(arguments: list[str], folder: Path) -> None:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
