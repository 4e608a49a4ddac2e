"""Runs that were done before on the same content, with the same code, parameters and packages: what need not run again.

Content is compared by the hashes of the tables that a run read, so that production's own run counts too.
"""

import json
import platform
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shlex import quote
from typing import Any

from doltflow.errors import FlowFileError, NotReplayableError
from doltflow.model.access import Access
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.rerun.backtest import BacktestPlan, PlannedFlow
from doltflow.rerun.carrying import Prepared
from doltflow.rerun.code import find_code
from doltflow.rerun.line import VIEWS
from doltflow.rerun.pipeline import Key
from doltflow.sources.metaflow.parameters import Declared, plain
from doltflow.workspace import Workspace, find_run, read_run

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run that can stand for one that would be the same.

    Attributes:
        run: `Flow/run_id`.
        tables: The tables that it wrote, each with a commit that has it as the run left it.
        last: The last commit that it made in each database.
    """

    run: str
    tables: Mapping[Key, str]
    last: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a flow would read.

    Attributes:
        pinned: The commit of each database that it would begin with.
        made: The tables that flows before it write, each with a commit that has it; None where that is not known
            before they have run.
    """

    pinned: Mapping[str, str]
    made: Mapping[Key, str | None]

    def table(self, database: str, table: str) -> str | None:
        """The commit at which a table would be read; None where it is not known."""
        key = (database, table)
        return self.made[key] if key in self.made else self.pinned.get(database)

    def commit(self, database: str) -> str | None:
        """The commit that any read of a database would see; None where it is not known."""
        return None if any(name == database for name, _ in self.made) else self.pinned.get(database)


class EarlierRuns:
    """The runs that were done before. What was found out of one is not found out again."""

    def __init__(self, workspace: Workspace, prepared: Mapping[str, Prepared]) -> None:
        self._workspace = workspace
        self._prepared = prepared
        self._hashes: dict[tuple[str, str, str], str | None] = {}
        self._runs: dict[tuple[str, str], Run | None] = {}

    def content(self, database: str, table: str, commit: str) -> str | None:
        """The content hash of a table at a commit; None where it is not there."""
        key = (database, table, commit)
        if key not in self._hashes:
            self._hashes[key] = self._workspace.session(database).table_hash(table, commit)
        return self._hashes[key]

    def _wanted(self, standing: Standing, database: str, table: str) -> str | None:
        """The content of a table that a flow would read; None where it is not there, or not known."""
        at = standing.table(database, table)
        return self.content(database, table, at) if at is not None else None

    def matching(self, flow: PlannedFlow, standing: Standing) -> Iterator[EarlierRun]:
        """The runs that a run of a flow would be the same as: production's, then the newest first."""
        if flow.run.flow not in self._prepared:
            return
        made = {run: made for run, made in self._workspace.made_by_runs().items() if run.flow == flow.run.flow}

        def rank(run: Pathspec) -> tuple[bool, float]:
            return run.run == flow.run.pathspec, max(one.date for one in made[run])

        for pathspec in sorted(made, key=rank, reverse=True):
            commits = self._workspace.commits_of_run(pathspec.run)
            if not self._may_match(commits, standing):
                continue
            run = self._usable(flow, pathspec)
            if run is not None and all(self._is_read(run, read, commits, standing) for read in _own(run, "read")):
                found = self._of(run, commits, standing)
                if found is not None:
                    yield found

    def _may_match(self, commits: list[Commit], standing: Standing) -> bool:
        """Whether what a run's commits tell of its reads fits: that spares the store."""
        mine = {commit.hash for commit in commits}
        reads = {read for commit in commits if commit.run is not None for read in commit.run.reads}
        for read in reads:
            if read.commit in mine or read.database not in self._workspace.names:
                continue
            if self._workspace.find_commit(read.database, read.commit) is None:
                return False
            for table in read.tables:
                known = self.content(read.database, table, read.commit)
                if known is not None and known != self._wanted(standing, read.database, table):
                    return False
        return True

    def _usable(self, flow: PlannedFlow, pathspec: Pathspec) -> Run | None:
        """A run, where it succeeded, with the code, the parameters and the packages that it would have now."""
        key = (pathspec.run, flow.run.pathspec)
        if key not in self._runs:
            run = read_run(self._workspace, pathspec).run
            if run.status in ("running", "unknown"):
                return None
            is_usable = (
                run.status == "successful"
                and all(task.pathspec.startswith(f"{run.pathspec}/") for task in run.tasks)
                and not _other_parameters(run, flow.run, self._prepared[run.flow])
                and has_environment(run, {self._workspace.session(pin.database).version for pin in flow.pins.databases})
                and _other_code(self._workspace, run, self._prepared[run.flow]) == ()
            )
            self._runs[key] = run if is_usable else None
        return self._runs[key]

    def _is_read(self, run: Run, access: Access, commits: list[Commit], standing: Standing) -> bool:
        """Whether a read would see the same."""
        database = self._workspace.database_of(access)
        if database is None or access.commit is None or database not in standing.pinned:
            return False
        if not access.tables or "dolt_" in (access.query or "").casefold():  # Of more than the tables' content.
            return access.commit == standing.commit(database)
        if self.content(database, VIEWS, access.commit) != self.content(database, VIEWS, standing.pinned[database]):
            return False
        for table in access.tables:
            known = self.content(database, table, access.commit)
            if known is None:
                return access.commit == standing.commit(database)
            if self._is_own(run, (database, table), access.commit, commits):
                continue
            if known != self._wanted(standing, database, table):
                return False
        return True

    def _is_own(self, run: Run, key: Key, at: str, commits: list[Commit]) -> bool:
        """Whether a table is at a commit of a run what the run itself wrote before."""
        own = {commit.hash for commit in commits if commit.database == key[0]}
        if at not in own:
            return False
        written = {write.commit for write in _own(run, "write") if key in _keys(write) and write.commit is not None}
        session, content = self._workspace.session(key[0]), self.content(*key, at)
        return any(self.content(*key, one) == content and session.reaches([at], [one]) for one in written & own)

    def _of(self, run: Run, commits: list[Commit], standing: Standing) -> EarlierRun | None:
        """What a run wrote; None where it is gone, or where it added to what would be something else now."""
        tables: dict[Key, str] = {}
        last = {commit.database: commit.hash for commit in commits}
        for access in _own(run, "write"):
            for database, table in _keys(access):
                if access.commit is None or self._workspace.find_commit(database, access.commit) is None:
                    return None
                if access.mode != "replace" and (database, table) not in tables:
                    mine = [commit for commit in commits if commit.database == database]
                    before = mine[0].parents[0] if mine and mine[0].parents else access.commit
                    if self.content(database, table, before) != self._wanted(standing, database, table):
                        return None
                tables[database, table] = access.commit
        return EarlierRun(run.pathspec, tables, last)


