"""`impact`: what a commit that turned out to be wrong spoiled, over databases and branches."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from doltflow.errors import DatabaseNotFoundError, RefNotFoundError, TableNotFoundError, UsageError, nearest
from doltflow.lineage import build, downstream, order
from doltflow.model.commit import Commit
from doltflow.model.run import Run
from doltflow.model.table import TableVersion
from doltflow.workspace import Workspace, gather_downstream, load_settings, open_workspace
from doltflow.workspace.at import resolve_at
from doltflow.workspace.spoiled import Spoiled, heads_with

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True)
class SpoiledTable:
    """A version of a table that has spoiled data.

    Attributes:
        version: The version.
        date: When it was committed, where that is known.
        run: The run that made it, `Flow/run_id`; None where it was made by hand.
    """

    version: TableVersion
    date: datetime | None
    run: str | None


@dataclass(frozen=True, slots=True)
class SpoiledHead:
    """A branch whose head has spoiled data: the version of the table that its head has."""

    branch: str
    version: TableVersion


@dataclass(frozen=True, slots=True)
class ImpactResult:
    """What a commit spoiled.

    Attributes:
        commit: The commit.
        changed: The tables that it changed against its first parent, and that were asked for, as it left them.
        tables: The versions with spoiled data, each after those that it was made from; those of `changed` among them.
        runs: The runs that spoiled data went into, newest first.
        branches: The branches, of all databases here, whose head still has spoiled data.
        graph: The `networkx.DiGraph` of all this, from the changed tables on.
        warnings: What was missing, or where the two records disagree, one sentence each.
    """

    commit: Commit
    changed: tuple[TableVersion, ...]
    tables: tuple[SpoiledTable, ...]
    runs: tuple[Run, ...]
    branches: tuple[SpoiledHead, ...]
    graph: "networkx.DiGraph[str]"
    warnings: tuple[str, ...]


def impact(
    commit: str, *, table: str | None = None, depth: int | None = None, folder: Path | None = None
) -> ImpactResult:
    """What a commit spoiled.

    What was made later from what it changed is spoiled, over databases; later versions of a changed table too, by hand
    or by a run that updated it, unless the table is again as it was before the commit. So is what has the same
    content without being made from it, as after a cherry-pick.

    Args:
        commit: `DATABASE@COMMIT`: the database by name or path; the commit by hash, branch, tag, `HEAD~2` or date.
        table: Only what became of this table, of those that the commit changed.
        depth: How many edges away from the changed tables to go at most.
        folder: Where to look for databases and for Metaflow's store; the current folder without it.

    Raises:
        UsageError: There is no `@`, or nothing on one side of it.
        DatabaseNotFoundError, RefNotFoundError: As they say.
        TableNotFoundError: The commit changed no table, or not that one.
    """
    if depth is not None and depth < 0:
        raise UsageError(f"The depth is {depth}.", "It is 0 or more.")
    with _opened(commit, folder) as (workspace, database, ref):
        hash_ = resolve_at(workspace.session(database), ref)
        found = workspace.find_commit(database, hash_)
        if found is None:
            raise RefNotFoundError(f"`{database}` has no commit `{ref}`.")
        changed = _changed(workspace, found, table)
        spoiled = Spoiled(workspace, found)
        starts = list(dict.fromkeys([*changed, *(same for one in changed for same in spoiled.again(one))]))
        gathered = gather_downstream(workspace, starts, counts=spoiled.has)
        whole = build(gathered.facts, starts)
        whole.remove_nodes_from([version.id for version in spoiled.clean if version.id in whole])
        kept: set[str] = set()
        for version in starts:
            kept |= set(downstream(whole, version.id, depth))
        graph = whole.subgraph(kept).copy()
        tables = tuple(_tables(gathered.facts.commits, graph))
        runs = [gathered.runs[node] for node, of in graph.nodes(data=True) if of["kind"] == "run"]
        return ImpactResult(
            found,
            tuple(changed),
            tables,
            tuple(sorted(runs, key=_began, reverse=True)),
            tuple(SpoiledHead(*head) for head in heads_with(workspace, {item.version for item in tables})),
            graph,
            workspace.warnings,
        )


@contextmanager
def _opened(text: str, folder: Path | None) -> Iterator[tuple[Workspace, str, str]]:
    """The workspace, the database and the ref that `DATABASE@COMMIT` means; both may have an `@` of their own."""
    ends = [at for at, character in enumerate(text) if character == "@"]
    splits = [(text[:at], text[at + 1 :]) for at in reversed(ends) if text[:at] and text[at + 1 :]]
    if not splits:
        raise UsageError(f"`{text}` is no `DATABASE@COMMIT`.", "Write `prices@main` or `prices@9f8e7d6c`, say.")
    with ExitStack() as stack:
        workspace, database, ref = _first_that_opens(stack, splits, folder)
        yield workspace, database, ref


def _first_that_opens(
    stack: ExitStack, splits: list[tuple[str, str]], folder: Path | None
) -> tuple[Workspace, str, str]:
    settings = load_settings(folder)
    missing: list[DatabaseNotFoundError] = []
    for database, ref in splits:
        try:
            workspace = stack.enter_context(open_workspace(settings, database, folder))
        except DatabaseNotFoundError as error:
            missing.append(error)
        else:
            return workspace, workspace.asked or database, ref
    raise missing[0]


def _changed(workspace: Workspace, commit: Commit, table: str | None) -> list[TableVersion]:
    """The versions of the tables that a commit changed against its first parent."""
    names = workspace.changed_tables(commit)
    what = f"The commit {commit.hash} of `{commit.database}`"
    before = workspace.tables(commit.database, commit.parents[0]) if commit.parents else []
    gone = sorted(set(before) - set(workspace.tables(commit.database, commit.hash)))
    dropped = f"dropped {', '.join(f'`{name}`' for name in gone)}" if gone else ""
    if table is not None:
        same = [name for name in names if name == table] or [n for n in names if n.casefold() == table.casefold()]
        if not same:
            raise TableNotFoundError(
                f"{what} did not change a table `{table}`.", nearest(table, names) or "It changed no table at all."
            )
        names = same
    if not names:
        raise TableNotFoundError(
            f"{what}, “{commit.subject}”, changed no table{f'; it {dropped}' if dropped else ''}.",
            "`doltflow log` lists the commits that changed one.",
        )
    if dropped and table is None:
        workspace.warn(f"{what} also {dropped}: what a table that is not there spoiled is not told.")
    found = (workspace.version(commit.database, name, commit.hash) for name in names)
    return [version for version in found if version is not None]


def _tables(commits: Mapping[tuple[str, str], Commit], graph: "networkx.DiGraph[str]") -> Iterator[SpoiledTable]:
    for node in order(graph):
        of = graph.nodes[node]
        if of["kind"] == "table":
            commit = commits.get((of["database"], of["commit"]))
            run = commit.run.pathspec.run if commit is not None and commit.run is not None else None
            version = TableVersion(of["database"], of["table"], of["commit"])
            yield SpoiledTable(version, commit.date if commit is not None else None, run)


def _began(run: Run) -> tuple[datetime, str]:
    return run.started or datetime.min.replace(tzinfo=UTC), run.pathspec
