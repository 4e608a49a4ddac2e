"""The columns of tables, and those that queries read whose record does not tell: asked of the databases here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from doltflow.errors import DoltError, QueryError
from doltflow.lineage import Facts
from doltflow.lineage_columns import follow_columns
from doltflow.model.access import Access, Derived
from doltflow.model.quoting import column_name
from doltflow.sql import Output, analyse, derive
from doltflow.workspace.workspace import Workspace

if TYPE_CHECKING:
    import networkx


def follow(workspace: Workspace, graph: "networkx.DiGraph[str]", target: str) -> None:
    """Adds to a graph which columns were read and written; see `doltflow.lineage_columns.follow_columns`."""
    follow_columns(graph, target, _known(workspace, graph))


def _known(workspace: Workspace, graph: "networkx.DiGraph[str]") -> dict[str, list[str]]:
    """The columns of the table versions in a graph, in order, by node; without those that cannot be looked up."""
    found: dict[str, list[str]] = {}
    for node, data in graph.nodes(data=True):
        if data["kind"] != "table" or data["database"] not in workspace.names:
            continue
        try:
            if workspace.find_commit(data["database"], data["commit"]) is not None:
                columns = workspace.session(data["database"]).column_names(data["table"], data["commit"])
                found |= {node: columns} if columns else {}
        except DoltError as error:
            workspace.warn(f"The columns of `{data['table']}` at {data['commit']} are not known: {error.message}")
    return found


def with_columns(workspace: Workspace, facts: Facts) -> Facts:
    """The facts; accesses of a record that does not tell a query's columns with what the query itself tells."""
    told: dict[Access, Access] = {}
    items = []
    for item in facts.resolved:
        if item.access not in told:
            told[item.access] = _told(workspace, item.access)
        items.append(replace(item, access=told[item.access]))
    return replace(facts, resolved=items)


def _told(workspace: Workspace, access: Access) -> Access:
    """An access with what its query tells at its commit; as it is where there is nothing to tell or to ask."""
    if access.kind != "read" or access.whole is not None or access.table_name or not access.query or not access.commit:
        return access
    try:
        name = workspace.database_of(access)
        if name is None or workspace.find_commit(name, access.commit) is None:
            return access
        tables = {table.casefold(): table for table in workspace.tables(name, access.commit)}
        named = analyse(access.query).tables
        # A view would have to be looked through, and of a table at another commit this access does not tell.
        if {table.casefold() for table in named} != {table.casefold() for table in access.tables or ()}:
            return access
        if not all(table.casefold() in tables for table in named):
            return access
        session = workspace.session(name)
        schema = {tables[t.casefold()]: session.column_names(tables[t.casefold()], access.commit) for t in named}
        reads = analyse(access.query, schema)
    except (QueryError, DoltError):
        return access
    return replace(
        access,
        columns=tuple((tables[table.casefold()], columns) for table, columns in reads.columns),
        whole=tuple(tables[table.casefold()] for table in reads.whole),
        derived=_derived(derive(access.query, schema)),
    )


def _derived(outputs: Sequence[Output] | None) -> Derived | None:
    """What the columns of a result are computed from, where the query itself names every one."""
    names = [output.name for output in outputs or ()]
    if outputs is None or None in names or len(set(names)) < len(names):
        return None
    return tuple(
        (str(output.name), None if output.sources is None else tuple(column_name(*at) for at in output.sources))
        for output in outputs
    )
