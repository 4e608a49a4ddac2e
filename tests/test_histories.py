"""Random histories, and for each what `trace_table` says of it beside a slow reference that only knows what was done.

A history is a list of deeds. The world does them in Dolt and notes in `Made` what each commit did; the reference
computes from these notes alone what the graph has to be, as plainly as it can be said.
"""

import json
import pickle
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import make_database, run_flow
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from metaflow.datastore import FlowDataStore
from metaflow.plugins.datastores.local_storage import LocalStorage

from doltflow import trace_table
from doltflow.errors import DoltError, TableNotFoundError
from doltflow.lineage import Zoom
from doltflow.model.access import Access, TaskRecord
from doltflow.model.artifact import Record, encode_artifact
from doltflow.model.commit import ReadTrailer, WriteTrailer, encode_message
from doltflow.model.pathspec import Pathspec
from doltflow.model.table import TableVersion
from doltflow.sources.dolt import Database, Session
from doltflow.workspace.index import index_file

FLOW = "HistoryFlow"
NAMES = ("a", "b")
TABLES = ("t", "u", "new")
TASKS = ("start/1", "end/2")
SETUP = datetime(2026, 1, 1, tzinfo=UTC)

Content = frozenset[int]
Fact = tuple[str, str, str]
"""Database, table, commit."""


# Deeds


@dataclass(frozen=True)
class Hand:
    """A commit by hand; of each table a row is put in, or taken out where it is there; or the table is dropped."""

    database: str
    branch: int
    tables: tuple[tuple[str, int | None], ...]
    skew: int = 0


@dataclass(frozen=True)
class Branch:
    """A new branch at a commit, counted from the newest."""

    database: str
    back: int


@dataclass(frozen=True)
class Merge:
    """A merge of a branch into another."""

    database: str
    branch: int
    source: int
    skew: int = 0


@dataclass(frozen=True)
class Run:
    """A commit of a run's task, or two of the same tables; the commits that it reads are counted from the newest."""

    database: str
    branch: int
    run: int
    task: str
    reads: tuple[tuple[str, str, int], ...]
    writes: tuple[tuple[str, str, Content], ...]
    again: Content | None = None
    retry: bool = False
    skew: int = 0


@dataclass(frozen=True)
class Look:
    """A look at a table so far: what it finds out is kept in the index."""

    database: str
    branch: int
    table: str


@dataclass(frozen=True)
class History:
    """Deeds, the runs of which Metaflow's store knows, and how the nodes are asked for."""

    deeds: tuple[Hand | Branch | Merge | Run | Look, ...]
    stored: frozenset[int]
    zoom: Zoom


_skews = st.sampled_from([0, 0, 0, 0, -3, 5])
_names = st.sampled_from(NAMES)
_tables = st.sampled_from(TABLES)
_numbers = st.integers(0, 3)
_contents = st.frozensets(_numbers, min_size=1, max_size=3)
_backs = st.one_of(st.just(0), st.integers(0, 12))
_hands = st.builds(
    Hand,
    _names,
    _numbers,
    st.dictionaries(_tables, st.one_of(_numbers, _numbers, _numbers, st.none()), min_size=1).map(
        lambda changes: tuple(sorted(changes.items()))
    ),
    _skews,
)
_runs = st.builds(
    Run,
    _names,
    _numbers,
    st.integers(0, 2),
    st.sampled_from(TASKS),
    st.lists(st.tuples(_names, _tables, _backs), max_size=3).map(tuple),
    st.lists(
        st.tuples(_tables, st.sampled_from(["replace", "update", "append"]), _contents),
        min_size=1,
        max_size=2,
        unique_by=lambda write: write[0],
    ).map(tuple),
    st.one_of(st.none(), _contents),
    st.booleans(),
    _skews,
)
_deeds = st.one_of(
    _runs,
    _runs,
    _runs,
    _hands,
    st.builds(Branch, _names, _backs),
    st.builds(Merge, _names, _numbers, _numbers, _skews),
    st.builds(Look, _names, _numbers, _tables),
)
histories = st.builds(
    History,
    st.lists(_deeds, min_size=8, max_size=15).map(tuple),
    st.frozensets(st.integers(0, 2), max_size=2),
    st.sampled_from(["run", "run", "run", "step", "task"]),
)

