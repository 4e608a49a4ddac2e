"""Whether a replay read what the recorded run had read, and who else wrote where the recorded run wrote."""

from collections import Counter
from collections.abc import Iterable, Iterator

from doltflow.model.access import Access
from doltflow.model.commit import Commit
from doltflow.model.pathspec import Pathspec
from doltflow.model.pins import ForeachPath, Pins
from doltflow.model.run import Run
from doltflow.rerun.plan import PlannedBranch
from doltflow.workspace import Workspace

_Read = tuple[str, ForeachPath, str, str, tuple[str, ...]]


def unhonoured(pins: Pins, recorded: Run, new: Run, steps: Iterable[str] | None = None) -> Iterator[str]:
    """Each read that was not served as the pins say, or did not happen, or was not recorded: one sentence each.

    Args:
        pins: The pins of the replay.
        recorded: The run that was repeated.
        new: The run that repeated it.
        steps: The steps that ran again; all without it.
    """
    again = None if steps is None else set(steps)
    expected = Counter(_reads(recorded, again))
    found = Counter(_reads(new, again))
    commits = _commits(recorded, again)
    own = {(pin.step, pin.foreach, pin.database, pin.key) for pin in pins.reads if pin.own}
    for read in sorted((expected - found).keys(), key=str):
        yield f"{_named(recorded, read)} was recorded, and the replay did not read it."
    for read in sorted((found - expected).keys(), key=str):
        yield f"{_named(new, read)} was read by the replay, and no such read is recorded."
    for read, seen in _commits(new, again).items():
        step, path, database, key, _ = read
        if read in expected and (step, path, database, key) not in own and seen != commits[read]:
            served, wanted = (", ".join(sorted(hashes)) for hashes in (seen, commits[read]))
            yield f"{_named(new, read)} was served from {served}, not from {wanted}."


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


def _reads(run: Run, steps: set[str] | None) -> list[_Read]:
    return [read for read, _ in _placed(run, steps)]


def _commits(run: Run, steps: set[str] | None) -> dict[_Read, set[str]]:
    found: dict[_Read, set[str]] = {}
    for read, commit in _placed(run, steps):
        found.setdefault(read, set()).add(commit)
    return found


def _placed(run: Run, steps: set[str] | None) -> Iterator[tuple[_Read, str]]:
    """The run's own reads, each by where it happened in the flow; ids of tasks differ from run to run."""
    paths = {task.pathspec: task.foreach for task in run.tasks}
    for access in run.accesses:
        task = Pathspec.parse(access.pathspec)
        if not _is_own(access, run) or task is None or (steps is not None and task.step not in steps):
            continue
        if steps is not None and access.timestamp is None:
            continue  # Only a commit tells of it, which lists the reads of the tasks that were taken over too.
        tables = tuple(sorted(access.tables or ()))
        yield (str(task.step), paths.get(access.pathspec, ()), access.database, access.key, tables), str(access.commit)


def _is_own(access: Access, run: Run) -> bool:
    return access.kind == "read" and access.pathspec.startswith(f"{run.pathspec}/")


def _named(run: Run, read: _Read) -> str:
    step, path, database, key, tables = read
    inside = "".join(f"[{name} {index}]" for name, index in path)
    what = ", ".join(f"`{table}`" for table in tables) or f"`{key}`"
    return f"{what} of `{database}` in the step `{step}`{inside} of {run.pathspec}"