def _own(run: Run, kind: str) -> list[Access]:
    return [a for a in run.accesses if a.kind == kind and a.pathspec.startswith(f"{run.pathspec}/")]


def _keys(write: Access) -> list[Key]:
    return [(write.database, table) for table in write.tables or ()]


def check_done(workspace: Workspace, plan: BacktestPlan, prepared: Mapping[str, Prepared], done: str, run: str) -> None:
    """Makes sure that a run that is gone on after is what it would be now.

    Args:
        workspace: Where runs and code are.
        plan: The backtest.
        prepared: What its flows are run with.
        done: Production's run that was repeated.
        run: The run that repeated it.

    Raises:
        NotReplayableError: It had other parameters or other code.
    """
    flow = next(flow for flow in plan.flows if flow.run.pathspec == done)
    new = read_run(workspace, find_run(workspace, run)).run
    mine = prepared[new.flow]
    others = ", ".join(f"`{name}`" for name in _other_parameters(new, flow.run, mine))
    files = _other_code(workspace, new, mine)
    if not others and files == ():
        return
    what = f"with another value of {others}" if others else f"with other code: {', '.join(files or ())}"
    told = f"{new.pathspec} of this backtest ran {what}."
    if not others and files is None:
        told = f"Whether {new.pathspec} of this backtest ran the code that would run now cannot be told."
    raise NotReplayableError(
        told, f"Go on as it was begun, or begin anew: `doltflow backtest --remove {quote(plan.branch)}`."
    )


# Code, parameters and packages


def _other_code(workspace: Workspace, run: Run, prepared: Prepared) -> tuple[str, ...] | None:
    """The files that are other than a run ran; None where that cannot be told."""
    try:
        with find_code(workspace, run, "current", prepared.code.script) as found:
            return found.changed
    except FlowFileError:
        return None


def _other_parameters(run: Run, production: Run, prepared: Prepared) -> list[str]:
    """The parameters that a run did not have as it would now."""
    explicit = prepared.explicit
    given = explicit.given if explicit is not None else {}
    declared = {one.variable: one for one in explicit.declared} if explicit is not None else {}
    mine, theirs = run.parameters, production.parameters
    return sorted(mine.keys() ^ theirs.keys()) + [
        name
        for name in sorted(mine.keys() & theirs.keys())
        if not (
            _is_typed(declared[name], mine[name], given[name]) if name in given else _is_same(mine[name], theirs[name])
        )
    ]


def _is_same(value: Any, other: Any) -> bool:
    try:
        return type(value) is type(other) and bool(value == other)
    except Exception:  # Parameters are a user's objects, and a frame has no one truth.
        return False


def _is_typed(parameter: Declared, value: Any, text: str) -> bool:
    """Whether a value is what a text on the command line became; in doubt it is not."""
    try:
        if parameter.kind == "file":
            return isinstance(value, str) and Path(text).read_text(encoding="utf-8") == value
        if parameter.kind == "json":
            return bool(json.loads(text) == plain(value))
    except (OSError, ValueError, AttributeError):
        return False
    if parameter.kind == "config":
        return False
    if parameter.separator is not None and isinstance(value, list | tuple):
        return parameter.separator.join(map(str, value)) == text
    return str(value) == text


def has_environment(run: Run, dolt: Collection[str]) -> bool:
    """Whether a run had the versions that it would have now; what it does not tell of says nothing.

    Args:
        run: The run.
        dolt: The versions of Dolt that it would have.
    """
    return all(
        task.python in (None, platform.python_version())
        and task.dolt in (None, *dolt)
        and task.metaflow in (None, _installed("metaflow"))
        and task.doltflow in (None, _installed("doltflow"))
        and all(_installed(name) == number for name, number in task.packages)
        for task in run.tasks
    )


@cache
def _installed(name: str) -> str | None:
    try:
        return version(_DISTRIBUTIONS.get(name, name))
    except PackageNotFoundError:
        return None