CIRCLE = History(
    (
        Run("a", 0, 0, "start/1", (), (("t", "replace", frozenset({1})),)),
        Run("b", 0, 1, "start/1", (("a", "t", 0),), (("t", "update", frozenset({1})),), again=frozenset({2})),
        Run("a", 0, 0, "end/2", (("b", "t", 0),), (("u", "append", frozenset({1})),), retry=True),
    ),
    frozenset(),
    "run",
)
"""Two runs that each read what the other wrote; and a task that adds to a table twice."""
TWINS = History(
    (
        Branch("a", 0),
        Hand("a", 0, (("t", 1),)),
        Hand("a", 1, (("u", 2),)),
        Hand("a", 1, (("t", 1),)),
        Merge("a", 0, 1),
    ),
    frozenset(),
    "run",
)
"""A merge of two branches that had changed a table in the same way."""
ANEW = History(
    (
        Run("a", 0, 0, "start/1", (("b", "u", 0),), (("new", "replace", frozenset({1})),)),
        Branch("a", 0),
        Hand("a", 0, (("new", None),)),
        Hand("a", 0, (("u", 1),)),
        Hand("a", 0, (("new", 2),)),
        Look("a", 0, "new"),
        Hand("a", 0, (("new", 3),)),
        Hand("a", 1, (("new", 2),)),
    ),
    frozenset(),
    "run",
)
"""A table that was dropped and made again by hand, and on another branch not."""


# What was done


@dataclass
class Made:
    """A commit, as its maker knows it."""

    database: str
    hash: str
    parents: list[str]
    tables: dict[str, Content]
    date: datetime
    height: int
    task: str | None = None
    attempt: int = 0
    own: list[Fact] = field(default_factory=list)
    reads: list[Fact] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def run(self) -> str | None:
        return "/".join(self.task.split("/")[:2]) if self.task is not None else None


@dataclass
class Notes:
    """All that was done, in order."""

    commits: dict[tuple[str, str], Made] = field(default_factory=dict)
    branches: dict[str, dict[str, str]] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()

    def of(self, database: str) -> list[Made]:
        return [made for (name, _), made in self.commits.items() if name == database]

    def before(self, database: str, commit: str, table: str | None = None) -> set[str]:
        """A commit and all before it; where a table is named, as far back as it was there all the time."""
        made = self.commits[database, commit]
        if table is not None and table not in made.tables:
            return set()
        found = {commit}
        for parent in made.parents:
            found |= self.before(database, parent, table)
        return found


