"""Whether a replay read what the recorded run had read, and who else wrote where the recorded run wrote."""

from collections import Counter
from collections.abc import Iterable, Iterator, Set

from doltflow.errors import DoltError
from doltflow.model.access import Access
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.pins import ForeachPath, ReadPin
from doltflow.model.run import Run
from doltflow.rerun.line import VIEWS
from doltflow.rerun.own import foreach_paths
from doltflow.rerun.plan import Plan, PlannedBranch
from doltflow.workspace import Workspace

_Read = tuple[str, ForeachPath, str, str, tuple[str, ...]]
_Table = tuple[str, str]


def unhonoured(workspace: Workspace, plan: Plan, new: Run) -> Iterator[str]:
    """Each read that was not served as the pins say, or did not happen, or was not recorded: one sentence each.

    Args:
        workspace: Where the databases are.
        plan: The replay's.
        new: The run that repeated the recorded one.
    """
    recorded = plan.run
    expected = Counter(_reads(workspace, recorded, plan.steps))
    found = Counter(_reads(workspace, new, plan.steps))
    commits = _commits(workspace, recorded, plan.steps)
    for read in sorted((expected - found).keys(), key=str):
        yield f"{_named(recorded, read)} was recorded, and the replay did not read it."
    for read in sorted((found - expected).keys(), key=str):
        yield f"{_named(new, read)} was read by the replay, and no such read is recorded."
    for read, seen in _commits(workspace, new, plan.steps).items():
        if read in expected and not _is_honoured(workspace, plan, new, read, seen, commits[read]):
            served, wanted = (", ".join(sorted(hashes)) for hashes in (seen, commits[read]))
            yield f"{_named(new, read)} was served from {served}, not from {wanted}."


def _is_honoured(workspace: Workspace, plan: Plan, new: Run, read: _Read, seen: set[str], wanted: set[str]) -> bool:
    """Whether reads of one kind were served at the commits that they were to be.

    Where the run read back what it had written itself, that is a commit that has it from the replay instead.
    """
    composed: dict[str, set[str]] = {}
    for pin in plan.pins.reads:
        if pin.own and read == _of_pin(pin):
            served = {commit for commit in seen - wanted if _is_composed(workspace, plan, new, pin, commit)}
            composed.setdefault(pin.commit, set()).update(served)
    allowed = wanted.union(*composed.values())
    return seen <= allowed and all(commit in seen or composed.get(commit) for commit in wanted)


def _is_composed(workspace: Workspace, plan: Plan, new: Run, pin: ReadPin, commit: str) -> bool:
    """Whether a commit has the run's own tables of a read as the replay wrote them, and all others as recorded."""
    session = workspace.session(pin.database)
    written = {access.commit for access in new.accesses if access.kind == "write" and access.database == pin.database}
    written |= {branch.commit for branch in plan.branches if branch.database == pin.database}
    try:
        for table in pin.tables:
            had = sorted(filter(None, written)) if table in pin.own else [pin.commit]
            if session.table_hash(table, commit) not in [session.table_hash(table, at) for at in had]:
                return False
    except DoltError:  # It was garbage-collected, and nothing is proven.
        return False
    return True


def misread(workspace: Workspace, plan: Plan, code: Iterable[ReadPin], new: Run) -> Iterator[str]:
    """Each read of a run with other code or parameters that did not see a recorded run's data: one sentence each.

    Such a run may read less than was recorded, and under other keys. A read is of the recorded data where it was served
    as its pin says, or where each of its tables is as the recorded run had read it under any key, or as the new run had
    written it itself.

    Args:
        workspace: Where the databases are.
        plan: The plan of the run whose data it is to be.
        code: The pins of the run whose code it is.
        new: The new run.
    """
    data = _Data(workspace, plan, new)
    own = {(pin.step, pin.foreach, pin.database, pin.key): pin.own for pin in code}
    told: set[str] = set()
    for read, access in _placed(workspace, new, None):
        if not data.is_served(read, access):
            wanted = data.wanted.get(read, set())
            instead = f"not from {', '.join(sorted(wanted)) or f'what {plan.run.pathspec} had read'}"
            if str(access.commit) in wanted:
                instead = f"as {plan.run.pathspec} had written it itself"
        elif not data.is_read_back(access, own.get(read[:4], ())):
            instead = "not as the run itself had just written it"
        else:
            continue
        line = f"{_named(new, read)} was served from {access.commit}, {instead}."
        if line not in told:
            told.add(line)
            yield line


