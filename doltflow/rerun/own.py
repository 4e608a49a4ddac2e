"""What is a run's own: what it wrote itself and read back, which is no input, and what a resumed run took over."""

from collections.abc import Iterable

from doltflow.model.access import Access
from doltflow.model.pathspec import Pathspec
from doltflow.model.pins import ForeachPath
from doltflow.model.run import Run
from doltflow.workspace import Workspace
from doltflow.workspace.records import RunRecords


def own_tables(workspace: Workspace, read: Access, writes: Iterable[Access]) -> tuple[str, ...]:
    """Those of the tables of a read that it saw as writes of the same run had left them.

    A write that changed nothing counts as well: with other data or code the same write would have.

    Args:
        workspace: Where the databases are.
        read: The read; its database and commit are here.
        writes: The writes of the run that may count.
    """
    name, commit = workspace.database_of(read) or read.database, str(read.commit)
    by_table: dict[str, set[str]] = {}
    for write in writes:
        if write.commit is not None and (workspace.database_of(write) or write.database) == name:
            for table in write.tables or ():
                by_table.setdefault(table.casefold(), set()).add(write.commit)

    def is_own(table: str) -> bool:
        seen = workspace.version(name, table, commit)
        return seen is not None and any(
            # What somebody else has written since is nobody's own, and is read as it was.
            workspace.version(name, table, written) == seen
            and (written == commit or workspace.session(name).reaches([commit], [written]))
            for written in sorted(by_table.get(table.casefold(), ()))
        )

    return tuple(table for table in read.tables or () if is_own(table))


def foreach_paths(workspace: Workspace, run: Run) -> dict[str, ForeachPath]:
    """In which foreaches each task of a run stands. Tasks that a resumed run took over have records by other names."""
    paths: dict[str, ForeachPath] = {task.pathspec: task.foreach for task in run.tasks}
    missing = {access.pathspec for access in run.accesses} - paths.keys()
    if missing and workspace.store is not None:
        stored = workspace.store.read(Pathspec(run.flow, run.run_id))
        paths |= {str(task.pathspec): task.foreach for task in stored.tasks if str(task.pathspec) in missing}
    return paths


def taken_over(records: RunRecords, steps: Iterable[str]) -> list[Access]:
    """The writes by tasks of some steps that a resumed run took over from the run that it goes on from."""
    run, wanted = records.run, set(steps)
    writes = (access for access in records.artifacts.accesses if access.kind == "write")
    makers = ((access, Pathspec.parse(access.pathspec)) for access in writes)
    return [
        access
        for access, maker in makers
        if maker is not None and maker.flow == run.flow and maker.run != run.pathspec and maker.step in wanted
    ]
