"""What a user sets one against the other: a run, a database at a ref, or a branch."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from doltflow.errors import (
    DatabaseNotFoundError,
    NoOutputError,
    RefNotFoundError,
    RunNotFoundError,
    UsageError,
    nearest,
)
from doltflow.model.pathspec import Pathspec
from doltflow.model.run import Status
from doltflow.sources.dolt.made import MadeBranch, made_in
from doltflow.sources.metaflow.store import Store
from doltflow.workspace.at import resolve_at
from doltflow.workspace.records import RunRecords, read_run
from doltflow.workspace.runs import find_other_run, find_run
from doltflow.workspace.workspace import ELSEWHERE, GONE, Workspace

Key = tuple[str, str]
"""A table: the name of its database and its own."""


@dataclass(frozen=True, slots=True)
class Output:
    """A table as it stands at an end.

    Attributes:
        database, table: The table, as the database spells it.
        commit: Full hash of a commit that has it so.
        run: `Flow/run_id` of the run that wrote it; None where none did, or where it has not been asked.
    """

    database: str
    table: str
    commit: str
    run: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """One end of a comparison.

    Attributes:
        kind: `run`: what a run wrote. `commit`: a database at a commit. `branch`: databases at the heads of a branch.
        name: `Flow/run_id`, or a step or task of it; `database@ref`; the branch.
        outputs: What was written: by the run, or on the branch since doltflow made it. Empty for a commit.
        heads: The commit of each database; empty for a run.
        status: Of a run, how it ended.
    """

    kind: Literal["run", "commit", "branch"]
    name: str
    outputs: tuple[Output, ...] = ()
    heads: tuple[tuple[str, str], ...] = ()
    status: Status = "successful"

    @property
    def is_snapshot(self) -> bool:
        """Whether it has whole databases, and nothing of them counts as written."""
        return self.kind != "run" and not self.outputs

    def output(self, database: str, table: str) -> Output | None:
        """The table of that name that was written, in whatever case."""
        return next(
            (o for o in self.outputs if o.database == database and o.table.casefold() == table.casefold()), None
        )


def begin_end(workspace: Workspace, text: str) -> None:
    """Has the databases opened that will be asked for what a user means."""
    found = next(_splits(workspace, text), None)
    for database in list(workspace.locations) if found is None else [found[0]]:
        workspace.begin(database)


def find_end(workspace: Workspace, text: str) -> End:
    """What a user means by `Flow/run_id`, `profile:Flow/run_id`, `DATABASE@REF` or the name of a branch.

    Raises:
        RunNotFoundError, AmbiguousRunError, DatabaseNotFoundError, RefNotFoundError: There is no such thing.
        ProfileNotFoundError, StoreNotFoundError: It is a run of another profile, and that or its store is not there.
        NoOutputError: It is a run that wrote no table.
    """
    found = _commit(workspace, text) or _made_branch(workspace, text)
    if found is not None:
        return found
    other = find_other_run(workspace, text)
    if other is not None:
        return replace(_run(workspace, other), name=f"{text.partition(':')[0]}:{other}")
    try:
        return _run(workspace, _find_run(workspace, text))
    except RunNotFoundError as error:
        missing = error
    heads = _heads(workspace, text)
    if heads:
        return End("branch", text, (), heads)
    if text in (workspace.ask_store(Store.flows) or ()):
        raise RunNotFoundError(f"`{text}` is a flow, and no run of it.", f"`{text}/latest` is its newest run.")
    if text.rstrip("@") in workspace.locations:
        name = text.rstrip("@")
        raise RefNotFoundError(
            f"`{text}` names a database and no commit of it.", f"`{name}@HEAD` means the head of its default branch."
        ) from missing
    if "@" in text:
        database, _, _ = text.rpartition("@")
        known = nearest(database, workspace.locations)
        raise DatabaseNotFoundError(f"There is no database `{database}` in {workspace.place}.", known) from missing
    made = [name for branches in _made(workspace).values() for name in branches]
    hints = [missing.hint or nearest(text, made), "`DATABASE@REF` means a database at a commit, tag, branch or date."]
    raise RunNotFoundError(
        f"{missing.message} Nor is there a branch of that name.", " ".join(hint for hint in hints if hint)
    ) from missing


# A database at a ref


def _commit(workspace: Workspace, text: str) -> End | None:
    """`DATABASE@REF`, where the part before an `@` is a database; both may have an `@` of their own."""
    for database, ref in _splits(workspace, text):
        return End("commit", text, (), ((database, resolve_at(workspace.session(database), ref)),))
    return None


def _splits(workspace: Workspace, text: str) -> Iterator[tuple[str, str]]:
    """Where what stands before an `@` is a database: its name, and what stands behind."""
    for at in reversed([at for at, character in enumerate(text) if character == "@"]):
        before, ref = text[:at], text[at + 1 :]
        if before and ref:
            with suppress(DatabaseNotFoundError, UsageError):
                yield workspace.find_database(before), ref


# A branch


def _made_branch(workspace: Workspace, text: str) -> End | None:
    """A branch that doltflow made, in all databases that have it."""
    heads = [(database, made[text]) for database, made in _made(workspace).items() if text in made]
    found: list[tuple[str, str]] = []
    outputs: list[Output] = []
    for database, made in heads:
        head = workspace.session(database).branches().get(text)
        if head is not None:
            found.append((database, head))
            outputs += _written_since(workspace, database, head, made)
    return End("branch", text, tuple(outputs), tuple(found)) if found else None


def _made(workspace: Workspace) -> dict[str, dict[str, MadeBranch]]:
    return {name: made_in(location) for name, location in workspace.locations.items()}


def _heads(workspace: Workspace, text: str) -> tuple[tuple[str, str], ...]:
    """The heads of a branch that somebody else made."""
    branches = ((name, workspace.session(name).branches().get(text)) for name in workspace.names)
    return tuple((name, head) for name, head in branches if head is not None)


def _written_since(workspace: Workspace, database: str, head: str, made: MadeBranch) -> Iterator[Output]:
    """The tables that runs wrote on a branch since it was made, as it has them."""
    tables: dict[str, tuple[str, str]] = {}
    hash_ = head
    while hash_ != made.commit:
        commit = workspace.find_commit(database, hash_)
        if commit is None or not commit.parents:
            break
        for write in commit.run.writes if commit.run is not None else ():
            tables.setdefault(write.table.casefold(), (write.table, str(commit.run and commit.run.pathspec.run)))
        hash_ = commit.parents[0]
    for table, run in tables.values():
        spelled = workspace.spelled(database, table, head)
        if spelled is not None:
            yield Output(database, spelled, head, run)


# A run


def _find_run(workspace: Workspace, text: str) -> Pathspec:
    """The run, or the step or task of one, which may be named by a bare run id too."""
    bare, _, below = text.partition("/")
    if bare.isdigit() and below:
        return find_run(workspace, f"{find_run(workspace, bare)}/{below}")
    return find_run(workspace, text)


def _run(workspace: Workspace, pathspec: Pathspec) -> End:
    records = read_run(workspace, pathspec)
    outputs = tuple(written_by(workspace, records, pathspec))
    if not outputs:
        raise NoOutputError(
            f"`{pathspec}` wrote no table{_how(records)}.", f"`doltflow show {pathspec}` lists what it read and wrote."
        )
    return End("run", str(pathspec), outputs, status=records.run.status)


def _how(records: RunRecords) -> str:
    match records.run.status:
        case "failed":
            return ": it failed"
        case "running":
            return " so far: it is still running"
        case _:
            return ""


def written_by(workspace: Workspace, records: RunRecords, pathspec: Pathspec) -> Iterator[Output]:
    """The tables that a run, or a step or task of it, wrote, each at the last commit by which it did.

    Raises:
        DatabaseNotFoundError, RefNotFoundError: A database or commit that it names is not here.
    """
    order = {commit.hash: number for number, commit in enumerate(records.commits)}
    last: dict[Key, tuple[tuple[float, float], str, str]] = {}
    for access in records.run.accesses:
        is_inside = f"{access.pathspec}/".startswith(f"{pathspec}/")
        if access.kind != "write" or not is_inside or access.commit is None:
            continue
        database = workspace.database_of(access)
        if database is None:
            raise DatabaseNotFoundError(
                f"The database `{access.database}`, which {access.pathspec} wrote, is not here.",
                ELSEWHERE,
            )
        if workspace.find_commit(database, access.commit) is None:
            raise RefNotFoundError(
                f"`{database}` does not have the commit {access.commit}, by which {access.pathspec} wrote.",
                GONE,
            )
        when = (float(order.get(access.commit, -1)), access.timestamp or 0.0)
        for table in access.tables or ():
            key = (database, table.casefold())
            if key not in last or last[key][0] <= when:
                last[key] = (when, table, access.commit)
    for (database, _), (_, table, commit) in last.items():
        yield Output(database, workspace.spelled(database, table, commit) or table, commit, pathspec.run)
