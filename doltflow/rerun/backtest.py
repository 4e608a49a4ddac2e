"""What a backtest is going to do: the flows downstream of an input, their branches, and their pins."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from doltflow.errors import NotReplayableError, RefNotFoundError, TableNotFoundError, UsageError, nearest
from doltflow.model.moment import parse_moment
from doltflow.model.pins import DatabasePin, Pins
from doltflow.model.run import Run
from doltflow.rerun.inputs import Input, commit_then, find_inputs
from doltflow.rerun.plan import PlannedBranch
from doltflow.workspace import Workspace
from doltflow.workspace.at import resolve_at, split_name
from doltflow.workspace.gather import versions_of
from doltflow.workspace.production import Production, Productions
from doltflow.workspace.records import RunRecords

ROOT = "root"
_Key = tuple[str, str]
# Git's rules for the name of a branch, which are Dolt's. Below `doltflow-tmp/` are the temporary ones.
_BAD_NAME = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|/\.|\.lock(/|$)|^@$|^$|^doltflow-tmp/", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """A flow that a backtest runs.

    Attributes:
        run: Production's run of it, which gives the parameters.
        is_stored: Whether Metaflow's store knows that run.
        pins: Where its reads and writes are sent.
        writes: The tables that it writes, by database and name.
        missing: Tables, by database and name, that it reads and that are not there where its pins lead.
    """

    run: Run
    is_stored: bool
    pins: Pins
    writes: tuple[_Key, ...]
    missing: tuple[_Key, ...]


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


@dataclass(frozen=True, slots=True)
class _Flow:
    """A flow as production ran it last: what it read of others' and what it wrote."""

    records: RunRecords
    reads: dict[_Key, str]
    unnamed: dict[str, str]
    writes: tuple[_Key, ...]

    @property
    def databases(self) -> dict[str, str]:
        """Each database that it read, with the commit that it read last."""
        return self.unnamed | {database: commit for (database, _), commit in self.reads.items()}

    @property
    def began(self) -> tuple[datetime, str]:
        return _began(self.records)


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
        _check_name(branch)
    moment = parse_moment(as_of, end=True) if as_of is not None else None
    productions = Productions(workspace)
    found = [item for key in productions.tables() if (item := productions.of(*key)) is not None]
    flows, older = _newest(workspace, found)
    written = {database for flow in flows for database, _ in flow.writes}
    read = {database: _branch_read(flow, database) for flow in flows for database in flow.databases}
    inputs = find_inputs(workspace, commit, moment, as_of, read, written)
    selected = _in_order(_leading(workspace, _downstream(flows, {item.database for item in inputs}), tables))
    name = branch if branch is not None else _name(inputs, commit, as_of)
    outputs = {database for flow in selected for database, _ in flow.writes} - {item.database for item in inputs}
    keys = {key for flow in selected for key in flow.writes}
    made = tuple(item for item in found if (item.database, item.table) in keys)
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
        tuple(item for item in older if _reads_any(workspace, item, {i.database for i in inputs})),
    )


def _check_name(name: str) -> None:
    if _BAD_NAME.search(name):
        raise UsageError(
            f"`{name}` cannot be the name of a branch.",
            "Take letters, digits, `-`, `_`, `.` and `/`, such as `metaflow-backtest`.",
        )


def _name(inputs: Sequence[Input], commit: str | None, as_of: str | None) -> str:
    if commit is not None:
        return f"backtest/{inputs[0].commit[:8]}"
    return f"backtest/{re.sub(r'[^0-9A-Za-z]+', '-', str(as_of)).strip('-')}"


def _began(records: RunRecords) -> tuple[datetime, str]:
    return records.run.started or datetime.min.replace(tzinfo=UTC), records.run.pathspec


# The flows


def _newest(workspace: Workspace, found: Iterable[Production]) -> tuple[list[_Flow], list[Production]]:
    """Of each flow the newest run that is production of a table; and the tables of which an older run of one is."""
    newest: dict[str, RunRecords] = {}
    listed = list(found)
    for production in listed:
        known = newest.get(production.records.run.flow)
        if known is None or _began(known) < _began(production.records):
            newest[production.records.run.flow] = production.records
    flows = [_flow(workspace, records) for records in newest.values()]
    written = {key for flow in flows for key in flow.writes}
    return flows, [item for item in listed if (item.database, item.table) not in written]


def _flow(workspace: Workspace, records: RunRecords) -> _Flow:
    own = {commit.hash for commit in records.commits}
    reads: dict[_Key, str] = {}
    unnamed: dict[str, str] = {}
    for access in records.run.accesses:
        if access.kind != "read" or access.commit is None:
            continue
        if access.tables is None:
            unnamed[access.database] = access.commit
        for version in versions_of(workspace, access):
            if version.commit not in own:  # What it read back of its own is no input.
                reads[version.database, version.table] = access.commit
    writes = {(a.database, table) for a in records.run.accesses if a.kind == "write" for table in a.tables or ()}
    return _Flow(records, reads, unnamed, tuple(sorted(writes)))


def _branch_read(flow: _Flow, database: str) -> str | None:
    """The branch of a database that a flow read last."""
    reads = (access for access in reversed(flow.records.run.accesses) if access.kind == "read")
    return next((access.branch for access in reads if access.database == database), None)


