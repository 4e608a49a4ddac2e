"""What production is made by: its flows, what each reads and writes, and the order they run in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from doltflow.errors import TableNotFoundError, nearest
from doltflow.rerun.own import own_tables
from doltflow.workspace import Workspace
from doltflow.workspace.at import split_name
from doltflow.workspace.gather import versions_of
from doltflow.workspace.production import Production, Productions
from doltflow.workspace.records import RunRecords

Key = tuple[str, str]
"""A table: the database's name and its own."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow as production ran it last: what it read of others' and what it wrote."""

    records: RunRecords
    reads: dict[Key, str]
    unnamed: dict[str, str]
    writes: tuple[Key, ...]

    @property
    def databases(self) -> dict[str, str]:
        """Each database that it read, with the commit that it read last."""
        return self.unnamed | {database: commit for (database, _), commit in self.reads.items()}

    @property
    def began(self) -> tuple[datetime, str]:
        """When its run began, and the run: what runs are ordered by."""
        return _began(self.records)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What production is made by.

    Attributes:
        flows: The flows as production ran them last.
        productions: Production of every table.
        older: Those of them that no flow would make again: their run is not the newest of its flow.
    """

    flows: tuple[Flow, ...]
    productions: tuple[Production, ...]
    older: tuple[Production, ...]

    @property
    def written(self) -> set[str]:
        """The databases that production writes."""
        return {database for flow in self.flows for database, _ in flow.writes}

    @property
    def read(self) -> dict[str, str | None]:
        """The databases that production reads, each with the branch."""
        return {database: branch_read(flow, database) for flow in self.flows for database in flow.databases}


def read_pipeline(workspace: Workspace) -> Pipeline:
    """What production is made by."""
    productions = Productions(workspace)
    found = [item for key in productions.tables() if (item := productions.of(*key)) is not None]
    flows, older = _newest(workspace, found)
    return Pipeline(tuple(flows), tuple(found), tuple(older))


def _began(records: RunRecords) -> tuple[datetime, str]:
    return records.run.started or datetime.min.replace(tzinfo=UTC), records.run.pathspec


def _newest(workspace: Workspace, found: Iterable[Production]) -> tuple[list[Flow], list[Production]]:
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


def _flow(workspace: Workspace, records: RunRecords) -> Flow:
    made = [access for access in records.run.accesses if access.kind == "write"]
    reads: dict[Key, str] = {}
    unnamed: dict[str, str] = {}
    for access in records.run.accesses:
        if access.kind != "read" or access.commit is None:
            continue
        if access.tables is None:
            unnamed[access.database] = access.commit
        versions, name = versions_of(workspace, access), workspace.database_of(access)
        is_here = name is not None and workspace.find_commit(name, access.commit) is not None
        own = {table.casefold() for table in own_tables(workspace, access, made)} if versions and is_here else set()
        for version in versions:
            if version.table.casefold() not in own:
                reads[version.database, version.table] = access.commit
    writes = {(access.database, table) for access in made for table in access.tables or ()}
    return Flow(records, reads, unnamed, tuple(sorted(writes)))


def branch_read(flow: Flow, database: str) -> str | None:
    """The branch of a database that a flow read last."""
    reads = (access for access in reversed(flow.records.run.accesses) if access.kind == "read")
    return next((access.branch for access in reads if access.database == database), None)


def reads_any(workspace: Workspace, production: Production, databases: set[str]) -> bool:
    """Whether the run of a production read one of some databases."""
    return not databases.isdisjoint(_flow(workspace, production.records).databases)


def downstream(flows: Sequence[Flow], inputs: set[str]) -> list[Flow]:
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


def _follows(flow: Flow, maker: Flow) -> bool:
    """Whether a flow reads what another one writes; a query of which no table is known may read all."""
    return any(key in flow.reads or key[0] in flow.unnamed for key in maker.writes) and flow is not maker


def leading(workspace: Workspace, flows: list[Flow], tables: Sequence[str]) -> list[Flow]:
    """Those of some flows that lead to tables."""
    if not tables:
        return flows
    kept: list[Flow] = []
    for name in tables:
        database, table = split_name(workspace, name, is_output=True)
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


def in_order(flows: Sequence[Flow]) -> list[Flow]:
    """The flows, each after those that it depends on; where they stand in a circle, as production ran them."""
    waiting = sorted(flows, key=lambda flow: flow.began)
    done: list[Flow] = []
    while waiting:
        ready = (flow for flow in waiting if not any(_follows(flow, other) for other in waiting))
        flow = next(ready, waiting[0])
        waiting.remove(flow)
        done.append(flow)
    return done
