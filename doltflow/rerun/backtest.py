"""What a backtest is going to do: the flows downstream of an input, their branches, and their pins."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from doltflow.errors import NotReplayableError, RefNotFoundError
from doltflow.model.moment import parse_moment
from doltflow.model.pins import DatabasePin, Pins
from doltflow.model.run import Run
from doltflow.rerun.inputs import Input, commit_then, find_inputs
from doltflow.rerun.pipeline import (
    Flow,
    Key,
    Pipeline,
    branch_read,
    downstream,
    in_order,
    leading,
    read_pipeline,
    reads_any,
)
from doltflow.rerun.plan import PlannedBranch, check_name
from doltflow.workspace import Workspace
from doltflow.workspace.at import resolve_at
from doltflow.workspace.fetching import fetch_commit
from doltflow.workspace.production import Production
from doltflow.workspace.workspace import ELSEWHERE, GONE

ROOT = "root"


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """A flow that a backtest runs.

    Attributes:
        run: Production's run of it, which gives the parameters.
        is_stored: Whether Metaflow's store knows that run.
        pins: Where its reads and writes are sent.
        writes: The tables that it writes, by database and name.
        missing: Tables, by database and name, that it reads and that are not there where its pins lead.
        reads: The tables that it reads of others, by database and name.
        unnamed: The databases that it reads with queries of which nobody can tell the tables.
    """

    run: Run
    is_stored: bool
    pins: Pins
    writes: tuple[Key, ...]
    missing: tuple[Key, ...]
    reads: tuple[Key, ...] = ()
    unnamed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BacktestPlan:
    """A backtest that is to be.

    Attributes:
        branch: The name of the branches.
        inputs: The input databases, each with the commit that takes production's place.
        branches: The branches, those of the inputs first.
        flows: The flows, each after those that it depends on.
        productions: Production of every table that they write.
        left_out: Tables of production that no flow writes here: their runs are not the newest of their flow.
    """

    branch: str
    inputs: tuple[Input, ...]
    branches: tuple[PlannedBranch, ...]
    flows: tuple[PlannedFlow, ...]
    productions: tuple[Production, ...]
    left_out: tuple[Production, ...]

    @property
    def of(self) -> str:
        """`database@commit` of every input: what it is a backtest of."""
        return " ".join(f"{item.database}@{item.commit}" for item in self.inputs)


def plan_backtest(
    workspace: Workspace,
    *,
    commit: str | None,
    as_of: str | None,
    branch: str | None,
    base: str | None,
    tables: Sequence[str],
) -> BacktestPlan:
    """The plan of a backtest. Nothing is made.

    Args:
        workspace: Where to look; the database that is asked for is the input.
        commit: The commit of an input database.
        as_of: A date: where the other input databases were then, and without a commit all of them.
        branch: The branches' name; `backtest/` and the commit or date without it.
        base: Where output databases begin: any ref, or `root` for the first commit; production's branch without it.
        tables: Only the flows that lead to these tables.

    Raises:
        UsageError: Neither a commit nor a date is given, or a name is none.
        RefNotFoundError, AmbiguousDatabaseError, TableNotFoundError: As they say.
        NotReplayableError: The database is no input, or what production read is gone.
    """
    if branch is not None:
        check_name(branch)
    moment = parse_moment(as_of, end=True) if as_of is not None else None
    pipeline = read_pipeline(workspace)
    inputs = find_inputs(workspace, commit, moment, as_of, pipeline.read, pipeline.written)
    name = branch if branch is not None else _name(inputs, commit, as_of)
    return plan_from(workspace, pipeline, inputs, name, moment=moment, base=base, tables=tables)


def plan_from(
    workspace: Workspace,
    pipeline: Pipeline,
    inputs: tuple[Input, ...],
    name: str,
    *,
    moment: datetime | None,
    base: str | None,
    tables: Sequence[str],
) -> BacktestPlan:
    """The plan of a backtest whose inputs are known; see `plan_backtest`.

    Args:
        workspace: Where to look.
        pipeline: What production is made by.
        inputs: The input databases and their commits.
        name: The branches' name.
        moment: Where the other input databases were then; where production read them without it.
        base: Where output databases begin, as for `plan_backtest`.
        tables: Only the flows that lead to these tables.
    """
    mine = {item.database for item in inputs}
    selected = in_order(leading(workspace, downstream(pipeline.flows, mine), tables))
    outputs = {database for flow in selected for database, _ in flow.writes} - mine
    keys = {key for flow in selected for key in flow.writes}
    made = tuple(item for item in pipeline.productions if (item.database, item.table) in keys)
    branches = [PlannedBranch(item.database, name, item.commit, None, ()) for item in inputs]
    branches += [_output(workspace, database, name, base, made) for database in sorted(outputs)]
    started = {item.database: item.commit for item in branches}
    pins = [(flow, _pins(workspace, flow, name, started, moment)) for flow in selected]
    return BacktestPlan(
        name,
        inputs,
        tuple(branches),
        tuple(_planned(workspace, pins, started)),
        made,
        tuple(item for item in pipeline.older if reads_any(workspace, item, mine)),
    )


def _name(inputs: Sequence[Input], commit: str | None, as_of: str | None) -> str:
    if commit is not None:
        return f"backtest/{inputs[0].commit[:8]}"
    return f"backtest/{re.sub(r'[^0-9A-Za-z]+', '-', str(as_of)).strip('-')}"


# The branches and the pins


def _output(
    workspace: Workspace, database: str, name: str, base: str | None, productions: Sequence[Production]
) -> PlannedBranch:
    session = workspace.session(database)
    mine = [production for production in productions if production.database == database]
    branches = dict.fromkeys(made.branch for made in mine if made.branch in session.branches())
    original = next(iter(branches), None)
    tables = tuple((made.table, made.commit.hash) for made in mine)
    if base not in (None, ROOT):
        return PlannedBranch(database, name, resolve_at(session, str(base)), original, tables)
    if len(branches) > 1 and base is None:
        listed = ", ".join(f"`{branch}`" for branch in branches)
        raise NotReplayableError(
            f"Production wrote to several branches of `{database}`: {listed}.", "Say where to begin with `--base`."
        )
    head = session.branch_head(original if original is not None else session.default_branch())
    return PlannedBranch(database, name, head if base is None else _root(workspace, database, head), original, tables)


def _root(workspace: Workspace, database: str, head: str) -> str:
    """The first commit that a commit goes back to over first parents."""
    commits = workspace.commits(database)
    hash_ = head
    while hash_ in commits and commits[hash_].parents:
        hash_ = commits[hash_].parents[0]
    if hash_ not in commits:
        raise RefNotFoundError(f"`{database}` is a shallow clone: its first commit is not here.", "`dolt fetch` it.")
    return hash_


def _pins(
    workspace: Workspace, flow: Flow, branch: str, started: Mapping[str, str], moment: datetime | None
) -> tuple[DatabasePin, ...]:
    """Where a flow's databases are sent: those of the backtest to its branches, the others to a commit."""
    pins = [DatabasePin(name, str(workspace.session(name).database.location), branch) for name in started]
    for name, read in sorted(flow.databases.items()):
        if name in started:
            continue
        task = flow.records.run.pathspec
        if name not in workspace.names:
            raise NotReplayableError(
                f"The database `{name}`, which {task} read, is not here.",
                ELSEWHERE,
            )
        session = workspace.session(name)
        if moment is None and fetch_commit(workspace, name, read) is None:
            raise NotReplayableError(
                f"`{name}` does not have the commit {read}, which {task} read.",
                GONE,
            )
        at = read if moment is None else commit_then(session, branch_read(flow, name), moment)
        pins.append(DatabasePin(name, str(session.database.location), commit=at))
    return tuple(pins)


def _planned(
    workspace: Workspace, flows: Iterable[tuple[Flow, tuple[DatabasePin, ...]]], started: Mapping[str, str]
) -> Iterator[PlannedFlow]:
    written: set[Key] = set()
    for flow, pins in flows:
        run = flow.records.run
        at = {pin.database: pin.commit or started[pin.database] for pin in pins}
        missing = tuple(
            key
            for key in sorted(flow.reads)
            if key not in written and key[0] in at and workspace.spelled(*key, at[key[0]]) is None
        )
        written |= set(flow.writes)
        yield PlannedFlow(
            run,
            flow.records.is_stored,
            Pins("backtest", run.pathspec, pins),
            flow.writes,
            missing,
            tuple(sorted(flow.reads)),
            tuple(sorted(flow.unnamed)),
        )