class World:
    """Two databases and a store in the current folder."""

    def __init__(self, sessions: dict[str, Session], template: Path) -> None:
        self._sessions = sessions
        self._template = template
        self._store = Path(".metaflow").absolute()
        self._setups = {name: session.branch_head("main") for name, session in sessions.items()}
        self.notes = Notes()

    def begin(self, stored: Iterable[int]) -> None:
        """Forgets what was done before."""
        self.notes = Notes(stored=frozenset(f"{FLOW}/{number}" for number in stored))
        for name, session in self._sessions.items():
            for branch in session.branches():
                if branch != "main":
                    self._rows(name, "call dolt_branch('-D', %s)", branch)
            self._rows(name, "call dolt_reset('--hard', %s)", self._setups[name])
            index_file(session.database.location.identity).unlink(missing_ok=True)
            setup = self._setups[name]
            self.notes.branches[name] = {"main": setup}
            tables = {"t": frozenset({0}), "u": frozenset({0})}
            before = str(self._rows(name, "select dolt_hashof(%s)", f"{setup}~1")[0][0])
            self.notes.commits[name, before] = Made(name, before, [], {}, SETUP, 0)
            self.notes.commits[name, setup] = Made(name, setup, [before], tables, SETUP, 1)
        shutil.rmtree(self._store / FLOW, ignore_errors=True)
        (self._store / FLOW).mkdir()
        shutil.copytree(self._template / "data", self._store / FLOW / "data")

    def _rows(self, name: str, query: str, *args: object, branch: str = "main") -> list[tuple[Any, ...]]:
        connection = self._sessions[name]._connection
        connection.use(branch)
        return connection.rows(query, args)

    def branch(self, name: str, number: int) -> str:
        known = list(self.notes.branches[name])
        return known[number % len(known)]

    def _back(self, name: str, back: int) -> Made:
        known = self.notes.of(name)[1:]
        return known[-1 - back % len(known)]

    def do(self, deed: Hand | Branch | Merge | Run) -> None:
        match deed:
            case Branch():
                branch = f"b{len(self.notes.branches[deed.database])}"
                at = self._back(deed.database, deed.back).hash
                self._rows(deed.database, "call dolt_branch(%s, %s)", branch, at)
                self.notes.branches[deed.database][branch] = at
            case Hand():
                self._hand(deed)
            case Merge():
                self._merge(deed)
            case Run():
                self._run(deed)
                if deed.again is not None:
                    writes = tuple((table, mode, deed.again) for table, mode, _ in deed.writes)
                    self._run(replace(deed, reads=(), writes=writes, retry=False))

    def _hand(self, deed: Hand) -> None:
        branch = self.branch(deed.database, deed.branch)
        tables = self._head(deed.database, branch).tables
        for table, number in deed.tables:
            if number is None:
                self._rows(deed.database, f"drop table if exists {table}", branch=branch)
            else:
                changed = tables.get(table, frozenset()) ^ {number}
                self._put(deed.database, branch, table, changed)
        self._commit(deed.database, branch, "By hand", deed.skew)

    def _head(self, name: str, branch: str) -> Made:
        return self.notes.commits[name, self.notes.branches[name][branch]]

    def _put(self, name: str, branch: str, table: str, content: Content) -> None:
        self._rows(name, f"create table if not exists {table} (id int primary key)", branch=branch)
        self._rows(name, f"delete from {table}", branch=branch)
        if content:
            rows = ", ".join(f"({number})" for number in sorted(content))
            self._rows(name, f"insert into {table} values {rows}", branch=branch)

    def _merge(self, deed: Merge) -> None:
        into, source = (self.branch(deed.database, number) for number in (deed.branch, deed.source))
        head, other = self._head(deed.database, into).hash, self._head(deed.database, source).hash
        if other in self.notes.before(deed.database, head):
            return
        try:
            self._rows(deed.database, "call dolt_merge(%s, '--no-ff', '--no-commit')", source, branch=into)
        except DoltError:  # One side has dropped what the other has changed.
            self._rows(deed.database, "call dolt_reset('--hard')", branch=into)
            return
        self._commit(deed.database, into, "Merge", deed.skew, more=[other])

    def _run(self, deed: Run) -> None:
        run, task = f"{FLOW}/{deed.run}", f"{FLOW}/{deed.run}/{deed.task}"
        branch = self.branch(deed.database, deed.branch)
        attempt = self.notes.attempts.get(task, 0)
        if deed.retry and any(made.task == task for made in self.notes.commits.values()):
            attempt += 1
        self.notes.attempts[task] = attempt
        tables = self._head(deed.database, branch).tables
        # A commit lists what was read before it in its run, but for what a failed attempt of its own task read.
        reads: dict[Fact, None] = {}
        for made in self.notes.commits.values():
            if made.run == run and (made.task != task or made.attempt == attempt):
                reads |= dict.fromkeys(made.reads)
        own = [(name, table, self._back(name, back).hash) for name, table, back in deed.reads]
        reads |= dict.fromkeys(own)
        for table, mode, content in deed.writes:
            before = frozenset() if mode == "replace" else tables.get(table, frozenset())
            self._put(deed.database, branch, table, before | content)
        pathspec = Pathspec.parse(task)
        assert pathspec is not None
        message = encode_message(
            pathspec,
            attempt=attempt,
            writes=[WriteTrailer(table, mode, len(content)) for table, mode, content in deed.writes],
            reads=[ReadTrailer(name, commit, (table,), "main") for name, table, commit in reads],
        )
        made = self._commit(deed.database, branch, message, deed.skew)
        made.task, made.attempt, made.own, made.reads = task, attempt, own, list(reads)
        made.writes = [(table, mode) for table, mode, _ in deed.writes]
        if run in self.notes.stored:
            self._store_run(run)

    def _commit(self, name: str, branch: str, message: str, skew: int, more: Iterable[str] = ()) -> Made:
        date = SETUP + timedelta(hours=skew + 10, minutes=len(self.notes.commits))
        options = ["-Am", message, "--allow-empty", "--author", "Ann <a@x>", "--date", date.strftime("%FT%T")]
        marks = ", ".join(["%s"] * len(options))
        hash_ = str(self._rows(name, f"call dolt_commit({marks})", *options, branch=branch)[0][0])
        parents = [self.notes.branches[name][branch], *more]
        there = [str(row[0]) for row in self._rows(name, "show tables", branch=branch)]
        tables = {
            table: frozenset(int(row[0]) for row in self._rows(name, f"select id from {table}", branch=branch))
            for table in there
        }
        height = 1 + max(self.notes.commits[name, parent].height for parent in parents)
        made = Made(name, hash_, parents, tables, date, height)
        assert (name, hash_) not in self.notes.commits
        self.notes.commits[name, hash_] = made
        self.notes.branches[name][branch] = hash_
        return made

    def _store_run(self, run: str) -> None:
        """Stores the run as Metaflow would, with what its tasks did so far; a copy of one that it made."""
        accesses = [
            Access(
                kind, table, database, "main", commit, (table,), str(made.task),
                mode=mode, attempt=made.attempt, timestamp=made.date.timestamp(),
            )
            for made in self.notes.commits.values()
            if made.run == run and made.attempt == self.notes.attempts[str(made.task)]
            for kind, database, table, commit, mode in told(made, made.own)
        ]  # fmt: skip
        tasks = [TaskRecord(task, attempt) for task, attempt in self.notes.attempts.items() if task.startswith(run)]
        blob = pickle.dumps(encode_artifact(Record(tuple(accesses), (), tuple(tasks))), protocol=4)
        flow = FlowDataStore(FLOW, storage_impl=LocalStorage, ds_root=str(self._store))
        key = str(flow.ca_store.save_blobs(iter([blob]))[0].key)
        template = next(path for path in self._template.iterdir() if path.name.isdigit())
        old = json.loads((template / "start" / "1" / "0.data.json").read_text())["objects"]["dolt"]
        shutil.rmtree(self._store / run, ignore_errors=True)
        for path in template.rglob("*"):
            if path.is_file():
                target = self._store / run / path.relative_to(template)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(path.read_text().replace(template.name, run.split("/")[1]).replace(old, key))