def _reads_any(workspace: Workspace, production: Production, databases: set[str]) -> bool:
    return not databases.isdisjoint(_flow(workspace, production.records).databases)


def _downstream(flows: Sequence[_Flow], inputs: set[str]) -> list[_Flow]:
    """The flows that read an input database, or what one of these wrote."""
    selected = [flow for flow in flows if not inputs.isdisjoint(flow.databases)]
    waiting = list(selected)
    while waiting:
        maker = waiting.pop()
        for flow in flows:
            if flow not in selected and _follows(flow, maker):
                selected.append(flow)
                waiting.append(flow)
    return selected


def _follows(flow: _Flow, maker: _Flow) -> bool:
    """Whether a flow reads what another one writes; a query of which no table is known may read all."""
    return any(key in flow.reads or key[0] in flow.unnamed for key in maker.writes) and flow is not maker


def _leading(workspace: Workspace, flows: list[_Flow], tables: Sequence[str]) -> list[_Flow]:
    """Those of some flows that lead to tables."""
    if not tables:
        return flows
    kept: list[_Flow] = []
    for name in tables:
        database, table = split_name(workspace, name)
        makers = [
            flow
            for flow in flows
            if any(key[1].casefold() == table.casefold() and database in (None, key[0]) for key in flow.writes)
        ]
        if not makers:
            known = {key[1] for flow in flows for key in flow.writes}
            raise TableNotFoundError(
                f"No flow downstream of the input writes a table `{name}`.",
                nearest(table, known) or "No flow is downstream of it.",
            )
        kept += [flow for flow in makers if flow not in kept]
    for flow in kept:  # It grows meanwhile.
        kept += [maker for maker in flows if maker not in kept and _follows(flow, maker)]
    return kept


def _in_order(flows: Sequence[_Flow]) -> list[_Flow]:
    """The flows, each after those that it depends on; where they stand in a circle, as production ran them."""
    waiting = sorted(flows, key=lambda flow: flow.began)
    done: list[_Flow] = []
    while waiting:
        ready = (flow for flow in waiting if not any(_follows(flow, other) for other in waiting))
        flow = next(ready, waiting[0])
        waiting.remove(flow)
        done.append(flow)
    return done


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
    workspace: Workspace, flow: _Flow, branch: str, started: Mapping[str, str], moment: datetime | None
) -> tuple[DatabasePin, ...]:
    """Where a flow's databases are sent: those of the backtest to its branches, the others to a commit."""
    pins = [DatabasePin(name, str(workspace.session(name).database.folder), branch) for name in started]
    for name, read in sorted(flow.databases.items()):
        if name in started:
            continue
        task = flow.records.run.pathspec
        if name not in workspace.names:
            raise NotReplayableError(
                f"The database `{name}`, which {task} read, is not here.",
                "Go to the folder that holds it, or name it in the setting `databases`.",
            )
        session = workspace.session(name)
        if moment is None and workspace.find_commit(name, read) is None:
            raise NotReplayableError(
                f"`{name}` does not have the commit {read}, which {task} read.",
                "Was it garbage-collected, or is this a clone that is not up to date (`dolt fetch`)?",
            )
        at = read if moment is None else commit_then(session, _branch_read(flow, name), moment)
        pins.append(DatabasePin(name, str(session.database.folder), commit=at))
    return tuple(pins)


def _planned(
    workspace: Workspace, flows: Iterable[tuple[_Flow, tuple[DatabasePin, ...]]], started: Mapping[str, str]
) -> Iterator[PlannedFlow]:
    written: set[_Key] = set()
    for flow, pins in flows:
        run = flow.records.run
        at = {pin.database: pin.commit or started[pin.database] for pin in pins}
        missing = tuple(
            key
            for key in sorted(flow.reads)
            if key not in written and key[0] in at and workspace.spelled(*key, at[key[0]]) is None
        )
        written |= set(flow.writes)
        yield PlannedFlow(run, flow.records.is_stored, Pins("backtest", run.pathspec, pins), flow.writes, missing)


def unserved(workspace: Workspace, pins: Pins, new: Run) -> Iterator[str]:
    """Each read of a backtest's run that was not served from where its pins lead, one sentence each.

    Args:
        workspace: With the databases.
        pins: The pins of that run.
        new: The run.
    """
    for access in dict.fromkeys(a for a in new.accesses if a.kind == "read" and a.pathspec.startswith(new.pathspec)):
        named = ", ".join(f"`{table}`" for table in access.tables or ()) or f"`{access.key}`"
        what = f"{named} of `{access.database}` in {access.pathspec}"
        pin = pins.database(access.database)
        if pin is None:
            yield f"{what} had no pin: production's run did not read that database."
        elif pin.branch is None and access.commit != pin.commit:
            yield f"{what} was served from {access.commit}, not from {pin.commit}."
        elif pin.branch is not None and not _on_branch(workspace, pin, access.branch, access.commit):
            where = f"`{access.branch}`" if access.branch is not None else str(access.commit)
            yield f"{what} was served from {where}, not from the branch `{pin.branch}`."


def _on_branch(workspace: Workspace, pin: DatabasePin, branch: str | None, commit: str | None) -> bool:
    session = workspace.session(pin.database)
    if branch != pin.branch or commit is None:
        return False
    return session.reaches([session.branch_head(str(pin.branch))], [commit])