class _Data:
    """What a recorded run had read, against which the reads of a new run are held."""

    def __init__(self, workspace: Workspace, plan: Plan, new: Run) -> None:
        self._workspace = workspace
        self._plan = plan
        self._new = new
        self._hashes: dict[tuple[str, str, str], str | None] = {}
        self._read: dict[_Table, set[str]] = {}
        self._written: dict[_Table, set[str]] = {}
        self.wanted = _commits(workspace, plan.run, plan.steps)
        for pin in plan.pins.reads:
            for table in {VIEWS, *pin.tables} - set(pin.own):
                self._read.setdefault((pin.database, table.casefold()), set()).add(pin.commit)
        for access in new.accesses:
            if access.kind == "write" and access.commit is not None:
                for table in access.tables or ():
                    self._written.setdefault((access.database, table.casefold()), set()).add(access.commit)

    def is_served(self, read: _Read, access: Access) -> bool:
        """Whether a read of the new run saw what the recorded run had read, or what the new run had written."""
        pins = [pin for pin in self._plan.pins.reads if pin.own and read == _of_pin(pin)]
        commit = str(access.commit)
        if commit in self.wanted.get(read, set()) - {pin.commit for pin in pins}:
            return True
        if any(_is_composed(self._workspace, self._plan, self._new, pin, commit) for pin in pins):
            return True
        try:
            return self._is_of_the_same(access)
        except DoltError:  # It was garbage-collected, and nothing is proven.
            return False

    def _is_of_the_same(self, access: Access) -> bool:
        """Whether each table of a read is as the recorded run had read it, or as the new run had written it."""
        if not access.tables or access.key.startswith("diff(") or "dolt_" in (access.query or "").casefold():
            return False  # It saw more than the content of tables.
        if access.table_name is None and not self._is_read(access, VIEWS):
            return False
        return all(self._is_written(access, table) or self._is_read(access, table) for table in access.tables)

    def is_read_back(self, access: Access, own: Iterable[str]) -> bool:
        """Whether a read saw those of some tables that the new run wrote as it had written them."""
        written = [table for table in own if (access.database, table.casefold()) in self._written]
        try:
            return all(self._is_written(access, table) for table in written)
        except DoltError:
            return False

    def _is_written(self, access: Access, table: str) -> bool:
        return self._content(access, table) in self._contents(self._written, access.database, table) - {None}

    def _is_read(self, access: Access, table: str) -> bool:
        """Whether a read saw a table as the recorded run had seen it, each time that it had."""
        content = self._content(access, table)
        is_there = content is not None or table == VIEWS  # Which is not there before there is a view.
        return is_there and self._contents(self._read, access.database, table) == {content}

    def _content(self, access: Access, table: str) -> str | None:
        return self._hash(access.database, table, str(access.commit))

    def _contents(self, known: dict[_Table, set[str]], database: str, table: str) -> set[str | None]:
        return {self._hash(database, table, at) for at in known.get((database, table.casefold()), ())}

    def _hash(self, database: str, table: str, commit: str) -> str | None:
        key = (database, table, commit)
        if key not in self._hashes:
            self._hashes[key] = self._workspace.session(database).table_hash(table, commit)
        return self._hashes[key]


def written_between(workspace: Workspace, run: Run, branch: PlannedBranch, table: str, last: str) -> list[Commit]:
    """The commits of others that changed a table after the recorded run had begun to write, oldest first.

    Args:
        workspace: Where the database is.
        run: The recorded run.
        branch: The replay's branch of the database, which starts where the run began.
        table: The table.
        last: Full hash of the commit that left the table as the run left it.
    """
    session = workspace.session(branch.database)
    found: list[Commit] = []
    after = session.table_hash(table, last)
    while last != branch.commit:
        commit = workspace.find_commit(branch.database, last)
        if commit is None or not commit.parents:
            return []  # The branch was made anew meanwhile, and what was between cannot be told.
        last = commit.parents[0]
        before = session.table_hash(table, last)
        is_own = commit.run is not None and commit.run.pathspec.run == run.pathspec
        if before != after and not is_own:
            found.insert(0, commit)
        after = before
    return found


def _reads(workspace: Workspace, run: Run, steps: Set[str] | None) -> list[_Read]:
    return [read for read, _ in _placed(workspace, run, steps)]


def _of_pin(pin: ReadPin) -> _Read:
    return pin.step, pin.foreach, pin.database, pin.key, tuple(sorted(pin.tables))


def _commits(workspace: Workspace, run: Run, steps: Set[str] | None) -> dict[_Read, set[str]]:
    found: dict[_Read, set[str]] = {}
    for read, access in _placed(workspace, run, steps):
        found.setdefault(read, set()).add(str(access.commit))
    return found


def _placed(workspace: Workspace, run: Run, steps: Set[str] | None) -> Iterator[tuple[_Read, Access]]:
    """The run's own reads, each by where it happened in the flow; ids of tasks differ from run to run."""
    paths = foreach_paths(workspace, run)
    for access in run.accesses:
        task = Pathspec.parse(access.pathspec)
        if not _is_own(access, run) or task is None or (steps is not None and task.step not in steps):
            continue
        if steps is not None and access.timestamp is None:
            continue  # Only a commit tells of it, which lists the reads of the tasks that were taken over too.
        tables = tuple(sorted(access.tables or ()))
        yield (str(task.step), paths.get(access.pathspec, ()), access.database, access.key, tables), access


def _is_own(access: Access, run: Run) -> bool:
    return access.kind == "read" and access.pathspec.startswith(f"{run.pathspec}/")


def _named(run: Run, read: _Read) -> str:
    step, path, database, key, tables = read
    inside = "".join(f"[{name} {index}]" for name, index in path)
    what = ", ".join(f"`{table}`" for table in tables) or f"`{key}`"
    return f"{what} of `{database}` in the step `{step}`{inside} of {run.pathspec}"