def told(made: Made, reads: Iterable[Fact]) -> list[tuple[Any, str, str, str, Any]]:
    """What a record tells of a commit: kind, database, table, commit, mode."""
    listed = [("read", *fact, None) for fact in reads]
    return [*listed, *(("write", made.database, table, made.hash, mode) for table, mode in made.writes)]


# What the graph has to be


@dataclass(frozen=True)
class Seen:
    """An access, when it was, and the task whose node it belongs to."""

    kind: str
    database: str
    table: str
    commit: str
    task: str
    mode: str | None
    moment: float = field(compare=False)
    node: str = field(compare=False, default="")


Accesses = frozenset[Seen]
Edges = dict[tuple[str, str], tuple[str, Accesses]]
Nodes = dict[str, tuple[str, Accesses, Accesses]]
"""Of each node its kind, what it read of what it had made, and its writes that changed nothing."""


class Reference:
    """The graph above a version of a table, by nothing but the notes."""

    def __init__(self, notes: Notes, zoom: Zoom) -> None:
        self._notes = notes
        self._zoom = zoom
        self._sources: dict[TableVersion, list[TableVersion]] = {}
        self._accesses: list[tuple[Seen, TableVersion]] = []
        self._runs: set[str] = set()
        self._edges: dict[tuple[str, str], tuple[str, set[Seen]]] = {}
        self._kinds: dict[str, str] = {}
        self._own: dict[str, set[Seen]] = {}
        self._unchanged: dict[str, set[Seen]] = {}

    def version(self, database: str, table: str, at: str) -> TableVersion | None:
        """Back to the first parent that has the table as it is here, and on from there, until none has."""
        made = self._notes.commits[database, at]
        if table not in made.tables:
            return None
        for parent in made.parents:
            if self._notes.commits[database, parent].tables.get(table) == made.tables[table]:
                return self.version(database, table, parent)
        return TableVersion(database, table, at)

    def _made(self, version: TableVersion) -> Made:
        return self._notes.commits[version.database, version.commit]

    def _at_parents(self, version: TableVersion) -> list[TableVersion]:
        found = (self.version(version.database, version.table, parent) for parent in self._made(version).parents)
        return [one for one in found if one is not None]

    # Which versions and runs

    def gather(self, version: TableVersion, seen: set[TableVersion]) -> None:
        if version in seen:
            return
        seen.add(version)
        made = self._made(version)
        if made.run is None:
            self._sources[version] = self._at_parents(version) if len(made.parents) > 1 else self._newest(version)
            for source in self._sources[version]:
                self.gather(source, seen)
        elif made.run not in self._runs:
            self._runs.add(made.run)
            items = [(one, at) for one in self._of_run(made.run) if (at := self._of(one)) is not None]
            items += [kept for one, at in items if (kept := self._kept(one, at)) is not None]
            self._accesses += items
            for one, at in items:
                if one.kind == "read":
                    self.gather(at, seen)

    def _of(self, one: Seen) -> TableVersion | None:
        return self.version(one.database, one.table, one.commit)

    def _newest(self, version: TableVersion) -> list[TableVersion]:
        """Of all commits before one by hand that a run made and that changed the table, the newest.

        What was before the table was dropped is another table's past.
        """
        name, table = version.database, version.table
        parents = self._made(version).parents
        before = self._notes.before(name, parents[0], table) if parents else set()
        candidates = [self._notes.commits[name, commit] for commit in before]
        by_run = [
            made
            for made in candidates
            if made.run is not None
            and made.tables.get(table) != self._notes.commits[name, made.parents[0]].tables.get(table)
        ]
        if not by_run:
            return []
        newest = max(by_run, key=lambda made: (made.height, made.date))
        found = self.version(name, table, newest.hash)
        return [found] if found is not None else []

    def _of_run(self, run: str) -> list[Seen]:
        notes = self._notes
        counting = [
            made
            for made in sorted(notes.commits.values(), key=lambda made: made.date)
            if made.run == run and made.attempt == notes.attempts[str(made.task)]
        ]
        found: list[Seen] = []
        if run in notes.stored:
            for made in counting:
                for telling in told(made, made.own):
                    found.append(_seen(telling, made))
        in_store = {(one.kind, one.database, one.table, one.commit) for one in found}
        first: dict[Fact, Made] = {}
        for made in counting:
            for telling in told(made, made.reads):
                if telling[:4] in in_store:
                    continue
                teller = first.setdefault(telling[1:4], made) if telling[0] == "read" else made
                found.append(_seen(telling, teller, node=str(made.task)))
        return found

    def _kept(self, one: Seen, version: TableVersion) -> tuple[Seen, TableVersion] | None:
        """What an update or append found in the table: the last that was not of its own task."""
        if one.kind == "read" or one.mode == "replace" or version.commit != one.commit:
            return None
        found = self._at_parents(version)
        while found and self._made(found[0]).task == one.task:
            found = self._at_parents(found[0])
        if not found:
            return None
        kept = Seen("read", one.database, one.table, found[0].commit, one.task, one.mode, one.moment, one.node)
        return kept, found[0]

    # The graph

    def _node(self, task: str) -> str:
        return "/".join(task.split("/")[: {"run": 2, "step": 3, "task": 4}[self._zoom]])

    def _run_node(self, task: str) -> str:
        self._kinds[self._node(task)] = self._zoom
        return self._node(task)

    def _add_version(self, version: TableVersion) -> None:
        if version.id in self._kinds:
            return
        self._kinds[version.id] = "table"
        made = self._made(version)
        if made.task is not None:
            maker = self._run_node(made.task)
        else:
            maker = f"{made.database}@{made.hash}"
            self._kinds[maker] = "commit"
        self._edges.setdefault((maker, version.id), ("write", set()))
        for source in self._sources.get(version, ()):
            self._add_version(source)
            self._edges.setdefault((source.id, maker), ("read", set()))

    def graph(self, start: TableVersion) -> tuple[Nodes, Edges]:
        self.gather(start, set())
        for version in [start, *(version for _, version in self._accesses)]:
            self._add_version(version)
        for one, version in self._accesses:
            node = self._run_node(one.node)
            has_made = (node, version.id) in self._edges
            if one.kind == "read" and has_made:
                self._own.setdefault(node, set()).add(one)
            elif one.kind == "read":
                self._edges.setdefault((version.id, node), ("read", set()))[1].add(one)
            elif has_made:
                self._edges[node, version.id][1].add(one)
            else:
                self._unchanged.setdefault(node, set()).add(one)
        for run in self._runs & self._notes.stored:
            first, second = (self._run_node(f"{run}/{task}") for task in TASKS)
            if first != second:
                self._edges[first, second] = ("next", set())
        kept = self._without_circles()
        above = _above(start.id, kept)
        nodes = {node: (kind, *self._notes_of(node)) for node, kind in self._kinds.items() if node in above}
        edges = {ends: (kind, frozenset(ones)) for ends, (kind, ones) in kept.items() if set(ends) <= above}
        return nodes, edges

    def _notes_of(self, node: str) -> tuple[Accesses, Accesses]:
        return frozenset(self._own.get(node, ())), frozenset(self._unchanged.get(node, ()))

    def _without_circles(self) -> dict[tuple[str, str], tuple[str, set[Seen]]]:
        """The edges; but a read comes too late that closes a circle with all that was before it."""

        def moment(ends: tuple[str, str]) -> tuple[bool, float, tuple[str, str]]:
            kind, ones = self._edges[ends]
            reads = ones if kind == "read" else set()
            return bool(reads), max((one.moment for one in reads), default=0.0), ends

        kept: dict[tuple[str, str], tuple[str, set[Seen]]] = {}
        for ends in sorted(self._edges, key=moment):
            if ends[1] in _above(ends[0], kept):
                self._own.setdefault(ends[1], set()).update(self._edges[ends][1])
            else:
                kept[ends] = self._edges[ends]
        return kept


