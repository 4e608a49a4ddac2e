"""Results as the JSON of the design: the `data` of each command's envelope."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from doltflow.model.access import Access
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Run
from doltflow.render.plain import fields

if TYPE_CHECKING:
    import networkx

    from doltflow.demo import DemoResult
    from doltflow.runs import RunsResult
    from doltflow.show import ShowResult
    from doltflow.trace import TraceResult


def trace_data(result: "TraceResult") -> dict[str, Any]:
    """Node-link data: `networkx.node_link_graph(data, edges="edges")` makes the graph of it again."""
    return node_link(result.graph) | {"graph": trace_about(result)}


def trace_about(result: "TraceResult") -> dict[str, Any]:
    """What is said of the graph as a whole."""
    return {
        "target": result.target,
        "zoom": result.zoom,
        "direction": result.direction,
        "warnings": list(result.warnings),
    }


def node_link(graph: "networkx.DiGraph[str]") -> dict[str, Any]:
    """What `networkx.node_link_data(graph, edges="edges")` gives, without importing networkx."""
    return {
        "directed": True,
        "multigraph": False,
        "graph": dict(graph.graph),
        "nodes": [{**attributes, "id": node} for node, attributes in graph.nodes(data=True)],
        "edges": [{**a, "source": source, "target": target} for source, target, a in graph.edges(data=True)],
    }


def runs_data(result: "RunsResult") -> dict[str, Any]:
    """`runs`, newest first, and `warnings`."""
    return {"runs": [run_data(run) for run in result.runs], "warnings": list(result.warnings)}


def run_data(run: Run) -> dict[str, Any]:
    """One run, with what its tasks read and wrote, table by table."""
    accesses = own_accesses(run)
    reads = [fact for access in accesses if access.kind == "read" for fact in _facts(access)]
    writes = [
        fact | {"mode": access.mode, "changed": access.changed}
        for access in accesses
        if access.kind == "write"
        for fact in _facts(access)
    ]
    return {
        "pathspec": run.pathspec,
        "flow": run.flow,
        "run_id": run.run_id,
        "status": run.status,
        "started": _utc(run.started),
        "finished": _utc(run.finished),
        "duration": took(run),
        "user": run.user,
        "tables": sorted({fact["table"] for fact in reads + writes if fact["table"] is not None}),
        "reads": reads,
        "writes": writes,
        "commits": list(dict.fromkeys(fact["commit"] for fact in writes if fact["commit"] is not None)),
        "rerun_of": run.rerun_of,
    }


def own_accesses(run: Run) -> list[Access]:
    """The accesses of the run's own tasks: a resumed run carries those of the run that it went on from."""

    def is_own(access: Access) -> bool:
        task = Pathspec.parse(access.pathspec)
        return task is None or task.run == run.pathspec

    return [access for access in run.accesses if is_own(access)]


def took(run: Run) -> float | None:
    """How many seconds a run took, where it is known."""
    return (run.finished - run.started).total_seconds() if run.started and run.finished else None


def _facts(access: Access) -> list[dict[str, Any]]:
    """One for each table; one without a table where it cannot be told which."""
    tables: Iterable[str | None] = access.tables or (None,)
    return [
        {"database": access.database, "table": table, "commit": access.commit, "rows": access.rows} for table in tables
    ]


def _utc(date: datetime | None) -> str | None:
    return date.astimezone(UTC).isoformat() if date is not None else None


def show_data(result: "ShowResult") -> dict[str, Any]:
    """`run` with its parameters, `tasks`, `accesses`, `commits` and `warnings`."""
    return {
        "run": run_data(result.run) | {"parameters": result.run.parameters, "tags": list(result.run.tags)},
        "tasks": [fields(task) for task in result.run.tasks],
        "accesses": [
            access.summary() | {"table": table, "version": version} for access, table, version in resolved(result)
        ],
        "commits": [
            {
                "hash": commit.hash,
                "database": commit.database,
                "date": _utc(commit.date),
                "author": commit.author,
                "subject": commit.subject,
            }
            for commit in result.commits
        ],
        "warnings": list(result.warnings),
    }


def resolved(result: "ShowResult") -> list[tuple[Access, str | None, str | None]]:
    """Every access, table by table, with the commit that last changed the table.

    An access of which nobody can say which tables it concerned, or at which commit, is listed all the same.
    """
    found: list[tuple[Access, str | None, str | None]] = [
        (item.access, item.version.table, item.version.commit) for item in result.resolved
    ]
    lost = [access for access in own_accesses(result.run) if access.commit is None or not access.tables]
    found += [(access, table, None) for access in lost for table in access.tables or (None,)]
    return sorted(found, key=lambda item: item[0].timestamp or 0.0)


def demo_data(result: "DemoResult") -> dict[str, Any]:
    """`folder`, `created`, `runs` and `next`."""
    return {
        "folder": str(result.folder),
        "created": result.created,
        "runs": list(result.runs),
        "next": list(result.next_commands),
    }
