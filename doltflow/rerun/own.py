"""What a run wrote itself and read back: that is no input, and a rerun reads what it has written in its place."""

from collections.abc import Iterable

from doltflow.model.access import Access
from doltflow.workspace import Workspace


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