def _seen(telling: tuple[Any, str, str, str, Any], made: Made, node: str | None = None) -> Seen:
    return Seen(*telling[:4], str(made.task), telling[4], made.date.timestamp(), node or str(made.task))


def _above(node: str, edges: Iterable[tuple[str, str]]) -> set[str]:
    """A node and all that lead to it."""
    found = {node}
    while more := {source for source, target in edges if target in found} - found:
        found |= more
    return found


# What it is


def traced(table: str, database: str, at: str, zoom: Zoom) -> tuple[str, Nodes, Edges]:
    result = trace_table(table, database=database, at=at, zoom=zoom)
    nodes: Nodes = {
        node: (data["kind"], _set(data.get("own_reads", ())), _set(data.get("unchanged", ())))
        for node, data in result.graph.nodes(data=True)
    }
    edges: Edges = {
        (source, target): (data["kind"], _set(data.get("accesses", ())))
        for source, target, data in result.graph.edges(data=True)
    }
    return result.target, nodes, edges


def _set(accesses: Iterable[dict[str, Any]]) -> Accesses:
    found = []
    for one in accesses:
        (table,) = one["tables"]
        found.append(
            Seen(one["kind"], one["database"], table, one["commit"], one["pathspec"], one.get("mode"), one["timestamp"])
        )
    return frozenset(found)


def check(notes: Notes, zoom: Zoom) -> None:
    """Every table, at the head of every branch and at a commit in the middle."""
    for name in NAMES:
        known = notes.of(name)
        middle = known[len(known) // 2].hash
        for ref, commit in {**notes.branches[name], middle: middle}.items():
            for table in TABLES:
                check_one(notes, zoom, name, ref, commit, table)


def check_one(notes: Notes, zoom: Zoom, name: str, ref: str, commit: str, table: str) -> None:
    start = Reference(notes, zoom).version(name, table, commit)
    if start is None:
        with pytest.raises(TableNotFoundError):
            trace_table(table, database=name, at=ref, zoom=zoom)
    else:
        assert traced(table, name, ref, zoom) == (start.id, *Reference(notes, zoom).graph(start))


@contextmanager
def world() -> Iterator[World]:
    """The databases, served, and a run that Metaflow made, of which others are copied."""
    template = Path("template").absolute()
    template.mkdir()
    (template / ".metaflow").mkdir()
    Path(".metaflow").mkdir()
    run_flow(template, "history_flow.py")
    with ExitStack() as stack:
        tables = [f"create table {table} (id int primary key)" for table in ("t", "u")]
        rows = [f"insert into {table} values (0)" for table in ("t", "u")]
        sessions = {
            name: stack.enter_context(Database.at(make_database(Path(name).absolute(), *tables, *rows)).open())
            for name in NAMES
        }
        yield World(sessions, template / ".metaflow" / FLOW)


def test_whatever_was_done_the_trace_is_what_it_has_to_be() -> None:
    with world() as here:

        @example(CIRCLE)
        @example(TWINS)
        @example(ANEW)
        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        @given(histories)
        def holds(history: History) -> None:
            here.begin(history.stored)
            for deed in history.deeds:
                if isinstance(deed, Look):
                    branch = here.branch(deed.database, deed.branch)
                    commit = here.notes.branches[deed.database][branch]
                    check_one(here.notes, history.zoom, deed.database, branch, commit, deed.table)
                else:
                    here.do(deed)
            check(here.notes, history.zoom)
            # Hypothesis minds that an opening draws from `random`, also one that nobody has waited for.
            for thread in threading.enumerate():
                if thread.name.startswith("doltflow-open-"):
                    thread.join()

        holds()
